"""Multi-layer perceptrons of a user's own: matrices one after the other, told apart by their shapes.

    fc1.weight (h, 2p), fc2.weight (p, h)                    torch's Linear on one-hot pairs, side by side
    fc1.weight (h, p), fc2.weight (p, h)                     the same on the sum of two one-hot vectors
    embed.weight (V, d), fc1.weight (h, 2d or d), ...        an Embedding first, both operands side by side or added
    W_in, W_out, ... with b_in, b_out or without             matrices by themselves, standing left or right

Hidden layers are equally wide; any layer may have a bias. Shapes are tried in every order that the names leave open
(fc1 before fc2, "in" before "out"); what more than one reading fits is refused, with the readings.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise, permutations
from typing import Any

import torch
from torch import Tensor

from interp.sources.adapter_draft import drafted, listed
from interp.sources.files import steps
from interp.sources.files.reading import SourceError
from interp.sources.formats.format import Format, Found
from interp.sources.formats.network import Network, Tensors, network
from interp.sources.formats.trainer_options import stated_by

_MOST_LAYERS = 6
# Six matrices of one shape are read in two thousand ways.
_MOST_TOLD = 10
_EMBEDDING = re.compile(r"(?<!un)emb|tok|W_E", re.IGNORECASE)
_ROLES = (
    (0, re.compile(r"(^|[._])(w_?)?(in|inp|input|encoder)\d*($|[._])", re.IGNORECASE)),
    (
        2,
        re.compile(
            r"(^|[._])(w_?)?(out|output|u|unembed|head|decoder|readout|classifier)\d*($|[._])", re.IGNORECASE
        ),
    ),
)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix with its bias, as the file holds them.

    Attributes:
        bias_name, bias: empty and None where there is none.
    """

    name: str
    tensor: Tensor
    bias_name: str
    bias: Tensor | None

    @property
    def is_layer(self) -> bool:
        """Whether it is called as a parameter of torch's modules, whose Linear is (out, in)."""
        return self.name.endswith(".weight")


@dataclass(frozen=True, eq=False)
class Reading:
    """One network that the shapes fit.

    Attributes:
        embeddings: matrices (token, d_model): none for one-hot inputs, one, or one an operand.
        layers: hidden layers and the output layer, in the order of the pass.
        is_left: whether matrices stand on the left of what they act on, as (out, in).
        n_ctx: tokens that it reads, their embeddings side by side or summed.
    """

    embeddings: tuple[Matrix, ...]
    layers: tuple[Matrix, ...]
    is_left: bool
    n_ctx: int
    is_summed: bool

    def turned(self, layer: Matrix) -> Tensor:
        """The matrix as (in, out)."""
        return layer.tensor.T if self.is_left else layer.tensor

    @property
    def n_outputs(self) -> int:
        return self.turned(self.layers[-1]).shape[1]

    @property
    def fields(self) -> dict[str, Any]:
        """Of the `ModelConfig`."""
        hidden, one_hot = self.layers[:-1], not self.embeddings
        d_vocab = sum(len(e.tensor) for e in self.embeddings) or self.n_outputs
        return {
            "n_layers": len(hidden), "d_model": d_vocab if one_hot else self.embeddings[0].tensor.shape[1],
            "n_heads": 0, "d_head": 0, "d_mlp": self.turned(hidden[0]).shape[1], "n_ctx": self.n_ctx,
            "d_vocab": d_vocab, "d_vocab_out": self.n_outputs, "positions": "none", "normalization_type": None,
            "norm_placement": "pre", "tied_unembed": False, "attention_bias": False,
            "mlp_bias": any(layer.bias is not None for layer in hidden),
            "unembed_bias": self.layers[-1].bias is not None,
            "attention_rate": 1.0, "attention_dir": "causal", "one_hot_embed": one_hot,
            "summed_embed": self.is_summed,
        }  # fmt: skip

    @property
    def parameters(self) -> dict[str, tuple[Tensor, str]]:
        """Each parameter by its name in this package, and the code that makes it of the state dict."""
        found = {}
        if self.embeddings:
            codes = [f"state[{e.name!r}]" for e in self.embeddings]
            code = codes[0] if len(codes) == 1 else f"torch.cat([{', '.join(codes)}])"
            found["embed.W_E"] = torch.cat([e.tensor for e in self.embeddings]), code
        names = [(f"blocks.{i}.mlp.W_in", f"blocks.{i}.mlp.b_in") for i in range(len(self.layers) - 1)]
        for (w, b), layer in zip([*names, ("unembed.W_U", "unembed.b_U")], self.layers, strict=True):
            found[w] = self.turned(layer), f"state[{layer.name!r}]" + ".T" * self.is_left
            if layer.bias is not None:
                found[b] = layer.bias, f"state[{layer.bias_name!r}]"
        return found

    def __str__(self) -> str:
        f = self.fields
        kind = "one-hot operands" if f["one_hot_embed"] else f"{f['d_vocab']} embeddings of {f['d_model']}"
        order = " -> ".join(f"{m.name!r:.80}" for m in (*self.embeddings, *self.layers))
        joined = "summed" if self.is_summed else f"{self.n_ctx} side by side"
        side = "(out, in)" if self.is_left else "(in, out)"
        return f"{order} as {side}: {kind}, {joined}, {f['d_mlp']} neurons a layer, {self.n_outputs} answers"


def matrices_of(tensors: Mapping[str, Tensor]) -> list[Matrix] | None:
    """The matrices of a state dict with their biases, or None where it holds more than matrices and vectors.

    Vectors that are no biases, as those of a norm, are left: the network that has them is refused by their names.
    """
    plain = (
        t.is_floating_point() and t.layout == torch.strided and t.ndim in (1, 2) for t in tensors.values()
    )
    if not all(plain):
        return None
    found = []
    for name, tensor in tensors.items():
        if tensor.ndim == 2:
            vectors = (n for n in _names_of_bias(name) if n in tensors and tensors[n].ndim == 1)
            bias = next(vectors, "")
            found.append(Matrix(name, tensor, bias, tensors.get(bias)))
    return found if 2 <= len(found) <= _MOST_LAYERS + 2 else None


def _names_of_bias(name: str) -> list[str]:
    """What the bias of a matrix may be called: fc1.bias of fc1.weight, b_in of W_in, hidden_bias of hidden."""
    if name.endswith(".weight"):
        return [name.removesuffix("weight") + "bias"]
    *before, last = name.split(".")
    letter = re.sub(r"^[Ww]", "b", last)
    return [".".join([*before, new]) for new in (letter, f"{last}_bias") if new != last]


def readings(tensors: Mapping[str, Tensor], p: int | None) -> list[Reading]:
    """Every network that fits the shapes; of these, where a modulus is stated, those with that many answers."""
    found = matrices_of(tensors)
    if found is None:
        return []
    sides = (True,) if any(m.is_layer for m in found) else (True, False)
    fitting = [r for is_left in sides for r in _readings(found, is_left)]
    return [r for r in fitting if p is None or r.n_outputs in (p, p + 1)]


def _readings(found: list[Matrix], is_left: bool) -> Iterator[Reading]:
    for embeddings in _embeddings(found):
        rest = [matrix for matrix in found if matrix not in embeddings]
        if not 2 <= len(rest) <= _MOST_LAYERS:
            continue
        for order in permutations(rest):
            if not all(_may_follow(a, b) for a, b in pairwise(order)):
                continue
            for n_ctx, is_summed in ((2, False), (2, True), (3, False)):
                reading = Reading(embeddings, order, is_left, n_ctx, is_summed)
                if _fits(reading):
                    yield reading


def _embeddings(found: list[Matrix]) -> list[tuple[Matrix, ...]]:
    """Which of the matrices may be embeddings: those called so, or else none or the first without a bias."""
    called = tuple(m for m in found if _EMBEDDING.search(m.name) and m.bias is None)
    if called:
        return [called] if len({m.tensor.shape for m in called}) == 1 and len(called) <= 2 else []
    return [(), *((m,) for m in found if m.bias is None)]


def _may_follow(before: Matrix, after: Matrix) -> bool:
    """Whether the names leave this order open."""
    roles = [next((r for r, words in _ROLES if words.search(m.name)), 1) for m in (before, after)]
    same = re.sub(r"\d+", "#", before.name) == re.sub(r"\d+", "#", after.name)
    in_order = not same or steps.natural(before.name) < steps.natural(after.name)
    return roles[0] <= roles[1] and in_order


def _fits(reading: Reading) -> bool:
    turned = [reading.turned(layer) for layer in reading.layers]
    is_chain = all(a.shape[1] == b.shape[0] for a, b in pairwise(turned))
    is_even = len({w.shape[1] for w in turned[:-1]}) == 1
    biased = [
        (layer.bias, w) for layer, w in zip(reading.layers, turned, strict=True) if layer.bias is not None
    ]
    p, n, read = reading.n_outputs, 1 if reading.is_summed else reading.n_ctx, turned[0].shape[0]
    if not (is_chain and is_even) or p < 2 or any(len(bias) != w.shape[1] for bias, w in biased):
        return False
    if not reading.embeddings:
        return reading.n_ctx == 2 and read == n * p
    d_vocab = sum(len(e.tensor) for e in reading.embeddings)
    # Residues, perhaps "=" after them, or residues of their own for each operand.
    known = (p, p + 1) if reading.n_ctx == 3 else (p, p + 1, 2 * p)
    return read == n * reading.embeddings[0].tensor.shape[1] and d_vocab in known


def is_plain_mlp(found: Found) -> bool:
    return bool(readings(found.tensors, None))


def from_plain_mlp(found: Found, stated: Mapping[str, Any]) -> Network:
    """The network of the one reading that the shapes leave.

    Raises:
        SourceError: if they leave none or several, which are listed with an adapter to start from.
    """
    p = found.stated_task.get("p", found.options.get("p"))
    fitting = readings(found.tensors, p if isinstance(p, int) else None)
    if len(fitting) != 1:
        raise _undecided(found, fitting)
    (reading,) = fitting
    t = Tensors(found.tensors, "", found.where)
    for matrix in (*reading.embeddings, *reading.layers):
        t.take(matrix.name, None, None)
        t.take_bias(matrix.bias_name, len(matrix.bias)) if matrix.bias is not None else None
    weights = {name: w for name, (w, _) in reading.parameters.items()}
    task: dict[str, Any] = {"equals_token": reading.n_ctx == 3}
    fields = reading.fields
    if fields["n_ctx"] == 2 and fields["d_vocab"] == reading.n_outputs + 1:
        task["p"] = reading.n_outputs
    by_options = stated_by(found.options, found.where)
    by_options = {name: value for name, value in by_options.items() if name == "act_fn"}
    found_network = network(t, weights, fields, by_options | dict(stated), {"act_fn": "relu"}, task)
    # A width of one operand may also be that of a mean, or of a product.
    assumed = {"summed_embed": True} if reading.is_summed else {}
    return replace(found_network, assumed=found_network.assumed | assumed)


def _undecided(found: Found, fitting: list[Reading]) -> SourceError:
    if not fitting:
        return SourceError(
            f"{found.where} holds no chain of matrices from one-hot or embedded operands to answers (mod p, where p is "
            "stated):",
            f"{listed(found.tensors)}\nAn adapter to start from:\n\n{drafted(found.tensors, found.where)}",
        )
    first = fitting[0]
    fields = {"p": first.n_outputs, **first.fields, "act_fn": "relu"}
    code = {name: code for name, (_, code) in first.parameters.items()}
    told = "\n".join(f"    {reading}" for reading in fitting[:_MOST_TOLD])
    told += f"\n    and {len(fitting) - _MOST_TOLD} more" if len(fitting) > _MOST_TOLD else ""
    return SourceError(
        f"{found.where} holds an MLP whose shapes leave {len(fitting)} readings:",
        f"{listed(found.tensors)}\nIt may be\n{told}\nState the modulus (--p) if that decides. Otherwise an adapter "
        f"says which it is; that of the first:\n\n{drafted(found.tensors, found.where, fields, code)}",
    )


PLAIN_MLP = Format(
    name="mlp",
    recognized_by="fc1.weight, fc2.weight: matrices that follow each other from operands to answers, by their shapes",
    recognizes=is_plain_mlp,
    network=from_plain_mlp,
)

"""The repository of Chughtai et al.: `cfg.json` beside `model.pt` and `checkpoints/epoch_<n>.pt`, state dicts.

`OneLayerMLP` (W_x, W_y, W, W_U, no biases) or a HookedTransformer of one layer on (a, b, =). `epoch_<n>` was saved at
the end of epoch n, so after n + 1 updates; `model.pt` holds the last of them again and is read where there are no
checkpoints. `metrics.csv`, which counts as the checkpoints do, becomes the history.

Elements of cyclic and dihedral groups are numbered as here. Those of permutation groups are numbered by sympy, whose
lists were in the order of a Schreier-Sims chain up to its version 1.11, and composed from left to right: x y applies x
first. So element x is the inverse here of the permutation there, in W_x, W_y (or W_E) and W_U alike, which changes no
function. The split is `torch.randperm` of the pairs in their order, first rows train; with seed 0 nothing is shuffled.

Read in the released code (train_with_checkpoints.py, utils/models.py, utils/groups.py, utils/checkpoints.py) and in
cfg.json and metrics.csv of S5_MLP_seed2; the order of elements was taken from sympy 1.11.1, the last version with which
that code works. It was not tried on the released weights: `interp verify` compares the losses in metrics.csv with those
of the renamed network, and says so if the numbering was another one.

References: Chughtai et al. 2023, "A toy model of universality", and the released code (rep-theory-mech-interp).
"""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp.mathematics.groups import named_group
from interp.sources.files import steps
from interp.sources.files.reading import SourceError
from interp.sources.files.steps import Position
from interp.sources.formats.format import Beside, Format, Found, Pairs, json_with
from interp.sources.formats.hooked_transformer import from_hooked_transformer, is_hooked_transformer
from interp.sources.formats.network import Network, Tensors, network
from interp.tasks.splits import split_order

_KEYS = ("group", "group_parameter", "frac_train", "layers", "model")
_LETTERS = {"CyclicGroup": "C", "DihedralGroup": "D", "SymmetricGroup": "S", "AlternatingGroup": "A"}
_LARGEST = 200
_MLP = {"W_x", "W_y", "W", "W_U"}

# The chain of each group: an element is a product of one permutation of each row, the first row counting fastest and
# applied last.
_CHAINS = {
    "S3": ("012 120 201", "012 021"),
    "S4": ("0123 1230 2301 3120", "0123 0231 0312", "0123 0132"),
    "S5": ("01234 12340 23401 34012 41230", "01234 02143 03412 04123", "01423 01234 01243", "01234 01432"),
    "S6": (
        "012345 123450 234501 345012 451230 512340", "012345 021354 031254 045123 051234",
        "013524 012534 012345 012354", "012345 013542 015243", "012345 012543",
    ),
    "A5": ("01234 12340 23401 34012 42130", "01234 02143 03124 04213", "01234 01342 01423"),
}  # fmt: skip


def cfg_beside(source: Path) -> Beside | None:
    """The config of an experiment's folder, of one of its files or of the folder of its checkpoints."""
    folders = [source, source.parent] if source.is_dir() else [source.parent, source.parent.parent]
    for folder in folders:
        if content := json_with(folder / "cfg.json", *_KEYS):
            checkpoints = source
            if source == folder:
                inside = folder / "checkpoints"
                has_some = inside.is_dir() and any(inside.glob("epoch_*.pt"))
                checkpoints = inside if has_some else folder / "model.pt"
            return Beside(content, checkpoints) if checkpoints.exists() else None
    return None


def is_rep_theory(found: Found) -> bool:
    is_theirs = found.tensors.keys() >= _MLP or is_hooked_transformer(found)
    return set(_KEYS) <= found.beside.keys() and is_theirs


def final_epoch(found: Found) -> Position | None:
    """Where the final weights stand: after all epochs."""
    epoch = steps.number(found.beside.get("num_epochs"))
    return None if epoch is None else Position(epoch, "epoch")


def from_rep_theory(found: Found, stated: Mapping[str, Any]) -> Network:
    """The network of a state dict, its elements numbered as those of the group here.

    Raises:
        SourceError: if the config names a group that is not known here or that the tensors do not fit, or as
            `from_hooked_transformer`.
    """
    group = _group(found.beside, found.where)
    order = elements_of_theirs(group, found.where).argsort()
    task: dict[str, Any] = {"family": "groups", "group": group}
    if isinstance(share := found.beside.get("frac_train"), float) and 0 < share < 1:
        task["train_fraction"] = share
    if is_hooked_transformer(found):
        by_code = {"act_fn": "relu", "attention_dir": "causal", "normalization_type": None}
        return _transformer(found, by_code | dict(stated), order, task)
    return _mlp(found, stated, order, task)


def _mlp(found: Found, stated: Mapping[str, Any], order: Tensor, task: dict[str, Any]) -> Network:
    t = Tensors(found.tensors, "", found.where)
    n = len(order)
    w_x = t.take("W_x", n, None)
    d_model = w_x.shape[1]
    w_y = t.take("W_y", n, d_model)
    w_in = t.take("W", 2 * d_model, None)
    d_mlp = w_in.shape[1]
    w_u = t.take("W_U", d_mlp, n)
    weights = {
        "embed.W_E": torch.cat([w_x[order], w_y[order]]),
        "blocks.0.mlp.W_in": w_in,
        "unembed.W_U": w_u[:, order],
    }
    shown = {
        "n_layers": 1, "d_model": d_model, "n_heads": 0, "d_head": 0, "d_mlp": d_mlp, "n_ctx": 2, "d_vocab": 2 * n,
        "d_vocab_out": n, "act_fn": "relu", "attention_dir": "causal", "attention_rate": 1.0, "positions": "none",
        "normalization_type": None, "norm_placement": "pre", "tied_unembed": False, "attention_bias": False,
        "mlp_bias": False, "unembed_bias": False,
    }  # fmt: skip
    return network(
        t, weights, shown, stated, {}, {**task, "separate_vocabularies": True, "equals_token": False}
    )


def _transformer(found: Found, stated: Mapping[str, Any], order: Tensor, task: dict[str, Any]) -> Network:
    theirs = from_hooked_transformer(found, stated)
    n, weights = len(order), dict(theirs.weights)
    if (theirs.config.d_vocab, theirs.config.d_vocab_out) != (n + 1, n):
        raise SourceError(
            f"{found.where} has {theirs.config.d_vocab} tokens and {theirs.config.d_vocab_out} logits, but its "
            f"cfg.json names a group of {n} elements: it is of another experiment."
        )
    weights["embed.W_E"] = weights["embed.W_E"][torch.cat([order, torch.tensor([n])])]
    for name in {"unembed.W_U", "unembed.b_U"} & weights.keys():
        weights[name] = weights[name][..., order]
    return replace(
        theirs, weights=weights, task={**task, "separate_vocabularies": False, "equals_token": True}
    )


def _group(config: Mapping[str, Any], where: str) -> str:
    """The name here of the group that a config names.

    Raises:
        SourceError: if it names none.
    """
    kind, parameter = config.get("group"), config.get("group_parameter")
    n = steps.number(parameter)
    if kind not in _LETTERS or n is None or not 0 < n <= _LARGEST:
        raise SourceError(
            f"{where} has a cfg.json with group={kind!r:.60} and group_parameter={parameter!r:.60}; needed are one of "
            f"{', '.join(_LETTERS)} and a number from 1 to {_LARGEST}."
        )
    return f"{_LETTERS[kind]}{n}"


def elements_of_theirs(group: str, where: str) -> Tensor:
    """The element here that each of their elements is.

    Raises:
        SourceError: if their numbering of this group is not known.
    """
    if group in _CHAINS:
        rows = [[tuple(map(int, text)) for text in row.split()] for row in _CHAINS[group]]
        index = {name: i for i, name in enumerate(named_group(group).elements)}
        permutations = [_product(chosen[::-1]) for chosen in itertools.product(*rows[::-1])]
        return torch.tensor([index["".join(map(str, _inverse(p)))] for p in permutations])
    if group[:1] in ("C", "D") and group[1:].isdecimal():
        return torch.arange(named_group(group).order)
    raise SourceError(
        f"{where} is of the group {group}, whose elements that code numbers in an order that is not known here. Known "
        f"are cyclic and dihedral groups and {', '.join(_CHAINS)}."
    )


def _product(factors: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Permutations applied one after another, the last one first."""
    out = tuple(range(len(factors[0])))
    for factor in reversed(factors):
        out = tuple(factor[i] for i in out)
    return out


def _inverse(permutation: tuple[int, ...]) -> list[int]:
    return sorted(range(len(permutation)), key=permutation.__getitem__)


def train_pairs(options: Mapping[str, Any]) -> tuple[Pairs, str] | None:
    """The operands of the train rows, drawn as that code does."""
    where, seed, share = "cfg.json", steps.number(options.get("seed")), options.get("frac_train")
    if seed is None or seed >= 2**63 or not isinstance(share, float) or not 0 < share < 1:
        return None
    elements = elements_of_theirs(_group(options, where), where)
    n = len(elements)
    rows = split_order("torch", seed, n * n) if seed else torch.arange(n * n)
    rows = rows[: int(share * n * n)]
    pairs = torch.stack([elements[rows // n], elements[rows % n]], 1)
    return [(a, b) for a, b in pairs.tolist()], f"torch.randperm of rep-theory-mech-interp, seed {seed}"


REP_THEORY = Format(
    name="rep-theory",
    recognized_by="W_x, W_y, W, W_U or a HookedTransformer, beside a cfg.json with group_parameter: Chughtai et al.",
    recognizes=is_rep_theory,
    network=from_rep_theory,
    beside=cfg_beside,
    position=final_epoch,
    train_pairs=train_pairs,
)

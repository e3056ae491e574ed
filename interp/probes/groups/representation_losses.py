"""How well the key representations alone answer, and how badly the network does without them.

Everything that is kept or removed is a function of the product s = a∘b and the answer c, whichever the level: a table
(s, c) for each representation. So, as for frequencies (`interp.probes.fourier.progress_measures`), restricted logits
are no larger than a table, and the losses without many sets are one matrix product for each s.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.ground.thresholds import stands_out
from interp.probes.answers.losses import splits
from interp.probes.fourier.progress_measures import losses_without
from interp.probes.groups.character_similarity import (
    character_coefficients,
    character_similarity,
    unit_traces,
)
from interp.snapshots.elements import Elements
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 2


def representation_losses(
    snapshot: Snapshot, *, representations: Sequence[str] | None = None, n_random: int = 20, seed: int = 0
) -> pd.DataFrame:
    """Restricted and excluded loss of the key set of the run, that of this checkpoint, random sets, and each alone.

    A key set chosen from the end of the run makes early progress partly a matter of selection: compare it with the
    other sets, which are few for a group of few representations, and with the causal set, which knows this checkpoint
    only. Losses of different runs do not compare: the excluded loss grows with the scale of the logits.

    All are against what the operation says; corrupted rows are in `all` but not in `train`. In float64. No bias
    correction anywhere, as in the published code: name "trivial" among the representations for it, whose part is the
    mean over all inputs.

    Args:
        representations: names of the key set of the run (`run_key_representations`), the same for all checkpoints;
            None for none.
        n_random: random sets of as many others (as many as the causal ones where there is no key set), drawn without
            the key ones and the trivial one; all such sets where there are no more than n_random, none where fewer
            representations remain. One key set has the same random sets at every checkpoint.
        seed: of the random sets.

    Columns:
        level: where the part that depends on rho(ab) is kept or removed. "hidden": in the neurons, which then go
            through W_U (W_out W_U of a transformer, without the residual stream beside the MLP and biases), as
            Chughtai et al. do; absent without neurons. "logits": in the logits, any dependence on c kept, as Nanda et
            al. do with frequencies; equal to "hidden" in an attention-free MLP without unembedding bias. "characters":
            along tr rho(a b c^-1) alone, the `trig_loss` of frequencies; of no meaning for the trivial representation,
            whose part is 0 there.
        measure: "restricted_loss" (with nothing else) or "excluded_loss" (without).
        selection: "key" (`representations`), "causal" (those that stand out of this checkpoint's logits; may
            be none), "random" (mean over the random sets), "single" (`representation` alone).
        representation: name for "single", empty elsewhere.
        n_representations: size of the set.
        split: "train", "test", "all"; excluded losses are of train rows only, and absent without a known split.
        loss: mean cross-entropy, nats; ln n is chance.
        loss_min, loss_max: over the random sets; NaN elsewhere.
        accuracy: of the same logits; NaN for excluded losses. Read it beside that of the random sets, and by split:
            memorized train rows vote for all rows of their product. That of "characters" says least: any set of
            positive coefficients answers well.
        accuracy_min, accuracy_max: over the random sets; NaN elsewhere.

    Raises:
        NotApplicable: if the answers are no product in a group.
        ValueError: if the group has no representation of such a name.

    References: Chughtai et al. 2023, section 5.6, appendix E.1 and published code; Nanda et al. 2023, section 5.1.
    """
    elements = snapshot.once(Elements)
    names = [r.name for r in elements.representations]
    similarity = snapshot.once(character_similarity)
    is_causal = stands_out(similarity["fraction_explained"], similarity["null"]).to_numpy()
    sets = _sets(names, is_causal, representations, n_random, seed)
    in_split = {name: elements.table(rows) for name, rows in splits(snapshot).items() if name != "corrupted"}
    table: list[dict] = []
    for level, base, parts in _levels(elements):
        kept = (sets.masks.to(parts) @ parts.flatten(1)).view(-1, *parts.shape[1:])
        for split, rows in in_split.items():
            table += sets.rows(level, "restricted_loss", split, *_table_losses(elements, kept, rows))
        if "train" in in_split:
            rows = in_split["train"]
            without = losses_without(base[rows], elements.products[rows], kept).mean(1)
            table += sets.rows(level, "excluded_loss", "train", without, None)
    return pd.DataFrame(table)


def _levels(
    elements: Elements,
) -> Iterator[tuple[str, Float[Tensor, "n n p"], Float[Tensor, "representation n p"]]]:
    """Name of each level, the logits that it starts from, and the part of each representation as a table (s, c)."""
    try:
        neurons, onto = elements.neurons, elements.neuron_logits
    except NotApplicable:
        pass  # no neurons, or none whose way to the logits is known
    else:
        yield "hidden", neurons @ onto.T, _parts(elements, elements.mean_over_product(neurons) @ onto.T)
    logits = elements.logits
    yield "logits", logits, _parts(elements, elements.mean_over_product(logits))
    yield "characters", logits, _character_tables(elements)


def _parts(elements: Elements, by_product: Float[Tensor, "n p"]) -> Float[Tensor, "representation n p"]:
    """The part of a function of the product along each representation; they sum to the function."""
    return torch.stack([basis @ (basis.T @ by_product) for basis in elements.bases])


def _character_tables(elements: Elements) -> Float[Tensor, "representation n p"]:
    """What the character of each representation explains of the centred logits; 0 for answers that name no element."""
    cube = elements.logit_cube
    coefficients = character_coefficients(elements, cube - cube.mean(-1, keepdim=True))
    tables = [torch.zeros_like(elements.products, dtype=cube.dtype)]
    tables += [c * unit_traces(elements, i) for i, c in enumerate(coefficients, start=1)]
    return torch.nn.functional.pad(torch.stack(tables), (0, elements.logits.shape[-1] - elements.n))


def _table_losses(
    elements: Elements, tables: Float[Tensor, "set n p"], rows: Bool[Tensor, "n n"]
) -> tuple[Float[Tensor, " set"], Float[Tensor, " set"]]:
    """Loss and accuracy of logits that depend on the product alone, over these pairs: a weighted mean over products."""
    s = torch.arange(elements.n, device=tables.device)
    counts = torch.bincount(elements.products[rows], minlength=elements.n).to(tables)
    loss = -tables.log_softmax(-1)[:, s, s]
    is_right = (tables.argmax(-1) == s).to(tables)
    return loss @ counts / counts.sum(), is_right @ counts / counts.sum()


@dataclass(frozen=True)
class _Sets:
    """Sets of representations and what selected each.

    Attributes:
        selections: "key" if given, "causal", "random" for each random set, "single" for each representation.
        representations: the name of a single one, empty elsewhere.
        masks: (set, representation), 1 where it belongs to the set.
    """

    selections: list[str]
    representations: list[str]
    masks: Tensor

    def rows(
        self, level: str, measure: str, split: str, loss: Tensor, accuracy: Tensor | None
    ) -> Iterator[dict]:
        """A row for each set; the random ones become one row."""
        sizes = self.masks.sum(1).int().tolist()
        for key, sets in itertools.groupby(
            range(len(sizes)), key=lambda i: (self.selections[i], self.representations[i])
        ):
            chosen = list(sets)
            losses, is_band = loss[chosen].tolist(), key[0] == "random"
            yield {
                "level": level,
                "measure": measure,
                "selection": key[0],
                "representation": key[1],
                "n_representations": sizes[chosen[0]],
                "split": split,
                "loss": float(np.mean(losses)),
                "loss_min": min(losses) if is_band else math.nan,
                "loss_max": max(losses) if is_band else math.nan,
                "accuracy": math.nan if accuracy is None else accuracy[chosen].mean().item(),
                "accuracy_min": math.nan
                if accuracy is None or not is_band
                else accuracy[chosen].min().item(),
                "accuracy_max": math.nan
                if accuracy is None or not is_band
                else accuracy[chosen].max().item(),
            }


def _sets(
    names: list[str], is_causal: np.ndarray, key: Sequence[str] | None, n_random: int, seed: int
) -> _Sets:
    if unknown := [name for name in key or () if name not in names]:
        raise ValueError(
            f"The representations of this group are {', '.join(names)}, got {', '.join(map(repr, unknown))}."
        )
    # The trivial one comes first and explains nothing.
    causal = list(itertools.compress(names[1:], is_causal))
    named: Mapping[str, Sequence[str]] = {} if key is None else {"key": key}
    named = {**named, "causal": causal}
    reference = next(iter(named.values()))
    others = [name for name in names[1:] if name not in reference]
    random_sets = _random_sets(others, len(set(reference) - {names[0]}), n_random, seed)
    members = [*named.values(), *random_sets, *([name] for name in names)]
    masks = torch.tensor([[name in chosen for name in names] for chosen in members], dtype=torch.float64)
    selections = [*named, *["random"] * len(random_sets), *["single"] * len(names)]
    return _Sets(selections, [*[""] * (len(members) - len(names)), *names], masks)


def _random_sets(others: list[str], size: int, n_random: int, seed: int) -> list[Sequence[str]]:
    if size == 0 or math.comb(len(others), size) <= n_random:
        return list(itertools.combinations(others, size)) if size else []
    draws = np.random.default_rng(seed)
    return [list(draws.choice(others, size=size, replace=False)) for _ in range(n_random)]

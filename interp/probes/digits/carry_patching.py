"""Which activations move the answer by a carry when they come from a row with another carry."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.networks import plain
from interp.snapshots.places import Places
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.digits import DigitsConfig

VERSION = 1


def carry_patching(snapshot: Snapshot, *, n_pairs: int = 32, seed: int = 0) -> pd.DataFrame:
    """How often the answer moves by a carry when one activation comes from a row with another carry.

    A row and its donor have the same digits from the asked place upwards, and other digits below it, such that one of
    them carries into it and the other does not. The pair of the asked place does not hand on, so that no digit above
    differs. At the question's position one activation is taken from the donor. Other donors that carry as the row
    does are the null: what moves the answer there is not the carry.

    A carry that a network finds in two ways moves under neither patch alone, and one that is spread over heads moves
    under "attention" and under no head. Only the question's position is patched: what other positions hold reaches it
    through heads. A network that does not carry has nothing to move: `both_right` says whether there is anything.

    Args:
        n_pairs: rows and donors for each place, drawn with replacement.
        seed: of the draws.

    Columns:
        layer, site: "resid_pre", "head 0", ..., "attention" (all heads), "mlp", "resid_post" (where everything is the
            donor's from here on, as in the last layer it must).
        digit: place that is asked and carried into, from 1; those for which the task's rows give no pair are absent.
        n: pairs.
        moved: share whose answer the patch changes into the donor's right one.
        kept: share whose answer is the row's own right one under the patch.
        null: share of the null's answers that are changed into what the other carry would have made of them.
        effect: change of the logit of the donor's digit minus that of the row's, as a share of its whole difference
            between donor and row, means over pairs; NaN where donor and row do not differ so.
        both_right: share of pairs where row and donor are answered right without a patch.

    Raises:
        NotApplicable: if the answers are not written in digits, or the network has no residual stream.
        ValueError: if n_pairs is below 1.

    References: Heimersheim and Nanda 2024, "How to use and interpret activation patching"; Wang et al. 2022,
    "Interpretability in the wild" (rows that differ in one respect).
    """
    if n_pairs < 1:
        raise ValueError(f"Patching needs n_pairs of at least 1, got {n_pairs}.")
    places = snapshot.once(Places)
    config = snapshot.config
    if config.is_mlp:
        raise NotApplicable("This network has no residual stream.")
    pairs = _pairs(places, snapshot.known_task.config, n_pairs, seed)
    if not len(pairs.digit):
        raise NotApplicable("The task's rows have no two carries into any digit that could be exchanged.")
    sites = _sites(config.n_layers, config.n_heads, config.d_mlp)
    pairs = pairs.to(snapshot.device)
    with torch.no_grad():
        kept, logits = _unpatched(snapshot, pairs, {hook for hook, _ in sites.values()})
        patched = _patched(snapshot, pairs, sites, kept)
    return _table(pairs, sites, logits, patched)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Rows, their donors, donors of the null, and what is asked of them.

    Attributes:
        inputs: rows, donors, null donors.
        own, moved: the right answer of each row, and that of its donor.
    """

    inputs: Int[Tensor, "3 pair pos"]
    column: Int[Tensor, " pair"]
    digit: Int[Tensor, " pair"]
    own: Int[Tensor, " pair"]
    moved: Int[Tensor, " pair"]

    def to(self, device: torch.device) -> "_Pairs":
        return _Pairs(*(x.to(device) for x in vars(self).values()))


def _pairs(places: Places, config: object, n_pairs: int, seed: int) -> _Pairs:
    if not isinstance(config, DigitsConfig):
        raise NotApplicable("Rows with other digits below a place are made by the family of digits alone.")
    structure, draws = places.structure, np.random.default_rng(seed)
    a, b = structure.operands.unbind(1)
    hands_on = a + b == structure.base - 1 if config.operation == "add" else a == b
    found: list[Tensor] = []
    digits: list[int] = []
    for digit in range(1, places.n_places):
        carry = structure.carry[:, digit]
        rows = ~hands_on[:, digit] if digit < hands_on.shape[1] else torch.ones_like(carry, dtype=torch.bool)
        chosen = rows.nonzero().squeeze(1)
        if not len(chosen) or not 0 < carry.sum() < len(carry):
            continue
        row = chosen[torch.from_numpy(draws.integers(0, len(chosen), n_pairs))]
        operands = [structure.operands[row]]
        for flips in (1, 0):
            below = torch.empty_like(row)
            for value in (0, 1):
                is_asked = carry[row] == value
                others = (carry == (value ^ flips)).nonzero().squeeze(1)
                drawn = draws.integers(0, len(others), int(is_asked.sum()))
                below[is_asked] = others[torch.from_numpy(drawn)]
            donor = structure.operands[row].clone()
            donor[..., :digit] = structure.operands[below][..., :digit]
            operands.append(donor)
        found.append(torch.stack(operands))
        digits += [digit] * n_pairs
    digit_of = torch.tensor(digits, dtype=torch.long)
    if not found:
        none = torch.empty(0, dtype=torch.long)
        return _Pairs(torch.empty((3, 0, config.n_pos), dtype=torch.long), none, none, none, none)
    numbers = (torch.cat(found, 1) * structure.base ** torch.arange(config.n_digits)).sum(-1)
    questions, known = config.asked(numbers.flatten(0, 1))
    answer = known.answer.view(3, len(digit_of), -1).gather(2, digit_of.expand(3, -1)[..., None]).squeeze(2)
    inputs = questions.inputs.view(3, len(digit_of), -1)
    return _Pairs(inputs, places.columns[digit_of], digit_of, answer[0], answer[1])


# Hook and head (None for all) of each layer and site.
_Sites = dict[tuple[int, str], tuple[str, int | None]]


def _sites(n_layers: int, n_heads: int, d_mlp: int) -> _Sites:
    sites: _Sites = {}
    for layer in range(n_layers):
        block = f"blocks.{layer}"
        sites[layer, "resid_pre"] = f"{block}.hook_resid_pre", None
        sites |= {(layer, f"head {head}"): (f"{block}.attn.hook_z", head) for head in range(n_heads)}
        sites[layer, "attention"] = f"{block}.hook_attn_out", None
        if d_mlp:
            sites[layer, "mlp"] = f"{block}.hook_mlp_out", None
        sites[layer, "resid_post"] = f"{block}.hook_resid_post", None
    return sites


def _unpatched(
    snapshot: Snapshot, pairs: _Pairs, hooks: set[str]
) -> tuple[dict[str, Float[Tensor, "3 pair *unit"]], Float[Tensor, "3 pair output"]]:
    """Activations of these hooks and logits at the questions, of rows, donors and null donors in one pass."""
    n, kept = len(pairs.digit), dict[str, Tensor]()
    row = torch.arange(3 * n, device=pairs.column.device)
    column = pairs.column.repeat(3)

    def keep(name: str, x: Tensor) -> Tensor:
        if name in hooks or name == "hook_unembed":
            kept[name] = x[row, column].unflatten(0, (3, n))
        return x

    plain.forward(snapshot.config, snapshot.weights, pairs.inputs.flatten(0, 1), keep)
    return kept, kept.pop("hook_unembed").to(snapshot.double)


def _patched(
    snapshot: Snapshot, pairs: _Pairs, sites: _Sites, kept: dict[str, Tensor]
) -> Float[Tensor, "site 2 pair output"]:
    """Logits of the rows with the activation of one site from donor and null donor, all sites in one pass."""
    n = len(pairs.digit)
    column = pairs.column.repeat(2)
    at_hook: dict[str, list[tuple[int, int | None]]] = {}
    for i, (hook, head) in enumerate(sites.values()):
        at_hook.setdefault(hook, []).append((i, head))

    def patch(name: str, x: Tensor) -> Tensor:
        for i, head in at_hook.get(name, ()):
            row = torch.arange(2 * n, device=x.device) + 2 * n * i
            source = kept[name][1:].flatten(0, 1)
            index = (row, column) if head is None else (row, column, head)
            x = x.index_put(
                tuple(torch.as_tensor(part, device=x.device) for part in index),
                source if head is None else source[:, head],
            )
        return x

    inputs = pairs.inputs[0].repeat(2 * len(sites), 1)
    logits = plain.forward(snapshot.config, snapshot.weights, inputs, patch)
    asked = logits[torch.arange(len(inputs), device=column.device), column.repeat(len(sites))]
    return asked.to(snapshot.double).view(len(sites), 2, n, -1)


def _table(
    pairs: _Pairs,
    sites: _Sites,
    logits: Float[Tensor, "3 pair output"],
    patched: Float[Tensor, "site 2 pair output"],
) -> pd.DataFrame:
    answers, said = logits.argmax(-1), patched.argmax(-1)
    both_right = (answers[0] == pairs.own) & (answers[1] == pairs.moved)

    def lead(x: Float[Tensor, "pair output"]) -> Float[Tensor, " pair"]:
        return x.gather(1, pairs.moved[:, None]).squeeze(1) - x.gather(1, pairs.own[:, None]).squeeze(1)

    own, donor = lead(logits[0]), lead(logits[1])
    # An answer that is the donor's without a patch is not moved by one.
    can_move = answers[0] != pairs.moved
    rows = []
    for i, (layer, site) in enumerate(sites):
        change = lead(patched[i, 0]) - own
        for digit in pairs.digit.unique().tolist():
            asked = pairs.digit == digit
            whole = (donor - own)[asked].mean().item()
            rows.append(
                {
                    "layer": layer,
                    "site": site,
                    "digit": digit,
                    "n": int(asked.sum()),
                    "moved": _share((said[i, 0] == pairs.moved) & can_move, asked),
                    "kept": _share(said[i, 0] == pairs.own, asked),
                    "null": _share((said[i, 1] == pairs.moved) & can_move, asked),
                    "effect": change[asked].mean().item() / whole if whole > 0 else float("nan"),
                    "both_right": _share(both_right, asked),
                }
            )
    return pd.DataFrame(rows)


def _share(is_so: Tensor, asked: Tensor) -> float:
    return is_so[asked].double().mean().item()

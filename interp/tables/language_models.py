"""What happened along a series of language models, and what changed most between two of its steps: from tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from interp.ground.thresholds import COPYING, HEAD_SCORE
from interp.tables.transitions import Transition, share_of_change, transition

Tables = Mapping[str, pd.DataFrame]

# Of the whole change of the loss on repeated tokens.
HALF = 0.5

SCORES = ("prefix_matching", "previous_token", "duplicate_token", "copying")


def strongest_heads(scores: pd.DataFrame) -> pd.DataFrame:
    """The largest prefix-matching score by step of any head that copies, and whose it is; 0 where none copies."""
    columns = ["step", "layer", "head", "prefix_matching", "copying"]
    if not len(scores):
        return pd.DataFrame(columns=columns)
    candidates = scores.assign(
        prefix_matching=scores["prefix_matching"].where(scores["copying"] > COPYING, 0.0)
    )
    rows = candidates.loc[candidates.groupby("step")["prefix_matching"].idxmax()]
    return rows[columns].reset_index(drop=True)


def induction_change(tables: Tables) -> Transition:
    """When the prefix matching of a head that copies reaches HEAD_SCORE for good, some head's at each step."""
    found = strongest_heads(tables["induction_scores"])
    if not len(found):
        return Transition("prefix_matching", HEAD_SCORE, None, None)
    return transition(found, "prefix_matching", HEAD_SCORE, "rise")


def repetition_gain(losses: pd.DataFrame) -> pd.DataFrame:
    """By step the loss on the first copy of random tokens minus that on the second."""
    wide = losses.pivot(index="step", columns="copy", values="loss")
    return pd.DataFrame({"step": wide.index, "gain": (wide[1] - wide[2]).to_numpy()})


def language_transitions(tables: Tables) -> dict[str, Transition]:
    """When each of these came for good, with its bracket.

    below_unigram, below_bigram: the loss on the text falls below the entropy of its own counts, which is too low for a
    short text; below_held_out_bigram: below what counts of one half lose on the other, which is too high. What a bigram
    model of the source would lose lies between the two last. repetition_half: half of the whole change of the gain on
    repeated tokens is done.
    """
    found = {"induction_heads": induction_change(tables)}
    if len(table := tables["repetition_losses"]) and table["step"].nunique() > 1:
        found["repetition_half"] = share_of_change(repetition_gain(table), "gain", HALF)
    losses, text = tables["text_losses"], tables["text"]
    if len(losses) and len(text):
        about = text.iloc[0]
        for name in ("unigram", "bigram", "held_out_bigram"):
            if np.isfinite(about[name]):
                found[f"below_{name}"] = transition(losses, "loss", float(about[name]), "fall")
    return found


def values_by_component(tables: Tables) -> pd.DataFrame:
    """Every quantity of a component at every step: columns quantity, component, step, value, scale.

    scale: "difference", or "log" for sizes, whose ratio counts.
    """
    parts: list[pd.DataFrame] = []

    def add(table: pd.DataFrame, quantity: str, column: str, components: Iterable[str], scale: str) -> None:
        parts.append(
            pd.DataFrame(
                {
                    "quantity": quantity, "component": list(components), "step": table["step"].to_numpy(),
                    "value": table[column].to_numpy(dtype=float), "scale": scale,
                }
            )
        )  # fmt: skip

    if len(table := tables["induction_scores"]):
        heads = [f"L{layer}H{head}" for layer, head in zip(table["layer"], table["head"], strict=True)]
        for score in SCORES:
            add(table, score, score, heads, "difference")
    if len(table := tables["residual_dimensions"]):
        add(table, "residual dimension", "dimension", _after_layers(table), "log")
    if len(table := tables["weight_norms"]):
        add(table, "weight norm", "l2", table["matrix"], "log")
    if len(table := tables["weight_spectra"]):
        add(table, "effective rank", "effective_rank", table["matrix"], "log")
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["quantity"])


def _after_layers(table: pd.DataFrame) -> list[str]:
    return [f"residual stream {layer}" for layer in table["layer"]]


def check_pair(steps: Sequence[int], before: int | None, after: int | None) -> None:
    """Refuse a pair of steps that is none.

    Raises:
        ValueError: naming the option.
    """
    if (before is None) != (after is None):
        raise ValueError(
            "--before and --after need each other, got one of them. Name both steps, or neither."
        )
    if before is None or after is None:
        return
    for flag, step in (("--before", before), ("--after", after)):
        if step not in steps:
            nearest = min(steps, key=lambda s: abs(s - step))
            raise ValueError(f"{flag} needs a saved step, got {step}. The nearest is {nearest}.")
    if before >= after:
        raise ValueError(f"--before needs a step below that of --after, got {before} and {after}.")


def pairs_as_far_apart(steps: Sequence[int], before: int, after: int) -> list[tuple[int, int]]:
    """All pairs of checkpoints as many checkpoints apart as these two, that do not overlap with them.

    >>> pairs_as_far_apart([0, 1, 2, 4, 8], 1, 2)
    [(2, 4), (4, 8), (0, 1)]
    """
    steps = list(steps)
    i, j = steps.index(before), steps.index(after)
    apart = j - i
    later = [(steps[k], steps[k + apart]) for k in range(j, len(steps) - apart)]
    return later + [(steps[k], steps[k + apart]) for k in range(i - apart + 1)]


def changes_between(tables: Tables, before: int, after: int) -> pd.DataFrame:
    """What changed between two steps, and whether more than between other checkpoints as far apart; the most first.

    Columns:
        quantity, component, before, after: the values at the two steps.
        change: after minus before; of sizes the logarithm of their ratio. NaN where one is not known.
        null_median, null_largest: of the size of the change of the same thing over all other pairs as many checkpoints
            apart; NaN where there is no such pair.
        n_pairs: how many there are. Of one or two the largest is no bound of anything.
        ratio: size of the change over null_largest: above 1 it is the largest of all.
    """
    table = values_by_component(tables)
    columns = [
        "quantity", "component", "before", "after", "change", "null_median", "null_largest", "n_pairs", "ratio",
    ]  # fmt: skip
    if not len(table):
        return pd.DataFrame(columns=columns)
    pairs = pairs_as_far_apart(sorted(table["step"].unique().tolist()), before, after)
    rows = []
    for (quantity, component, scale), part in table.groupby(["quantity", "component", "scale"], sort=False):
        values = part.set_index("step")["value"]
        change = _change(values, before, after, scale)
        null = np.array([abs(_change(values, *pair, scale)) for pair in pairs])
        null = null[np.isfinite(null)]
        largest = null.max() if len(null) else np.nan
        rows.append(
            (
                quantity, component, values.get(before, np.nan), values.get(after, np.nan), change,
                np.median(null) if len(null) else np.nan, largest, len(null),
                abs(change) / largest if largest > 0 else np.nan,
            )
        )  # fmt: skip
    found = pd.DataFrame(rows, columns=columns)
    return found.sort_values("ratio", ascending=False, kind="stable", ignore_index=True)


def _change(values: pd.Series, before: int, after: int, scale: str) -> float:
    first, last = (float(values.get(step, np.nan)) for step in (before, after))
    if scale == "difference":
        return last - first
    return float(np.log(last / first)) if first > 0 and last > 0 else float("nan")


def movements_with_null(changes: pd.DataFrame, before: int, after: int) -> pd.DataFrame:
    """`head_changes` between two steps beside the largest of the same part over the null pairs; the most first.

    Args:
        changes: of `head_changes`, with a column `since`.
    """
    asked = changes[(changes["since"] == before) & (changes["step"] == after)]
    null = changes.drop(asked.index).groupby(["layer", "head", "part"])["change"]
    found = asked[["layer", "head", "part", "change"]].merge(
        null.agg(null_largest="max", n_pairs="count").reset_index(), how="left"
    )
    found["ratio"] = found["change"] / found["null_largest"].where(found["null_largest"] > 0)
    return found.sort_values("ratio", ascending=False, kind="stable", ignore_index=True)


def named_components(moved: pd.DataFrame) -> Iterator[str]:
    """The name of each row of `movements_with_null`: "L1H2 QK", "layer 1 MLP"."""
    for row in moved.itertuples():
        yield f"layer {row.layer} MLP" if row.head < 0 else f"L{row.layer}H{row.head} {row.part}"

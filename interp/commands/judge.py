"""`interp judge`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from interp.ground.plain_text import number_of, say

if TYPE_CHECKING:
    from interp.theories.judging import Judged


def judge(
    arms: Annotated[
        Path, Argument(help="An arms table, CSV: one row an arm, dose, pair, event and threshold.")
    ],
    out: Annotated[
        Path | None, Option(help="Write effects.csv, dose.csv and summary.json into this folder.")
    ] = None,
) -> None:
    """Say of each arm whether the event came later or earlier than in its reference, or equal, or undecided.

    Reads a table alone, ours or anyone's: no run, no weights. Its columns, and those of what is written, are in
    docs/judging.md.

    Example: interp judge arms.csv --out judged
    """
    from interp.theories.judging import judge as judged_table
    from interp.theories.judging import write_judged

    if out is not None and out.exists() and not out.is_dir():
        raise ValueError(f"--out needs a folder, got {out}, which is a file. Name another place.")
    judged = judged_table(arms)
    for line in _lines(judged):
        say(line)
    if out is not None:
        write_judged(out, judged, arms.name)
        say(f"effects.csv, dose.csv and summary.json are in {out}")


def _lines(judged: "Judged") -> list[str]:
    """A line an effect, each followed by why it is not decided and which pairs were left out; then the counts."""
    from interp.theories.effects import ALL_KEYS

    keys = [name for name in ALL_KEYS if name in judged.effects.columns]
    reasons: dict[tuple, list[str]] = {}
    for row in judged.reasons.to_dict("records"):
        of = f"pair {row['pair']} left out: " if row["pair"] else ""
        reasons.setdefault(_key(row, keys), []).append(f"  {of}{row['why']}")
    lines = []
    for row in judged.effects.to_dict("records"):
        lines += [_effect(row), *reasons.get(_key(row, keys), [])]
    counts = judged.effects["verdict"].value_counts().sort_index()
    told = ", ".join(f"{n} {verdict}" for verdict, n in counts.items()) or "none"
    curves = number_of(len(judged.doses), "dose curve")
    return [*lines, f"{number_of(len(judged.effects), 'effect')} ({told}), {curves}"]


def _key(row: dict[str, Any], keys: list[str]) -> tuple:
    # Text, since NaN, where there is no dose, is not equal to itself.
    return tuple(str(row[name]) for name in keys)


def _effect(row: dict[str, Any]) -> str:
    """An effect in a line.

    >>> _effect(dict(arm="norm", dose=1.15, reference="control", reference_dose=float("nan"), event="test_accuracy",
    ...     threshold=0.95, n_pairs=3, n_censored=1, ratio=2.0, low=1.4, high=float("inf"), verdict="later"))
    'norm at dose 1.15 over control, test_accuracy 0.95: later, ratio 2 [1.4, inf], 3 pairs, 1 censored'
    """
    from interp.theories.arms_table import named

    who = f"{named(row['arm'], row['dose'])} over {named(row['reference'], row['reference_dose'])}"
    if "branch_step" in row:
        who += f", from step {row['branch_step']}, {row['kind']}"
    counts = number_of(row["n_pairs"], "pair") + (
        f", {row['n_censored']} censored" if row["n_censored"] else ""
    )
    # Of one pair, or none, there is no interval.
    span = "" if row["low"] != row["low"] else f" [{row['low']:.3g}, {row['high']:.3g}]"
    what = (f"ratio {row['ratio']:.3g}{span}, " if row["ratio"] == row["ratio"] else "") + counts
    return f"{who}, {row['event']} {row['threshold']:g}: {row['verdict']}, {what}"

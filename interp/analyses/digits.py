"""In which order does the network learn the digits of its answers, and when does it carry?

(a) Train and test loss. (b) Test accuracy of each digit, 0 is the lowest. (c) Test accuracy by the carry that comes
into the asked digit: none, made by the pair just below, or handed on through k pairs that sum to the base less one (of
a difference: borrows, and equal pairs). (d) The brackets in which these accuracies come to stay at 0.95. (e) Share of
rows whose carry a line through the residual stream reads right at the question, mean over digits; dotted: random labels
of the pairs of digits; grey: the more frequent answer. (f) Share of answers that move by a carry when one activation
comes from a row with another carry, mean over digits; dotted: the most that donors with the same carry move.

Kinds of carry of fewer than 20 test questions are in the tables alone. Read (e) beside (f): a carry is nearly linear in
two digits, so that an untrained network that mixes them can be read too; only what moves the answer is used.

References: Nanda et al. 2023, appendix (5-digit addition); Quirke and Barez 2024, "Understanding addition in
transformers".
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from interp.figures import (
    digit_curves,
    loss_curves,
    order_brackets,
    patching_curves,
    readout_curves,
    style,
)
from interp.ground.thresholds import ACCURACY
from interp.tables.brackets_said import transition_said
from interp.tables.curves import at_end
from interp.tables.digit_order import (
    LEAST_QUESTIONS,
    carry_transitions,
    digit_transitions,
    half_losses,
    judged,
    parts,
    ranked,
)
from interp.tables.folder import Tables
from interp.tables.outcome import bracket, outcome
from interp.tables.transitions import Transition, last_lost, transition

# Of all pairs, above those that donors with the same carry move; at most those that are answered right (`both_right`).
MOVES = 0.5


def compute(run, device: str) -> Tables:
    from interp.measurement.measure import measure
    from interp.measurement.standard import DIGITS

    return measure(run, ["losses", *DIGITS], device=device)


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(3, 2, height=7.2)
    loss_curves(tables, axes[0, 0])
    digit_curves(tables["digit_losses"], axes[0, 1])
    digit_curves(tables["digit_losses"], axes[1, 0], by="carry")
    order_brackets(_brackets(tables), axes[1, 1])
    readout_curves(tables["carry_readout"], axes[2, 0])
    patching_curves(tables["carry_patching"], axes[2, 1])
    steps = np.unique(tables["losses"]["step"])
    for ax in axes.flat:
        if ax.axison:
            style.step_axis(ax, steps)
    style.label_panels(axes.flat)
    return figure


def summarize(tables: Tables) -> dict[str, Any]:
    table = tables["digit_losses"]
    digits, carries = digit_transitions(table), carry_transitions(table)
    moved = _moved(tables["carry_patching"])
    return {
        "generalised": outcome(tables).generalised,
        "answer": _answer(tables, digits, carries, moved),
        "order_of_digits": ranked(digits),
        "order_of_carries": ranked(carries),
        "by_digit": {name: {**bracket(t), **_end(table, "digit", name)} for name, t in digits.items()},
        "by_carry": {name: {**bracket(t), **_end(table, "carry", name)} for name, t in carries.items()},
        "half_loss": {name: bracket(t) for name, t in half_losses(table).items()},
        "carry_moves_the_answer": moved,
        "carry_read": _read(tables["carry_readout"]),
        "heads": _heads(tables["digit_attention"]),
        "digit_spectrum": _spectrum(tables["digit_spectrum"]),
    }


def _answer(
    tables: Tables,
    digits: dict[str, Transition],
    carries: dict[str, Transition],
    moved: dict[str, Any] | None,
) -> str:
    said = outcome(tables).said
    if not digits:
        if len(tables["digit_losses"]):
            return (
                f"{said} No digit is asked by enough test questions ({LEAST_QUESTIONS}) to say when it came."
            )
        return f"{said} Its answers are no numbers in digits."
    order = "; then ".join(" and ".join(group) for group in ranked(digits))
    never = [name for name, t in digits.items() if t.step is None]
    sentences = [said, f"Digits, 0 the lowest, in the order in which they came: {order or 'none'}."]
    if never:
        sentences.append(f"Not by the end: {', '.join(never)}.")
    curves = parts(judged(tables["digit_losses"]), "carry")
    sentences += [
        f"Accuracy with {name}: {transition_said(t, lost=last_lost(curves[name], 'accuracy', ACCURACY, 'rise'))}."
        for name, t in carries.items()
    ]
    if moved is not None:
        where, when = f"layer {moved['layer']}, {moved['site']}", moved["moves"]
        came = f"from step {when['step']} on"
        if when["step"] is None:
            held = moved["had_moved"]
            came = f"from step {held[0]} to {held[1]}, and not by the end," if held else "never"
        sentences.append(
            f"The activation that moves most answers by a carry at the end ({where}): {came} more than half of them, "
            "above what donors with the same carry move."
        )
    return " ".join(sentences)


def _brackets(tables: Tables) -> pd.DataFrame:
    """What came when, the earliest first, those that never came last."""
    table = tables["digit_losses"]
    found = {f"digit {name}": t for name, t in digit_transitions(table).items()}
    found |= carry_transitions(table)
    order = sorted(
        found.items(), key=lambda item: (item[1].step is None, item[1].step or 0, item[1].before or 0)
    )
    rows = [{"what": name, "before": t.before, "step": t.step} for name, t in order]
    return pd.DataFrame(rows, columns=["what", "before", "step"]).astype({"before": float, "step": float})


def _end(table: pd.DataFrame, by: str, name: str) -> dict[str, Any]:
    """Accuracy and loss of a part at the last checkpoint, and of how many questions."""
    last = parts(at_end(judged(table)), by)[name].iloc[0]
    return {"accuracy": float(last["accuracy"]), "loss": float(last["loss"]), "n": int(last["n"])}


def _moved(table: pd.DataFrame) -> dict[str, Any] | None:
    """The head or layer whose activation moves most answers at the end, and since when it moves half of them.

    Over the digits below the highest, where there are any: the highest digit of a sum is its carry.
    """
    rows = table[~table["site"].str.startswith("resid")] if len(table) else table
    if not len(rows):
        return None
    lower = rows[rows["digit"] < rows["digit"].max()]
    rows = lower if len(lower) else rows
    means = (
        rows.groupby(["layer", "site", "step"], sort=False)[["moved", "null", "both_right"]]
        .mean()
        .reset_index()
    )
    means["above_null"] = means["moved"] - means["null"]
    last = at_end(means)
    best = last.loc[last["above_null"].idxmax()]
    curve = means[(means["layer"] == best["layer"]) & (means["site"] == best["site"])]
    return {
        "layer": int(best["layer"]),
        "site": str(best["site"]),
        "moved": float(best["moved"]),
        "null": float(best["null"]),
        "both_right": float(best["both_right"]),
        "moves": bracket(transition(curve, "above_null", MOVES, "rise")),
        "had_moved": last_lost(curve, "above_null", MOVES, "rise"),
    }


def _read(table: pd.DataFrame) -> list[dict[str, Any]]:
    """For each digit the place of the question's stream where its carry is read best, at the end and at first."""
    rows = table[table["is_question"].astype(bool)] if len(table) else table
    found = []
    for digit, part in rows.groupby("digit") if len(rows) else ():
        last = at_end(part)
        best = last.loc[last["accuracy"].idxmax()]
        same = part[(part["layer"] == best["layer"]) & (part["stream"] == best["stream"])]
        first = same[same["step"] == same["step"].min()].iloc[0]
        found.append(
            {
                "digit": int(digit),
                "layer": int(best["layer"]),
                "stream": str(best["stream"]),
                "accuracy": float(best["accuracy"]),
                "control": float(best["control"]),
                "majority": float(best["majority"]),
                "accuracy_at_first": float(first["accuracy"]),
                "control_at_first": float(first["control"]),
            }
        )
    return found


def _heads(table: pd.DataFrame) -> list[dict[str, Any]]:
    """For each digit the head that looks most at its own pair and at the pair below, at the end."""
    last, found = at_end(table), []
    if not len(last):
        return []
    for (digit, group), rows in last[last["group"].isin(["own", "below"])].groupby(
        ["digit", "group"], sort=False
    ):
        best = rows.loc[rows["attention"].idxmax()]
        found.append(
            {
                "digit": int(digit),
                "group": str(group),
                "layer": int(best["layer"]),
                "head": int(best["head"]),
                "attention": float(best["attention"]),
                "uniform": float(best["uniform"]),
            }
        )
    return found


def _spectrum(table: pd.DataFrame) -> dict[str, Any] | None:
    """The strongest frequency of the digits' embedding at the end."""
    last = at_end(table)
    if not len(last):
        return None
    best = last.loc[last["fraction"].idxmax()]
    return {
        "frequency": int(best["frequency"]),
        "fraction": float(best["fraction"]),
        "null": float(best["null"]),
    }

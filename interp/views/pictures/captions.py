"""Captions: what a picture shows, on which run and checkpoints; in plain sentences, and as LaTeX."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from interp.figures import style
from interp.ground.plain_text import number_of
from interp.tables.brackets_said import quantity_said
from interp.tables.curves import at_end as at_end
from interp.tables.folder import Tables
from interp.tables.outcome import outcome, relapses_said
from interp.views.pictures.picture import Picture

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def full_caption(picture: Picture, tables: Tables, about: Mapping[str, Any]) -> str:
    """What a picture says of its tables, with the run and the checkpoints that they are of.

    Args:
        about: what is known of the tables: run, p, unit, and step where they show a single checkpoint.
    """
    said = style.in_unit(picture.caption(tables), unit_of(picture, about))
    return " ".join([said, *_not_drawn(picture, tables), _of_what(tables, about)])


def unit_of(picture: Picture, about: Mapping[str, Any]) -> str:
    """What the steps of a picture count: what the run's checkpoints do, and in its trial steps of the trainer."""
    return "step" if picture.reads is not None else about.get("unit", "step")


def _not_drawn(picture: Picture, tables: Tables) -> list[str]:
    """Why tables are empty that the picture would draw; one of several panels draws all."""
    table = tables.get("does_not_apply", pd.DataFrame())
    if picture.needs and len(table):
        table = table[table["table"].isin(picture.needs)]
    return [f"Not drawn: {reason}" for reason in dict.fromkeys(table["reason"])] if len(table) else []


def _of_what(tables: Tables, about: Mapping[str, Any]) -> str:
    if "n_runs" in about:
        return f"Runs: {about['run']}, {number_of(about['n_runs'], 'run')}."
    run = f"Run {about['run']}" + (f" (p = {about['p']})" if about.get("p") else "")
    unit = about.get("unit", "step")
    if about.get("is_of_step"):
        return f"{run}, checkpoint of {unit} {about['step']}."
    steps = saved_steps(tables)
    if len(steps) < 2:
        return f"{run}, one checkpoint, {unit} {steps[0] if steps else about['step']}."
    return f"{run}, {len(steps)} checkpoints from {unit} {steps[0]} to {steps[-1]}."


def saved_steps(tables: Tables) -> list[int]:
    """The checkpoints that are drawn: those of the probes, or else of the losses; the history has others."""
    found = {name: table["step"] for name, table in tables.items() if "step" in table and len(table)}
    probes = [steps for name, steps in found.items() if name not in ("history", "losses")]
    parts = probes or [steps for name, steps in found.items() if name == "losses"]
    return sorted({int(step) for part in parts for step in part})


def latex(text: str) -> str:
    r"""A text as LaTeX prints it, every sign that LaTeX would obey escaped.

    >>> print(latex("W_E: 95 % of $x_1$ < 2^7"))
    W\_E: 95 \% of \$x\_1\$ \textless{} 2\textasciicircum{}7
    """
    return "".join(_LATEX.get(sign, sign) for sign in text)


def latex_figure(file: str, caption: str, label: str) -> str:
    """A LaTeX figure environment; the file is set in the size that it was drawn in, so that its letters keep theirs."""
    lines = [
        r"\begin{figure}[t]",
        r"  \centering",
        rf"  \includegraphics{{{file}}}",
        rf"  \caption{{{latex(caption)}}}",
        rf"  \label{{fig:{label}}}",
        r"\end{figure}",
    ]
    return "\n".join(lines)


def number(value: Any) -> str:
    """A number in three digits.

    >>> number(0.123456), number(1234567.0), number(0), number(113)
    ('0.123', '1.23e+06', '0', '113')
    """
    return f"{value:.3g}" if isinstance(value, float) or abs(value) < 1000 else str(int(value))


def null_said(null: float) -> str:
    """The null of a number, to stand behind it; nothing where there is none, as of fewer than seven residues.

    >>> null_said(0.123), null_said(float("inf"))
    (' (null 0.12)', '')
    """
    return f" (null {null:.2f})" if math.isfinite(null) else ""


def grokking_said(tables: Tables) -> str:
    """What the grey band means; of a run that has no such bracket, that it has not."""
    ended = outcome(tables)
    found = ended.grokking
    if found is None or found.step is None:
        return ended.said
    accuracy = quantity_said(found)
    if found.before is None:
        band = "No band" if saved_steps(tables) == [found.step] else "Grey band"
        return (
            f"{band}: {accuracy} stays at {found.threshold:g} or above by step {found.step}, the first that is known"
            f"{relapses_said(found)}."
        )
    return (
        f"Grey band: between steps {found.before} and {found.step} {accuracy} comes to stay at {found.threshold:g} or "
        f"above (grokking{relapses_said(found)})."
    )

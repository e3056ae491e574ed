"""Pictures of many runs: phases, survival, delays and their power laws, curves over each other, forecasts."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from interp.analyses.many_runs import SWEEP
from interp.figures import (
    answer_shares,
    critical_brackets,
    error_curves,
    forecast_points,
    overlaid_curves,
    skill_bars,
    style,
)
from interp.figures.forecasts import COLOURS, NAMES
from interp.figures.phase_diagrams import shades
from interp.ground.plain_text import listed, number_of
from interp.tables.folder import Tables
from interp.tables.wording import PHASES, field_name
from interp.views.pictures.panels import computed_by, panel
from interp.views.pictures.picture import Picture

MOST_IN_LEGEND = 10


def _band(name: str, height: Callable[[Tables], float]) -> Callable[[Tables], Figure]:
    """`draw` of one band of the phase diagram."""

    def draw(tables: Tables) -> Figure:
        from interp.analyses import phase_diagram

        figure, bands = style.new_bands([height(tables)])
        getattr(phase_diagram, name)(bands[0], tables)
        return figure

    return draw


def _draw_delays(tables: Tables) -> Figure:
    """Delays, and below them the exponents, which tell the marks."""
    from interp.analyses import phase_diagram

    figure, bands = style.new_bands(
        [phase_diagram.delay_height(tables), phase_diagram.exponent_height(tables)]
    )
    phase_diagram.delay_band(bands[0], tables)
    phase_diagram.exponent_band(bands[1], tables)
    return figure


def _height(name: str) -> Callable[[Tables], float]:
    def height(tables: Tables) -> float:
        from interp.analyses import phase_diagram

        return getattr(phase_diagram, name)(tables)

    return height


def _fields_said(tables: Tables) -> str:
    from interp.analyses.phase_diagram import fields_of

    return f"Swept: {listed(field_name(field) for field in fields_of(tables['cells']))}."


def _cells_said(tables: Tables) -> str:
    cells = tables["cells"]
    counts = listed(f"{int(cells[phase].sum())} {phase}" for phase in PHASES)
    return (
        "Phases of runs over two fields, a panel for each setting of the others: each cell divided by the shares of "
        "its phases, with how many of its runs generalised by their end, of how many. Confusion: train accuracy never "
        f"stays at 0.95; memorization: test accuracy does not; grokking: 1,000 steps or more after; comprehension: "
        f"sooner. In all {counts}. {_fields_said(tables)}"
    )


def _survival_said(tables: Tables) -> str:
    runs = tables["runs"]
    n_grokked = int(runs["grokking_step"].notna().sum())
    return (
        "Share of runs that have not grokked by each training step (Kaplan-Meier, bands 95 %), by the field with the "
        f"most values; the settings of the others that tell most. {n_grokked} of {number_of(len(runs), 'run')} grokked "
        f"by their end. {_fields_said(tables)}"
    )


def _laws_said(tables: Tables) -> str:
    laws = tables["power_laws"]
    together = laws[laws["setting"].isin(["all settings", "all runs"])]
    return listed(
        f"delay ~ {field_name(law.field)}^{law.exponent:.2f} ({law.low:.2f} to {law.high:.2f}; {law.n} runs, "
        f"{law.n_censored} censored)"
        for law in together.itertuples()
    )


def _draw_critical(tables: Tables) -> Figure:
    from interp.analyses.phase_diagram import bracket_height, shown_brackets

    rows = shown_brackets(tables)
    figure, axes = style.new_figure(height=bracket_height(rows) if len(rows) else 1.0)
    if len(rows):
        critical_brackets(rows, axes[0, 0])
    else:
        style.note_instead(axes[0, 0], "no field has a value at which half of the runs generalise")
    return figure


def _critical_said(tables: Tables) -> str:
    from interp.analyses.phase_diagram import shown_brackets

    rows = shown_brackets(tables)
    name = field_name(rows["field"].iloc[0]) if len(rows) else "no field"
    is_within = rows[["before", "step"]].notna().all(axis=1).sum()
    return (
        f"Between which two values of the {name} half of the runs begin to generalise, a bar for each setting of the "
        f"other fields; an arrow: beyond the values that were tried. {is_within} of {len(rows)} lie within."
    )


def _compared(gathered, device: str) -> Tables:
    """Test accuracy against step over grokking step, of the first row of panels: what is drawn alone."""
    from interp.analyses.compare import compute

    tables = compute(gathered, device)
    groups = tables["compared"]
    shown = groups[groups["row"] == groups["row"].iloc[0]]
    curves = tables["by_grokking"]
    drawn = (curves["quantity"] == "test_accuracy") & curves["group"].isin(shown["group"])
    return {"compared": shown, "curves": curves[drawn]}


def _draw_compared(tables: Tables, ax) -> None:
    names = tables["compared"]["group"].tolist()
    colours = dict(zip(names, shades(len(names)), strict=True))
    overlaid_curves(tables["curves"], ax, quantity="test_accuracy", colours=colours, relative=True)
    if ax.axison:
        ax.legend(fontsize=style.SMALL, title_fontsize=style.SMALL)


def _compared_said(tables: Tables) -> str:
    groups = listed(
        f"{row.group} ({row.n_grokked} of {row.n} grokked)" for row in tables["compared"].itertuples()
    )
    return (
        "Test accuracy along the share of the way to the grokking step (log scale): the median of each group of runs, "
        f"with the quartiles as a band; {groups}. Where curves fall on each other, runs differ by their pace alone; "
        "runs that never grokked have no such axis."
    )


def _forecasts(gathered, device: str) -> Tables:
    """The forecasts that are drawn, those of the field that is left out first; the scores of all."""
    from interp.analyses.forecast import compute

    tables = compute(gathered, device)
    tested = tables["tested"]
    field = tested["left_out"].iloc[0]
    asked = ["left_out", field, "run", "measure", "multiple"]
    drawn = [*asked, "event", "step", "low", "high", "budget", "mean", "no_change"]
    own = tested[tested["left_out"] == field]
    return {"tested": own[list(dict.fromkeys(drawn))], "scores": tables["scores"]}


def _points(gathered, device: str) -> Tables:
    tables = _forecasts(gathered, device)
    tested = tables["tested"]
    return {"tested": tested[tested["measure"] == "test_loss"], "scores": tables["scores"]}


def _field(tables: Tables) -> str:
    return str(tables["tested"]["left_out"].iloc[0])


def _draw_points(tables: Tables, ax) -> None:
    tested, field = tables["tested"], _field(tables)
    values = sorted(tested[field].unique())
    colours = dict(zip(values, shades(len(values)), strict=True))
    forecast_points(tested, ax, colours=colours, of=field)
    if ax.axison and len(values) <= MOST_IN_LEGEND:
        ax.legend(
            title=f"{field_name(field)} left out",
            fontsize=style.SMALL,
            title_fontsize=style.SMALL,
            loc="upper left",
        )


def _draw_errors(tables: Tables, ax) -> None:
    error_curves(tables["tested"], ax)
    ax.legend(fontsize=style.SMALL, ncols=2)


def _draw_shares(tables: Tables, ax) -> None:
    answer_shares(tables["tested"], ax)
    ax.legend(handles=_measures(tables["tested"]), fontsize=style.SMALL)


def _draw_skill(tables: Tables, ax) -> None:
    table = tables["scores"]
    chosen = table[(table["left_out"] != "family") & (table["value"] != "all")]
    names = chosen["left_out"].map(field_name) + " = " + chosen["value"].astype(str)
    skill_bars(chosen.assign(value=names), ax)
    if ax.axison:
        ax.legend(handles=_measures(chosen), fontsize=style.SMALL)


def _measures(table: pd.DataFrame) -> list[Line2D]:
    """The colours of what forecasts go by, for a legend."""
    there = set(table["measure"])
    return [Line2D([], [], color=COLOURS[name], label=NAMES[name], lw=3) for name in NAMES if name in there]


def _scores_said(tables: Tables) -> str:
    table, field = tables["scores"], _field(tables)
    row = table[
        (table["value"] == "all") & (table["left_out"] == field) & (table["measure"] == "test_loss")
    ].iloc[0]
    return (
        f"By the test loss, on values of the {field_name(field)} that were left out: error {row['error']:.2f} decades "
        f"(the mean of the others {row['error_mean']:.2f}, no change {row['error_no_change']:.2f}), "
        f"{row['n_answers']:.0f} answers at {row['n_looks']:.0f} looks; 80 % intervals hold {row['coverage']:.0%}."
    )


def _forecast(
    shows: str, draw_on: Callable[..., Any], said: str, *, points: bool = False, height: float = 2.4
) -> Picture:
    return Picture(
        shows=shows,
        compute=_points if points else _forecasts,
        draw=panel(draw_on, height=height),
        caption=lambda tables: f"{said} {_scores_said(tables)}",
        needs=("tested",),
        subject=SWEEP,
    )


PICTURES = {
    "phase_cells": Picture(
        shows="which runs of a sweep generalise: phases over two fields",
        compute=computed_by("phase_diagram"),
        draw=_band("phase_band", _height("phase_height")),
        caption=_cells_said,
        needs=("cells",),
        subject=SWEEP,
    ),
    "survival_curves": Picture(
        shows="share of the runs of a sweep that have not grokked, by step",
        compute=computed_by("phase_diagram"),
        draw=_band("survival_band", _height("survival_height")),
        caption=_survival_said,
        needs=("survival",),
        subject=SWEEP,
    ),
    "delay_points": Picture(
        shows="delay of each run of a sweep against each field, with power laws",
        compute=computed_by("phase_diagram"),
        draw=_draw_delays,
        caption=lambda tables: (
            "Delay in training steps from memorization to generalisation of each run against each field (log scales); "
            "arrows: censored runs; lines: power laws. Below: their exponents, which tell the marks. All settings "
            f"together: {_laws_said(tables)}."
        ),
        needs=("power_laws",),
        subject=SWEEP,
    ),
    "exponent_intervals": Picture(
        shows="exponents of the power laws of the delay, with their intervals",
        compute=computed_by("phase_diagram"),
        draw=_band("exponent_band", _height("exponent_height")),
        caption=lambda tables: (
            "Exponents of the power laws of the delay from memorization to generalisation in each field, without "
            f"units, with 95 % intervals, a row a setting of the others. All settings together: {_laws_said(tables)}."
        ),
        needs=("power_laws",),
        subject=SWEEP,
    ),
    "critical_brackets": Picture(
        shows="between which values of a field half of the runs generalise",
        compute=computed_by("phase_diagram"),
        draw=_draw_critical,
        caption=_critical_said,
        needs=("critical",),
        subject=SWEEP,
    ),
    "overlaid_curves": Picture(
        shows="curves of groups of runs over each other, by step over grokking step",
        compute=_compared,
        draw=panel(_draw_compared),
        caption=_compared_said,
        needs=("curves",),
        subject=SWEEP,
    ),
    "forecast_points": _forecast(
        "forecast of the grokking step against what came",
        _draw_points,
        "Forecast of the grokking step by the test loss against the step that came (log scales), a point a look; bars: "
        "80 % intervals; crosses: runs that never grokked.",
        points=True,
        height=3.0,
    ),
    "error_curves": _forecast(
        "error of forecasts by how early they were asked",
        _draw_errors,
        "Mean absolute error of forecasts of the grokking step, in decades, by how early they were asked, in multiples "
        "of the memorization step; dashed: what has to be beaten.",
    ),
    "answer_shares": _forecast(
        "share of looks that have a forecast, of runs that grok and of those that never do",
        _draw_shares,
        "Share of looks at which there is a forecast, by how early, in multiples of the memorization step: of runs "
        "that grok, and (dashed) of runs that never do, within what was trained: false alarms.",
    ),
    "skill_bars": _forecast(
        "skill of forecasts for each value that was left out",
        _draw_skill,
        "Skill of forecasts against the mean of the other runs, without units, for each value that was left out as a "
        "whole; 0 is no better, -1 or less at the left edge.",
        height=4.0,
    ),
}

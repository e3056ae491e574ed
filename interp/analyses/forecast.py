"""How well is a run's grokking step forecast from its own curves, on runs of a kind that was not seen?

Each run is looked at at multiples of its memorization step; what is learned from the other runs is one factor and an
interval (80 %). A value of a field at a time is left out as a whole: a new modulus, a new train fraction. (a) Forecast
by the test loss against what came, by what was left out; crosses: runs that never grokked. (b) Mean error by how early
it was asked, beside the mean of the other runs and "no change" (a fixed factor from now). (c) The share of looks with
an answer: of runs that grok, and dashed, within what was trained, of runs that never do: false alarms. (d) Skill
against the mean for each value left out, -1 or less at the left edge. The forecast of one run is `interp forecast`.

References: Dunn, Wasserman and Ramdas 2022 (intervals by groups); Kaplan and Meier 1958 ("will it").
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from interp.analyses.many_runs import SWEEP, table_of
from interp.figures import answer_shares, error_curves, forecast_points, skill_bars, style
from interp.figures.forecasts import NAMES
from interp.figures.phase_diagrams import shades
from interp.ground.plain_text import number_of
from interp.tables.folder import Tables
from interp.tables.wording import field_name
from interp.theories.backtest import backtest, scores, will_it
from interp.theories.forecast import MULTIPLES, TEST_LOSS, curves_of, levels, looks
from interp.theories.forecaster import Forecaster, forecaster

subject = SWEEP

# What a new run differs in, the first of which is shown.
LEFT_OUT = (
    "task.p",
    "task.train_fraction",
    "optimizer.weight_decay",
    "model.d_mlp",
    "model.d_model",
    "optimizer.lr",
)


def compute(gathered, device: str) -> Tables:
    runs, fields = gathered.runs, list(gathered.fields)
    if "grokking_step" not in runs or not (runs["memorization_step"].notna()).any():
        raise ValueError(f"forecast needs runs that memorized, and {gathered.name} has none.")
    curves = curves_of(gathered.histories(), table_of(gathered, "fourier_sparsity"))
    at = levels(curves, runs)
    table = looks({TEST_LOSS: curves[TEST_LOSS]}, runs, at, fields)
    if not len(table):
        raise ValueError(
            f"forecast looks at complete runs from {MULTIPLES[0]:g} times their memorization step until they "
            f"generalise, and of the {number_of(len(runs), 'run')} of {gathered.name} none was there. Train them for "
            "longer."
        )
    swept = _told_apart(runs, [name for name in dict.fromkeys((*LEFT_OUT, *fields)) if name in fields])
    left_out: list[str | None] = [*swept, None] if fields else ["run"]
    tested = pd.concat([backtest(curves, runs, fields, field) for field in left_out], ignore_index=True)
    apart: list[str | None] = [*swept] or [None]
    chances = [will_it(runs, table, field).assign(left_out=field) for field in apart]
    return {
        "tested": tested,
        "scores": scores(tested),
        "will_it": pd.concat(chances, ignore_index=True),
        "levels": pd.DataFrame({"measure": list(at), "level": list(at.values())}),
    }


def learned_from(paths: Sequence[str | Path], said: Sequence[str]) -> Forecaster:
    """What sweeps teach about when runs generalise.

    Args:
        paths: as `interp.sweeps.gathered.gathered` takes them.
        said: what they are called where forecasts say what they rest on.

    Raises:
        ValueError: if none of their runs has a history, or none says when runs generalise.
    """
    from interp.sweeps.gathered import gathered

    found = gathered(paths[0], paths[1:])
    if "memorization_step" not in found.runs:
        raise ValueError(
            f"A forecast is learned from runs with a history of evaluations, and {found.name} has none."
        )
    curves = curves_of(found.histories(), table_of(found, "fourier_sparsity"))
    families = found.runs["task.family"].dropna().unique() if "task.family" in found.runs else []
    return forecaster(
        found.runs, curves, found.fields, {"sweeps": list(said), "tasks": sorted(map(str, families))}
    )


def _told_apart(runs: pd.DataFrame, fields: list[str]) -> list[str]:
    """The fields, without those that part the runs as one before does: width and neurons that changed together."""
    parts: dict[tuple, str] = {}
    for field in fields:
        parts.setdefault(tuple(pd.factorize(runs[field])[0]), field)
    return list(parts.values())


def _first(tested: pd.DataFrame) -> str:
    return str(tested["left_out"].iloc[0]) if len(tested) else "run"


def draw(tables: Tables) -> Figure:
    tested, table = tables["tested"], tables["scores"]
    field = _first(tested)
    own = tested[tested["left_out"] == field]
    of = "family" if field == "family" else field
    values = sorted(own[of].unique()) if len(own) else []
    colours = dict(zip(values, shades(len(values)), strict=True))
    figure, axes = style.new_figure(2, 2, height=5.0)
    forecast_points(own[own["measure"] == TEST_LOSS], axes[0, 0], colours=colours, of=of)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if handles and len(handles) <= 10:
        axes[0, 0].legend(
            handles,
            labels,
            title=f"{field_name(field)} left out",
            fontsize=style.SMALL,
            title_fontsize=style.SMALL,
            loc="upper left",
        )
    error_curves(own, axes[0, 1])
    axes[0, 1].legend(fontsize=style.SMALL, ncols=2)
    answer_shares(own, axes[1, 0])
    chosen = table[(table["left_out"] != "family") & (table["value"] != "all")]
    names = chosen["left_out"].map(field_name) + " = " + chosen["value"].astype(str)
    skill_bars(chosen.assign(value=names), axes[1, 1])
    style.label_panels(axes.flat)
    return figure


def summarize(tables: Tables) -> dict[str, Any]:
    table = tables["scores"]
    overall = table[table["value"] == "all"]
    said = []
    for field, rows in overall.groupby("left_out", sort=False):
        of = rows.set_index("measure")
        if TEST_LOSS not in of.index:
            continue
        row = of.loc[TEST_LOSS]
        said.append(
            f"Another {field if field in ('family', 'run') else field_name(str(field))}, by its test loss: error "
            f"{row['error']:.2f} decades (mean {row['error_mean']:.2f}, no change {row['error_no_change']:.2f}); "
            f"{row['n_answers']} answers at {row['n_looks']} looks; 80 % intervals hold {100 * row['coverage']:.0f} % "
            f"({row['n_endless']} of {row['n_scored']} without an end)."
        )
        alarms = ", ".join(f"{NAMES[str(m)].replace('$', '')} {n}" for m, n in of["n_alarms"].items())
        said.append(f"  Of {row['n_never']} runs that never grokked were forecast to: {alarms}.")
    return {"said": said, "scores": overall.to_dict("records")}

"""Which runs generalise, and how long does it take them? Phases, delays and their power laws over what was swept.

(a) Over two fields, a panel for each setting of the others: the share of runs in confusion (train accuracy never stays
at .95), memorization (test accuracy does not come to stay by the end), grokking (it comes 1,000 steps or more after),
comprehension (sooner); in each cell how many generalised, of how many. (b) The share that has not grokked yet
(Kaplan-Meier, 95 %), by the field with the most values. (c) The delay from memorization to generalisation against each
field, with power laws that take censored runs (arrows) as what they are. (d) Their exponents, 95 %. (e) Between
which two values of the first field half of the runs begin to generalise. All by the end of what was trained.

References: Liu et al. 2022, "Towards understanding grokking" (phases); Kaplan and Meier 1958; Tobin 1958.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from interp.analyses.many_runs import SWEEP
from interp.figures import (
    critical_brackets,
    delay_points,
    exponent_intervals,
    phase_cells,
    phase_patch_legend,
    style,
    survival_curves,
)
from interp.figures.phase_diagrams import shades
from interp.tables import shares
from interp.tables.folder import Tables
from interp.tables.power_laws import delay_bounds, power_laws
from interp.tables.wording import PHASES, field_name, setting_text

subject = SWEEP

# Panels and settings that a page has room for.
MOST_PANELS, MOST_CURVES, MOST_SETTINGS, MOST_BRACKETS = 6, 3, 6, 24
SHOWN = (
    "run", "status", "step", "memorization_before", "memorization_step", "grokking_before", "grokking_step", "delay",
    "delay_low", "delay_high", "grokking_lost",
)  # fmt: skip


def compute(gathered, device: str) -> Tables:
    runs, fields = gathered.runs, gathered.fields
    if "grokking_before" not in runs:
        raise ValueError(
            f"phase_diagram needs runs with evaluations, and {gathered.name} has none with a history."
        )
    cells = shares.cells(runs, fields)
    seeds = [name for name in ("seed",) if name in runs]
    return {
        "runs": runs[[*SHOWN, *seeds, *fields]].assign(phase=shares.run_phases(runs)),
        "cells": cells,
        "survival": shares.survival(runs, fields),
        "log_rank": shares.log_rank(runs, fields),
        "critical": shares.critical_values(cells, fields),
        "power_laws": power_laws(runs, fields),
    }


def _fields(cells: pd.DataFrame) -> list[str]:
    """The swept fields, the one with the most values first."""
    return sorted(_column_order(cells), key=lambda name: -cells[name].nunique())


def draw(tables: Tables) -> Figure:
    cells = tables["cells"]
    fields = _fields(cells)
    x, y = (*fields, None, None)[:2]
    settings = list(shares.groups(cells, fields[2:]))
    panels = settings[:MOST_PANELS]
    main = list(_most_telling(cells[cells["n"] > 0], fields))[:MOST_CURVES]
    laws, critical = tables["power_laws"], tables["critical"]
    delayed = [name for name in fields if (laws["field"] == name).any()][:4]
    n_rows = max([(laws["field"] == name).sum() for name in delayed] + [0])
    n_rows = min(n_rows, MOST_SETTINGS + 1)
    heights = [
        (0.75 + 0.3 * (1 if y is None else cells[y].nunique())) * style.rows_of(len(panels)),
        2.2 * style.rows_of(len(main)),
    ]
    heights += (
        [height * style.rows_of(len(delayed)) for height in (2.0, 0.65 + 0.16 * n_rows)] if delayed else []
    )
    brackets = critical[critical["field"] == x].iloc[:MOST_BRACKETS]
    heights += [0.6 + 0.15 * len(brackets)] if len(brackets) else []
    figure, bands = style.new_bands(heights)
    lettered = list(bands)
    _phase_band(bands.pop(0), panels, x, y)
    _survival_band(bands.pop(0), tables["survival"], main, x)
    if delayed:
        _delay_bands(bands.pop(0), bands.pop(0), tables, delayed, fields)
    if len(brackets):
        critical_brackets(brackets, bands.pop(0).subplots())
    left_out = len(settings) - len(panels)
    style.label_panels([band.axes[0] for band in lettered])
    style.note_below(figure, [f"{left_out} more settings are in cells.csv."] if left_out > 0 else [])
    return figure


def _phase_band(band: Any, panels: list[tuple[dict, pd.DataFrame]], x: str | None, y: str | None) -> None:
    # Each as wide as it has values, so that cells are alike.
    widths = [1 if x is None else rows[x].nunique() for _, rows in panels]
    axes = style.panels(band, len(panels), width_ratios=widths)
    for ax, (values, rows) in zip(axes, panels, strict=True):
        phase_cells(rows, ax, x=x, y=y)
        ax.set_title(setting_text(values) if values else "")
        if not ax.get_subplotspec().is_first_col():
            ax.set_ylabel("")
    phase_patch_legend(band, pd.concat([rows for _, rows in panels]))


def _most_telling(cells: pd.DataFrame, fields: Sequence[str]) -> list[dict]:
    """Settings of all fields but the first, those with the most values of it first, then those with the most change."""
    found = list(shares.groups(cells, fields[1:]))
    found.sort(key=lambda one: (-len(one[1]), -(one[1]["share"].max() - one[1]["share"].min())))
    return [values for values, _ in found]


def _survival_band(band: Any, table: pd.DataFrame, settings: list[dict], field: str | None) -> None:
    axes = style.panels(band, len(settings), sharey=True)
    parts = []
    for values in settings:
        rows = table
        for name, value in values.items():
            rows = rows[rows[name] == value]
        parts.append(rows)
    drawn = [] if field is None else sorted(pd.concat(parts)[field].unique())
    colours = dict(zip(drawn, shades(len(drawn)), strict=True)) if drawn else None
    for ax, values, rows in zip(axes, settings, parts, strict=True):
        survival_curves(rows, ax, field=field, colours=colours)
        ax.set_title(setting_text(values) if values else "")
        if not ax.get_subplotspec().is_first_col():
            ax.set_ylabel("")
    found = dict(zip(*reversed(_handles(axes)), strict=True))
    style.figure_legend(
        band,
        found.values(),
        found.keys(),
        ncols=min(len(found), 6),
    )


def _handles(axes: Any) -> tuple[list[Any], list[str]]:
    handles, labels = zip(*(ax.get_legend_handles_labels() for ax in axes), strict=True)
    return [h for part in handles for h in part], [name for part in labels for name in part]


def _delay_bands(band: Any, below: Any, tables: Tables, delayed: list[str], fields: Sequence[str]) -> None:
    laws = tables["power_laws"]
    axes = style.panels(band, len(delayed), sharey=True)
    axes_below = style.panels(below, len(delayed))
    known = delay_bounds(tables["runs"])
    for ax, ax_below, field in zip(axes, axes_below, delayed, strict=True):
        rest = [name for name in fields if name != field]
        order = [name for name in _column_order(tables["cells"]) if name in rest]
        named = known.assign(setting=_settings(known, order))
        own = laws[(laws["field"] == field) & (laws["setting"] != "all settings")]
        settings = (
            own.assign(n_come=own["n"] - own["n_censored"])
            .sort_values(["n_values", "n_come"], ascending=False, kind="stable")["setting"]
            .tolist()[:MOST_SETTINGS]
        )
        delay_points(named, laws, ax, field=field, settings=settings)
        exponent_intervals(laws, ax_below, field=field, settings=settings)
        if not ax.get_subplotspec().is_first_col():
            ax.set_ylabel("")


def _column_order(cells: pd.DataFrame) -> list[str]:
    return list(cells.columns[: cells.columns.get_loc("n")])


def _settings(runs: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    return [setting_text({name: row[name] for name in fields}) for row in runs.to_dict("records")]


def summarize(tables: Tables) -> dict[str, Any]:
    cells, laws, critical = tables["cells"], tables["power_laws"], tables["critical"]
    counts = {name: int(cells[name].sum()) for name in PHASES}
    n, n_generalised = int(cells["n"].sum()), counts["grokking"] + counts["comprehension"]
    together = laws[laws["setting"].isin(["all settings", "all runs"])]
    without = [field_name(f) for f in _fields(cells) if not shares.is_numeric(cells, f)]
    said = [
        f"{n_generalised} of {n} runs generalised by their end: "
        + ", ".join(f"{count} {name}" for name, count in counts.items())
        + ".",
        *(
            f"Delay ~ {field_name(law['field'])}^{law['exponent']:.2f} ({law['low']:.2f} to {law['high']:.2f}; "
            f"{law['n']} runs, {law['n_censored']} censored)."
            for law in together.to_dict("records")
        ),
        *(f"No power law of {name}: it has values that are not above 0." for name in without),
    ]
    return {
        "said": said,
        "n_runs": n,
        "n_other": int(cells["n_other"].sum()),
        "phases": counts,
        "comprehension_delay": shares.COMPREHENSION,
        "power_laws": together.to_dict("records"),
        "critical": critical.to_dict("records"),
        "n_log_rank": len(tables["log_rank"]),
        "n_log_rank_significant": int((tables["log_rank"]["p_holm"] < 0.05).sum()),
    }

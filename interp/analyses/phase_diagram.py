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


def fields_of(cells: pd.DataFrame) -> list[str]:
    """The swept fields, the one with the most values first."""
    return sorted(_column_order(cells), key=lambda name: -cells[name].nunique())


def delayed_fields(tables: Tables) -> list[str]:
    """The fields whose power laws there are, as many as fit side by side."""
    known = set(tables["power_laws"]["field"])
    return [name for name in fields_of(tables["cells"]) if name in known][:4]


def shown_brackets(tables: Tables) -> pd.DataFrame:
    """The critical values of the field with the most values, as many as fit below each other."""
    critical, fields = tables["critical"], fields_of(tables["cells"])
    return critical[critical["field"] == (fields[0] if fields else None)].iloc[:MOST_BRACKETS]


def draw(tables: Tables) -> Figure:
    delayed, brackets = delayed_fields(tables), shown_brackets(tables)
    heights = [phase_height(tables), survival_height(tables)]
    heights += [delay_height(tables), exponent_height(tables)] if delayed else []
    heights += [bracket_height(brackets)] if len(brackets) else []
    figure, bands = style.new_bands(heights)
    lettered = list(bands)
    left_out = phase_band(bands.pop(0), tables)
    survival_band(bands.pop(0), tables)
    if delayed:
        delay_band(bands.pop(0), tables)
        exponent_band(bands.pop(0), tables)
    if len(brackets):
        critical_brackets(brackets, bands.pop(0).subplots())
    style.label_panels([band.axes[0] for band in lettered])
    style.note_below(figure, [f"{left_out} more settings are in cells.csv."] if left_out > 0 else [])
    return figure


def phase_height(tables: Tables) -> float:
    """Inches of `phase_band`: a row of cells each value of the second field."""
    cells = tables["cells"]
    rows = fields_of(cells)[1:2]
    height = 0.75 + 0.3 * (cells[rows[0]].nunique() if rows else 1)
    return height * style.rows_of(len(_panels(cells)[0]))


def survival_height(tables: Tables) -> float:
    """Inches of `survival_band`."""
    return style.height_of(len(_most_telling(tables["cells"])), 2.2)


def delay_height(tables: Tables) -> float:
    """Inches of `delay_band`."""
    return style.height_of(len(delayed_fields(tables)), 2.0)


def exponent_height(tables: Tables) -> float:
    """Inches of `exponent_band`: a row each setting."""
    laws, delayed = tables["power_laws"], delayed_fields(tables)
    n_rows = max([(laws["field"] == name).sum() for name in delayed] + [0])
    return (0.65 + 0.16 * min(n_rows, MOST_SETTINGS + 1)) * style.rows_of(len(delayed))


def bracket_height(brackets: pd.DataFrame) -> float:
    """Inches of critical brackets."""
    return 0.6 + 0.15 * len(brackets)


def phase_band(band: Any, tables: Tables) -> int:
    """Cells of phases, a panel a setting of all fields but the first two; how many settings had no room."""
    cells = tables["cells"]
    fields = fields_of(cells)
    x, y = (*fields, None, None)[:2]
    panels, left_out = _panels(cells)
    # Each as wide as it has values, so that cells are alike.
    widths = [1 if x is None else rows[x].nunique() for _, rows in panels]
    axes = style.panels(band, len(panels), width_ratios=widths)
    for ax, (values, rows) in zip(axes, panels, strict=True):
        phase_cells(rows, ax, x=x, y=y)
        ax.set_title(setting_text(values) if values else "")
        if not ax.get_subplotspec().is_first_col():
            ax.set_ylabel("")
    phase_patch_legend(band, pd.concat([rows for _, rows in panels]))
    return left_out


def _panels(cells: pd.DataFrame) -> tuple[list[tuple[dict, pd.DataFrame]], int]:
    """The settings of all fields but the first two that have room, and how many have none."""
    settings = list(shares.groups(cells, fields_of(cells)[2:]))
    return settings[:MOST_PANELS], max(len(settings) - MOST_PANELS, 0)


def _most_telling(cells: pd.DataFrame) -> list[dict]:
    """Settings of all fields but the first, those with the most values of it first, then those with the most change."""
    found = list(shares.groups(cells[cells["n"] > 0], fields_of(cells)[1:]))
    found.sort(key=lambda one: (-len(one[1]), -(one[1]["share"].max() - one[1]["share"].min())))
    return [values for values, _ in found][:MOST_CURVES]


def survival_band(band: Any, tables: Tables) -> None:
    """Curves of survival by the first field, a panel each of the settings of the others that tell most."""
    fields, settings = fields_of(tables["cells"]), _most_telling(tables["cells"])
    field = fields[0] if fields else None
    axes = style.panels(band, len(settings), sharey=True)
    parts = []
    for values in settings:
        rows = tables["survival"]
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


def delay_band(band: Any, tables: Tables) -> None:
    """Delays against each field that has power laws, a panel a field."""
    delayed = delayed_fields(tables)
    axes = style.panels(band, len(delayed), sharey=True)
    known = delay_bounds(tables["runs"])
    for ax, field in zip(axes, delayed, strict=True):
        order = [name for name in _column_order(tables["cells"]) if name != field]
        named = known.assign(setting=_settings(known, order))
        settings = _shown_settings(tables, field)
        delay_points(named, tables["power_laws"], ax, field=field, settings=settings)
        if not ax.get_subplotspec().is_first_col():
            ax.set_ylabel("")


def exponent_band(band: Any, tables: Tables) -> None:
    """The exponents of the power laws, a panel a field."""
    delayed = delayed_fields(tables)
    for ax, field in zip(style.panels(band, len(delayed)), delayed, strict=True):
        settings = _shown_settings(tables, field)
        exponent_intervals(tables["power_laws"], ax, field=field, settings=settings)


def _shown_settings(tables: Tables, field: str) -> list[str]:
    """The settings whose power law of a field rests on most values and runs."""
    laws = tables["power_laws"]
    own = laws[(laws["field"] == field) & (laws["setting"] != "all settings")]
    named = own.assign(n_come=own["n"] - own["n_censored"])
    by = ["n_values", "n_come"]
    return named.sort_values(by, ascending=False, kind="stable")["setting"].tolist()[:MOST_SETTINGS]


def _column_order(cells: pd.DataFrame) -> list[str]:
    return list(cells.columns[: cells.columns.get_loc("n")])


def _settings(runs: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    return [setting_text({name: row[name] for name in fields}) for row in runs.to_dict("records")]


def summarize(tables: Tables) -> dict[str, Any]:
    cells, laws, critical = tables["cells"], tables["power_laws"], tables["critical"]
    counts = {name: int(cells[name].sum()) for name in PHASES}
    n, n_generalised = int(cells["n"].sum()), counts["grokking"] + counts["comprehension"]
    together = laws[laws["setting"].isin(["all settings", "all runs"])]
    without = [field_name(f) for f in fields_of(cells) if not shares.is_numeric(cells, f)]
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

"""What becomes of many runs: phases, the share that has not grokked yet, delays and their power laws."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from interp.figures import style
from interp.figures.given_tables import known
from interp.tables.wording import PHASES, field_name, value_text

if TYPE_CHECKING:
    import pandas as pd

# From nothing learned to all of it at once; light and dark, so that they differ in print as well.
COLOURS = {
    "confusion": "0.8",
    "memorization": style.SKY,
    "grokking": style.VERMILION,
    "comprehension": style.GREEN,
}
MARKS = "osD^vP*X"
GAP = 0.06


def phase_cells(cells: "pd.DataFrame", ax: Axes, *, x: str | None, y: str | None) -> Axes:
    """A rectangle for each pair of values, divided by the shares of the phases; in it how many runs generalised.

    Args:
        cells: of `interp.tables.shares.cells`, a row for each pair.
        x, y: fields; None: there is only one value.
    """
    # A run that does not state a field has no place on its axis.
    cells = known(cells, *(name for name in (x, y) if name is not None))
    if not len(cells):
        style.note_instead(ax, "no run")
        return ax
    places = {name: _places(cells, name) for name in (x, y)}
    for row in cells.to_dict("records"):
        if not row["n"]:
            continue
        left, bottom = (places[name][None if name is None else row[name]] for name in (x, y))
        begins = left - 0.5 + GAP / 2
        for phase in PHASES:
            width = (1 - GAP) * row[phase] / row["n"]
            ax.add_patch(Rectangle((begins, bottom - 0.5 + GAP / 2), width, 1 - GAP, fc=COLOURS[phase], lw=0))
            begins += width
        n_generalised = row["grokking"] + row["comprehension"]
        ax.text(left, bottom, f"{n_generalised}/{row['n']}", ha="center", va="center", fontsize=style.SMALL)
    for name, axis, limit in ((x, ax.xaxis, ax.set_xlim), (y, ax.yaxis, ax.set_ylim)):
        limit(-0.5, len(places[name]) - 0.5)
        axis.set_ticks(
            range(len(places[name])), ["" if name is None else value_text(v) for v in places[name]]
        )
        axis.set_label_text("" if name is None else field_name(name))
        axis.set_tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _places(cells: "pd.DataFrame", field: str | None) -> dict[Any, int]:
    values = [None] if field is None else sorted(cells[field].unique())
    return {value: i for i, value in enumerate(values)}


def phase_patch_legend(figure: Any, cells: "pd.DataFrame", **options: Any) -> None:
    """What the colours of `phase_cells` mean; those that occur."""
    handles = [Patch(color=COLOURS[name], label=name) for name in PHASES if cells[name].sum()]
    style.figure_legend(figure, handles, [handle.get_label() for handle in handles], **options)


def survival_curves(
    table: "pd.DataFrame", ax: Axes, *, field: str | None, colours: Mapping[Any, Any] | None = None
) -> Axes:
    """The share of runs that has not grokked by each step, a curve for each value of the field, with 95 % bands.

    Args:
        table: of `interp.tables.shares.survival`, over this field or none.
        colours: by value; by default from light to dark.
    """
    values = [None] if field is None else sorted(table[field].dropna().unique())
    if not len(table) or not values:
        style.note_instead(ax, "no run")
        return ax
    of = dict(zip(values, shades(len(values)), strict=True)) if colours is None else colours
    for value in values:
        colour = of[value]
        rows = table if field is None else table[table[field] == value]
        label = "all runs" if field is None else f"{field_name(field)} = {value_text(value)}"
        # A step of 0 has no logarithm.
        step = rows["step"].to_numpy(float).clip(min=1e-3)
        ax.step(step, rows["share"], where="post", color=colour, label=label)
        if rows["low"].iloc[1:].notna().any():
            ax.fill_between(step, rows["low"], rows["high"], step="post", color=colour, alpha=0.15, lw=0)
        if rows["share"].iloc[-1] > 0:
            ax.plot(step[-1], rows["share"].iloc[-1], "|", color=colour, ms=6, mew=1.2)
    ax.set_xscale("log")
    ax.set_xlim(_least(table["step"]) * 0.7, table["step"].max() * 1.15)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(-0.03, 1.05)
    ax.set_xlabel("training step")
    ax.set_ylabel("share not grokked yet")
    return ax


def _least(steps: "pd.Series") -> float:
    positive = steps[steps > 0]
    return float(positive.min()) if len(positive) else 1.0


def shades(n: int) -> list[Any]:
    """Colours of values in order: from light to dark, told apart without colour too."""
    from matplotlib import colormaps

    if n <= 1:
        return [style.BLUE] * n
    return [colormaps["viridis"](0.9 - 0.85 * i / (n - 1)) for i in range(n)]


def delay_points(
    runs: "pd.DataFrame", laws: "pd.DataFrame", ax: Axes, *, field: str, settings: Sequence[str]
) -> Axes:
    """The delay of each run against a field, a mark a setting of the others, with the power laws that were fitted.

    Arrows up: test accuracy had not come to stay by the end of the run, so that the delay is longer.

    Args:
        runs: those that memorized: the field, `setting`, delay_low, delay (missing where it has not come).
        laws: of `interp.tables.power_laws.power_laws`.
        settings: those that are drawn, each with a mark of its own.
    """
    runs = runs[runs[field] > 0]
    if not len(runs):
        style.note_instead(ax, "no run that memorized has this field")
        return ax
    spread = _spread(runs[field])
    for i, setting in enumerate(settings):
        colour, mark = style.PALETTE[i % len(style.PALETTE)], MARKS[i % len(MARKS)]
        rows = runs[runs["setting"] == setting]
        if not len(rows):
            continue
        shift = spread ** ((i - (len(settings) - 1) / 2) / max(len(settings), 1))
        x = rows[field].to_numpy(float) * shift
        come = rows["delay"].notna().to_numpy()
        drawn = rows["delay"].where(rows["delay"].notna(), rows["delay_low"]).astype(float).clip(lower=1)
        y = drawn.to_numpy()
        ax.plot(x[come], y[come], mark, color=colour, ms=2.6, mew=0, alpha=0.75, label=setting)
        ax.plot(x[~come], y[~come], marker=r"$\uparrow$", ls="", color=colour, ms=4.5, mew=0.2, alpha=0.75)
        law = laws[(laws["field"] == field) & (laws["setting"] == setting)]
        if len(law):
            _law_line(law.iloc[0], ax, rows[field], colour, shift)
    ax.set_xscale("log")
    ax.set_yscale("log")
    values = sorted(runs[field].unique())
    ax.xaxis.set_major_locator(FixedLocator(values if len(values) < 9 else values[:: -(-len(values) // 8)]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: value_text(v)))
    ax.set_xlabel(field_name(field))
    ax.set_ylabel("delay (steps)")
    return ax


def _spread(values: "pd.Series") -> float:
    """By which factor marks of several settings may be set apart, so that they do not cover those of the next value."""
    logs = np.unique(np.log(values.to_numpy(float)))
    return float(np.exp(0.35 * np.diff(logs).min())) if len(logs) > 1 else 1.1


def _law_line(law: Any, ax: Axes, values: "pd.Series", colour: str, shift: float) -> None:
    x = np.array([values.min(), values.max()], dtype=float)
    ax.plot(x * shift, law["delay"] * (x / law["at"]) ** law["exponent"], color=colour, lw=0.8)


def exponent_intervals(laws: "pd.DataFrame", ax: Axes, *, field: str, settings: Sequence[str]) -> Axes:
    """The exponents of a field's power laws with their 95 % intervals, a row a setting, that of all together below.

    Args:
        laws: of `interp.tables.power_laws.power_laws`.
        settings: in the order of `delay_points`, whose colours and marks they have.
    """
    rows = laws[laws["field"] == field].dropna(subset=["exponent", "low", "high"]).set_index("setting")
    if not len(rows):
        style.note_instead(ax, "no power law of this field")
        return ax
    names = [name for name in settings if name in rows.index]
    for y, name in enumerate([*names, *rows.index.intersection(["all settings"])]):
        law, i = rows.loc[name], settings.index(name) if name in settings else None
        colour = style.BLACK if i is None else style.PALETTE[i % len(style.PALETTE)]
        mark = "s" if i is None else MARKS[i % len(MARKS)]
        ax.plot([law["low"], law["high"]], [y, y], color=colour, lw=1)
        ax.plot(law["exponent"], y, mark, color=colour, ms=3.5)
    shown_names = [*names, *rows.index.intersection(["all settings"])]
    ax.set_yticks(range(len(shown_names)), shown_names, fontsize=style.SMALL)
    ax.set_ylim(len(shown_names) - 0.4, -0.6)
    ax.set_ylabel("setting")
    ax.axvline(0, color="0.7", lw=0.6, zorder=0)
    reach = max(rows["exponent"].abs().max(), 1.0)
    ax.set_xlim(
        max(rows["low"].min(), -3 * reach) - 0.1 * reach,
        min(max(rows["high"].max(), 0), 3 * reach) + 0.1 * reach,
    )
    ax.set_xlabel("exponent")
    return ax


def critical_brackets(critical: "pd.DataFrame", ax: Axes) -> Axes:
    """Between which values of a field half of the runs begin to generalise, a bar a setting of the others.

    An arrow: it lies beyond the values that were tried, on that side.

    Args:
        critical: of `interp.tables.shares.critical_values`, of one field.
    """
    rows = critical.reset_index(drop=True)
    ends = rows[["before", "step"]].astype(float)
    left, right = np.nanmin(ends.to_numpy()), np.nanmax(ends.to_numpy())
    pad = 0.12 * (right - left) if right > left else 0.12 * right
    for y, row in ends.iterrows():
        if row.isna().any():
            # Of a share that falls the other side is the one with more.
            to_left = np.isnan(row["before"]) != (rows.loc[y, "direction"] == "fall")
            begins = row.dropna().iloc[0]
            ax.annotate(
                "", (left - pad if to_left else right + pad, y), (begins, y),
                arrowprops={"arrowstyle": "->", "color": style.BLUE, "lw": 1.2, "shrinkA": 0, "shrinkB": 0},
            )  # fmt: skip
            ax.plot(begins, y, "|", color=style.BLUE, ms=6)
        else:
            ax.plot([row["before"], row["step"]], [y, y], color=style.BLUE, lw=3, solid_capstyle="butt")
    ax.set_yticks(range(len(rows)), rows["setting"].tolist(), fontsize=style.SMALL)
    ax.set_ylabel("setting")
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(left - 1.3 * pad, right + 1.3 * pad)
    ax.set_xlabel(
        style.wrapped(f"critical {field_name(rows['field'].iloc[0])} (half generalise)", ax, share=0.8)
    )
    return ax

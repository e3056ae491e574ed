"""Errors over sizes and steps, what grows and shrinks beside them, patterns that are learned at their own speeds."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from interp.figures import style
from interp.figures.colours import line_of
from interp.figures.given_tables import known
from interp.figures.phase_diagrams import shades

if TYPE_CHECKING:
    import pandas as pd

# In order of how much noise there is.
NOISES = (style.BLUE, style.VERMILION, style.GREEN, style.ORANGE)
QUANTITIES = {
    "effective_rank": "effective rank",
    "norm": "norm (share of the last)",
    "margin": "smallest train margin",
}


def descent_curves(table: "pd.DataFrame", thresholds: "pd.DataFrame", ax: Axes, *, name: str) -> Axes:
    """Train error (dashed) and test error (solid, a band over the runs) by size, a colour each share of wrong labels.

    Bands down the panel: the brackets of the interpolation thresholds; a line where every label is met exactly, and
    dotted the test error with the best ridge, where the tables have it.

    Args:
        table: of `interp.tables.interpolation.by_size`, of one experiment, axis and setting.
        thresholds: of `interp.tables.interpolation.thresholds`, of the same.
        name: of the size.
    """
    table = known(table, "test_error", "noise")
    if not len(table):
        style.note_instead(ax, "no size was swept")
        return ax
    for colour, noise in zip(_colours(table), sorted(table["noise"].unique()), strict=True):
        rows = table[table["noise"] == noise].sort_values("size")
        ax.plot(rows["size"], rows["test_error"], color=colour, label=f"{noise:.0%} wrong")
        ax.plot(rows["size"], rows["train_error"], color=colour, ls="--", lw=0.9)
        if "test_error_low" in rows:
            low, high = rows["test_error_low"], rows["test_error_high"]
            ax.fill_between(rows["size"], low, high, color=colour, alpha=0.15, lw=0)
        if "ridge_error" in rows and rows["ridge_error"].notna().any():
            ax.plot(rows["size"], rows["ridge_error"], color=colour, ls=":", lw=0.9)
        for bracket in thresholds[thresholds["noise"] == noise].to_dict("records"):
            ends = sorted((bracket["outside"], bracket["inside"]))
            if not np.isnan(ends).any():
                ax.axvspan(*ends, color=colour, alpha=0.18, lw=0, zorder=0)
            if not np.isnan(exact := bracket.get("exact_inside", np.nan)):
                ax.axvline(exact, color=colour, lw=0.8, ls="-.", zorder=0)
    _size_axis(ax, table["size"])
    ax.set_xlabel(name)
    ax.set_ylabel("error")
    # Shares: panels beside each other have one axis, whichever was drawn first.
    ax.set_ylim(-0.02, 1.02)
    style.show_lone_points(ax)
    return ax


def descent_legend(figure: Any, table: "pd.DataFrame", *, has_ridge: bool) -> None:
    """What colours and dashes of `descent_curves` mean, over a band of panels."""
    noises = sorted(table["noise"].unique())
    colours = _colours(table)
    handles = [Line2D([], [], color=c) for c in colours]
    labels = [f"{noise:.0%} wrong labels" for noise in noises]
    kinds = [("test", "-"), ("train", "--"), *([("test, best ridge", ":")] if has_ridge else [])]
    handles += [Line2D([], [], color="0.35", ls=dashes) for _, dashes in kinds]
    style.figure_legend(figure, handles, [*labels, *(name for name, _ in kinds)])


def epoch_curves(along: "pd.DataFrame", ax: Axes, *, name: str) -> Axes:
    """Train error (dashed) and test error (solid) along training, means over runs, from small sizes to large ones.

    Args:
        along: columns size, run, step, train_error, test_error; of one experiment, setting and share of wrong labels.
        name: of the size.
    """
    along = known(along, "test_error")
    if not len(along):
        style.note_instead(ax, "no evaluations along training")
        return ax
    sizes = sorted(along["size"].unique())
    for colour, size in zip(shades(len(sizes)), sizes, strict=True):
        rows = along[along["size"] == size].groupby("step")[["train_error", "test_error"]].mean()
        ax.plot(rows.index, rows["test_error"], color=colour, label=f"{size:g}")
        ax.plot(rows.index, rows["train_error"], color=colour, ls="--", lw=0.9)
    ax.set_xscale("log")
    ax.set_xlabel("training step")
    ax.set_ylabel("error")
    # Shares: panels beside each other have one axis, whichever was drawn first.
    ax.set_ylim(-0.02, 1.02)
    style.legend_above(ax, n_columns=4, title=name)
    return ax


def beside_curves(table: "pd.DataFrame", ax: Axes, *, quantity: str) -> Axes:
    """A quantity by size, relative to the interpolation threshold (vertical line), a curve each experiment.

    Args:
        table: columns experiment, relative_size and the quantity.
        quantity: effective_rank, norm (drawn as a share of that of the largest size) or margin.
    """
    table = known(table, "relative_size", quantity)
    if not len(table):
        style.note_instead(ax, "not measured")
        return ax
    for i, (experiment, rows) in enumerate(table.groupby("experiment", sort=False)):
        rows = rows.sort_values("relative_size")
        values = rows[quantity] / (rows[quantity].iloc[-1] if quantity == "norm" else 1)
        ax.plot(rows["relative_size"], values, label=str(experiment), **line_of(i))
    ax.axvline(1, color="0.6", lw=0.6, ls=":", zorder=0)
    if quantity != "margin":
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if quantity == "effective_rank" else (1,)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        ax.axhline(0, color="0.8", lw=0.6, zorder=0)
        ax.set_yscale("symlog", linthresh=1)
    ax.set_xscale("log")
    ax.set_xlabel("size / threshold")
    ax.set_ylabel(QUANTITIES[quantity])
    style.show_lone_points(ax)
    return ax


def pattern_curves(table: "pd.DataFrame", fits: "pd.DataFrame", ax: Axes) -> Axes:
    """How much of each pattern is learned by each step (points), with the sigmoid in ln(step) fitted to it (lines).

    Args:
        table: of `interp.tables.learning_patterns.patterns`.
        fits: of `interp.tables.learning_patterns.speeds`.
    """
    # It loads pandas, which a figure that is only imported does without.
    from interp.tables.learning_patterns import LOGARITHM, PATTERNS, sigmoid

    table = known(table, "accuracy")
    later = table[table["step"] > 0] if len(table) else table
    if not len(later):
        style.note_instead(ax, "no run with wrong labels was measured")
        return ax
    steps = np.geomspace(later["step"].min(), later["step"].max(), 200)
    for i, pattern in enumerate(PATTERNS.values()):
        rows = later[later["pattern"] == pattern]
        line = line_of(i)
        ax.plot(rows["step"], rows["accuracy"], "o", ms=2.4, color=line["color"])
        of_pattern = fits[(fits["pattern"] == pattern) & (fits["time"] == LOGARITHM)]
        for fit in of_pattern.dropna().to_dict("records"):
            values = (fit[key] for key in ("floor", "gamma", "alpha", "half_step"))
            ax.plot(steps, sigmoid(steps, *values), **line | {"label": pattern, "lw": 1.0})
    ax.set_xscale("log")
    ax.set_ylim(-0.03, 1.05)
    ax.set_xlabel("training step")
    ax.set_ylabel("accuracy")
    return ax


def slice_curves(table: "pd.DataFrame", ax: Axes, *, quantity: str = "loss") -> Axes:
    """Train and test loss of c times the weights, by c; the network as it is at the dotted line.

    Args:
        table: of the probe `norm_slice`, one checkpoint.
        quantity: loss, squared_error or accuracy.
    """
    if not len(known(table, quantity, "factor")):
        style.note_instead(ax)
        return ax
    for split, colour in (("train", style.TRAIN), ("test", style.TEST)):
        rows = table[table["split"] == split]
        ax.plot(rows["factor"], rows[quantity], color=colour, label=split)
    ax.axvline(1, color="0.6", lw=0.6, ls=":", zorder=0)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    if quantity != "accuracy":
        ax.set_yscale("log")
    ax.set_xlabel("factor on all weights")
    ax.set_ylabel({"loss": "loss (nats)", "squared_error": "squared error"}.get(quantity, quantity))
    ax.legend()
    return ax


def _colours(table: "pd.DataFrame") -> list[str]:
    n = table["noise"].nunique()
    return [NOISES[i % len(NOISES)] for i in range(n)]


def _size_axis(ax: Axes, sizes: Any) -> None:
    """Logarithmic, with plain numbers; linear where sizes are shares."""
    if sizes.max() <= 1:
        ax.set_xscale("linear")
        return
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1,) if sizes.max() > 30 * sizes.min() else (1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())

"""Effects of trained arms: how many times as long as in its reference each one took."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from interp.figures import style
from interp.figures.given_tables import known

if TYPE_CHECKING:
    import pandas as pd

# Told apart by mark as well as by colour.
MARKS = {
    "later": (style.VERMILION, ">"),
    "earlier": (style.BLUE, "<"),
    "equal": (style.BLACK, "s"),
    "undecided": ("0.45", "o"),
}
NOT_EVALUABLE = "not evaluable"
THICK = 0.34
# Ratios beyond which an axis does not reach: an arrow says that it goes on.
WIDEST = 32.0
TICKS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32)


def effect_intervals(table: "pd.DataFrame", ax: Axes) -> Axes:
    """Ratio of times to the event with its interval, a row an effect, the first on top.

    Open bars with an arrow: the event did not come within the budget in some pairs, so that the interval has no end.
    Grey words: why an effect is not evaluable. The zone in which times count as equal is shaded, row by row.

    Args:
        table: `label`, and of `effects`: ratio, low, high, zone, n_pairs, n_censored, verdict; `why` where it is not
            evaluable.
    """
    if not len(table):
        style.note_instead(ax, "no arm was trained")
        return ax
    rows = table.reset_index(drop=True)
    left, right = _limits(rows)
    labels = style.row_names(rows["label"], ax)
    counts = [_counts(row) for _, row in rows.iterrows()]
    share = _inner_share(ax, labels, counts)
    for y, row in rows.iterrows():
        if row["verdict"] == NOT_EVALUABLE:
            _say(ax, y, f"not evaluable: {row['why']}", left, share)
        else:
            _zone(ax, y, row["zone"])
            _interval(ax, y, row, left, right)
        ax.annotate(
            counts[int(y)], (1, y), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=style.SMALL, color="0.3",
        )  # fmt: skip
    ax.axvline(1, color="0.4", lw=0.8, zorder=1)
    ax.set_xscale("log")
    ax.set_xlim(left, right)
    shown = [tick for tick in TICKS if left <= tick <= right]
    ax.set_xticks(shown)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}" if x >= 1 else f"1/{1 / x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_yticks(range(len(rows)), labels, fontsize=style.SMALL)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel(style.wrapped("steps to the event, over those of the reference (ratio)", ax, share=share))
    ax.set_ylabel("arm over its reference")
    return ax


def values_by_arm(
    table: "pd.DataFrame", ax: Axes, *, quantity: str, arms: Sequence[str], axis: str, scale: str = "linear"
) -> Axes:
    """A row an arm, the first on top: a ring a pair, a bar at the median.

    Args:
        table: `label` and the quantity, a row an arm and pair.
        arms: the labels, in the order in which they are drawn.
        axis: what the quantity is, with its unit.
        scale: "linear", which begins at 0, or "log".
    """
    table = known(table, quantity)
    if not len(table):
        style.note_instead(ax, "no arm came to the event")
        return ax
    for y, label in enumerate(arms):
        values = table.loc[table["label"] == label, quantity]
        ax.plot(values, [y] * len(values), "o", mfc="none", mec=style.BLUE, ms=3.5, mew=0.8)
        ax.plot(values.median(), y, "|", color=style.BLACK, ms=9, mew=1.4)
    if scale == "log":
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.set_xlim(0, 1.15 * table[quantity].max())
    names = style.row_names(arms, ax)
    ax.set_yticks(range(len(arms)), names, fontsize=style.SMALL)
    ax.set_ylim(len(arms) - 0.4, -0.6)
    ax.grid(axis="y", color="0.9", lw=0.4)
    ax.set_axisbelow(True)
    ax.set_xlabel(style.wrapped(axis, ax, share=_inner_share(ax, names)))
    ax.set_ylabel("arm")
    return ax


def effect_legend(figure: Figure, table: "pd.DataFrame") -> None:
    """What the marks and bars of `effect_intervals` mean, above a figure; those that occur."""
    there = set(table["verdict"])
    handles: list[Any] = [
        Line2D([], [], color=colour, marker=mark, ls="", label=verdict, ms=4)
        for verdict, (colour, mark) in MARKS.items()
        if verdict in there
    ]
    handles.append(Patch(color="0.88", label="counts as equal"))
    shown = table[table["verdict"] != NOT_EVALUABLE]
    if np.isinf(shown["high"]).any() or (shown["low"] == 0).any():
        handles.append(Patch(fc="white", ec="0.3", lw=0.7, label="open: did not come within the budget"))
    style.figure_legend(figure, handles, [handle.get_label() for handle in handles])


def _limits(rows: "pd.DataFrame") -> tuple[float, float]:
    """Both ends of the axis, on which every finite interval lies."""
    ends = rows.loc[rows["verdict"] != NOT_EVALUABLE, ["ratio", "low", "high"]].to_numpy(float).ravel()
    known = ends[np.isfinite(ends) & (ends > 0)]
    left, right = (min(known, default=1.0), max(known, default=1.0))
    return max(min(left / 1.25, 0.45), 1 / WIDEST), min(max(right * 1.25, 2.2), WIDEST)


def _zone(ax: Axes, y: Any, half: float) -> None:
    """The ratios that count as equal, half as wide as this on the ln scale."""
    ax.barh(
        y, math.exp(half) - math.exp(-half), left=math.exp(-half), height=0.9, color="0.88", lw=0, zorder=0
    )


def _interval(ax: Axes, y: Any, row: "pd.Series", left: float, right: float) -> None:
    colour, mark = MARKS[row["verdict"]]
    low, high, ratio = row["low"], row["high"], row["ratio"]
    if not math.isnan(low) and not math.isnan(high):
        is_open = math.isinf(high) or low == 0
        begin, end = max(low, left), min(high, right)
        looks: dict[str, Any] = {"fc": colour, "alpha": 0.35, "lw": 0}
        if is_open:
            looks = {"fc": "white", "ec": colour, "lw": 0.8}
        ax.barh(y, end - begin, left=begin, height=THICK, zorder=2, **looks)
        for is_beyond, at, sign in ((high > right, right, 1), (low < left, left, -1)):
            if is_beyond:
                _arrow(ax, y, at, sign, colour)
    if not math.isnan(ratio) and left <= ratio <= right:
        ax.plot([ratio], [y], marker=mark, color=colour, ms=4.5, ls="", zorder=3)


def _arrow(ax: Axes, y: Any, at: float, sign: int, colour: str) -> None:
    ax.annotate(
        "",
        (at * 1.002**sign, y),
        (at / 1.18**sign, y),
        arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 0.8},
    )


def _inner_share(ax: Axes, *beside: list[str]) -> float:
    """How much of the room of the axes is left between small texts on the left and on the right."""
    font = FontProperties(size=style.SMALL)
    taken = sum(max(style.text_width(text, font) for text in texts) for texts in beside)
    room = style.room_of(ax)
    return max(1.2 - (taken + 4 * font.get_size_in_points()) / room, 0.15)


def _say(ax: Axes, y: Any, text: str, left: float, share: float) -> None:
    # Of a row high: the whole reason is in the table.
    first, *more = style.wrapped(text, ax, size=style.SMALL, share=0.9 * share).split("\n")
    shown = f"{first} ..." if more else first
    ax.text(
        left * 1.03,
        y,
        shown,
        va="center",
        fontsize=style.SMALL,
        color="0.45",
        style="italic",
        zorder=4,
        bbox={"fc": "white", "ec": "none", "pad": 0.5},
    )


def _counts(row: "pd.Series") -> str:
    censored = f", {int(row['n_censored'])} censored" if row["n_censored"] else ""
    return f"{int(row['n_pairs'])} pair{'' if row['n_pairs'] == 1 else 's'}{censored}"

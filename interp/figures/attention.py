"""Attention: patterns over all pairs, their best frequency along training, QK circuits by frequency.

A head is named by layer and number, "L0H3"; `head_lines` gives each of a run its colour and dashes.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from interp.figures import style
from interp.figures.colours import head_name, name_of

if TYPE_CHECKING:
    import pandas as pd

# More heads on an axis print over each other.
MOST_NAMED = 16


def attention_map(
    table: "pd.DataFrame", ax: Axes, *, head: str, said: str = "", axes: tuple[str, str] = ("$a$", "$b$")
) -> Axes:
    """Attention of the answered position to the first operand over all pairs, from 0 to 1; white: no such pair.

    Args:
        table: columns first, second (the pair, in the order that is drawn), and one named as the head.
        said: for the title, after the head's name.
        axes: what first and second are.
    """
    grid = table.pivot(index="first", columns="second", values=head)
    ax.pcolormesh(grid.to_numpy(), cmap="cividis", vmin=0, vmax=1, rasterized=True)
    ax.set_aspect("equal")
    ax.set_title(style.wrapped(f"{head}: {said}", ax) if said else head)
    ax.set_ylabel(axes[0])
    ax.set_xlabel(axes[1])
    return ax


def periodicity_curves(
    table: "pd.DataFrame", ax: Axes, *, lines: Mapping[str, Mapping[str, Any]], **legend: Any
) -> Axes:
    """How much of each head's pattern its best frequency explains, along training; dotted: the most of random names.

    Args:
        table: of `attention_periodicity`; may be empty.
        lines: of `head_lines`.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax)
        return ax
    for i, ((layer, head), part) in enumerate(table.groupby(["layer", "head"])):
        name = head_name(layer, head)
        shown = name_of(name, i, len(lines))
        ax.plot(part["step"], part["fraction_explained"], **lines[name], label=shown)
    null = table[np.isfinite(table["null"])].groupby("step")["null"].max()
    if len(null):
        ax.plot(null.index, null, color=style.BLACK, ls=":", lw=0.8, label="null")
    ax.set_ylim(0, 1)
    ax.set_ylabel("share of the pattern\nin its best frequency")
    style.legend_above(ax, n_columns=3, **legend)
    return ax


def movement_curves(
    table: "pd.DataFrame", ax: Axes, *, lines: Mapping[str, Mapping[str, Any]], **legend: Any
) -> Axes:
    """Standard deviation of the attention to a over all pairs; dotted: mean attention to "=", where there is one.

    Args:
        table: of `attention_patterns`; may be empty.
        lines: of `head_lines`.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax)
        return ax
    for (layer, head), part in table[table["position"] == 0].groupby(["layer", "head"]):
        ax.plot(part["step"], part["attention_sd"], **lines[head_name(layer, head)])
    equals = table[table["position"] == 2]
    for i, ((layer, head), part) in enumerate(equals.groupby(["layer", "head"])):
        label = 'mean attention to "="' if i == 0 else None
        colour = lines[head_name(layer, head)]["color"]
        ax.plot(part["step"], part["attention"], color=colour, ls=":", lw=1, label=label)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("standard deviation\nof the attention to $a$")
    if ax.get_legend_handles_labels()[1]:
        style.legend_above(ax, n_columns=2, **legend)
    return ax


def qk_bars(table: "pd.DataFrame", ax: Axes, *, lines: Mapping[str, Mapping[str, Any]]) -> Axes:
    """Power of each first-layer head's QK circuit by frequency, one head above the other, each from 0 to its largest.

    Deeper layers read sums over positions, for which there is no such circuit.

    Args:
        table: of `attention_circuits`, one checkpoint; may be empty.
        lines: of `head_lines`.
    """
    if not len(table):
        style.note_instead(ax)
        return ax
    part = table[(table["circuit"] == "qk") & (table["position"] == 0)]
    heads = sorted(part["head"].unique().tolist())
    shares = [part[part["head"] == head].set_index("frequency")["fraction"].fillna(0) for head in heads]
    top = max([*(share.max() for share in shares), style.LEAST_POSITIVE])
    for i, (head, share) in enumerate(zip(heads, shares, strict=True)):
        ax.bar(share.index, 0.92 * share / top, bottom=i, width=0.9, color=lines[head_name(0, head)]["color"])
    for i in range(1, len(heads)):
        ax.axhline(i, color="0.8", lw=0.5, zorder=0)
    ax.set_ylim(0, len(heads))
    # Of very many heads every few have their name.
    apart = -(-len(heads) // MOST_NAMED)
    ax.set_yticks(np.arange(0, len(heads), apart) + 0.5, [head_name(0, head) for head in heads[::apart]])
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0.4, part["frequency"].max() + 0.6)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    ax.set_xlabel("frequency $k$")
    ax.set_title(f"QK power, bars up to {top:.2g}", fontsize=style.SMALL)
    several = len({name.split("H")[0] for name in lines}) > 1
    ax.set_ylabel("head (first layer only)" if several else "head")
    return ax

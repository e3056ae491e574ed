"""Attention: patterns over all pairs, their best frequency along training, QK circuits by frequency.

A head is named layer.head, "0.3"; `head_colours` gives each of a run its colour.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from interp.figures import style

if TYPE_CHECKING:
    import pandas as pd


def head_colours(periodicity: "pd.DataFrame") -> dict[str, str]:
    """A colour for each head of an `attention_periodicity` table; they repeat after eight."""
    heads = periodicity[["layer", "head"]].drop_duplicates()
    names = [f"{row.layer}.{row.head}" for row in heads.itertuples()]
    return {name: style.PALETTE[i % len(style.PALETTE)] for i, name in enumerate(names)}


def attention_map(table: "pd.DataFrame", ax: Axes, *, head: str, said: str = "") -> Axes:
    """Attention of the answered position to a over all pairs (a, b), from 0 to 1.

    Args:
        table: columns first, second (the pair), and one named as the head.
        said: for the title, after the head's name.
    """
    grid = table.pivot(index="first", columns="second", values=head)
    ax.pcolormesh(grid.to_numpy(), cmap="cividis", vmin=0, vmax=1, rasterized=True)
    ax.set_aspect("equal")
    ax.set_title(f"head {head}: {said}" if said else f"head {head}")
    ax.set_xlabel("$b$")
    ax.set_ylabel("$a$")
    return ax


def periodicity_curves(table: "pd.DataFrame", ax: Axes, *, colours: Mapping[str, str], **legend: Any) -> Axes:
    """How much of each head's pattern its best frequency explains, along training.

    Args:
        table: of `attention_periodicity`.
        colours: of `head_colours`; where they repeat, the heads are not named.
        legend: options of the legend.
    """
    for (layer, head), part in table.groupby(["layer", "head"]):
        name = f"{layer}.{head}"
        ax.plot(part["step"], part["fraction_explained"], color=colours[name], label=name)
    ax.set_ylim(0, 1)
    ax.set_ylabel("share of the pattern\nin its best frequency")
    if len(colours) <= len(style.PALETTE):
        options = {"title": "head", "title_fontsize": 6.5, "fontsize": 6.5, "labelspacing": 0.2}
        style.legend_or_note(ax, **{**options, "loc": "lower right"} | legend)
    return ax


def movement_curves(table: "pd.DataFrame", ax: Axes, *, colours: Mapping[str, str], **legend: Any) -> Axes:
    """Standard deviation of the attention to a over all pairs; dotted: mean attention to "=", where there is one.

    Args:
        table: of `attention_patterns`.
        colours: of `head_colours`.
        legend: options of the legend.
    """
    for (layer, head), part in table[table["position"] == 0].groupby(["layer", "head"]):
        ax.plot(part["step"], part["attention_sd"], color=colours[f"{layer}.{head}"])
    equals = table[table["position"] == 2]
    for i, ((layer, head), part) in enumerate(equals.groupby(["layer", "head"])):
        label = 'mean attention to "="' if i == 0 else None
        ax.plot(part["step"], part["attention"], color=colours[f"{layer}.{head}"], ls=":", lw=1, label=label)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("standard deviation\nof the attention to $a$")
    if len(equals):
        options = {"loc": "lower right", "bbox_to_anchor": (1, 0.01), "fontsize": 6.5, "handlelength": 1.2}
        ax.legend(**options | legend)
    return ax


def qk_bars(table: "pd.DataFrame", ax: Axes, *, colours: Mapping[str, str]) -> Axes:
    """Power of each first-layer head's QK circuit by frequency, as a share, one head above the other.

    Args:
        table: of `attention_circuits`, one checkpoint.
        colours: of `head_colours`.
    """
    part = table[(table["circuit"] == "qk") & (table["position"] == 0)]
    if not len(part):
        style.note_instead(ax, "no circuit to show")
        return ax
    for i, (head, rows) in enumerate(part.groupby("head")):
        ax.bar(rows["frequency"], rows["fraction"].fillna(0), bottom=i, width=0.9, color=colours[f"0.{head}"])
    n_heads = part["head"].nunique()
    for i in range(1, n_heads):
        ax.axhline(i, color="0.8", lw=0.5, zorder=0)
    ax.set_ylim(0, n_heads)
    ax.set_yticks(np.arange(n_heads) + 0.5, [f"0.{head}" for head in sorted(part["head"].unique())])
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0.4, part["frequency"].max() + 0.6)
    ax.set_xlabel("frequency $k$")
    ax.set_ylabel("head: share of its\nQK power, 0 to 1")
    return ax

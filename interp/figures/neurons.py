"""Neurons by frequency."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from interp.figures import style
from interp.figures.colours import NAMED, frequency_lines
from interp.ground.thresholds import NEURON_FRACTION

if TYPE_CHECKING:
    import pandas as pd


def neuron_histogram(table: "pd.DataFrame", key: "pd.DataFrame", ax: Axes) -> Axes:
    """How much of a neuron its frequency explains, the neurons of each key frequency in its colour; dead ones left out.

    Dotted: the share from which a neuron is counted to its frequency. Dashed: the null, the most that any neuron has
    after the residues were given random names.

    Args:
        table: of `neuron_frequencies`, one checkpoint; may be empty.
        key: column frequency, in the order of the legend.
    """
    if not len(table):
        style.note_instead(ax, "no neurons by frequency")
        return ax
    live = table[table["frequency"] > 0].dropna(subset=["fraction_explained"])
    lines = frequency_lines(key["frequency"])
    named = list(lines)[: NAMED - 1]
    groups = [live[live["frequency"] == k]["fraction_explained"] for k in named]
    labels = [f"$k={k}$: {len(g)}" for k, g in zip(named, groups, strict=True)]
    rest = live[~live["frequency"].isin(named)]["fraction_explained"]
    ax.hist(
        [*groups, rest],
        bins=np.linspace(0, 1, 41).tolist(),
        stacked=True,
        color=[*(lines[k]["color"] for k in named), "0.7"],
        label=[*labels, f"other $k$: {len(rest)}" if len(groups) else f"any $k$: {len(rest)}"],
    )
    ax.axvline(NEURON_FRACTION, color="0.4", lw=0.8, ls=":")
    null = table["null"].iloc[0]
    if null <= 1:
        ax.axvline(null, color="0.4", lw=0.8, ls="--", label="null")
    ax.set_xlim(0, 1)
    ax.set_xlabel(style.wrapped("share of a neuron's variance at its frequency", ax))
    ax.set_ylabel("neurons")
    style.legend_above(ax, n_columns=4)
    return ax

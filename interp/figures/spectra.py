"""Fourier features: spectra along training, sparsity, what cosines explain of the logits, components of the logits."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from interp.figures import style
from interp.figures.colours import frequency_lines, name_of

if TYPE_CHECKING:
    import pandas as pd

# A colour scale reaches at least this many times the share that each frequency has in an even spread: noise is dark.
OVER_EVEN = 10
# Of neither a frequency's colour nor the logits' black.
MATRIX_LINES: dict[str, dict[str, Any]] = {
    "W_E": {"color": "0.35", "ls": (0, (5, 1.2))},
    "W_L": {"color": "0.5", "ls": (0, (4, 1, 1, 1))},
}


def spectrum_map(table: "pd.DataFrame", ax: Axes, *, matrix: str = "$W_E$") -> Axes:
    """Share of a matrix's power in each frequency, along training; with a colour bar beside the axes.

    The colours reach ten times an even spread, or the largest share if that is more, so that noise looks like noise.
    The line on the colour bar is the null: what random names of the residues reach.

    Args:
        table: columns step, frequency, fraction, null (`embedding_spectrum`, `neuron_logit_spectrum`); may be empty.
        matrix: its name.
    """
    if not len(table):
        style.note_instead(ax, f"no spectrum of {matrix}")
        return ax
    grid = table.pivot(index="frequency", columns="step", values="fraction")
    steps = grid.columns.to_numpy(dtype=float)
    frequency_edges = np.arange(len(grid) + 1) + 0.5
    top = max(min(OVER_EVEN / len(grid), 1.0), grid.max().max())
    image = ax.pcolormesh(
        style.cell_edges(steps), frequency_edges, grid.to_numpy(), cmap="cividis", vmin=0, vmax=top, rasterized=True,
        shading="flat",
    )  # fmt: skip
    style.step_axis(ax, steps)
    ax.set_ylabel("frequency $k$")
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    bar = ax.figure.colorbar(image, ax=ax, label=f"power share of {matrix}\n(line: null)", pad=0.01)
    null = table["null"].replace(np.inf, np.nan).max()
    if null <= top:
        bar.ax.axhline(null, color="white", lw=1.0)
    return ax


def emergence_bands(key: "pd.DataFrame", ax: Axes) -> Axes:
    """Bands over the brackets in which each key frequency emerged, with one entry for the legend.

    Args:
        key: of `interp.tables.key_frequencies.emergence`.
    """
    brackets = key.dropna(subset=["before", "step"])[["before", "step"]].drop_duplicates()
    for i, (before, step) in enumerate(brackets.itertuples(index=False)):
        label = "a key $k$ emerges" if i == 0 else "_"
        ax.axvspan(before, step, color="0.85", lw=0, zorder=0, label=label)
    return ax


def feature_curves(
    sparsity: "pd.DataFrame",
    spectrum: "pd.DataFrame",
    shown: "pd.DataFrame",
    ax: Axes,
    *,
    are_key: bool = True,
    **legend: Any,
) -> Axes:
    """Gini coefficients, and the share of the logits that frequencies explain, together and each, over their null.

    Args:
        sparsity: of `fourier_sparsity`; may be empty.
        spectrum: of `logit_spectrum`; may be empty.
        shown: column frequency, those to draw, in the order of the legend.
        are_key: whether they are the run's key frequencies; else they are drawn grey, as the strongest at the end.
        legend: options of the legend.
    """
    if not len(spectrum):
        style.note_instead(ax)
        return ax
    for matrix, table in sparsity.groupby("matrix"):
        line = MATRIX_LINES[matrix]
        ax.plot(table["step"], table["gini"], label=f"Gini of ${matrix}$", **line)
        ax.plot(table["step"], table["gini_null"], color=line["color"], ls=":", lw=0.8)
    named = spectrum[spectrum["frequency"].isin(shown["frequency"])]
    total = named.groupby("step")["fraction_explained"].sum(skipna=False)
    what = "all key $k$" if are_key else f"strongest {len(shown)}"
    ax.plot(total.index, total, color=style.BLACK, label=f"logits: {what}")
    lines = frequency_lines(shown["frequency"])
    for i, (k, line) in enumerate(lines.items()):
        part = named[named["frequency"] == k]
        looks = line | {"label": name_of(f"$k={k}$", i, len(lines))} if are_key else {"color": "0.6"}
        ax.plot(part["step"], part["fraction_explained"], lw=0.8, **looks)
    null = spectrum[np.isfinite(spectrum["null"])].groupby("step")["null"].max()
    if len(null):
        ax.plot(null.index, null, color=style.BLACK, ls=":", lw=0.8, label="null (dotted)")
    ax.set_ylim(0, 1)
    ax.set_ylabel("Gini; share of logits")
    style.legend_above(ax, n_columns=3, **legend)
    return ax


def sparsity_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """Gini coefficient of the Fourier components of W_E and W_L, dotted after random names of the residues.

    A matrix that the network has not is left out.

    Args:
        table: of `fourier_sparsity`; may be empty.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax)
        return ax
    for matrix, line in MATRIX_LINES.items():
        part = table[table["matrix"] == matrix]
        if len(part):
            ax.plot(part["step"], part["gini"], label=f"${matrix}$", **line)
            if "gini_null" in part and part["gini_null"].notna().any():
                null = line | {"ls": ":", "lw": 0.8}
                ax.plot(part["step"], part["gini_null"], label=f"${matrix}$, null", **null)
    ax.set_ylim(0, 1)
    ax.set_ylabel("Gini coefficient")
    style.legend_above(ax, n_columns=4, **legend)
    return ax


def component_map(table: "pd.DataFrame", key: "pd.DataFrame", ax: Axes) -> Axes:
    """The 2-D Fourier spectrum of the logits over (a, b), key frequencies as ticks; with a colour bar.

    The colours begin at the share that each cell has in an even spread, so that noise is dark.

    Args:
        table: of `logit_components`, one checkpoint; may be empty.
        key: column frequency.
    """
    if not len(table):
        style.note_instead(ax)
        return ax
    grid = table.pivot(index="frequency_first", columns="frequency_second", values="fraction").to_numpy()
    edges, even = np.arange(grid.shape[0] + 1) - 0.5, 1 / grid.size
    image = ax.pcolormesh(
        edges, edges, np.maximum(grid, even), cmap="cividis", norm=LogNorm(even, 1), rasterized=True, shading="flat"
    )  # fmt: skip
    ticks = [0, *sorted(key["frequency"])] if len(key) else [0, len(grid) - 1]
    places, labels = merged_ticks(ticks, len(grid) / 12)
    for axis in (ax.xaxis, ax.yaxis):
        # A mark at every one, also where it has a label of its own.
        axis.remove_overlapping_locs = False
        axis.set_ticks(ticks, minor=True)
        axis.set_ticks(places, labels)
        axis.set_tick_params(which="major", length=0)
        axis.set_tick_params(which="minor", length=3)
    ax.set_xlabel("frequency in $b$")
    ax.set_ylabel("frequency in $a$")
    ax.figure.colorbar(image, ax=ax, label="share of the logits' power", pad=0.01)
    return ax


def merged_ticks(ticks: list[int], gap: float) -> tuple[list[float], list[str]]:
    """Neighbours nearer than the gap under one label, as they would print over each other.

    >>> merged_ticks([0, 5, 7, 29], 3.0)
    ([0.0, 6.0, 29.0], ['0', '5, 7', '29'])
    """
    groups: list[list[int]] = []
    for tick in ticks:
        if groups and tick - groups[-1][-1] < gap:
            groups[-1].append(tick)
        else:
            groups.append([tick])
    return [sum(group) / len(group) for group in groups], [", ".join(map(str, group)) for group in groups]

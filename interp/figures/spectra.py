"""Fourier features: spectra along training, sparsity, what cosines explain of the logits, components of the logits."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from interp.figures import style

if TYPE_CHECKING:
    import pandas as pd

FREQUENCY_COLOURS = (
    style.ORANGE,
    style.PURPLE,
    style.SKY,
    style.VERMILION,
    style.YELLOW,
    style.GREEN,
    style.BLUE,
)


def spectrum_map(table: "pd.DataFrame", ax: Axes, *, matrix: str = "$W_E$") -> Axes:
    """Share of a matrix's power in each frequency, along training; with a colour bar beside the axes.

    Args:
        table: columns step, frequency, fraction (`embedding_spectrum`, `neuron_logit_spectrum`); may be empty.
        matrix: its name.
    """
    if not len(table):
        style.note_instead(ax, f"this network has no {matrix}")
        return ax
    grid = table.pivot(index="frequency", columns="step", values="fraction")
    # Each checkpoint's column reaches half-way to its neighbours.
    steps = grid.columns.to_numpy(dtype=float)
    middle = (steps[1:] + steps[:-1]) / 2
    edges = np.concatenate([steps[:1], middle, steps[-1:]])
    frequency_edges = np.arange(len(grid) + 1) + 0.5
    image = ax.pcolormesh(
        edges, frequency_edges, grid.to_numpy(), cmap="cividis", vmin=0, rasterized=True, shading="flat"
    )
    style.step_axis(ax, steps)
    ax.set_ylabel("frequency $k$")
    ax.figure.colorbar(image, ax=ax, label=f"share of the power of {matrix}", pad=0.01)
    return ax


def emergence_bands(key: "pd.DataFrame", ax: Axes) -> Axes:
    """Bands over the brackets in which each key frequency emerged; brackets that coincide share a label.

    Args:
        key: of `interp.tables.key_frequencies.emergence`.
    """
    for (before, step), group in key.dropna(subset=["before", "step"]).groupby(["before", "step"]):
        ax.axvspan(before, step, color="0.85", lw=0, zorder=0)
        label = ", ".join(map(str, sorted(group["frequency"])))
        ax.annotate(
            label, (step, 0.02), xycoords=("data", "axes fraction"), xytext=(1, 0), textcoords="offset points",
            fontsize=6, color="0.35", rotation=90, va="bottom",
        )  # fmt: skip
    return ax


def feature_curves(
    sparsity: "pd.DataFrame", spectrum: "pd.DataFrame", key: "pd.DataFrame", ax: Axes, **legend: Any
) -> Axes:
    """Gini coefficients, and the share of the logits that the key frequencies explain, together and each.

    Args:
        sparsity: of `fourier_sparsity`.
        spectrum: of `logit_spectrum`.
        key: column frequency, those to draw in the order of their colours.
        legend: options of the legend.
    """
    for (matrix, table), colour in zip(sparsity.groupby("matrix"), (style.BLUE, style.GREEN), strict=False):
        label = f"Gini of ${matrix[0]}_{matrix[-1]}$"
        ax.plot(table["step"], table["gini"], color=colour, label=label, ls="--")
    shown = spectrum[spectrum["frequency"].isin(key["frequency"])]
    total = shown.groupby("step")["fraction_explained"].sum()
    ax.plot(total.index, total, color=style.BLACK, label="logits explained,\nall key $k$")
    for k, colour in zip(key["frequency"], FREQUENCY_COLOURS, strict=False):
        part = shown[shown["frequency"] == k]
        ax.plot(part["step"], part["fraction_explained"], color=colour, lw=0.8, label=f"$k={k}$")
    ax.set_ylim(0, 1)
    ax.set_ylabel("Gini; share of logits explained")
    ax.legend(**{"loc": "upper left", "fontsize": 6, "labelspacing": 0.25} | legend)
    return ax


def sparsity_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """Gini coefficient of the Fourier components of W_E and W_L; a matrix that the network has not is left out.

    Args:
        table: of `fourier_sparsity`.
        legend: options of the legend.
    """
    for matrix, colour in (("W_E", style.BLUE), ("W_L", style.GREEN)):
        part = table[table["matrix"] == matrix]
        if len(part):
            ax.plot(part["step"], part["gini"], color=colour, label=f"${matrix}$")
    ax.set_ylim(0, 1)
    ax.set_ylabel("Gini coefficient")
    style.legend_or_note(ax, **{"loc": "best"} | legend)
    return ax


def component_map(table: "pd.DataFrame", key: "pd.DataFrame", ax: Axes) -> Axes:
    """The 2-D Fourier spectrum of the logits over (a, b), key frequencies as ticks; with a colour bar.

    Args:
        table: of `logit_components`, one checkpoint.
        key: column frequency.
    """
    grid = table.pivot(index="frequency_first", columns="frequency_second", values="fraction").to_numpy()
    edges = np.arange(grid.shape[0] + 1) - 0.5
    image = ax.pcolormesh(
        edges, edges, np.maximum(grid, 1e-6), cmap="cividis", norm=LogNorm(1e-6, 1), rasterized=True, shading="flat"
    )  # fmt: skip
    ticks = [0, *sorted(key["frequency"])]
    # Neighbouring key frequencies would print over each other.
    ticks = [t for i, t in enumerate(ticks) if i == 0 or t - ticks[i - 1] > len(grid) / 20]
    ax.set_xticks(ticks, ticks)
    ax.set_yticks(ticks, ticks)
    ax.set_xlabel("frequency in $b$")
    ax.set_ylabel("frequency in $a$")
    ax.figure.colorbar(image, ax=ax, label="share of the logits' power", pad=0.01)
    return ax

"""Weights along training: norms, ranks, how far they move and how fast."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style
from interp.figures.colours import line_of

if TYPE_CHECKING:
    import pandas as pd


def matrix_lines(matrices: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, dashes and label of each matrix; the block is named where there are several.

    >>> matrix_lines(["blocks.0.mlp.W_in", "embed.W_E"])["embed.W_E"]["label"]
    '$W_{\\\\mathrm{E}}$'
    """
    lines = {}
    for i, (matrix, name) in enumerate(matrix_names(matrices).items()):
        label = re.sub(r"^([^_.]+)_([^. ]+)(?= |$)", r"$\1_{\\mathrm{\2}}$", name)
        lines[matrix] = line_of(i) | {"label": label, "lw": 1.0}
    return lines


def matrix_names(matrices: Iterable[str]) -> dict[str, str]:
    """A short name of each matrix; the block is named where there are several.

    >>> matrix_names(["blocks.0.mlp.W_in", "blocks.1.ln1.w", "embed.W_E"])
    {'blocks.0.mlp.W_in': 'W_in 0', 'blocks.1.ln1.w': 'ln1.w 1', 'embed.W_E': 'W_E'}
    """
    matrices = list(matrices)
    several = len({m.split(".")[1] for m in matrices if m.startswith("blocks.")}) > 1
    names = {}
    for matrix in matrices:
        *before, last = matrix.split(".")
        block = re.match(r"blocks\.(\d+)\.", matrix)
        # Of a LayerNorm's w: of which.
        short = last if "_" in last else ".".join([*before[-1:], last])
        names[matrix] = short + (f" {block[1]}" if several and block else "")
    return names


def norm_curves(table: "pd.DataFrame", ax: Axes, *, lines: Mapping[str, Mapping[str, Any]]) -> Axes:
    """Sum of squares of each of these matrices and of all weights; labelled, without a legend.

    Args:
        table: of `weight_norms`.
        lines: of `matrix_lines`.
    """
    for matrix, line in lines.items():
        part = table[table["matrix"] == matrix]
        ax.plot(part["step"], part["sum_of_squares"], **line)
    total = table[table["matrix"] == "total"]
    ax.plot(total["step"], total["sum_of_squares"], color=style.BLACK, lw=1.6, label="all")
    ax.set_yscale("log")
    ax.set_ylabel("sum of squared weights")
    return ax


def total_norm_curve(table: "pd.DataFrame", ax: Axes) -> Axes:
    """Sum of squares of all weights, from zero.

    Args:
        table: of `weight_norms`.
    """
    total = table[table["matrix"] == "total"]
    ax.plot(total["step"], total["sum_of_squares"], color=style.BLACK)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("sum of squared weights")
    return ax


def rank_curves(table: "pd.DataFrame", ax: Axes, *, lines: Mapping[str, Mapping[str, Any]]) -> Axes:
    """Effective rank of each of these matrices, as a share of its full rank; vectors, which have none, left out.

    Args:
        table: of `weight_spectra`.
        lines: of `matrix_lines`.
    """
    for matrix, line in lines.items():
        part = table[table["matrix"] == matrix]
        if len(part):
            ax.plot(part["step"], part["effective_rank"] / part["full_rank"], **line)
    ax.set_ylim(0, 1)
    ax.set_ylabel("effective rank / full rank")
    return ax


def direction_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """Cosine of the weights to those at the first and the last checkpoint; dashed: distance in units of its norm.

    Args:
        table: of `weight_distances`.
        legend: options of the legend.
    """
    total = table[table["matrix"] == "total"]
    for which, colour, label in (("initial", style.BLUE, "first"), ("final", style.VERMILION, "last")):
        ax.plot(total["step"], total[f"{which}_cosine"], color=colour, label=f"cosine to the {label}")
        change = total[f"{which}_relative_change"]
        ax.plot(total["step"], change, color=colour, ls="--", label=f"relative distance to the {label}")
    ax.axhline(0, color="0.7", lw=0.6)
    ax.set_ylabel("cosine; relative distance")
    style.legend_above(ax, n_columns=2, **legend)
    return ax


def speed_curve(distances: "pd.DataFrame", norms: "pd.DataFrame", ax: Axes) -> Axes:
    """Update between checkpoints per step, over the norm of the weights.

    Args:
        distances: of `weight_distances`.
        norms: of `weight_norms`.
    """
    rate = speed(distances, norms)
    if not len(rate):
        style.note_instead(ax, "a single checkpoint\nhas no update")
        return ax
    ax.plot(rate.index, rate, color=style.BLACK)
    if (rate > 0).any():
        ax.set_yscale("log")
    ax.set_ylabel("relative update per step")
    return ax


def speed(distances: "pd.DataFrame", norms: "pd.DataFrame") -> "pd.Series":
    """What `speed_curve` draws, by step; nothing of a single checkpoint."""
    total, l2 = (table[table["matrix"] == "total"] for table in (distances, norms))
    moved = total[total["update_steps"] > 0].merge(l2[["step", "l2"]], on="step").set_index("step")
    return moved["update_norm"] / moved["update_steps"] / moved["l2"]

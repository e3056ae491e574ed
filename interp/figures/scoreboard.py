"""Theories against what they were tried on, the verdict as a sign on a shade: told apart in grey too."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from interp.figures import style

if TYPE_CHECKING:
    import pandas as pd

# Shade, colour of the sign, sign: lightness falls from one decided verdict to the next.
VERDICTS = {
    "supported": ("#003F63", "white", "+"),
    "consistent": ("#9CCBE8", "black", "\u2248"),
    "contradicted": ("#C8690A", "white", "\u2212"),
    "undecided": ("#FFFFFF", "black", "?"),
    "not evaluable": ("#E3E3E3", "0.25", "\u00d7"),
    "not testable here": ("#F6F6F6", "0.55", "\u00b7"),
}


def verdict_grid(table: "pd.DataFrame", ax: Axes, *, theories: Sequence[str], columns: Sequence[str]) -> Axes:
    """A row a theory, a column an arm (or what was observed), a sign a prediction; several share a cell.

    Args:
        table: theory, column, verdict.
        theories, columns: in the order in which they are drawn.
    """
    if not len(table):
        style.note_instead(ax, "no prediction")
        return ax
    for (theory, column), cell in table.groupby(["theory", "column"], sort=False):
        _cell(ax, columns.index(column), theories.index(theory), list(cell["verdict"]))
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(theories) - 0.5, -0.5)
    ax.set_xticks(
        range(len(columns)), columns, rotation=60, ha="left", rotation_mode="anchor", fontsize=style.SMALL
    )
    ax.set_yticks(range(len(theories)), [name.replace("_", " ") for name in theories], fontsize=style.SMALL)
    ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    ax.set_ylabel("theory")
    ax.spines[:].set_visible(False)
    for i in range(len(theories) + 1):
        ax.axhline(i - 0.5, color="0.9", lw=0.4, zorder=0)
    for i in range(len(columns) + 1):
        ax.axvline(i - 0.5, color="0.9", lw=0.4, zorder=0)
    return ax


def verdict_legend(figure: Figure, table: "pd.DataFrame") -> None:
    """What the signs of `verdict_grid` mean, below a figure; those that occur."""
    there = [verdict for verdict in VERDICTS if verdict in set(table["verdict"])]
    handles = [
        Patch(fc=VERDICTS[name][0], ec="0.4", lw=0.4, label=f"{VERDICTS[name][2]}  {name}") for name in there
    ]
    style.figure_legend(
        figure, handles, [handle.get_label() for handle in handles], loc="outside lower center"
    )


def _cell(ax: Axes, x: int, y: int, verdicts: list[str]) -> None:
    """A part for each prediction, side by side, in two rows where there are more than three."""
    n_rows = 1 if len(verdicts) <= 3 else 2
    in_row = -(-len(verdicts) // n_rows)
    width, height = 0.94 / in_row, 0.88 / n_rows
    for i, verdict in enumerate(verdicts):
        shade, colour, sign = VERDICTS[verdict]
        left, top = x - 0.47 + (i % in_row) * width, y - 0.44 + (i // in_row) * height
        ax.add_patch(Rectangle((left, top), width, height, fc=shade, ec="0.4", lw=0.4))
        size = "medium" if len(verdicts) == 1 else "x-small" if n_rows == 1 else "xx-small"
        ax.text(
            left + width / 2, top + height / 2, sign, ha="center", va="center", color=colour, fontsize=size
        )

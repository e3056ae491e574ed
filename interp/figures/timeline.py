"""What began when on one run, and in which order, as far as its checkpoints tell."""

from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from interp.figures import style

if TYPE_CHECKING:
    import pandas as pd


def order_brackets(table: "pd.DataFrame", ax: Axes) -> Axes:
    """The bracket in which each thing began, a row a thing, the earliest on top; an arrow where it never came.

    Args:
        table: what, before, step: the last checkpoint without it and the first with it; NaN where there is none.
    """
    if not len(table):
        style.note_instead(ax, "no table says when anything began")
        return ax
    rows = table.reset_index(drop=True)
    for y, row in rows.iterrows():
        before = 0.0 if row["before"] != row["before"] else float(row["before"])
        if row["step"] != row["step"]:
            ax.plot([before], [y], marker=">", color="0.5", ms=5, mfc="white", ls="", clip_on=False)
            ax.annotate("not by then", (before, y), xytext=(-6, 0), textcoords="offset points", ha="right", va="center",
                        fontsize=style.SMALL, color="0.4")  # fmt: skip
            continue
        ax.barh(
            y, float(row["step"]) - before, left=before, height=0.5, color=style.SKY, lw=0.8, ec=style.BLUE
        )
        ax.plot([row["step"]], [y], marker="|", color=style.BLUE, ms=7, ls="", mew=1.4)
    ax.set_yticks(range(len(rows)), style.row_names(rows["what"], ax), fontsize=style.SMALL)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel("training step")
    ax.set_ylabel("what began")
    return ax

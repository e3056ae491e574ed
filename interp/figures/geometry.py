"""The loss landscape and the kernels along training, one measure an axes.

The probes behind them are slow, so that checkpoints are few: each has its mark. A probe that does not apply leaves a
table without rows, and its axes say so.
"""

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style
from interp.figures.colours import line_of

if TYPE_CHECKING:
    import pandas as pd

LINE: dict[str, Any] = {"marker": "o", "ms": 2.5, "lw": 1, "clip_on": False}
# Above it chains disagree (Gelman et al. 2013), and their mean is doubtful.
R_HAT = 1.1


def sharpness_curves(table: "pd.DataFrame", ax: Axes) -> Axes:
    """Largest Hessian eigenvalue of the train loss, and over the loss.

    Args:
        table: of `sharpness`.
    """
    _curve(table, ax, "eigenvalue", "eigenvalue", style.BLUE)
    _curve(table, ax, "per_loss", "eigenvalue / loss", style.VERMILION)
    ax.set_yscale("log")
    return _named(ax, "sharpness")


def noise_curve(table: "pd.DataFrame", ax: Axes) -> Axes:
    """Gradient noise scale of all weights.

    Args:
        table: of `gradient_statistics`.
    """
    _curve(rows_where(table, matrix="total"), ax, "noise_scale", "all weights", style.BLUE)
    ax.set_yscale("log")
    return _named(ax, "noise scale (examples)")


def gradient_curves(table: "pd.DataFrame", ax: Axes) -> Axes:
    """Cosine between train and test gradient and between -gradient and weights; share of collapsed rows.

    Args:
        table: of `gradient_statistics`.
    """
    total = rows_where(table, matrix="total")
    _curve(total, ax, "alignment", "train, test gradient", style.BLUE)
    _curve(total, ax, "weight_cosine", "$-$gradient, weights", style.VERMILION)
    _curve(total, ax, "collapsed_fraction", "collapsed share", style.ORANGE)
    ax.axhline(0, color="0.7", lw=0.6, zorder=0)
    ax.set_ylim(-1.05, 1.05)
    return _named(ax, "cosine; share of rows")


def tangent_kernel_curves(table: "pd.DataFrame", ax: Axes) -> Axes:
    """Distance of the tangent kernel from the first and to the last checkpoint; error of the linearization.

    Args:
        table: of `kernel_distance`.
    """
    rows = rows_where(table, kernel="tangent")
    return _kernel_curves(
        rows, ax, "distance of tangent kernel", ("linearization_error", "linearization error")
    )


def feature_kernel_curves(table: "pd.DataFrame", ax: Axes) -> Axes:
    """Distance of the features from the first and to the last checkpoint; their CKA with the labels.

    Args:
        table: of `kernel_distance`.
    """
    rows = rows_where(table, kernel="features")
    return _kernel_curves(rows, ax, "distance of features", ("label_alignment", "CKA with labels"))


def _kernel_curves(rows: "pd.DataFrame", ax: Axes, name: str, third: tuple[str, str]) -> Axes:
    columns = (("initial_distance", "from first"), ("final_distance", "to last"), third)
    for (column, label), colour in zip(columns, (style.BLUE, style.VERMILION, style.ORANGE), strict=True):
        _curve(rows, ax, column, label, colour)
    ax.set_ylim(bottom=-0.03)
    return _named(ax, name)


def complexity_curves(table: "pd.DataFrame", ax: Axes) -> Axes:
    """Neurons that switch within a ball around train and test rows, or around all where the split is not known.

    Args:
        table: of `local_complexity`.
    """
    for split, colour in (("train", style.TRAIN), ("test", style.TEST), ("all", style.BLACK)):
        _curve(rows_where(table, split=split, radius="relative"), ax, "mean", split, colour)
    ax.set_ylim(bottom=0)
    return _named(ax, "switching neurons")


def size_curves(table: "pd.DataFrame", ax: Axes) -> Axes:
    """Bits of the compressed weights at each stated rise of the train loss.

    Args:
        table: of `compressibility`.
    """
    columns = ["criterion", "tolerance"]
    settings = table[columns].drop_duplicates().itertuples(index=False) if len(table) else ()
    for i, (criterion, tolerance) in enumerate(settings):
        rows = rows_where(table, criterion=criterion, tolerance=tolerance)
        label = f"+{tolerance:g} nats" if criterion == "absolute" else f"+{tolerance:.0%}"
        _curve(rows, ax, "bits", label, **line_of(i))
    ax.set_yscale("log")
    return _named(ax, "compressed size (bits)")


def coefficient_curve(table: "pd.DataFrame", ax: Axes) -> Axes:
    """Local learning coefficient, mean and standard deviation over chains; hollow where split R-hat exceeds 1.1.

    Args:
        table: columns step, llc, sd, r_hat, n_chains; may be empty.
    """
    if len(table):
        dots: dict[str, Any] = {"marker": "o", "ls": "", "ms": 2.5, "color": style.BLUE, "clip_on": False}
        label = f"mean of {table['n_chains'].max()} chains"
        ax.errorbar(
            table["step"], table["llc"], table["sd"], color=style.BLUE, lw=1, elinewidth=0.8, label=label
        )
        ax.plot(table["step"], table["llc"], **dots)
        doubtful = table[~(table["r_hat"] <= R_HAT)]
        if len(doubtful):
            hollow = {**dots, "mfc": "white", "label": rf"$\hat{{R}} > {R_HAT}$"}
            ax.plot(doubtful["step"], doubtful["llc"], **hollow)
    return _named(ax, "learning coefficient")


def rows_where(table: "pd.DataFrame", **equal: Any) -> "pd.DataFrame":
    """The rows of a table whose columns have these values; a table of a probe that did not apply has no columns."""
    for column, value in equal.items():
        if column in table:
            table = table[table[column] == value]
    return table


def _curve(table: "pd.DataFrame", ax: Axes, column: str, label: str, color: str, **line: Any) -> None:
    if len(table) and table[column].notna().any():
        ax.plot(table["step"], table[column], label=label, color=color, **LINE | line)


def _named(ax: Axes, name: str) -> Axes:
    ax.set_ylabel(name)
    # Three panels side by side: a legend wider than its panel would take its width from it.
    compact = {"fontsize": style.SMALL, "handlelength": 1.0, "handletextpad": 0.4, "columnspacing": 0.6}
    style.legend_above(ax, n_columns=2, **compact)
    return ax

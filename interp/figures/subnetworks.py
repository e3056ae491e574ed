"""Few neurons against many: how many decide, what the deciding ones weigh and say, and which features they read."""

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style

if TYPE_CHECKING:
    import pandas as pd

# Colour and dashes of each set of neurons.
SETS: dict[str, dict[str, Any]] = {
    "chosen": {"color": style.VERMILION, "ls": "-"},
    "others": {"color": style.BLUE, "ls": "--"},
    "random": {"color": "0.5", "ls": ":"},
}
LABELS = {
    "mean_norm": "mean norm of a neuron",
    "accuracy_test": "test accuracy alone",
    "faithfulness_test": "faithfulness on test rows",
}


def effective_sparsity_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """The least number of neurons that answer as all do, for every train row and for 99 % of them.

    Args:
        table: of `effective_sparsity`; may be empty.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax, "this network has no neurons\nthat can be taken apart")
        return ax
    for rule, colour, line in (("every row", style.BLACK, "-"), ("99 %", style.SKY, "--")):
        part = table[table["rule"] == rule]
        ax.plot(part["step"], part["n_neurons"], color=colour, ls=line, label=f"{rule} alike")
    # Linear below one, so that none has a place.
    ax.set_yscale("symlog", linthresh=1, linscale=0.3)
    ax.set_ylim(0, 1.2 * table["n_width"].max())
    ax.set_ylabel("effective sparsity\n(neurons)")
    style.legend_above(ax, n_columns=2, **legend)
    return ax


def subnetwork_curves(table: "pd.DataFrame", ax: Axes, *, column: str = "mean_norm", **legend: Any) -> Axes:
    """The chosen neurons, all others, and random sets of as many, in one of the columns.

    Args:
        table: of `subnetworks`; may be empty.
        column: "mean_norm", "accuracy_test", "faithfulness_test", ...; a note where the table has none.
        legend: options of the legend.
    """
    parts = {name: table[table["subnetwork"] == name] for name in SETS} if len(table) else {}
    if not parts or column not in table:
        style.note_instead(ax)
        return ax
    for name, line in SETS.items():
        if len(part := parts[name]):
            n = int(part["n_neurons"].iloc[-1])
            ax.plot(part["step"], part[column], label=f"{name} {n}", **line)
    ax.set_ylim(bottom=0)
    if column != "mean_norm":
        ax.set_ylim(0, 1.02)
    ax.set_ylabel(LABELS.get(column, column.replace("_", " ")))
    style.legend_above(ax, n_columns=3, **legend)
    return ax


def coordinate_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """Share of the first layer's power on the features that count, and what of it neurons hold that read them.

    Args:
        table: of `feature_coordinates`; may be empty.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax, "no features are known\nof which few count")
        return ax
    ax.plot(table["step"], table["share"], color=style.GREEN, label="on relevant features")
    ax.plot(
        table["step"], table["readers_share"], color=style.PURPLE, ls="--", label="of neurons reading them"
    )
    ax.axhline(table["null"].iloc[0], color="0.5", lw=0.8, ls=":", label="by chance")
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("share of the power\nof the first layer")
    style.legend_above(ax, n_columns=2, **legend)
    return ax

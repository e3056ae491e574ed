"""The progress measures of Nanda et al. along training."""

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style

if TYPE_CHECKING:
    import pandas as pd


def progress_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """Excluded loss of the train rows and restricted loss of all pairs; bands: of random sets of as many frequencies.

    Dotted: the key frequencies of each checkpoint alone.

    Args:
        table: of `progress_measures` with a key set for the run.
        legend: options of the legend.
    """
    curves = (
        ("excluded_loss", "train", style.BLUE, "excluded"),
        ("restricted_loss", "all", style.VERMILION, "restricted"),
    )
    for measure, split, colour, label in curves:
        rows = table[(table["measure"] == measure) & (table["split"] == split)]
        key, causal, random = (rows[rows["selection"] == s] for s in ("key", "causal", "random"))
        ax.plot(key["step"], key["loss"], color=colour, label=label)
        ax.plot(causal["step"], causal["loss"], color=colour, lw=0.8, ls=":", label=f"{label}, causal set")
        ax.fill_between(
            random["step"], random["loss_min"], random["loss_max"], color=colour, alpha=0.25, lw=0,
            label=f"{label}, random sets",
        )  # fmt: skip
    ax.set_yscale("log")
    ax.set_ylabel("loss (nats)")
    handles, labels = ax.get_legend_handles_labels()
    # Columns are filled first: whole key set, causal set, random sets, each with excluded above restricted.
    order = [0, 3, 1, 4, 2, 5]
    options: dict[str, Any] = {
        "loc": "lower center",
        "bbox_to_anchor": (0.5, 1.0),
        "ncols": 3,
        "fontsize": 5.5,
    }
    options |= {"handlelength": 1.2, "columnspacing": 0.8} | legend
    ax.legend([handles[i] for i in order], [labels[i] for i in order], **options)
    return ax

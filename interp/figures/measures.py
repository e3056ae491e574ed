"""The progress measures of Nanda et al. along training."""

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style

if TYPE_CHECKING:
    import pandas as pd


def progress_curves(table: "pd.DataFrame", ax: Axes, *, key: str = "key set", **legend: Any) -> Axes:
    """Excluded loss of the train rows and restricted loss of all pairs; bands: of random sets of as many frequencies.

    Dotted: the key frequencies of each checkpoint alone.

    Args:
        table: of `progress_measures` with a key set for the run; may be empty.
        key: what the set of the run is called, where it holds no key frequencies.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax)
        return ax
    curves = (
        ("excluded_loss", "train", style.BLUE, "excluded"),
        ("restricted_loss", "all", style.VERMILION, "restricted"),
    )
    sets: tuple[list[Any], ...] = ([], [], [])
    for measure, split, colour, label in curves:
        rows = table[(table["measure"] == measure) & (table["split"] == split)].dropna(subset=["loss"])
        if not len(rows):
            continue
        named, causal, random = (rows[rows["selection"] == s] for s in ("key", "causal", "random"))
        random = random.dropna(subset=["loss_min", "loss_max"])
        sets[0].extend(ax.plot(named["step"], named["loss"], color=colour, label=f"{label} loss, {key}"))
        sets[1].extend(
            ax.plot(causal["step"], causal["loss"], color=colour, lw=0.8, ls=":", label="causal set")
        )
        if len(random):
            # An edge, since of few frequencies there may be one such set alone, and a band without width.
            band = ax.fill_between(
                random["step"], random["loss_min"], random["loss_max"], color=colour, alpha=0.25, lw=0.8,
                label="random sets",
            )  # fmt: skip
            sets[2].append(band)
    ax.set_yscale("log")
    ax.set_ylabel("loss (nats)")
    options: dict[str, Any] = {"handlelength": 1.2, "columnspacing": 0.8} | legend
    # Columns are filled first: whole key set, causal set, random sets, each with excluded above restricted.
    style.legend_above(
        ax, n_columns=3, **{"handles": [handle for handles in sets for handle in handles]} | options
    )
    return ax

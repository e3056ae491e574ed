"""The progress measures of Nanda et al. along training, and the loss without each frequency."""

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style
from interp.figures.colours import frequency_lines
from interp.figures.given_tables import known
from interp.figures.losses import COLOURS
from interp.figures.spectra import merged_ticks

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


def frequency_loss_points(
    table: "pd.DataFrame",
    losses: "pd.DataFrame",
    shown: "pd.DataFrame",
    ax: Axes,
    *,
    key: str = "key set",
    **legend: Any,
) -> Axes:
    """Loss of the train rows without each frequency alone, at one checkpoint; the frequencies of the set as ticks.

    Dashed: with all frequencies. Dotted: with those of the set alone.

    Args:
        table: of `progress_measures`, one checkpoint; may be empty.
        losses: of `losses`, of the same checkpoint.
        shown: column frequency, the key set of the run, or those that are followed.
        key: what the set is called, where it holds no key frequencies.
        legend: options of the legend.
    """
    single = table[(table["selection"] == "single") & (table["split"] == "train")] if len(table) else table
    single = known(single, "loss")
    if not len(single):
        style.note_instead(ax, "does not apply, or the train pairs\nare not known")
        return ax
    lines = frequency_lines(shown["frequency"])
    others = single[~single["frequency"].isin(list(lines))]
    ax.scatter(others["frequency"], others["loss"], color="0.6", s=8, label="without one of the others")
    for k, line in lines.items():
        own = single[single["frequency"] == k]
        ax.scatter(own["frequency"], own["loss"], color=line["color"], s=14, zorder=3)
    ax.scatter([], [], color=style.BLACK, s=14, label=f"without one of the {key}")
    whole = losses[losses["split"] == "train"]["loss"]
    restricted = table[
        (table["measure"] == "restricted_loss") & (table["selection"] == "key") & (table["split"] == "train")
    ]["loss"]
    for loss, colour, dashes, label in (
        (whole, COLOURS["train"], "--", "with all"),
        (restricted, style.VERMILION, ":", f"{key} alone"),
    ):
        if len(loss):
            ax.axhline(loss.iloc[0], color=colour, ls=dashes, lw=0.8, zorder=1, label=label)
    ax.set_yscale("log")
    ticks = sorted(lines) or [1, int(single["frequency"].max())]
    places, labels = merged_ticks(ticks, len(single) / 10)
    ax.xaxis.remove_overlapping_locs = False
    ax.set_xticks(ticks, minor=True)
    ax.set_xticks(places, labels)
    ax.tick_params(axis="x", which="major", length=0)
    ax.tick_params(axis="x", which="minor", length=3)
    ax.set_xlabel("frequency $k$ left out")
    ax.set_ylabel("loss (nats)")
    style.legend_above(ax, n_columns=2, **legend)
    return ax

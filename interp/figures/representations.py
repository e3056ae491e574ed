"""Representations of a group along training: their shares in weights and neurons, in the logits, and their cosets."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style
from interp.figures.colours import line_of

if TYPE_CHECKING:
    import pandas as pd

OTHER = "0.75"


def representation_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each representation, the first eight; the key ones come first."""
    return {name: line_of(i)["color"] for i, name in enumerate(names[:8])}


def share_curves(
    spectrum: "pd.DataFrame", ax: Axes, *, parts: Mapping[str, str], colours: Mapping[str, str], **legend: Any
) -> Axes:
    """Share of each representation in parts of the network, along training; those without a colour in grey.

    Args:
        spectrum: of `representation_spectrum`.
        parts: line style by part, as {"left_embedding": "-"}; parts that the network has not are left out.
        legend: options of the legend.
    """
    shown = [part for part in parts if len(spectrum) and (spectrum["part"] == part).any()]
    if not shown:
        style.note_instead(ax, "this network has no such weights")
        return ax
    for part in shown:
        line, rows = parts[part], spectrum[spectrum["part"] == part]
        for name, curve in rows.groupby("representation", sort=False):
            colour = colours.get(name, OTHER)
            ax.plot(
                curve["step"], curve["share"], color=colour, ls=line, lw=1.2 if name in colours else 0.6,
                zorder=2 if name in colours else 1, label=f"{part.replace('_', ' ')}, {name}",
            )  # fmt: skip
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("share of representation")
    handles = [ax.plot([], [], color="0.2", ls=parts[p], label=p.replace("_", " "))[0] for p in shown]
    style.legend_above(ax, n_columns=2, **{"handles": handles} | legend)
    return ax


def similarity_curves(table: "pd.DataFrame", ax: Axes, *, colours: Mapping[str, str], **legend: Any) -> Axes:
    """Cosine of the logits with the character of each representation, along training.

    Args:
        table: of `character_similarity`.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax)
        return ax
    for name, curve in table.groupby("representation", sort=False):
        if name not in colours:
            ax.plot(curve["step"], curve["similarity"], color=OTHER, lw=0.6, zorder=1)
    for i, (name, colour) in enumerate(colours.items()):
        curve = table[table["representation"] == name]
        ax.plot(curve["step"], curve["similarity"], color=colour, ls=line_of(i)["ls"], label=name)
    total = table.groupby("step")["fraction_explained"].sum(skipna=False)
    ax.plot(total.index, total, color="0.2", ls=":", label="squares of all")
    ax.set_ylim(min(-0.02, table["similarity"].min()), 1.02)
    ax.set_ylabel("similarity of logits\nand character")
    style.legend_above(ax, n_columns=4, **legend)
    return ax


def hidden_curves(
    spectrum: "pd.DataFrame", ax: Axes, *, names: Sequence[str], are_key: bool = True, **legend: Any
) -> Axes:
    """Share of the neurons along rho(a), rho(b) and rho(ab), the named representations together.

    Args:
        spectrum: of `representation_spectrum`.
        names: of the key representations, or of those that are followed where there are none.
        are_key: whether they are key.
        legend: options of the legend.
    """
    if not len(spectrum):
        style.note_instead(ax, "this network has no neurons")
        return ax
    key = spectrum[spectrum["representation"].isin(names)]
    sides = (
        ("hidden_left", style.BLUE, r"$\rho(a)$"),
        ("hidden_right", style.ORANGE, r"$\rho(b)$"),
        ("hidden_product", style.BLACK, r"$\rho(ab)$"),
    )
    for part, colour, label in sides:
        share = key[key["part"] == part].groupby("step")["share"].sum(skipna=False)
        if len(share):
            ax.plot(share.index, share, color=colour, label=label)
    ax.set_ylim(0, 1.02)
    what = "key representations" if are_key else f"strongest {len(names)} representations"
    ax.set_ylabel(f"share of the neurons,\n{what}")
    style.legend_above(ax, n_columns=3, **legend)
    return ax


def single_loss_curves(
    losses: "pd.DataFrame", ax: Axes, *, colours: Mapping[str, str], **legend: Any
) -> Axes:
    """Excluded loss of the train pairs without each representation alone, along training.

    Args:
        losses: of `representation_losses`, one level.
        legend: options of the legend.
    """
    rows = losses
    if len(losses):
        rows = losses[(losses["measure"] == "excluded_loss") & (losses["selection"] == "single")]
    if not len(rows):
        style.note_instead(ax, "does not apply, or the train pairs\nare not known")
        return ax
    # In the order of the table: that of a set differs between processes, and so would the bytes of the figure.
    others = [name for name in rows["representation"].unique() if name not in {*colours, "trivial"}]
    for i, name in enumerate([*colours, *others]):
        curve, is_key = rows[rows["representation"] == name], name in colours
        ax.plot(
            curve["step"], curve["loss"], color=colours.get(name, OTHER), ls=line_of(i)["ls"] if is_key else "-",
            lw=1.0 if is_key else 0.6,
            zorder=2 if is_key else 1, label=name if is_key else None,
        )  # fmt: skip
    ax.set_yscale("log")
    ax.set_ylabel("loss (nats) without\none representation")
    style.legend_above(ax, n_columns=4, **legend)
    return ax


def concentration_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """How far the neurons are concentrated on cosets: median and 90th percentile along training; 1 says nothing.

    Args:
        table: of `coset_concentration`; empty where it does not apply.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax, "cosets say nothing of\nthis group or network")
        return ax
    by_step = table.dropna(subset=["concentration"]).groupby("step")["concentration"]
    for quantile, line, label in ((0.5, "-", "median neuron"), (0.9, "--", "90th percentile")):
        values = by_step.quantile(quantile)
        ax.plot(values.index, values.clip(lower=1e-12), color=style.GREEN, ls=line, label=label)
    ax.axhline(1, color="0.6", lw=0.6)
    ax.set_yscale("log")
    ax.set_ylabel("coset concentration")
    style.legend_above(ax, n_columns=3, **legend)
    return ax

"""How do the weights grow, move and thin out along training?

(a) Sum of squares of each weight and of all. (b) Cosine of the angle between the weights and those at the first and the
last checkpoint, and their distance from each in units of its norm. (c) Update between checkpoints per step, over the
norm of the weights. (d) Effective rank of each matrix, as a share of its full rank. Weights that never hold 1 % of the
sum of squares are left out of (a) and (d).

References: Nanda et al. 2023, figure 7 (sum of squared weights); Liu et al. 2022, "Omnigrok"; Roy and Vetterli 2007
(effective rank).
"""

import re

import numpy as np

from interp.commands.analysis import main
from interp.figures import style
from interp.tables.phases import phases

DASHES = ("-", "--", ":")  # a round of colours each
BOUNDARIES = (("memorization", style.ORANGE), ("grokking", style.GREEN))


def compute(run, device):
    from interp.measurement.measure import measure

    probes = ["weight_norms", "weight_distances", "weight_spectra"]
    return {**measure(run, probes, device=device), "history": run.history()}


def draw(tables):
    figure, axes = style.new_figure(2, 2, height=4.5, sharex=True)
    norms, spectra = tables["weight_norms"], tables["weight_spectra"]
    share = norms[norms["matrix"] != "total"].groupby("matrix")["share"].max()
    lines = _lines(share[share >= 0.01].sort_values(ascending=False).index)
    for matrix, line in lines.items():
        part = norms[norms["matrix"] == matrix]
        axes[0, 0].plot(part["step"], part["sum_of_squares"], **line)
        part = spectra[spectra["matrix"] == matrix]
        if len(part):
            axes[1, 1].plot(part["step"], part["effective_rank"] / part["full_rank"], **line)
    total = norms[norms["matrix"] == "total"]
    axes[0, 0].plot(total["step"], total["sum_of_squares"], color=style.BLACK, lw=1.6, label="all")
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylabel("sum of squared weights")
    axes[1, 1].set_ylim(0, 1)
    axes[1, 1].set_ylabel("effective rank / full rank")
    _motion(axes[0, 1], axes[1, 0], tables["weight_distances"], total)
    found = phases({"history": tables["history"]})
    steps = np.unique(norms["step"])
    style.label_panels(axes.flat)
    for ax in axes.flat:
        for name, colour in BOUNDARIES:
            if found[name].step is not None:
                ax.axvspan(found[name].before or 0, found[name].step, color=colour, alpha=0.5, lw=1, zorder=0)
        style.step_axis(ax, steps, scale="linear")
        ax.locator_params(axis="x", nbins=5)
    for ax in axes[0]:
        ax.set_xlabel("")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    for name, colour in BOUNDARIES:
        if found[name].step is not None:
            handles.append(axes[0, 0].fill_between([], [], color=colour, alpha=0.5))
            labels.append(f"{name}, {found[name].before or 0} to {found[name].step}")
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=7,
        handlelength=1.4,
        fontsize=6.5,
        columnspacing=1.2,
    )
    return figure


def _lines(matrices):
    """Colour, dashes and label of each matrix; the block is named where there are several."""
    several = len({m.split(".")[1] for m in matrices if m.startswith("blocks.")}) > 1
    colours = style.PALETTE[:6]
    lines = {}
    for i, matrix in enumerate(matrices):
        block = re.match(r"blocks\.(\d+)\.", matrix)
        last = matrix.rsplit(".", 1)[-1]
        short = "$" + re.sub(r"_(\w+)$", r"_{\\mathrm{\1}}", last) + "$"
        if "_" not in last:
            short = ".".join(matrix.split(".")[-2:])  # a LayerNorm's w: say of which
        label = short + (f" {block[1]}" if several and block else "")
        dashes = DASHES[i // len(colours) % len(DASHES)]
        lines[matrix] = {"color": colours[i % len(colours)], "ls": dashes, "label": label, "lw": 1.0}
    return lines


def _motion(angles, speed, table, norms):
    table = table[table["matrix"] == "total"]
    for which, colour, label in (("initial", style.BLUE, "first"), ("final", style.VERMILION, "last")):
        angles.plot(table["step"], table[f"{which}_cosine"], color=colour, label=f"cosine to the {label}")
        change = table[f"{which}_relative_change"]
        angles.plot(table["step"], change, color=colour, ls="--", label=f"relative distance to the {label}")
    angles.axhline(0, color="0.7", lw=0.6)
    angles.set_ylabel("cosine; relative distance")
    angles.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=6)
    moved = table[table["update_steps"] > 0].merge(norms[["step", "l2"]], on="step")
    rate = moved["update_norm"] / moved["update_steps"] / moved["l2"]
    speed.plot(moved["step"], rate, color=style.BLACK)
    if (rate > 0).any():
        speed.set_yscale("log")
    speed.set_ylabel("relative update per step")


def summarize(tables):
    norms, distances = tables["weight_norms"], tables["weight_distances"]
    total = norms[norms["matrix"] == "total"].set_index("step")["l2"]
    last = norms["step"].max()
    moved = distances[(distances["matrix"] == "total") & (distances["step"] == last)].iloc[0]
    spectra = tables["weight_spectra"]
    steps = {"first": total.index.min(), "largest": total.idxmax(), "last": last}
    share = norms[(norms["step"] == last) & (norms["matrix"] != "total")].set_index("matrix")["share"]
    return {
        "total_l2": {name: total[step] for name, step in steps.items()},
        "total_sum_of_squares": {name: total[step] ** 2 for name, step in steps.items()},
        "total_l2_steps": steps,
        "share_at_last_step": share.to_dict(),
        "cosine_of_first_and_last": moved["initial_cosine"],
        "relative_change_from_first_to_last": moved["initial_relative_change"],
        "effective_rank_at_last_step": spectra[spectra["step"] == last]
        .set_index("matrix")["effective_rank"]
        .to_dict(),
    }


if __name__ == "__main__":
    main("weight_norms", __doc__, compute, draw, summarize)

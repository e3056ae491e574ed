"""How do the weights grow, move and thin out along training?

(a) Sum of squares of each weight and of all. (b) Cosine of the angle between the weights and those at the first and the
last checkpoint, and their distance from each in units of its norm. (c) Update between checkpoints per step, over the
norm of the weights. (d) Effective rank of each matrix, as a share of its full rank. Weights that never hold 1 % of the
sum of squares are left out of (a) and (d).

References: Nanda et al. 2023, figure 7 (sum of squared weights); Liu et al. 2022, "Omnigrok"; Roy and Vetterli 2007
(effective rank).
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from interp.figures import (
    direction_curves,
    matrix_lines,
    norm_curves,
    phase_bands,
    phase_patches,
    rank_curves,
    speed_curve,
    style,
)
from interp.tables.folder import Tables
from interp.tables.outcome import outcome

LEAST_SHARE = 0.01  # of the sum of squares, at some checkpoint: others are left out of the figure


def compute(run, device: str) -> Tables:
    from interp.measurement.measure import measure

    probes = ["weight_norms", "weight_distances", "weight_spectra"]
    return measure(run, probes, device=device)


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(2, 2, height=4.5, sharex=True)
    norms, distances = tables["weight_norms"], tables["weight_distances"]
    lines = matrix_lines(shown_weights(norms))
    norm_curves(norms, axes[0, 0], lines=lines)
    direction_curves(distances, axes[0, 1])
    speed_curve(distances, norms, axes[1, 0])
    rank_curves(tables["weight_spectra"], axes[1, 1], lines=lines)
    steps = np.unique(norms["step"])
    found = outcome(tables).begun(steps)
    for ax in axes.flat:
        phase_bands(found, ax)
    style.label_panels(axes.flat)
    style.step_axes(axes, steps, scale="linear")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    style.figure_legend(
        figure,
        [*handles, *phase_patches(found)],
        [*labels, *(f"{name}, {begins.before or 0} to {begins.step}" for name, begins in found.items())],
        ncols=7,
        handlelength=1.4,
        columnspacing=1.2,
    )
    return figure


def shown_weights(norms: pd.DataFrame) -> list[str]:
    """Weights that matter for the sum of squares, the one with the largest share first."""
    share = norms[norms["matrix"] != "total"].groupby("matrix")["share"].max()
    return share[share >= LEAST_SHARE].sort_values(ascending=False).index.tolist()


def summarize(tables: Tables) -> dict[str, Any]:
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

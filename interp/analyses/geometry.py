"""How does the loss landscape around the weights change when the network generalises?

(a) Losses. (b) Largest Hessian eigenvalue of the train loss, and over the loss. (c) Gradient noise scale. (d) Cosine
between train and test gradient and between -gradient and weights; share of train rows whose softmax collapses in
float32. (e) Tangent kernel: distance (1 - CKA) from the first and to the last checkpoint, and the error of the
linearization at the first. (f) Features: the same distances, and their CKA with the labels. (g) Neurons that switch
within a ball of 0.5 % of the norm of the MLP's input. (h) Bits of the compressed weights at a stated rise of the train
loss. (i) Local learning coefficient, mean and standard deviation over chains; hollow where split R-hat exceeds 1.1.

These probes take seconds to a minute a checkpoint, so that only about nine are looked at: five evenly spaced on a log
axis and those nearest to memorization and to 0.75, 1 and 1.25 times the grokking step. The first of them tells how long
the rest will take; each is kept as it is done, and the same call goes on after an interruption. For more checkpoints
measure the probes by name (`interp measure RUN --probes sharpness --steps ...`). The bands are the brackets of
memorization and grokking. The pages in docs/probes say how each measure misleads.
"""

import sys
import time
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from interp.figures import (
    bracket_text,
    coefficient_curve,
    complexity_curves,
    feature_kernel_curves,
    gradient_curves,
    loss_curves,
    noise_curve,
    phase_bands,
    phase_patches,
    sharpness_curves,
    size_curves,
    style,
    tangent_kernel_curves,
)
from interp.figures.geometry import rows_where
from interp.ground.plain_text import say
from interp.tables.folder import Tables
from interp.tables.outcome import bracket, outcome

N_LOG_SPACED = 5
AROUND_GROKKING = (0.75, 1.0, 1.25)
WORTH_SAYING = 20.0  # seconds that the rest will take at least
PROBES = (
    "sharpness",
    "gradient_statistics",
    "kernel_distance",
    "local_complexity",
    "compressibility",
    "learning_coefficient",
)


def compute(run, device: str) -> Tables:
    from interp.measurement.measure import measure

    steps = chosen_steps(run, run.history())
    began = time.monotonic()
    # The last checkpoint first: it tells how long the others will take, and costs nothing where it is kept.
    measure(run, list(PROBES), steps[-1:], device=device)
    rest = (len(steps) - 1) * (time.monotonic() - began)
    if rest > WORTH_SAYING:
        say(
            f"geometry: {len(steps)} checkpoints, about {_in_words(rest)} to go. What is measured is kept: after "
            "Ctrl-C the same call goes on from there.",
            file=sys.stderr,
        )
    return measure(run, list(PROBES), steps, device=device)


def _in_words(seconds: float) -> str:
    """A duration, rounded.

    >>> _in_words(50.0), _in_words(600.0)
    ('50 seconds', '10 minutes')
    """
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def chosen_steps(run, history: pd.DataFrame) -> list[int]:
    """The saved steps nearest to the ones that the module describes, with the first and the last."""
    from interp.measurement.steps import select_steps

    positive = [step for step in run.steps if step > 0]
    wanted = list(np.geomspace(positive[0], positive[-1], N_LOG_SPACED)) if positive else []
    found = outcome({"history": history})
    if found.memorization is not None and found.memorization.step is not None:
        wanted.append(found.memorization.step)
    if found.grokking is not None and found.grokking.step is not None:
        wanted += [factor * found.grokking.step for factor in AROUND_GROKKING]
    near = select_steps(run, ",".join(f"near:{step:.0f}" for step in wanted)) if wanted else []
    return sorted({run.steps[0], *near, run.steps[-1]})


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(3, 3, height=6.2, sharex=True)
    steps = _steps(tables) or [0]
    loss_curves(tables, axes[0, 0], line={"lw": 1, "clip_on": False})
    sharpness_curves(tables["sharpness"], axes[0, 1])
    noise_curve(tables["gradient_statistics"], axes[0, 2])
    gradient_curves(tables["gradient_statistics"], axes[1, 0])
    tangent_kernel_curves(tables["kernel_distance"], axes[1, 1])
    feature_kernel_curves(tables["kernel_distance"], axes[1, 2])
    complexity_curves(tables["local_complexity"], axes[2, 0])
    size_curves(tables["compressibility"], axes[2, 1])
    coefficient_curve(coefficients(tables), axes[2, 2])
    found = outcome(tables).begun(steps)
    for ax in axes.flat:
        phase_bands(found, ax)
    style.label_panels(axes.flat)
    style.step_axes(axes, steps)
    if found:
        labels = [f"{name}, {bracket_text(begins)}" for name, begins in found.items()]
        style.figure_legend(figure, phase_patches(found), labels, ncols=2)
    return figure


def _steps(tables: Tables) -> list[int]:
    """The checkpoints that were looked at; those of the losses where none of the probes applies."""
    filled = [tables[name] for name in PROBES if len(tables[name])] or [tables["losses"]]
    return sorted({int(step) for table in filled if len(table) for step in table["step"]})


def coefficients(tables: Tables) -> pd.DataFrame:
    """Learning coefficient by step: mean and sd over chains, with the diagnostics and the number of chains."""
    table = tables["learning_coefficient"]
    if not len(table):
        return table
    by_step = table.groupby("step", as_index=False)
    return by_step.agg(
        llc=("llc", "mean"),
        sd=("llc", "std"),
        r_hat=("r_hat", "first"),
        acceptance=("acceptance", "mean"),
        n_chains=("chain", "nunique"),
    )


def summarize(tables: Tables) -> dict[str, Any]:
    ended = outcome(tables)
    summary = {
        "memorization": bracket(ended.memorization),
        "grokking": bracket(ended.grokking),
        "steps": _steps(tables),
        "probes_that_do_not_apply": [name for name in PROBES if not len(tables[name])],
    }
    curves: dict[str, tuple[str, dict, list[str]]] = {
        "sharpness": ("sharpness", {}, ["eigenvalue", "per_loss"]),
        "gradient": (
            "gradient_statistics",
            {"matrix": "total"},
            ["norm", "noise_scale", "alignment", "weight_cosine", "decay_ratio", "collapsed_fraction"],
        ),
        "tangent_kernel": (
            "kernel_distance",
            {"kernel": "tangent"},
            ["initial_distance", "final_distance", "linearization_error"],
        ),
        "feature_kernel": (
            "kernel_distance",
            {"kernel": "features"},
            ["initial_distance", "final_distance", "label_alignment"],
        ),
        "local_complexity_train": ("local_complexity", {"split": "train", "radius": "relative"}, ["mean"]),
        "local_complexity_test": ("local_complexity", {"split": "test", "radius": "relative"}, ["mean"]),
        "compressibility": ("compressibility", {"criterion": "absolute", "tolerance": 0.01}, ["bits"]),
    }
    for key, (name, equal, columns) in curves.items():
        rows = rows_where(tables[name], **equal)
        summary[key] = {c: dict(zip(rows["step"], rows[c], strict=True)) for c in columns if c in rows}
    table = coefficients(tables)
    summary["learning_coefficient"] = {
        c: dict(zip(table["step"], table[c], strict=True))
        for c in ("llc", "sd", "r_hat", "acceptance")
        if c in table
    }
    return summary

"""What does the trained network compute, and when do its Fourier features appear?

Top: share of the power of the embedding W_E and of the neuron-to-logit map W_L in each frequency, along training.
Middle: losses; Gini coefficients and the share of the logits that cos(w_k(a+b-c)) explains at the key frequencies; the
steps between which each of them emerged are shaded. Bottom, at the last checkpoint: the neurons by frequency, how
much of a neuron one frequency explains, and the 2-D Fourier spectrum of the logits over (a, b).

A frequency is key if cos(w_k(a+b-c)) explains more than 0.5 % of the logits' variance at the last checkpoint; it has
emerged at the first checkpoint from which on it does so to the end. Reference: Nanda et al. 2023, sections 4 and 5.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from interp.figures import (
    component_map,
    emergence_bands,
    feature_curves,
    loss_curves,
    neuron_histogram,
    spectrum_map,
    style,
)
from interp.ground.thresholds import LOGIT_FRACTION, NEURON_FRACTION
from interp.tables.folder import Tables
from interp.tables.key_frequencies import emergence


def compute(run, device: str) -> Tables:
    from interp.measurement.measure import measure

    along = measure(
        run, ["embedding_spectrum", "neuron_logit_spectrum", "fourier_sparsity", "logit_spectrum", "losses"],
        device=device,
    )  # fmt: skip
    last = measure(
        run,
        ["neuron_frequencies", "key_frequencies", "logit_components"],
        steps=[run.steps[-1]],
        device=device,
    )
    if reason := along["logit_spectrum"].attrs.get("not_applicable"):
        raise ValueError(reason)
    return {**along, **last, "history": run.history()}


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(3, 2, height=6.4)
    steps = np.unique(tables["logit_spectrum"]["step"])
    key = emergence(tables["logit_spectrum"])
    spectrum_map(tables["embedding_spectrum"], axes[0, 0])
    spectrum_map(tables["neuron_logit_spectrum"], axes[0, 1], matrix="$W_L$")
    loss_curves(tables, axes[1, 0], marker=".", loc="lower left", bbox_to_anchor=(0.08, 0.0))
    feature_curves(tables["fourier_sparsity"], tables["logit_spectrum"], key, axes[1, 1])
    for ax in axes[1]:
        emergence_bands(key, ax)
        style.step_axis(ax, steps)
    neuron_histogram(tables["neuron_frequencies"], key, axes[2, 0])
    component_map(tables["logit_components"], key, axes[2, 1])
    style.label_panels(axes.flat)
    return figure


def summarize(tables: Tables) -> dict[str, Any]:
    key = emergence(tables["logit_spectrum"])
    last = tables["losses"]["step"].max()
    losses = tables["losses"][tables["losses"]["step"] == last].set_index("split")
    neurons = tables["neuron_frequencies"]
    sparsity = tables["fourier_sparsity"]
    sparsity = sparsity[sparsity["step"] == sparsity["step"].max()].set_index("matrix")["gini"]
    split = "test" if "test" in losses.index else "all"
    live = neurons.loc[neurons["frequency"] > 0, "frequency"] if len(neurons) else pd.Series(dtype=int)
    counts = live.value_counts().sort_values(ascending=False)
    selections = tables["key_frequencies"].groupby("selection")["frequency"]
    return {
        "test_accuracy": losses.loc["test", "accuracy"] if split == "test" else None,
        "accuracy_all_pairs": losses.loc["all", "accuracy"],
        "key_frequencies": sorted(key["frequency"].tolist()),
        "key_frequencies_by_selection": {name: sorted(ks.tolist()) for name, ks in selections},
        "emergence": {
            str(row.frequency): {"before": row.before, "step": row.step, "threshold": LOGIT_FRACTION}
            for row in key.itertuples()
        },
        "neuron_frequency_counts": {str(k): int(n) for k, n in counts.items()},
        "neuron_fraction_explained_median": neurons["fraction_explained"].median() if len(neurons) else None,
        f"neurons_above_{NEURON_FRACTION}": int((neurons["fraction_explained"] >= NEURON_FRACTION).sum())
        if len(neurons)
        else None,
        "logit_fraction_explained": key["fraction_explained"].sum(),
        "logit_fraction_explained_by_frequency": {
            str(row.frequency): row.fraction_explained for row in key.itertuples()
        },
        "gini_W_E": sparsity.get("W_E"),
        "gini_W_L": sparsity.get("W_L"),
    }

"""What does the trained network compute, and when do its Fourier features appear?

Top: share of the power of the embedding W_E and of the neuron-to-logit map W_L in each frequency, along training; the
colours reach ten times an even spread, and the white line on the bar is the null. Middle: losses; Gini coefficients and
the share of the logits that cos(w_k(a+b-c)) explains at the key frequencies, dotted the null; the steps between which
each of them emerged are shaded. Bottom, at the last checkpoint: the neurons by frequency, how much of a neuron one
frequency explains, and the 2-D Fourier spectrum of the logits over (a, b).

A frequency is key if at a checkpoint with test accuracy 0.95 or more cos(w_k(a+b-c)) explains more of the logits'
variance than 0.5 %, and than its null: what the strongest frequency has after the residues were given random names. A
run that does not generalise has none; the five strongest of its last checkpoint are drawn grey. A key frequency has
emerged at the first checkpoint from which on it stands out to the end. Reference: Nanda et al. 2023, sections 4 and 5.
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
from interp.ground.thresholds import ACCURACY, LOGIT_FRACTION, NEURON_FRACTION
from interp.tables.curves import at_end
from interp.tables.folder import Tables
from interp.tables.key_frequencies import emergence, followed_frequencies, run_key_frequencies
from interp.tables.outcome import accuracy_name


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
    return {**along, **last}


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(3, 2, height=7.0)
    steps = np.unique(tables["losses"]["step"] if len(tables["losses"]) else tables["history"]["step"])
    key = _key(tables)
    spectrum_map(tables["embedding_spectrum"], axes[0, 0])
    spectrum_map(tables["neuron_logit_spectrum"], axes[0, 1], matrix="$W_L$")
    emergence_bands(key, axes[1, 0])
    loss_curves(tables, axes[1, 0], marker=".")
    feature_curves(
        tables["fourier_sparsity"],
        tables["logit_spectrum"],
        key if len(key) else _strongest(tables),
        axes[1, 1],
        are_key=len(key) > 0,
    )
    for ax in axes[1]:
        if ax.axison:
            style.step_axis(ax, steps)
    emergence_bands(key, axes[1, 1])
    neuron_histogram(tables["neuron_frequencies"], key, axes[2, 0])
    component_map(tables["logit_components"], key, axes[2, 1])
    style.label_panels(axes.flat)
    return figure


def _key(tables: Tables) -> pd.DataFrame:
    """The run's key frequencies and when each emerged, the strongest first; none in a run that does not generalise."""
    return emergence(tables["logit_spectrum"], run_key_frequencies(tables))


def _strongest(tables: Tables) -> pd.DataFrame:
    frequencies, _ = followed_frequencies(tables)
    return pd.DataFrame({"frequency": frequencies})


def summarize(tables: Tables) -> dict[str, Any]:
    key = _key(tables)
    spectrum = at_end(tables["logit_spectrum"])
    answers = at_end(tables["losses"])
    accuracy = answers.set_index("split")["accuracy"] if len(answers) else pd.Series(dtype=float)
    neurons, sparsity = tables["neuron_frequencies"], at_end(tables["fourier_sparsity"])
    gini = sparsity.set_index("matrix") if len(sparsity) else pd.DataFrame(columns=["gini", "gini_null"])
    found = tables["key_frequencies"]
    selections = found.groupby("selection")["frequency"] if len(found) else ()
    return {
        "test_accuracy": accuracy.get("test"),
        "accuracy_all_pairs": accuracy.get("all"),
        "key_frequencies": sorted(key["frequency"].tolist()),
        "key_frequencies_are": f"those that explain more of the logits than {LOGIT_FRACTION} and than their null at a "
        f"checkpoint with {accuracy_name(tables['losses'])} {ACCURACY} or more",
        "standing_out_at_last_step_by_selection": {name: sorted(ks.tolist()) for name, ks in selections},
        "emergence": {
            str(row.frequency): {
                "before": row.before,
                "step": row.step,
                "threshold": f"more than {LOGIT_FRACTION} and than the null",
                **({"relapses_passed_over": [list(ends) for ends in row.relapses]} if row.relapses else {}),
            }
            for row in key.itertuples()
        },
        **_neurons(neurons),
        "logit_fraction_explained": key["fraction_explained"].sum() if len(key) else None,
        "logit_fraction_explained_by_frequency": {
            str(row.frequency): {"share": row.fraction_explained, "null": row.null}
            for row in key.itertuples()
        },
        "logit_fraction_of_strongest_frequency": _strongest_share(spectrum),
        **{
            f"gini_{matrix}{suffix}": gini[column].get(matrix)
            for matrix in ("W_E", "W_L")
            for suffix, column in (("", "gini"), ("_null", "gini_null"))
        },
    }


def _neurons(table: pd.DataFrame) -> dict[str, Any]:
    if not len(table):
        names = ("median", "null")
        return {
            "neuron_frequency_counts": {},
            **{f"neuron_fraction_explained_{name}": None for name in names},
        }
    counts = table.loc[table["frequency"] > 0, "frequency"].value_counts().sort_values(ascending=False)
    return {
        "neuron_frequency_counts": {str(k): int(n) for k, n in counts.items()},
        "neuron_fraction_explained_median": table["fraction_explained"].median(),
        "neuron_fraction_explained_null": table["null"].iloc[0],
        f"neurons_above_{NEURON_FRACTION}": int((table["fraction_explained"] >= NEURON_FRACTION).sum()),
    }


def _strongest_share(spectrum: pd.DataFrame) -> dict[str, Any] | None:
    """The strongest frequency of the last checkpoint beside its null, whether the run generalises or not."""
    if not len(spectrum):
        return None
    row = spectrum.loc[spectrum["fraction_explained"].idxmax()]
    return {"frequency": int(row["frequency"]), "share": row["fraction_explained"], "null": row["null"]}

"""What goes on while the losses stand still? The progress measures of Nanda et al. 2023, their figure 7.

(a) Train and test loss. (b) Excluded loss of the train rows without the key frequencies, and restricted loss of all
pairs with nothing else; bands: as many other frequencies, drawn 20 times; dotted: the key frequencies of each
checkpoint alone, which know nothing of the end. (c) Gini coefficient of the Fourier components of W_E and W_L.
(d) Sum of squared weights. Vertical bands are the brackets in which each phase begins (`interp.tables.phases`).

The key set is the union of the frequencies that explain more than 0.5 % of the logits at any checkpoint with test
accuracy above 0.99; in a run that never generalises the five that explain most at its end.
Reference: Nanda et al. 2023, section 5.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from interp.figures import (
    loss_curves,
    phase_bands,
    phase_legend,
    progress_curves,
    sparsity_curves,
    style,
    total_norm_curve,
)
from interp.tables.folder import Tables
from interp.tables.key_frequencies import followed_frequencies
from interp.tables.phases import phases


def compute(run, device: str) -> Tables:
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes import progress_measures

    probes = ["losses", "logit_spectrum", "fourier_sparsity", "weight_norms"]
    tables = measure(run, probes, device=device)
    if reason := tables["logit_spectrum"].attrs.get("not_applicable"):
        raise ValueError(reason)
    spectrum = tables.pop("logit_spectrum")
    frequencies, chosen_by = followed_frequencies({"logit_spectrum": spectrum, "losses": tables["losses"]})
    probe = partial(progress_measures, frequencies=frequencies)
    return {
        **tables,
        **measure(run, {"progress_measures": probe}, device=device),
        "key_frequencies": pd.DataFrame({"frequency": frequencies, "chosen_by": chosen_by}),
        "history": run.history(),
    }


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(2, 2, height=4.3, sharex=True)
    loss_curves(tables, axes[0, 0], loc="center right")
    progress_curves(tables["progress_measures"], axes[0, 1])
    sparsity_curves(tables["fourier_sparsity"], axes[1, 0])
    total_norm_curve(tables["weight_norms"], axes[1, 1])
    found = phases(tables)
    for ax in axes.flat:
        phase_bands(found, ax, alpha=0.3, lw=0.0, edge=True)
    style.label_panels(axes.flat)
    style.step_axes(axes, np.unique(tables["progress_measures"]["step"]), scale="linear")
    phase_legend(figure, found)
    return figure


def summarize(tables: Tables) -> dict[str, Any]:
    table = tables["progress_measures"]
    of_sets = table[(table["step"] == table["step"].max()) & (table["selection"] != "single")]
    last = of_sets.set_index(["measure", "selection", "split"])
    key = tables["key_frequencies"]

    def at_end(measure, split, selection="key", column="loss"):
        where = (measure, selection, split)
        return last.loc[where, column] if where in last.index else None

    def band(measure, split):
        columns = {"mean": "loss", "lowest": "loss_min", "highest": "loss_max"}
        return {name: at_end(measure, split, "random", column) for name, column in columns.items()}

    gini = tables["fourier_sparsity"]
    gini = gini[gini["step"] == gini["step"].max()].set_index("matrix")["gini"]
    return {
        **{
            name: {
                "before": found.before,
                "step": found.step,
                "quantity": found.quantity,
                "threshold": found.threshold,
            }
            for name, found in phases(tables).items()
        },
        "key_frequencies": key["frequency"].tolist(),
        "key_frequencies_chosen_by": key["chosen_by"].iloc[0],
        "restricted_loss": at_end("restricted_loss", "all"),
        "restricted_loss_by_split": {split: at_end("restricted_loss", split) for split in ("train", "test")},
        "restricted_accuracy": at_end("restricted_loss", "all", column="accuracy"),
        "excluded_loss": at_end("excluded_loss", "train"),
        "trig_loss": at_end("trig_loss", "all"),
        "random_sets": {
            "restricted_loss": band("restricted_loss", "all"),
            "excluded_loss": band("excluded_loss", "train"),
        },
        "gini_W_E": gini.get("W_E"),
        "gini_W_L": gini.get("W_L"),
    }

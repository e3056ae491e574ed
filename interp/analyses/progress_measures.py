"""What goes on while the losses stand still? The progress measures of Nanda et al. 2023, their figure 7.

(a) Train and test loss. (b) Excluded loss of the train rows without the key frequencies, and restricted loss of all
pairs with nothing else; bands: as many other frequencies, drawn 20 times; dotted: the key frequencies of each
checkpoint alone, which know nothing of the end. (c) Gini coefficient of the Fourier components of W_E and W_L; dotted:
after random names of the residues.
(d) Sum of squared weights. Vertical bands are the brackets in which each phase begins (`interp.tables.phases`).

The key set is the union of the frequencies that stand out of the logits (more than 0.5 %, and than their null) at any
checkpoint with test accuracy 0.95 or more. A run without any is shown with the five that explain most at its end: they
are no key frequencies, date no phase, and their losses mean something beside the random sets alone.
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
from interp.tables.key_frequencies import followed_frequencies, run_key_frequencies
from interp.tables.outcome import bracket, dated
from interp.tables.phases import phases
from interp.tables.transitions import Transition
from interp.tables.wording import set_name


def compute(run, device: str) -> Tables:
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes import progress_measures

    probes = ["losses", "logit_spectrum", "fourier_sparsity", "weight_norms"]
    tables = measure(run, probes, device=device)
    frequencies, chosen_by = followed_frequencies(tables)
    are_key = len(run_key_frequencies(tables)) > 0
    spectrum = tables.pop("logit_spectrum")
    if len(spectrum):
        probe = partial(progress_measures, frequencies=frequencies)
        tables |= measure(run, {"progress_measures": probe}, device=device)
    else:
        tables["progress_measures"] = spectrum
    return {
        **tables,
        "key_frequencies": pd.DataFrame(
            {"frequency": frequencies, "is_key": are_key, "chosen_by": chosen_by},
        ),
    }


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(2, 2, height=4.5, sharex=True)
    key = tables["key_frequencies"]
    loss_curves(tables, axes[0, 0])
    name = set_name(_are_key(tables), len(key))
    progress_curves(tables["progress_measures"], axes[0, 1], key=name)
    sparsity_curves(tables["fourier_sparsity"], axes[1, 0])
    total_norm_curve(tables["weight_norms"], axes[1, 1])
    steps = np.unique(tables["weight_norms"]["step"])
    found = dated(_phases(tables), steps)
    for ax in axes.flat:
        if ax.axison:
            phase_bands(found, ax, alpha=0.3, lw=0.0, edge=True)
    style.label_panels(axes.flat)
    style.step_axes(axes, steps, scale="linear")
    phase_legend(figure, found)
    return figure


def _are_key(tables: Tables) -> bool:
    return bool(tables["key_frequencies"]["is_key"].any())


def _phases(tables: Tables) -> dict[str, Transition]:
    """The phases; without key frequencies those of the losses alone."""
    if not (len(tables["history"]) or len(tables["losses"])):
        return {}
    rest = {} if _are_key(tables) else {"progress_measures": pd.DataFrame()}
    return phases({**tables, **rest})


def summarize(tables: Tables) -> dict[str, Any]:
    key, are_key = tables["key_frequencies"], _are_key(tables)
    of_set = _losses_at_end(tables["progress_measures"])
    has_band = (tables["progress_measures"].get("selection") == "random").any() if of_set else False
    gini = tables["fourier_sparsity"]
    gini = gini[gini["step"] == gini["step"].max()].set_index("matrix") if len(gini) else gini
    headline = {
        "restricted_loss": ("restricted_loss", "all", "loss"),
        "restricted_accuracy": ("restricted_loss", "all", "accuracy"),
        "excluded_loss": ("excluded_loss", "train", "loss"),
        "trig_loss": ("trig_loss", "all", "loss"),
    }
    return {
        **{name: bracket(found) for name, found in _phases(tables).items()},
        "key_frequencies": key["frequency"].tolist() if are_key else [],
        "followed_frequencies": key["frequency"].tolist(),
        "followed_frequencies_chosen_by": key["chosen_by"].iloc[0] if len(key) else None,
        # Without key frequencies these would be numbers of a set that was picked for being large, and where fewer
        # frequencies remain than it has there are no random sets to compare it with.
        **{
            name: of_set[measure][split][column]["set"] if are_key and of_set and has_band else None
            for name, (measure, split, column) in headline.items()
            if not of_set or split in of_set.get(measure, {})
        },
        "at_last_step": of_set,
        "has_random_sets": bool(has_band),
        "train_share_of_all_pairs": _train_share(tables["losses"]),
        **{
            f"gini_{matrix}{suffix}": gini[column].get(matrix) if len(gini) else None
            for matrix in ("W_E", "W_L")
            for suffix, column in (("", "gini"), ("_null", "gini_null"))
        },
    }


def _losses_at_end(table: pd.DataFrame) -> dict[str, Any]:
    """By measure, split and column: what the followed set has, and the band of the random sets."""
    if not len(table):
        return {}
    last = table[table["step"] == table["step"].max()]
    found: dict[str, Any] = {}
    for (measure, split), rows in last.groupby(["measure", "split"], sort=False):
        by_selection = rows[rows["selection"] != "single"].set_index("selection")
        for column in ("loss", "accuracy"):
            own = by_selection[column].get("key")
            if own is None or own != own:
                continue
            entry = {"set": own}
            if "random" in by_selection.index:
                random = by_selection.loc["random"]
                entry["random_sets"] = {
                    "lowest": random[f"{column}_min"],
                    "mean": random[column],
                    "highest": random[f"{column}_max"],
                }
            found.setdefault(measure, {}).setdefault(split, {})[column] = entry
    return found


def _train_share(losses: pd.DataFrame) -> float | None:
    """Share of the rows that the network was trained on: they vote in every loss and accuracy on all pairs."""
    if not len(losses) or "train" not in set(losses["split"]):
        return None
    n = losses[losses["step"] == losses["step"].max()].set_index("split")["n"]
    return (n["train"] + n.get("corrupted", 0)) / n["all"]

"""Clock or pizza, and does it change along training?

(a) Gradient symmetricity, distance irrelevance of the right answer's logit and circularity of the embedding; the strip
on top is the verdict on each checkpoint (`interp.theories.clock_or_pizza`). (b) Distance irrelevance of the network
reduced to each key frequency, or in a run without any to each of the five strongest: near 0 a pizza, near 1 a clock, or
noise. (c) Share of the logits that the formulas
explain, and the coefficient of variation of the right answer's logit. (d) Share of the embedding's power at the double
of each key frequency, which a pizza needs; dotted: the median of all frequencies. Grey band: the bracket of grokking
(test accuracy stays at 0.95). Thin grey line: test accuracy.

A network that does not generalise has no algorithm for the sum, whatever these numbers; circuits that end as clocks are
most like a pizza when test accuracy jumps. Reference: Zhong et al. 2023.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from interp.figures import (
    algorithm_curves,
    bracket_band,
    double_curves,
    formula_curves,
    frequency_lines,
    irrelevance_curves,
    style,
)
from interp.ground.thresholds import ACCURACY
from interp.tables.folder import Tables
from interp.tables.key_frequencies import by_strength, followed_frequencies, run_key_frequencies
from interp.tables.outcome import accuracy_name, has_test_rows, outcome
from interp.theories import clock_or_pizza


def compute(run, device: str) -> Tables:
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes.fourier.algorithm_by_frequency import algorithm_by_frequency

    tables = measure(run, ["algorithm", "logit_spectrum", "losses"], device=device)
    frequencies, chosen_by = followed_frequencies(tables)
    are_key = len(run_key_frequencies(tables)) > 0
    spectrum = tables.pop("logit_spectrum")
    if frequencies:
        probe = partial(algorithm_by_frequency, frequencies=frequencies)
        tables |= measure(run, {"algorithm_by_frequency": probe}, device=device)
    else:
        tables["algorithm_by_frequency"] = spectrum
    chosen = {"frequency": frequencies, "is_key": are_key, "chosen_by": chosen_by}
    return {**tables, "frequencies": pd.DataFrame(chosen)}


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(2, 2, height=4.6, sharex=True)
    whole, parts = tables["algorithm"], tables["algorithm_by_frequency"]
    if not _can_judge(tables):
        for ax in axes.flat:
            style.note_instead(ax)
        style.label_panels(axes.flat)
        return figure
    lines = frequency_lines(by_strength(parts))
    grokking = outcome(tables).grokking
    for ax in axes.flat:
        bracket_band(grokking, ax, lw=0.8, label="grokking")
    accuracy = accuracy_name(tables["losses"])
    algorithm_curves(whole, clock_or_pizza.checkpoint_verdicts(tables), axes[0, 0], accuracy=accuracy)
    thresholds = (clock_or_pizza.PIZZA_IRRELEVANCE, clock_or_pizza.CLOCK_IRRELEVANCE)
    title = None if tables["frequencies"]["is_key"].any() else "none is key; the strongest:"
    irrelevance_curves(parts, axes[0, 1], lines=lines, thresholds=thresholds, title=title)
    formula_curves(whole, axes[1, 0])
    double_curves(parts, axes[1, 1], lines=lines, title=title)
    style.label_panels(axes.flat)
    style.step_axes(axes, np.unique(whole["step"]), scale="linear")
    return figure


def _can_judge(tables: Tables) -> bool:
    return len(tables["algorithm"]) > 0 and len(tables["algorithm_by_frequency"]) > 0


def summarize(tables: Tables) -> dict[str, Any]:
    if not _can_judge(tables):
        return {
            "verdict": "not evaluable",
            "verdict_why": "the probes that tell clock from pizza do not apply to this run",
        }
    whole = tables["algorithm"].sort_values("step")
    checkpoints = clock_or_pizza.checkpoint_verdicts(tables)
    of_run = clock_or_pizza.run_verdict(checkpoints)
    last = whole.iloc[-1]
    at_end = checkpoints[checkpoints["step"] == last["step"]].iloc[0]
    names = [
        "gradient_symmetricity", "gradient_symmetricity_se", "n_triples", "distance_irrelevance",
        "distance_irrelevance_runner_up", "distance_irrelevance_margin", "coefficient_of_variation", "circularity",
        "clock_fraction", "pizza_fraction",
    ]  # fmt: skip
    return {
        **{name: last[name] for name in names},
        "test_accuracy" if has_test_rows(tables["losses"]) else "accuracy_all_pairs": last["test_accuracy"],
        "undefined": last["undefined"] if isinstance(last["undefined"], str) else "",
        "verdict": of_run["verdict"],
        "verdict_since": of_run["since"],
        "verdict_is_stable": of_run["is_stable"],
        "verdict_why": of_run["why"],
        "verdict_at_end": at_end["verdict"],
        "clock_score": at_end["clock_score"],
        "pizza_score": at_end["pizza_score"],
        "most_pizza_like": _least(whole, "distance_irrelevance"),
        "frequencies_chosen_by": tables["frequencies"]["chosen_by"].iloc[0],
        "frequencies": _by_frequency(tables, int(last["step"])),
        "thresholds": {
            "generalises": ACCURACY,
            "learns_nothing": clock_or_pizza.LEARNS_NOTHING,
            "explained": clock_or_pizza.EXPLAINED,
            "symmetric": clock_or_pizza.SYMMETRIC,
            "pizza_irrelevance": clock_or_pizza.PIZZA_IRRELEVANCE,
            "clock_irrelevance": clock_or_pizza.CLOCK_IRRELEVANCE,
            "dominates": clock_or_pizza.DOMINATES,
            "lasting_checkpoints": clock_or_pizza.LASTING,
        },
    }


def _by_frequency(tables: Tables, step: int) -> dict[str, Any]:
    """Each followed frequency at the last step, the strongest first."""
    parts, frequencies = tables["algorithm_by_frequency"], clock_or_pizza.frequency_verdicts(tables)
    found = {}
    for k in by_strength(parts):
        rows = parts[parts["frequency"] == k].set_index("step")
        judged = frequencies[frequencies["frequency"] == k].set_index("step").loc[step]
        end = rows.loc[step]
        columns = (
            "fraction", "null", "distance_irrelevance", "coefficient_of_variation", "clock_fraction", "pizza_fraction",
            "double", "double_fraction",
        )  # fmt: skip
        found[str(k)] = {
            **{name: end[name] for name in columns},
            "verdict": judged["verdict"],
            "most_pizza_like": _least(rows.reset_index(), "distance_irrelevance"),
        }
    return found


def _least(table: pd.DataFrame, quantity: str) -> dict[str, Any] | None:
    """Where a quantity was least along the run, and how much; None if it was never defined."""
    known = table.dropna(subset=[quantity])
    if not len(known):
        return None
    row = known.loc[known[quantity].idxmin()]
    return {"step": row["step"], quantity: row[quantity]}

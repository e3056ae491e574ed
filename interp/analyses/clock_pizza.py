"""Clock or pizza, and does it change along training?

(a) Gradient symmetricity, distance irrelevance of the right answer's logit and circularity of the embedding; the strip
on top is the verdict on each checkpoint (`interp.theories.clock_or_pizza`). (b) Distance irrelevance of the network
reduced to each key frequency: near 0 a pizza, near 1 a clock, or noise. (c) Share of the logits that the formulas
explain, and the coefficient of variation of the right answer's logit. (d) Share of the embedding's power at the double
of each key frequency, which a pizza needs; dotted: the median of all frequencies. Grey band: the bracket in which test
accuracy passes 0.99 for good. Thin grey line: test accuracy.

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
    frequency_colours,
    irrelevance_curves,
    style,
)
from interp.ground.thresholds import GENERALISED
from interp.tables.folder import Tables
from interp.tables.key_frequencies import by_strength, followed_frequencies
from interp.tables.transitions import transition
from interp.theories import clock_or_pizza


def compute(run, device: str) -> Tables:
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes.fourier.algorithm_by_frequency import algorithm_by_frequency

    tables = measure(run, ["algorithm", "logit_spectrum", "losses"], device=device)
    if reason := tables["algorithm"].attrs.get("not_applicable"):
        raise ValueError(reason)
    spectrum, losses = tables.pop("logit_spectrum"), tables.pop("losses")
    frequencies, _ = followed_frequencies({"logit_spectrum": spectrum, "losses": losses})
    probe = partial(algorithm_by_frequency, frequencies=frequencies)
    tables |= measure(run, {"algorithm_by_frequency": probe}, device=device)
    if not len(tables["algorithm_by_frequency"]):
        raise ValueError(tables["algorithm_by_frequency"].attrs["not_applicable"])
    return tables


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(2, 2, height=4.6, sharex=True)
    whole, parts = tables["algorithm"], tables["algorithm_by_frequency"]
    colours = frequency_colours(by_strength(parts))
    algorithm_curves(whole, clock_or_pizza.checkpoint_verdicts(tables), axes[0, 0])
    thresholds = (clock_or_pizza.PIZZA_IRRELEVANCE, clock_or_pizza.CLOCK_IRRELEVANCE)
    irrelevance_curves(parts, axes[0, 1], colours=colours, thresholds=thresholds)
    formula_curves(whole, axes[1, 0])
    double_curves(parts, axes[1, 1], colours=colours)
    grokking = transition(whole, "test_accuracy", GENERALISED, "rise")
    for ax in axes.flat:
        bracket_band(grokking, ax)
    style.label_panels(axes.flat)
    style.step_axes(axes, np.unique(whole["step"]), scale="linear")
    return figure


def summarize(tables: Tables) -> dict[str, Any]:
    whole, parts = tables["algorithm"].sort_values("step"), tables["algorithm_by_frequency"]
    checkpoints = clock_or_pizza.checkpoint_verdicts(tables)
    frequencies = clock_or_pizza.frequency_verdicts(tables)
    of_run = clock_or_pizza.run_verdict(checkpoints)
    last = whole.iloc[-1]
    at_end = checkpoints[checkpoints["step"] == last["step"]].iloc[0]
    by_frequency = {}
    for k in by_strength(parts):
        rows = parts[parts["frequency"] == k].set_index("step")
        judged = frequencies[frequencies["frequency"] == k].set_index("step").loc[last["step"]]
        end = rows.loc[last["step"]]
        by_frequency[str(k)] = {
            "fraction": end["fraction"],
            "distance_irrelevance": end["distance_irrelevance"],
            "coefficient_of_variation": end["coefficient_of_variation"],
            "clock_fraction": end["clock_fraction"],
            "pizza_fraction": end["pizza_fraction"],
            "double": end["double"],
            "double_fraction": end["double_fraction"],
            "verdict": judged["verdict"],
            "most_pizza_like": _least(rows.reset_index(), "distance_irrelevance"),
        }
    names = [
        "gradient_symmetricity", "gradient_symmetricity_se", "n_triples", "distance_irrelevance",
        "distance_irrelevance_runner_up", "distance_irrelevance_margin", "coefficient_of_variation", "circularity",
        "clock_fraction", "pizza_fraction", "test_accuracy",
    ]  # fmt: skip
    return {
        **{name: last[name] for name in names},
        "undefined": last["undefined"] if isinstance(last["undefined"], str) else "",
        "verdict": of_run["verdict"],
        "verdict_since": of_run["since"],
        "verdict_why": of_run["why"],
        "verdict_at_end": at_end["verdict"],
        "clock_score": at_end["clock_score"],
        "pizza_score": at_end["pizza_score"],
        "most_pizza_like": _least(whole, "distance_irrelevance"),
        "frequencies": by_frequency,
        "thresholds": {
            "generalises": GENERALISED,
            "learns_nothing": clock_or_pizza.LEARNS_NOTHING,
            "explained": clock_or_pizza.EXPLAINED,
            "symmetric": clock_or_pizza.SYMMETRIC,
            "pizza_irrelevance": clock_or_pizza.PIZZA_IRRELEVANCE,
            "clock_irrelevance": clock_or_pizza.CLOCK_IRRELEVANCE,
            "dominates": clock_or_pizza.DOMINATES,
            "lasting_checkpoints": clock_or_pizza.LASTING,
        },
    }


def _least(table: pd.DataFrame, quantity: str) -> dict[str, Any] | None:
    """Where a quantity was least along the run, and how much; None if it was never defined."""
    known = table.dropna(subset=[quantity])
    if not len(known):
        return None
    row = known.loc[known[quantity].idxmin()]
    return {"step": row["step"], quantity: row[quantity]}

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

import numpy as np
import pandas as pd

from interp.commands.analysis import main
from interp.figures import style
from interp.tables.transitions import transition
from interp.theories import clock_or_pizza

N_STRONGEST = 5  # frequencies that are followed in a run that never generalises
VERDICT_COLOURS = {
    "neither": "0.85",
    "undecided": style.YELLOW,
    "pizza": style.VERMILION,
    "clock": style.BLUE,
}


def compute(run, device):
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes.fourier.algorithm_by_frequency import algorithm_by_frequency
    from interp.tables.key_frequencies import run_key_frequencies

    tables = measure(run, ["algorithm", "logit_spectrum", "losses"], device=device)
    if reason := tables["algorithm"].attrs.get("not_applicable"):
        raise ValueError(reason)
    spectrum, losses = tables.pop("logit_spectrum"), tables.pop("losses")
    frequencies = run_key_frequencies({"logit_spectrum": spectrum, "losses": losses})
    if not frequencies:
        at_end = spectrum[spectrum["step"] == run.steps[-1]]
        frequencies = sorted(at_end.nlargest(N_STRONGEST, "fraction_explained")["frequency"])
    probe = partial(algorithm_by_frequency, frequencies=frequencies)
    tables |= measure(run, {"algorithm_by_frequency": probe}, device=device)
    if not len(tables["algorithm_by_frequency"]):
        raise ValueError(tables["algorithm_by_frequency"].attrs["not_applicable"])
    return tables


def draw(tables):
    figure, axes = style.new_figure(2, 2, height=4.6, sharex=True)
    whole, parts = tables["algorithm"], tables["algorithm_by_frequency"]
    _whole(axes[0, 0], whole, clock_or_pizza.checkpoint_verdicts(tables))
    colours = dict(zip(_by_size(parts), style.PALETTE, strict=False))
    _by_frequency(axes[0, 1], parts, colours)
    _formulas(axes[1, 0], whole)
    _doubles(axes[1, 1], parts, colours)
    grokking = transition(whole, "test_accuracy", clock_or_pizza.GENERALISES, "rise")
    style.label_panels(axes.flat)
    for ax in axes.flat:
        style.step_axis(ax, np.unique(whole["step"]), scale="linear")
        ax.locator_params(axis="x", nbins=5)
        if grokking.step is not None:
            ax.axvspan(grokking.before or 0, grokking.step, color="0.8", lw=0, zorder=0)
    for ax in axes[0]:
        ax.set_xlabel("")
    return figure


def _by_size(parts):
    """Key frequencies, the one that explains most of the last checkpoint's logits first."""
    at_end = parts[parts["step"] == parts["step"].max()]
    return at_end.sort_values("fraction", ascending=False)["frequency"].tolist()


def _whole(ax, whole, verdicts):
    from matplotlib.patches import Patch

    accuracy = ax.plot(whole["step"], whole["test_accuracy"], color="0.6", lw=0.6, label="test accuracy")
    lines = [
        ax.plot(whole["step"], whole[name], color=colour, label=label)[0]
        for name, colour, label in (
            ("gradient_symmetricity", style.BLACK, "gradient symmetricity"),
            ("distance_irrelevance", style.GREEN, "distance irrelevance"),
            ("circularity", style.ORANGE, "circularity"),
        )
    ]
    low = min(0.0, whole["gradient_symmetricity"].min())
    ax.set_ylim(low, 1.12)
    steps = verdicts["step"].to_numpy(dtype=float)
    # Each checkpoint's verdict reaches half-way to its neighbours.
    edges = np.concatenate([steps[:1], (steps[1:] + steps[:-1]) / 2, steps[-1:]])
    for left, right, verdict in zip(edges[:-1], edges[1:], verdicts["verdict"], strict=True):
        ax.axvspan(left, right, ymin=0.94, ymax=1, color=VERDICT_COLOURS[verdict], lw=0)
    ax.set_ylabel("whole network")
    found = [name for name in VERDICT_COLOURS if name in set(verdicts["verdict"])]
    patches = [Patch(color=VERDICT_COLOURS[name], lw=0, label=name) for name in found]
    ax.legend(
        handles=[*lines, *accuracy, *patches], loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=6,
        handlelength=1.2, columnspacing=1,
    )  # fmt: skip


def _by_frequency(ax, parts, colours):
    for k, colour in colours.items():
        rows = parts[parts["frequency"] == k]
        ax.plot(rows["step"], rows["distance_irrelevance"], color=colour, label=f"$k={k}$")
    for threshold in (clock_or_pizza.PIZZA_IRRELEVANCE, clock_or_pizza.CLOCK_IRRELEVANCE):
        ax.axhline(threshold, color="0.5", lw=0.6, ls=":")
    ax.set_ylim(0, 1.05)
    ax.annotate("clock", (1, 0.95), xycoords=("axes fraction", "data"), xytext=(3, 0),
                textcoords="offset points", rotation=90, va="center", fontsize=6.5, color="0.4")  # fmt: skip
    ax.annotate("pizza", (1, 0.1), xycoords=("axes fraction", "data"), xytext=(3, 0),
                textcoords="offset points", rotation=90, va="center", fontsize=6.5, color="0.4")  # fmt: skip
    ax.set_ylabel("distance irrelevance\nof one frequency alone")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 0.18))


def _formulas(ax, whole):
    for name, colour, label in (
        ("clock_fraction", style.BLUE, "clock formula"),
        ("pizza_fraction", style.VERMILION, "pizza formula"),
    ):
        ax.plot(whole["step"], whole[name], color=colour, label=label)
    variation = whole["coefficient_of_variation"].clip(upper=1)
    ax.plot(
        whole["step"],
        variation,
        color=style.BLACK,
        ls="--",
        label="coefficient of variation\n(1 and above: 1)",
    )
    ax.set_ylim(0, 1.05)
    ax.set_ylabel("share of the logits explained;\ncoefficient of variation")
    ax.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=6, handlelength=1.4, columnspacing=1
    )


def _doubles(ax, parts, colours):
    for k, colour in colours.items():
        rows = parts[parts["frequency"] == k]
        double = rows["double"].iloc[0]
        ax.plot(rows["step"], rows["double_fraction"], color=colour, label=f"{double} of $k={k}$")
    median = parts.groupby("step")["median_fraction"].first()
    ax.plot(median.index, median, color="0.4", ls=":", label="median")
    ax.set_yscale("log")
    ax.set_ylabel("share of the power of $W_E$\nat the double")
    ax.legend(loc="lower left", labelspacing=0.25)


def summarize(tables):
    whole, parts = tables["algorithm"].sort_values("step"), tables["algorithm_by_frequency"]
    checkpoints = clock_or_pizza.checkpoint_verdicts(tables)
    frequencies = clock_or_pizza.frequency_verdicts(tables)
    of_run = clock_or_pizza.run_verdict(checkpoints)
    last = whole.iloc[-1]
    at_end = checkpoints[checkpoints["step"] == last["step"]].iloc[0]
    by_frequency = {}
    for k in _by_size(parts):
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
            "generalises": clock_or_pizza.GENERALISES,
            "learns_nothing": clock_or_pizza.LEARNS_NOTHING,
            "explained": clock_or_pizza.EXPLAINED,
            "symmetric": clock_or_pizza.SYMMETRIC,
            "pizza_irrelevance": clock_or_pizza.PIZZA_IRRELEVANCE,
            "clock_irrelevance": clock_or_pizza.CLOCK_IRRELEVANCE,
            "dominates": clock_or_pizza.DOMINATES,
            "lasting_checkpoints": clock_or_pizza.LASTING,
        },
    }


def _least(table: pd.DataFrame, quantity: str):
    """Where a quantity was least along the run, and how much; None if it was never defined."""
    known = table.dropna(subset=[quantity])
    if not len(known):
        return None
    row = known.loc[known[quantity].idxmin()]
    return {"step": row["step"], quantity: row[quantity]}


if __name__ == "__main__":
    main("clock_pizza", __doc__, compute, draw, summarize)

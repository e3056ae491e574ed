"""Do few neurons come to decide what many had memorized, when, and is that when the network generalises?

(a) Train and test loss. (b) Effective sparsity: the least number of neurons of largest norm that answer every train
row as all do (and 99 % of them). (c) Mean norm of the neurons that decide at the end, of all others, and of random sets
of as many. (d) Test accuracy of each of these alone; black: of the whole network. (e) Share of the first layer's power
on the features that count, and what neurons hold that read them. (f) Gradient of the run's own loss on weights from
features that count over that on the others, for train rows, and for random features in their place, with labels of
their own. Vertical bands are brackets: of memorization, of sparsification (the effective sparsity falls for good below
the geometric mean of its largest and last value) and of grokking.

The chosen neurons are those of the last checkpoint. That they are large there is how they were chosen; when they became
so is what the figure says.

References: Merrill et al. 2023, sections 2.1 and 3; Barak et al. 2022, section 4, figure 3 and appendix C.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp.figures import (
    coordinate_curves,
    effective_sparsity_curves,
    loss_curves,
    phase_bands,
    phase_legend,
    style,
    subnetwork_curves,
)
from interp.ground.evenly import spread
from interp.tables.folder import Tables
from interp.tables.outcome import bracket, dated, outcome
from interp.tables.sparsification import first_memorized, lead, of_rule, sparsification
from interp.tables.transitions import Transition, precedes

# Checkpoints at which gradients are taken: each takes seconds.
N_GRADIENTS = 12


def compute(run, device: str) -> Tables:
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes import subnetworks

    probes = ["losses", "effective_sparsity", "feature_coordinates"]
    tables = measure(run, probes, device=device)
    few = spread(run.steps, N_GRADIENTS)
    tables |= measure(run, ["fourier_gap"], few, device=device)
    neurons = _last_neurons(run, device) if len(tables["effective_sparsity"]) else ()
    if neurons:
        tables |= measure(run, {"subnetworks": partial(subnetworks, neurons=neurons)}, device=device)
    else:
        tables["subnetworks"] = tables["effective_sparsity"].iloc[:0]
    return {**tables, "chosen_neurons": pd.DataFrame({"neuron": list(neurons)}, dtype="int64")}


def _last_neurons(run, device: str) -> tuple[int, ...]:
    """The neurons that answer every train row at the last checkpoint."""
    from interp.probes.parity.subnetworks import deciding
    from interp.snapshots.snapshot import Snapshot

    return tuple(deciding(Snapshot.of(run, run.steps[-1], device)))


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(3, 2, height=6.6, sharex=True)
    loss_curves(tables, axes[0, 0])
    effective_sparsity_curves(tables["effective_sparsity"], axes[0, 1])
    subnetwork_curves(tables["subnetworks"], axes[1, 0])
    subnetwork_curves(tables["subnetworks"], axes[1, 1], column="accuracy_test")
    _whole(tables, axes[1, 1])
    coordinate_curves(tables["feature_coordinates"], axes[2, 0])
    _gradient_ratio(tables["fourier_gap"], axes[2, 1])
    steps = np.unique(tables["losses"]["step"]) if len(tables["losses"]) else np.array([0])
    found = dated(events(tables), steps)
    for ax in axes.flat:
        if ax.axison:
            phase_bands(found, ax, alpha=0.3, lw=0.0, edge=True)
    style.label_panels(axes.flat)
    style.step_axes(axes, steps, scale="linear")
    phase_legend(figure, found)
    return figure


def _whole(tables: Tables, ax: Axes) -> None:
    losses = tables["losses"]
    test = losses[losses["split"] == "test"] if len(losses) else losses
    if ax.axison and len(test):
        ax.plot(test["step"], test["accuracy"], color=style.BLACK, lw=1.6, zorder=1, label="all")
        style.legend_above(ax, n_columns=4)


def _gradient_ratio(table: pd.DataFrame, ax: Axes) -> None:
    if not len(table):
        style.note_instead(ax, "no features are known\nof which few count")
        return
    for features, colour, line in (("relevant", style.GREEN, "-"), ("random", "0.5", ":")):
        part = table[(table["rows"] == "train") & (table["features"] == features)]
        ratio = part["gradient_within"] / part["gradient_outside"].where(part["gradient_outside"] > 0)
        ax.plot(part["step"], ratio, color=colour, ls=line, label=f"{features} features")
    ax.axhline(1, color="0.7", lw=0.6)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("gradient on these features\n/ on the others")
    style.legend_above(ax, n_columns=2)


def summarize(tables: Tables) -> dict[str, Any]:
    found = events(tables)
    sparse, grokked = found.get("sparsification"), found.get("grokking")
    return {
        "generalised": outcome(tables).generalised,
        "answer": _answer(tables, sparse, grokked),
        **{name: bracket(begins) for name, begins in found.items()},
        "memorization_first_above_0.98": bracket(_first_memorized(tables)),
        "lead": bracket(lead(tables["subnetworks"])),
        "sparsification_by_rule": {
            rule: bracket(sparsification(tables["effective_sparsity"], rule))
            for rule in ("every row", "accuracy", "99 %")
        },
        "order": _order(sparse, grokked),
        "effective_sparsity": _sizes(tables["effective_sparsity"]),
        "chosen_neurons": tables["chosen_neurons"]["neuron"].tolist(),
        "subnetworks": _subnetworks(tables["subnetworks"], grokked),
        "features": _ends(
            tables["feature_coordinates"], ("share", "null", "n_readers", "readers_share", "movement")
        ),
        "fourier_gap": _gaps(tables["fourier_gap"]),
    }


def events(tables: Tables) -> dict[str, Transition]:
    """Memorization, sparsification and grokking, as far as tables tell."""
    ended = outcome(tables)
    found = {"memorization": ended.memorization, "grokking": ended.grokking}
    if len(tables["effective_sparsity"]):
        found["sparsification"] = sparsification(tables["effective_sparsity"])
    return {name: begins for name, begins in found.items() if begins is not None}


def _first_memorized(tables: Tables) -> Transition | None:
    answers = next((t for name in ("history", "losses") if len(t := tables.get(name, pd.DataFrame()))), None)
    if answers is None or outcome(tables).memorization is None:
        return None
    return first_memorized(answers)


def _order(sparse: Transition | None, grokked: Transition | None) -> str:
    if sparse is None or grokked is None or sparse.step is None or grokked.step is None:
        return "not both came"
    first = precedes(sparse, grokked)
    return {True: "sparsification first", False: "grokking first", None: "brackets overlap"}[first]


def _answer(tables: Tables, sparse: Transition | None, grokked: Transition | None) -> str:
    said = outcome(tables).said
    counts = of_rule(tables["effective_sparsity"])
    if sparse is None or not len(counts):
        return f"{said} Its neurons cannot be taken apart."
    last, width = (int(counts[column].iloc[-1]) for column in ("n_neurons", "n_width"))
    number = f"{last} of {width} neurons answer every train row as all do"
    if sparse.step is None:
        return f"{said} It has not become sparse: {number} at the end, at most {counts['n_neurons'].max()} before."
    which = {
        "sparsification first": "before the network generalised",
        "grokking first": "after the network had generalised",
        "brackets overlap": "and whether before or after it generalised, the brackets leave open",
        "not both came": "without it generalising for good",
    }[_order(sparse, grokked)]
    begun = (
        "from its first checkpoint on"
        if sparse.before is None
        else f"between steps {sparse.before} and {sparse.step}"
    )
    return f"{said} At the end {number}; it became sparse {begun}, {which}."


def _sizes(table: pd.DataFrame) -> dict[str, Any]:
    if not len(table):
        return {}
    last = table[table["step"] == table["step"].max()].set_index("rule")
    sizes: dict[str, Any] = {rule: int(n) for rule, n in last["n_neurons"].items()}
    return {
        **sizes,
        "largest": int(of_rule(table)["n_neurons"].max()),
        "n_width": int(last["n_width"].iloc[0]),
    }


def _subnetworks(table: pd.DataFrame, grokked: Transition | None) -> dict[str, Any]:
    """Each set of neurons at the first and last checkpoint, and at the first that has grokked."""
    if not len(table):
        return {}
    at = {"first": table["step"].min(), "last": table["step"].max()}
    if grokked is not None and grokked.step is not None:
        at["grokking"] = table.loc[table["step"] >= grokked.step, "step"].min()
    columns = [c for c in ("mean_norm", "faithfulness_test", "accuracy_test") if c in table]
    return {
        when: {
            name: {column: float(rows[column].iloc[0]) for column in columns}
            for name, rows in table[table["step"] == step].groupby("subnetwork")
        }
        for when, step in at.items()
    }


def _ends(table: pd.DataFrame, columns: tuple[str, ...]) -> dict[str, Any]:
    if not len(table):
        return {}
    rows = {"first": table.iloc[0], "last": table.iloc[-1]}
    return {when: {column: float(row[column]) for column in columns} for when, row in rows.items()}


def _gaps(table: pd.DataFrame) -> dict[str, Any]:
    """Coefficients of the first and the last checkpoint, by rows and features."""
    if not len(table):
        return {}
    columns = [
        "within",
        "outside",
        "noise",
        "gap",
        "positive_fraction",
        "gradient_within",
        "gradient_outside",
    ]
    return {
        when: {
            f"{row.rows}, {row.features}": {column: float(getattr(row, column)) for column in columns}
            for row in table[table["step"] == step].itertuples()
        }
        for when, step in (("first", table["step"].min()), ("last", table["step"].max()))
    }

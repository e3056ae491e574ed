"""What goes on while the losses stand still? The progress measures of Nanda et al. 2023, their figure 7.

(a) Train and test loss. (b) Excluded loss of the train rows without the key frequencies, and restricted loss of all
pairs with nothing else; bands: as many other frequencies, drawn 20 times; dotted: the key frequencies of each
checkpoint alone, which know nothing of the end. (c) Gini coefficient of the Fourier components of W_E and W_L.
(d) Sum of squared weights. Vertical bands are the brackets in which each phase begins (`interp.tables.phases`).

The key set is the union of the frequencies that explain more than 0.5 % of the logits at any checkpoint with test
accuracy above 0.99; in a run that never generalises the five that explain most at its end.
Reference: Nanda et al. 2023, section 5.
"""

import numpy as np
import pandas as pd

from interp.commands.analysis import main
from interp.figures import style
from interp.tables.phases import phases

N_STRONGEST = (
    5  # key frequencies of a run that never generalises; as many as the mainline of Nanda et al. has
)
BOUNDARIES = {
    "memorization": style.ORANGE,
    "circuit_formation": style.SKY,
    "cleanup": style.PURPLE,
    "cleanup_end": style.BLACK,
    "grokking": style.GREEN,
}


def compute(run, device):
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes import progress_measures
    from interp.tables.key_frequencies import run_key_frequencies

    probes = ["losses", "logit_spectrum", "fourier_sparsity", "weight_norms"]
    tables = measure(run, probes, device=device)
    if reason := tables["logit_spectrum"].attrs.get("not_applicable"):
        raise ValueError(reason)
    spectrum = tables.pop("logit_spectrum")
    frequencies = run_key_frequencies({"logit_spectrum": spectrum, "losses": tables["losses"]})
    chosen_by = "all checkpoints with test accuracy above 0.99"
    if not frequencies:
        at_end = spectrum[spectrum["step"] == run.steps[-1]]
        frequencies = sorted(at_end.nlargest(N_STRONGEST, "fraction_explained")["frequency"])
        chosen_by = "strength at the last checkpoint, since none generalises"
    probe = partial(progress_measures, frequencies=frequencies)
    return {
        **tables,
        **measure(run, {"progress_measures": probe}, device=device),
        "key_frequencies": pd.DataFrame({"frequency": frequencies, "chosen_by": chosen_by}),
        "history": run.history(),
    }


def draw(tables):
    figure, axes = style.new_figure(2, 2, height=4.3, sharex=True)
    steps = np.unique(tables["progress_measures"]["step"])
    _losses(axes[0, 0], tables)
    _measures(axes[0, 1], tables["progress_measures"])
    _sparsity(axes[1, 0], tables["fourier_sparsity"])
    _norm(axes[1, 1], tables["weight_norms"])
    found = phases(tables)
    style.label_panels(axes.flat)
    for ax in axes.flat:
        handles = [_boundary(ax, found[name], colour) for name, colour in BOUNDARIES.items()]
        style.step_axis(ax, steps, scale="linear")
        ax.locator_params(axis="x", nbins=5)
    for ax in axes[0]:
        ax.set_xlabel("")
    labels = [f"{name.replace('_', ' ')}\n{_bracket(found[name])}" for name in BOUNDARIES]
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=len(labels),
        handlelength=1.0,
        fontsize=6.5,
        columnspacing=1.4,
    )
    return figure


def _boundary(ax, found, colour):
    """Shade from the last checkpoint without to the first with it; nothing where it never comes."""
    from matplotlib.patches import Patch

    if found.step is not None:
        ax.axvspan(found.before or 0, found.step, color=colour, alpha=0.3, lw=0, zorder=0)
        ax.axvline(found.step, color=colour, lw=0.6, alpha=0.7, zorder=0)
    return Patch(color=colour, alpha=0.5, lw=0)


def _bracket(found):
    if found.step is None:
        return "not known" if found.before is None else "not reached"
    return f"from the first step, {found.step}" if found.before is None else f"{found.before} to {found.step}"


def _losses(ax, tables):
    history = tables["history"]
    for split, colour in (("train", style.TRAIN), ("test", style.TEST), ("all", style.BLACK)):
        if len(history) and split != "all":
            part = history.dropna(subset=[f"{split}_loss"])
            ax.plot(part["step"], part[f"{split}_loss"], color=colour, label=split)
        elif not len(history):
            part = tables["losses"][tables["losses"]["split"] == split]
            ax.plot(part["step"], part["loss"], color=colour, label=split)
    ax.set_yscale("log")
    ax.set_ylabel("loss (nats)")
    ax.legend(loc="center right")


def _measures(ax, table):
    styles = (
        ("excluded_loss", "train", style.BLUE, "excluded"),
        ("restricted_loss", "all", style.VERMILION, "restricted"),
    )
    for measure, split, colour, label in styles:
        rows = table[(table["measure"] == measure) & (table["split"] == split)]
        key, causal, random = (rows[rows["selection"] == s] for s in ("key", "causal", "random"))
        ax.plot(key["step"], key["loss"], color=colour, label=label)
        ax.plot(causal["step"], causal["loss"], color=colour, lw=0.8, ls=":", label=f"{label}, causal set")
        ax.fill_between(
            random["step"], random["loss_min"], random["loss_max"], color=colour, alpha=0.25, lw=0,
            label=f"{label}, random sets",
        )  # fmt: skip
    ax.set_yscale("log")
    ax.set_ylabel("loss (nats)")
    handles, labels = ax.get_legend_handles_labels()
    # Columns are filled first: whole key set, causal set, random sets, each with excluded above restricted.
    order = [0, 3, 1, 4, 2, 5]
    ax.legend(
        [handles[i] for i in order], [labels[i] for i in order], loc="lower center", bbox_to_anchor=(0.5, 1.0),
        ncols=3, fontsize=5.5, handlelength=1.2, columnspacing=0.8,
    )  # fmt: skip


def _sparsity(ax, table):
    for matrix, colour in (("W_E", style.BLUE), ("W_L", style.GREEN)):
        part = table[table["matrix"] == matrix]
        if len(part):
            ax.plot(part["step"], part["gini"], color=colour, label=f"${matrix}$")
    ax.set_ylim(0, 1)
    ax.set_ylabel("Gini coefficient")
    ax.legend(loc="best")


def _norm(ax, table):
    total = table[table["matrix"] == "total"]
    ax.plot(total["step"], total["sum_of_squares"], color=style.BLACK)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("sum of squared weights")


def summarize(tables):
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


if __name__ == "__main__":
    main("progress_measures", __doc__, compute, draw, summarize)

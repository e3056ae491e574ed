"""What does the trained network compute, and when do its Fourier features appear?

Top: share of the power of the embedding W_E and of the neuron-to-logit map W_L in each frequency, along training.
Middle: losses; Gini coefficients and the share of the logits that cos(w_k(a+b-c)) explains at the key frequencies; the
steps between which each of them emerged are shaded. Bottom, at the last checkpoint: the neurons by frequency, how
much of a neuron one frequency explains, and the 2-D Fourier spectrum of the logits over (a, b).

A frequency is key if cos(w_k(a+b-c)) explains more than 0.5 % of the logits' variance at the last checkpoint; it has
emerged at the first checkpoint from which on it does so to the end. Reference: Nanda et al. 2023, sections 4 and 5.
"""

import numpy as np
import pandas as pd

from interp.commands.analysis import main
from interp.figures import style
from interp.tables.transitions import transition

KEY_FRACTION = 0.005
FREQUENCY_COLOURS = (
    style.ORANGE,
    style.PURPLE,
    style.SKY,
    style.VERMILION,
    style.YELLOW,
    style.GREEN,
    style.BLUE,
)


def compute(run, device):
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


def key_frequencies(tables):
    """Key frequencies of the last checkpoint, the one that explains most first, with the steps of emergence."""
    spectrum = tables["logit_spectrum"]
    at_end = spectrum[spectrum["step"] == spectrum["step"].max()]
    key = at_end[at_end["fraction_explained"] > KEY_FRACTION].sort_values(
        "fraction_explained", ascending=False
    )
    rows = []
    for k, fraction in zip(key["frequency"], key["fraction_explained"], strict=True):
        rise = transition(spectrum[spectrum["frequency"] == k], "fraction_explained", KEY_FRACTION, "rise")
        rows.append(
            {"frequency": int(k), "fraction_explained": fraction, "before": rise.before, "step": rise.step}
        )
    return pd.DataFrame(rows, columns=["frequency", "fraction_explained", "before", "step"])


def draw(tables):
    figure, axes = style.new_figure(3, 2, height=6.4)
    steps = np.unique(tables["logit_spectrum"]["step"])
    key = key_frequencies(tables)
    _heatmap(figure, axes[0, 0], tables["embedding_spectrum"], "$W_E$")
    _heatmap(figure, axes[0, 1], tables["neuron_logit_spectrum"], "$W_L$")
    _losses(axes[1, 0], tables, steps, key)
    _features(axes[1, 1], tables, steps, key)
    _neurons(axes[2, 0], tables["neuron_frequencies"], key)
    _components(figure, axes[2, 1], tables["logit_components"], key)
    style.label_panels(axes.flat)
    return figure


def _heatmap(figure, ax, table, matrix):
    if not len(table):
        ax.set_axis_off()
        ax.text(0.5, 0.5, f"this network has no {matrix}", ha="center", transform=ax.transAxes)
        return
    grid = table.pivot(index="frequency", columns="step", values="fraction")
    # Each checkpoint's column reaches half-way to its neighbours.
    steps = grid.columns.to_numpy(dtype=float)
    middle = (steps[1:] + steps[:-1]) / 2
    edges = np.concatenate([steps[:1], middle, steps[-1:]])
    frequency_edges = np.arange(len(grid) + 1) + 0.5
    image = ax.pcolormesh(
        edges, frequency_edges, grid.to_numpy(), cmap="cividis", vmin=0, rasterized=True, shading="flat"
    )
    style.step_axis(ax, steps)
    ax.set_ylabel("frequency $k$")
    figure.colorbar(image, ax=ax, label=f"share of the power of {matrix}", pad=0.01)


def _emergence(ax, key):
    """Shade the bracket in which each key frequency emerged; brackets that coincide share a label."""
    for (before, step), group in key.dropna(subset=["before", "step"]).groupby(["before", "step"]):
        ax.axvspan(before, step, color="0.85", lw=0, zorder=0)
        label = ", ".join(map(str, sorted(group["frequency"])))
        ax.annotate(
            label, (step, 0.02), xycoords=("data", "axes fraction"), xytext=(1, 0), textcoords="offset points",
            fontsize=6, color="0.35", rotation=90, va="bottom",
        )  # fmt: skip


def _losses(ax, tables, steps, key):
    history = tables["history"]
    if len(history):
        train, test = history.dropna(subset=["train_loss"]), history.dropna(subset=["test_loss"])
        ax.plot(train["step"], train["train_loss"], color=style.TRAIN, label="train")
        ax.plot(test["step"], test["test_loss"], color=style.TEST, label="test")
    else:
        for split, colour in (("train", style.TRAIN), ("test", style.TEST), ("all", style.BLACK)):
            part = tables["losses"][tables["losses"]["split"] == split]
            if len(part):
                ax.plot(part["step"], part["loss"], color=colour, label=split, marker=".", ms=3)
    _emergence(ax, key)
    ax.set_yscale("log")
    style.step_axis(ax, steps)
    ax.set_ylabel("loss (nats)")
    ax.legend(loc="lower left", bbox_to_anchor=(0.08, 0.0))


def _features(ax, tables, steps, key):
    for (matrix, table), colour in zip(
        tables["fourier_sparsity"].groupby("matrix"), (style.BLUE, style.GREEN), strict=False
    ):
        ax.plot(
            table["step"], table["gini"], color=colour, label=f"Gini of ${matrix[0]}_{matrix[-1]}$", ls="--"
        )
    spectrum = tables["logit_spectrum"]
    shown = spectrum[spectrum["frequency"].isin(key["frequency"])]
    total = shown.groupby("step")["fraction_explained"].sum()
    ax.plot(total.index, total, color=style.BLACK, label="logits explained,\nall key $k$")
    for k, colour in zip(key["frequency"], FREQUENCY_COLOURS, strict=False):
        part = shown[shown["frequency"] == k]
        ax.plot(part["step"], part["fraction_explained"], color=colour, lw=0.8, label=f"$k={k}$")
    _emergence(ax, key)
    style.step_axis(ax, steps)
    ax.set_ylim(0, 1)
    ax.set_ylabel("Gini; share of logits explained")
    ax.legend(loc="upper left", fontsize=6, labelspacing=0.25)


def _neurons(ax, table, key):
    if not len(table):
        ax.set_axis_off()
        ax.text(0.5, 0.5, "this network has no neurons", ha="center", transform=ax.transAxes)
        return
    live = table[table["frequency"] > 0]
    bins = np.linspace(0, 1, 41)
    named = key["frequency"][: len(FREQUENCY_COLOURS)]
    groups = [live[live["frequency"] == k]["fraction_explained"] for k in named]
    labels = [f"$k={k}$: {len(g)}" for k, g in zip(named, groups, strict=True)]
    rest = live[~live["frequency"].isin(named)]["fraction_explained"]
    colours = FREQUENCY_COLOURS[: len(groups)]
    ax.hist(
        [*groups, rest],
        bins=bins,
        stacked=True,
        color=[*colours, "0.7"],
        label=[*labels, f"other: {len(rest)}"],
    )
    ax.axvline(0.85, color="0.4", lw=0.8, ls=":")
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of a neuron's variance at its frequency")
    ax.set_ylabel("neurons")
    ax.legend(loc="upper left", title="neurons by frequency", title_fontsize=7)


def _components(figure, ax, table, key):
    from matplotlib.colors import LogNorm

    grid = table.pivot(index="frequency_first", columns="frequency_second", values="fraction").to_numpy()
    image = ax.pcolormesh(
        np.arange(grid.shape[0] + 1) - 0.5, np.arange(grid.shape[0] + 1) - 0.5, np.maximum(grid, 1e-6),
        cmap="cividis", norm=LogNorm(1e-6, 1), rasterized=True, shading="flat",
    )  # fmt: skip
    ticks = [0, *sorted(key["frequency"])]
    # Neighbouring key frequencies would print over each other.
    ticks = [t for i, t in enumerate(ticks) if i == 0 or t - ticks[i - 1] > len(grid) / 20]
    ax.set_xticks(ticks, ticks)
    ax.set_yticks(ticks, ticks)
    ax.set_xlabel("frequency in $b$")
    ax.set_ylabel("frequency in $a$")
    figure.colorbar(image, ax=ax, label="share of the logits' power", pad=0.01)


def summarize(tables):
    key = key_frequencies(tables)
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
            str(row.frequency): {"before": row.before, "step": row.step, "threshold": KEY_FRACTION}
            for row in key.itertuples()
        },
        "neuron_frequency_counts": {str(k): int(n) for k, n in counts.items()},
        "neuron_fraction_explained_median": neurons["fraction_explained"].median() if len(neurons) else None,
        "neurons_above_0.85": int((neurons["fraction_explained"] >= 0.85).sum()) if len(neurons) else None,
        "logit_fraction_explained": key["fraction_explained"].sum(),
        "logit_fraction_explained_by_frequency": {
            str(row.frequency): row.fraction_explained for row in key.itertuples()
        },
        "gini_W_E": sparsity.get("W_E"),
        "gini_W_L": sparsity.get("W_L"),
    }


if __name__ == "__main__":
    main("fourier", __doc__, compute, draw, summarize)

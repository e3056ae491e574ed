"""How does the loss landscape around the weights change when the network generalises?

(a) Losses. (b) Largest Hessian eigenvalue of the train loss, and over the loss. (c) Gradient noise scale. (d) Cosine
between train and test gradient and between -gradient and weights; share of train rows whose softmax collapses in
float32. (e) Tangent kernel: distance (1 - CKA) from the first and to the last checkpoint, and the error of the
linearization at the first. (f) Features: the same distances, and their CKA with the labels. (g) Neurons that switch
within a ball of 0.5 % of the norm of the MLP's input. (h) Bits of the compressed weights at a stated rise of the train
loss. (i) Local learning coefficient, mean and standard deviation over chains; hollow where split R-hat exceeds 1.1.

These probes take half a minute a checkpoint, so that only about a dozen are looked at: seven evenly spaced on a log
axis and those nearest to memorization and to 0.5, 0.75, 1, 1.25 and 1.5 times the grokking step (test accuracy 95 % for
good). The bands are the brackets of memorization and grokking. The pages in docs/probes say how each measure misleads.
"""

import numpy as np

from interp.commands.analysis import main
from interp.figures import style
from interp.tables.phases import phases

N_LOG_SPACED = 7
AROUND_GROKKING = (0.5, 0.75, 1.0, 1.25, 1.5)
R_HAT = 1.1
PROBES = (
    "sharpness",
    "gradient_statistics",
    "kernel_distance",
    "local_complexity",
    "compressibility",
    "learning_coefficient",
)
BOUNDARIES = (("memorization", style.ORANGE), ("grokking", style.GREEN))


def compute(run, device):
    from interp.measurement.measure import measure

    history = run.history()
    evaluated = history[history["test_loss"].notna()]
    return {**measure(run, list(PROBES), chosen_steps(run, evaluated), device=device), "history": evaluated}


def chosen_steps(run, history):
    """The saved steps nearest to the ones that the module describes, with the first and the last."""
    from interp.measurement.steps import select_steps

    positive = [step for step in run.steps if step > 0]
    wanted = list(np.geomspace(positive[0], positive[-1], N_LOG_SPACED)) if positive else []
    found = phases({"history": history})
    if found["memorization"].step is not None:
        wanted.append(found["memorization"].step)
    if found["grokking"].step is not None:
        wanted += [factor * found["grokking"].step for factor in AROUND_GROKKING]
    near = select_steps(run, ",".join(f"near:{step:.0f}" for step in wanted)) if wanted else []
    return sorted({run.steps[0], *near, run.steps[-1]})


def draw(tables):
    figure, axes = style.new_figure(3, 3, height=6.2, sharex=True)
    steps = np.unique(np.concatenate([tables[name]["step"] for name in PROBES if len(tables[name])]))
    found = phases({"history": tables["history"]})
    for panel, ax in zip(
        (_losses, _sharpness, _noise, _directions, _tangent, _features, _complexity, _bits, _coefficient),
        axes.flat,
        strict=True,
    ):
        panel(ax, tables)
        if ax.get_legend_handles_labels()[1]:
            ax.legend(fontsize=6, handlelength=1.2, frameon=True, framealpha=0.8, edgecolor="none")
        else:
            ax.text(0.5, 0.5, "does not apply", transform=ax.transAxes, ha="center", color="0.5")
    style.label_panels(axes.flat)
    for ax in axes.flat:
        for name, colour in BOUNDARIES:
            if found[name].step is not None:
                ax.axvspan(found[name].before or 0, found[name].step, color=colour, alpha=0.5, lw=1, zorder=0)
        style.step_axis(ax, steps)
    for ax in axes[:-1].flat:
        ax.set_xlabel("")
    patches = [axes[0, 0].fill_between([], [], color=colour, alpha=0.5) for _, colour in BOUNDARIES]
    named = [
        (patch, f"{name}, step {found[name].step}")
        for patch, (name, _) in zip(patches, BOUNDARIES, strict=True)
        if found[name].step is not None
    ]
    if named:
        figure.legend(*zip(*named, strict=True), loc="outside upper center", ncols=2)
    return figure


def _plot(ax, table, column, label, colour, **line):
    """A curve with a mark at every checkpoint, since there are few."""
    if len(table) and table[column].notna().any():
        ax.plot(
            table["step"],
            table[column],
            label=label,
            color=colour,
            **({"marker": "o", "ms": 2.5, "lw": 1, "clip_on": False} | line),
        )


def _rows(tables, name, **equal):
    """The rows of a table whose columns have these values; a probe that did not apply has none."""
    table = tables[name]
    for column, value in equal.items():
        if column in table:
            table = table[table[column] == value]
    return table


def _losses(ax, tables):
    for split, colour in (("train", style.TRAIN), ("test", style.TEST)):
        _plot(ax, tables["history"], f"{split}_loss", split, colour, marker="")
    ax.set_yscale("log")
    ax.set_ylabel("loss (nats)")


def _sharpness(ax, tables):
    _plot(ax, tables["sharpness"], "eigenvalue", "eigenvalue", style.BLUE)
    _plot(ax, tables["sharpness"], "per_loss", "eigenvalue / loss", style.VERMILION)
    ax.set_yscale("log")
    ax.set_ylabel("sharpness")


def _noise(ax, tables):
    total = _rows(tables, "gradient_statistics", matrix="total")
    _plot(ax, total, "noise_scale", "all weights", style.BLUE)
    ax.set_yscale("log")
    ax.set_ylabel("noise scale (examples)")


def _directions(ax, tables):
    total = _rows(tables, "gradient_statistics", matrix="total")
    _plot(ax, total, "alignment", "train, test gradient", style.BLUE)
    _plot(ax, total, "weight_cosine", "$-$gradient, weights", style.VERMILION)
    _plot(ax, total, "collapsed_fraction", "collapsed share", style.GREEN)
    ax.axhline(0, color="0.7", lw=0.6, zorder=0)
    ax.set_ylim(-1.7, 1.05)  # room for the legend below
    ax.set_ylabel("cosine; share of rows")


def _tangent(ax, tables):
    _kernel(ax, tables, "tangent", ("linearization_error", "linearization error"))
    ax.set_ylabel("tangent kernel")


def _features(ax, tables):
    _kernel(ax, tables, "features", ("label_alignment", "CKA with labels"))
    ax.set_ylabel("feature kernel")


def _kernel(ax, tables, kernel, third):
    columns = (("initial_distance", "distance from first"), ("final_distance", "distance to last"), third)
    for (column, label), colour in zip(columns, (style.BLUE, style.VERMILION, style.GREEN), strict=True):
        _plot(ax, _rows(tables, "kernel_distance", kernel=kernel), column, label, colour)
    ax.set_ylim(-0.03, 1.5 * ax.get_ylim()[1])  # room for the legend above


def _complexity(ax, tables):
    for split, colour in (("train", style.TRAIN), ("test", style.TEST)):
        _plot(ax, _rows(tables, "local_complexity", split=split, radius="relative"), "mean", split, colour)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("switching neurons")


def _bits(ax, tables):
    table = tables["compressibility"]
    settings = (
        table[["criterion", "tolerance"]].drop_duplicates().itertuples(index=False) if len(table) else ()
    )
    for (criterion, tolerance), colour in zip(settings, style.PALETTE, strict=False):
        rows = _rows(tables, "compressibility", criterion=criterion, tolerance=tolerance)
        label = f"+{tolerance:g} nats" if criterion == "absolute" else f"+{tolerance:.0%}"
        _plot(ax, rows, "bits", label, colour)
    ax.set_yscale("log")
    ax.set_ylabel("compressed size (bits)")


def coefficients(tables):
    """Learning coefficient by step: mean and sd over chains, with the diagnostics."""
    table = tables["learning_coefficient"]
    if not len(table):
        return table
    by_step = table.groupby("step", as_index=False)
    return by_step.agg(
        llc=("llc", "mean"), sd=("llc", "std"), r_hat=("r_hat", "first"), acceptance=("acceptance", "mean")
    )


def _coefficient(ax, tables):
    table = coefficients(tables)
    if len(table):
        n_chains = tables["learning_coefficient"]["chain"].nunique()
        ax.errorbar(
            table["step"],
            table["llc"],
            table["sd"],
            color=style.BLUE,
            lw=1,
            elinewidth=0.8,
            label=f"mean of {n_chains} chains",
        )
        ax.plot(table["step"], table["llc"], "o", ms=2.5, color=style.BLUE, clip_on=False)
        doubtful = table[~(table["r_hat"] <= R_HAT)]
        ax.plot(doubtful["step"], doubtful["llc"], "o", ms=2.5, mfc="white", color=style.BLUE, clip_on=False)
    ax.set_ylabel("learning coefficient")


def summarize(tables):
    found = phases({"history": tables["history"]})
    summary = {
        **{name: {"before": found[name].before, "step": found[name].step} for name, _ in BOUNDARIES},
        "steps": sorted({int(step) for name in PROBES if len(tables[name]) for step in tables[name]["step"]}),
        "does_not_apply": [name for name in PROBES if not len(tables[name])],
    }
    curves: dict[str, tuple[str, dict, list[str]]] = {
        "sharpness": ("sharpness", {}, ["eigenvalue", "per_loss"]),
        "gradient": (
            "gradient_statistics",
            {"matrix": "total"},
            ["norm", "noise_scale", "alignment", "weight_cosine", "decay_ratio", "collapsed_fraction"],
        ),
        "tangent_kernel": (
            "kernel_distance",
            {"kernel": "tangent"},
            ["initial_distance", "final_distance", "linearization_error"],
        ),
        "feature_kernel": (
            "kernel_distance",
            {"kernel": "features"},
            ["initial_distance", "final_distance", "label_alignment"],
        ),
        "local_complexity_train": ("local_complexity", {"split": "train", "radius": "relative"}, ["mean"]),
        "local_complexity_test": ("local_complexity", {"split": "test", "radius": "relative"}, ["mean"]),
        "compressibility": ("compressibility", {"criterion": "absolute", "tolerance": 0.01}, ["bits"]),
    }
    for key, (name, equal, columns) in curves.items():
        rows = _rows(tables, name, **equal)
        summary[key] = {c: dict(zip(rows["step"], rows[c], strict=True)) for c in columns if c in rows}
    table = coefficients(tables)
    summary["learning_coefficient"] = {
        c: dict(zip(table["step"], table[c], strict=True))
        for c in ("llc", "sd", "r_hat", "acceptance")
        if c in table
    }
    return summary


if __name__ == "__main__":
    main("geometry", __doc__, compute, draw, summarize)

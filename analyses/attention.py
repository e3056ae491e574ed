"""Where do the heads look, and by which frequency?

Top: attention of the answered position to a, over all pairs (a, b), at the last checkpoint, for the four heads whose
attention to a moves most. Bottom left: how much of each head's pattern its dominant frequency explains, along training.
Middle: standard deviation of the attention to a over all pairs, and mean attention to the last token where that is "=".
Right: power of each head's QK circuit by frequency at the last checkpoint, as a share.

Where attention hardly moves, as in an untrained network, its best frequency says nothing: read the share beside the
standard deviation. Grey band: the bracket in which test accuracy passes 0.99 for good.
Reference: Nanda et al. 2023, section 4 and appendix.
"""

import numpy as np
import pandas as pd

from interp.commands.analysis import main
from interp.figures import style
from interp.tables.transitions import transition

N_SHOWN = 4  # pattern tables that fit side by side


def compute(run, device):
    from interp.measurement.measure import measure

    along = measure(run, ["attention_patterns", "attention_periodicity", "losses"], device=device)
    if reason := along["attention_periodicity"].attrs.get("not_applicable"):
        raise ValueError(reason)
    last = run.steps[-1]
    circuits = measure(run, ["attention_circuits"], steps=[last], device=device)
    return {**along, **circuits, "patterns_at_end": _patterns(run, last, device)}


def _patterns(run, step, device):
    """Attention to the first operand by pair: one column a head, named layer.head."""
    from interp.snapshots.residues import Residues
    from interp.snapshots.snapshot import Snapshot

    snapshot = Snapshot.of(run, step, device)
    to_first = snapshot.once(Residues).table(snapshot.pattern[..., 0]).cpu().double().numpy()
    n, _, n_layers, n_heads = to_first.shape
    first, second = (x.reshape(-1) for x in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    columns = {
        f"{layer}.{head}": to_first[:, :, layer, head].reshape(-1).round(5)
        for layer in range(n_layers)
        for head in range(n_heads)
    }
    return pd.DataFrame({"first": first, "second": second, **columns})


def draw(tables):
    figure, _ = style.new_figure(height=4.2)
    figure.clear()
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.15])
    periodicity = tables["attention_periodicity"]
    at_end = periodicity[periodicity["step"] == periodicity["step"].max()]
    heads = [f"{row.layer}.{row.head}" for row in at_end.itertuples()]
    colours = {name: style.PALETTE[i % len(style.PALETTE)] for i, name in enumerate(heads)}
    _maps(top, tables["patterns_at_end"], at_end)
    axes = bottom.subplots(1, 3)
    _fractions(axes[0], periodicity, colours)
    _movement(axes[1], tables["attention_patterns"], colours)
    _circuits(axes[2], tables["attention_circuits"], colours)
    grokking = _grokking(tables)
    for label, ax in zip("bcd", axes, strict=True):
        ax.set_title(label, loc="left", fontweight="bold")
        if label != "d" and grokking.step is not None:
            ax.axvspan(grokking.before or 0, grokking.step, color="0.8", lw=0, zorder=0)
    return figure


def _grokking(tables):
    losses = tables["losses"]
    test = losses[losses["split"] == "test"]
    return transition(test if len(test) else losses[losses["split"] == "all"], "accuracy", 0.99, "rise")


def _maps(figure, table, at_end):
    named = at_end.assign(name=[f"{row.layer}.{row.head}" for row in at_end.itertuples()]).set_index("name")
    shown = sorted(sorted(named.index, key=lambda name: -table[name].std())[:N_SHOWN])
    axes = np.atleast_1d(figure.subplots(1, len(shown), sharey=True))
    for ax, name in zip(axes, shown, strict=True):
        grid = table.pivot(index="first", columns="second", values=name)
        image = ax.pcolormesh(grid.to_numpy(), cmap="cividis", vmin=0, vmax=1, rasterized=True)
        ax.set_aspect("equal")
        row = named.loc[name]
        what = f"$k={row['frequency']}$, {row['fraction_explained']:.2f}" if row["frequency"] else "constant"
        ax.set_title(f"head {name}: {what}")
        ax.set_xlabel("$b$")
    axes[0].set_ylabel("$a$")
    axes[0].annotate(
        "a",
        (0, 1),
        xycoords="axes fraction",
        xytext=(-22, 6),
        textcoords="offset points",
        fontweight="bold",
        size=8,
    )
    figure.colorbar(image, ax=axes, label="attention to $a$", pad=0.01)


def _fractions(ax, table, colours):
    for (layer, head), part in table.groupby(["layer", "head"]):
        ax.plot(
            part["step"],
            part["fraction_explained"],
            color=colours[f"{layer}.{head}"],
            label=f"{layer}.{head}",
        )
    style.step_axis(ax, np.unique(table["step"]), scale="linear")
    ax.locator_params(axis="x", nbins=4)
    ax.set_ylim(0, 1)
    ax.set_ylabel("share of the pattern\nin its best frequency")
    if len(colours) <= len(style.PALETTE):
        ax.legend(title="head", title_fontsize=6.5, fontsize=6.5, loc="lower right", labelspacing=0.2)


def _movement(ax, table, colours):
    for (layer, head), part in table[table["position"] == 0].groupby(["layer", "head"]):
        ax.plot(part["step"], part["attention_sd"], color=colours[f"{layer}.{head}"])
    equals = table[table["position"] == 2]
    for i, ((layer, head), part) in enumerate(equals.groupby(["layer", "head"])):
        label = 'mean attention to "="' if i == 0 else None
        ax.plot(part["step"], part["attention"], color=colours[f"{layer}.{head}"], ls=":", lw=1, label=label)
    style.step_axis(ax, np.unique(table["step"]), scale="linear")
    ax.locator_params(axis="x", nbins=4)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("standard deviation\nof the attention to $a$")
    if len(equals):
        ax.legend(loc="lower right", bbox_to_anchor=(1, 0.01), fontsize=6.5, handlelength=1.2)


def _circuits(ax, table, colours):
    part = table[(table["circuit"] == "qk") & (table["position"] == 0)]
    for i, (head, rows) in enumerate(part.groupby("head")):
        ax.bar(rows["frequency"], rows["fraction"].fillna(0), bottom=i, width=0.9, color=colours[f"0.{head}"])
    n_heads = part["head"].nunique()
    for i in range(1, n_heads):
        ax.axhline(i, color="0.8", lw=0.5, zorder=0)
    ax.set_ylim(0, n_heads)
    ax.set_yticks(np.arange(n_heads) + 0.5, [f"0.{head}" for head in sorted(part["head"].unique())])
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0.4, part["frequency"].max() + 0.6)
    ax.set_xlabel("frequency $k$")
    ax.set_ylabel("head: share of its\nQK power, 0 to 1")


def summarize(tables):
    periodicity, patterns = tables["attention_periodicity"], tables["attention_patterns"]
    last = periodicity["step"].max()
    qk = tables["attention_circuits"]
    qk = qk[(qk["circuit"] == "qk") & (qk["position"] == 0)]
    heads = []
    for row in periodicity[periodicity["step"] == last].itertuples():
        own = patterns[
            (patterns["step"] == last) & (patterns["layer"] == row.layer) & (patterns["head"] == row.head)
        ].set_index("position")
        spectrum = qk[(qk["head"] == row.head) & (row.layer == 0)].set_index("frequency")["fraction"].dropna()
        heads.append(
            {
                "layer": row.layer,
                "head": row.head,
                "frequency": row.frequency or None,
                "fraction_explained": row.fraction_explained,
                "linear_fraction": row.linear_fraction,
                "difference_fraction": row.difference_fraction,
                "attention": own["attention"].to_dict(),
                "attention_sd": own["attention_sd"].to_dict(),
                "entropy": own["entropy"].iloc[0],
                "qk_frequency": int(spectrum.idxmax()) if len(spectrum) else None,
                "qk_fraction": spectrum.max() if len(spectrum) else None,
            }
        )
    return {"heads": heads}


if __name__ == "__main__":
    main("attention", __doc__, compute, draw, summarize)

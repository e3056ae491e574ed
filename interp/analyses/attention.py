"""Where do the heads look, and by which frequency?

Top: attention of the answered position to a, over all pairs (a, b), at the last checkpoint, for the four heads whose
attention to a moves most. Bottom left: how much of each head's pattern its dominant frequency explains, along training.
Middle: standard deviation of the attention to a over all pairs, and mean attention to the last token where that is "=".
Right: power of each head's QK circuit by frequency at the last checkpoint, as a share.

Where attention hardly moves, as in an untrained network, its best frequency says nothing: read the share beside the
standard deviation. Grey band: the bracket in which test accuracy passes 0.99 for good.
Reference: Nanda et al. 2023, section 4 and appendix.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from interp.figures import (
    attention_map,
    bracket_band,
    head_colours,
    movement_curves,
    periodicity_curves,
    qk_bars,
    style,
)
from interp.ground.thresholds import GENERALISED
from interp.tables.folder import Tables
from interp.tables.transitions import Transition, transition

N_SHOWN = 4  # pattern tables that fit side by side


def compute(run, device: str) -> Tables:
    from interp.measurement.measure import measure

    along = measure(run, ["attention_patterns", "attention_periodicity", "losses"], device=device)
    if reason := along["attention_periodicity"].attrs.get("not_applicable"):
        raise ValueError(reason)
    last = run.steps[-1]
    circuits = measure(run, ["attention_circuits"], steps=[last], device=device)
    return {**along, **circuits, "patterns_at_end": _patterns(run, last, device)}


def _patterns(run, step: int, device: str) -> pd.DataFrame:
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


def draw(tables: Tables) -> Figure:
    figure, _ = style.new_figure(height=4.2)
    figure.clear()
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.15])
    periodicity, patterns = tables["attention_periodicity"], tables["attention_patterns"]
    at_end = periodicity[periodicity["step"] == periodicity["step"].max()]
    colours = head_colours(at_end)
    _maps(top, tables["patterns_at_end"], at_end)
    axes = bottom.subplots(1, 3)
    periodicity_curves(periodicity, axes[0], colours=colours)
    movement_curves(patterns, axes[1], colours=colours)
    qk_bars(tables["attention_circuits"], axes[2], colours=colours)
    for ax, table in ((axes[0], periodicity), (axes[1], patterns)):
        style.step_axis(ax, np.unique(table["step"]), scale="linear", n_ticks=4)
        bracket_band(_grokking(tables["losses"]), ax)
    for letter, ax in zip("bcd", axes, strict=True):
        ax.set_title(letter, loc="left", fontweight="bold")
    return figure


def _grokking(losses: pd.DataFrame) -> Transition:
    test = losses[losses["split"] == "test"]
    rows = test if len(test) else losses[losses["split"] == "all"]
    return transition(rows, "accuracy", GENERALISED, "rise")


def _maps(figure: SubFigure, table: pd.DataFrame, at_end: pd.DataFrame) -> None:
    """The heads whose attention to a moves most, side by side."""
    named = at_end.assign(name=[f"{row.layer}.{row.head}" for row in at_end.itertuples()]).set_index("name")
    shown = sorted(sorted(named.index, key=lambda name: -table[name].std())[:N_SHOWN])
    axes = np.atleast_1d(figure.subplots(1, len(shown), sharey=True))
    for ax, name in zip(axes, shown, strict=True):
        row = named.loc[name]
        said = f"$k={row['frequency']}$, {row['fraction_explained']:.2f}" if row["frequency"] else "constant"
        attention_map(table, ax, head=name, said=said)
    for ax in axes[1:]:
        ax.set_ylabel("")
    axes[0].annotate(
        "a",
        (0, 1),
        xycoords="axes fraction",
        xytext=(-22, 6),
        textcoords="offset points",
        fontweight="bold",
        size=8,
    )
    figure.colorbar(axes[-1].collections[0], ax=axes, label="attention to $a$", pad=0.01)


def summarize(tables: Tables) -> dict[str, Any]:
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

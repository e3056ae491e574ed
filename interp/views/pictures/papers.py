"""The central figures of four papers, from one's own run: what their panels show, measured by this toolkit's probes.

Each is after the paper, not of it: captions say what differs. Nanda et al. 2023 (2301.05217), Zhong et al. 2023
(2306.17844), Chughtai et al. 2023 (2302.03025), Liu et al. 2022 (2205.10343).
"""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp.figures import (
    algorithm_curves,
    attention_map,
    component_map,
    embedding_circles,
    formula_curves,
    frequency_lines,
    frequency_loss_points,
    head_name,
    irrelevance_curves,
    logit_map,
    loss_curves,
    neuron_histogram,
    neuron_map,
    phase_bands,
    progress_curves,
    quality_curves,
    sparsity_curves,
    spectrum_map,
    style,
    total_norm_curve,
)
from interp.ground.plain_text import listed
from interp.ground.thresholds import LOGIT_FRACTION, NEURON_FRACTION
from interp.tables.folder import Tables
from interp.tables.key_frequencies import (
    by_strength,
    emergence,
    followed_frequencies,
    followed_name,
    run_key_frequencies,
)
from interp.tables.outcome import accuracy_name, outcome
from interp.theories import clock_or_pizza
from interp.views.pictures.captions import at_end
from interp.views.pictures.circles import axes_of
from interp.views.pictures.picture import Picture
from interp.views.pictures.whole import panels_said


def _compute_nanda(run, device: str) -> Tables:
    from interp.analyses import attention, progress_measures
    from interp.measurement.measure import measure

    last = [run.steps[-1]]
    along = measure(run, ["embedding_spectrum", "neuron_logit_spectrum", "logit_spectrum"], device=device)
    probes = ["logit_components", "neuron_maps", "neuron_frequencies", "attention_periodicity"]
    at_end = measure(run, probes, steps=last, device=device)
    tables = {**along, **at_end, **progress_measures.compute(run, device)}
    has_heads = len(tables["attention_periodicity"]) > 0
    patterns = attention.patterns(run, last[0], device) if has_heads else {}
    return {**tables, "pattern_axes": attention.pattern_axes(run), **patterns}


def _key(tables: Tables):
    return emergence(tables["logit_spectrum"], run_key_frequencies(tables))


def _best_head(tables: Tables) -> str | None:
    """The head whose pattern one frequency explains best."""
    table = tables["attention_periodicity"]
    if not len(table) or "patterns_at_end" not in tables:
        return None
    row = table.loc[table["fraction_explained"].fillna(0).idxmax()]
    return head_name(int(row["layer"]), int(row["head"]))


def _draw_nanda(tables: Tables) -> Figure:
    rows = (3, 3, 2, 3)
    # Inches; the last has the highest legend.
    heights = (2.1, 2.1, 2.0, 2.5)
    figure, bands = style.new_bands([h * style.rows_of(n) for h, n in zip(heights, rows, strict=True)])
    panels = [ax for band, n in zip(bands, rows, strict=True) for ax in style.panels(band, n)]
    loss, embedding, to_logits, attention, neuron, logits, purity, without, progress, sparsity, norm = panels
    name = followed_name(tables)
    # Legends first: what room they find is less once there are colour bars in the figure.
    loss_curves(tables, loss)
    neuron_histogram(tables["neuron_frequencies"], _key(tables), purity)
    measures, losses = at_end(tables["progress_measures"]), at_end(tables["losses"])
    frequency_loss_points(measures, losses, tables["key_frequencies"], without, key=name)
    progress_curves(tables["progress_measures"], progress, key=name)
    sparsity_curves(tables["fourier_sparsity"], sparsity, ncols=2)
    total_norm_curve(tables["weight_norms"], norm)
    spectrum_map(tables["embedding_spectrum"], embedding)
    spectrum_map(tables["neuron_logit_spectrum"], to_logits, matrix="$W_L$")
    head = _best_head(tables)
    if head is None:
        style.note_instead(attention, "no attention to show")
    else:
        labels = tuple(tables["pattern_axes"]["label"])
        attention_map(tables["patterns_at_end"], attention, head=head, axes=labels)
    first = tables["neuron_maps"]
    purest = first[first["neuron"] == first["neuron"].iloc[0]] if len(first) else first
    neuron_map(purest, neuron, axes=axes_of(tables))
    component_map(tables["logit_components"], _key(tables), logits).set_aspect("equal")
    _steps(tables, [loss, progress, sparsity, norm], tables["weight_norms"]["step"], n_ticks=2)
    style.label_panels(panels)
    return figure


def _steps(tables: Tables, axes, steps, n_ticks: int = 4) -> None:
    """A step axis below each of these, with the bracket of grokking."""
    found = outcome(tables).grokking
    for ax in axes:
        if ax.axison:
            phase_bands({} if found is None else {"grokking": found}, ax, alpha=0.4, edge=True)
            style.step_axis(ax, np.unique(steps), "linear", n_ticks=n_ticks)


def _nanda_said(tables: Tables) -> str:
    keys = run_key_frequencies(tables)
    found = f"k = {listed(keys)}" if keys else "there are none in this run"
    measures = tables["progress_measures"]
    has_random = len(measures) and (measures["selection"] == "random").any()
    bands = "; bands: as many random frequencies" if has_random else ""
    return (
        "After Nanda et al. 2023, figures 2 to 7. (a) Train and test loss, nats; band: the bracket of grokking. (b, c) "
        "Share of the power of W_E and of W_L, the map from neurons to logits, in each frequency, along training. (d) "
        "Attention of the answered position to a, and (e) one neuron, over all pairs (a, b): the head and the neuron "
        "that one frequency explains best, not typical ones. (f) Power of the logits by frequency of a and b, sines "
        "and cosines together. (g) Neurons by the share of their variance that their frequency explains; dotted: "
        f"{NEURON_FRACTION:g}; dashed: the null, random names of the residues. (h) Loss of train pairs without each "
        "frequency alone, at the end. (i) Excluded loss of the train pairs and restricted loss of all pairs; dotted: "
        f"the key frequencies of each checkpoint alone{bands}. (j) Gini coefficients; "
        "dotted: random names of the residues. (k) Sum of squared weights. Key frequencies stand out of the logits "
        f"(more than {LOGIT_FRACTION:.1%}, and than their null) at a checkpoint that generalises: {found}. The paper "
        "takes those with nontrivial coefficients in W_L of the trained network, and gives no threshold. "
        f"{outcome(tables).said}"
    )


def _compute_zhong(run, device: str) -> Tables:
    from interp.analyses import clock_pizza
    from interp.analyses.attention import pattern_axes
    from interp.measurement.measure import measure
    from interp.probes import embedding_planes

    tables = clock_pizza.compute(run, device)
    frequencies = by_strength(tables["algorithm_by_frequency"])[:2] if len(tables["frequencies"]) else []
    probes: dict[str, Any] = {"answer_map": "answer_map"}
    if frequencies:
        probes["embedding_planes"] = partial(embedding_planes, frequencies=frequencies)
    last = measure(run, probes, steps=[run.steps[-1]], device=device)
    nothing = last["answer_map"].iloc[:0]
    return {"embedding_planes": nothing, "pattern_axes": pattern_axes(run), **tables, **last}


def _draw_zhong(tables: Tables) -> Figure:
    figure, axes = style.new_figure(3, 2, height=7.4)
    planes, parts = tables["embedding_planes"], tables["algorithm_by_frequency"]
    shown = planes["frequency"].unique() if len(planes) else ()
    for ax, k in zip(axes[0], [*shown, None, None], strict=False):
        embedding_circles(planes[planes["frequency"] == k] if k is not None else planes.iloc[:0], ax)
    if len(parts) and len(tables["algorithm"]):
        verdicts = clock_or_pizza.checkpoint_verdicts(tables)
        accuracy = accuracy_name(tables["losses"])
        algorithm_curves(tables["algorithm"], verdicts, axes[1, 1], accuracy=accuracy)
        thresholds = (clock_or_pizza.PIZZA_IRRELEVANCE, clock_or_pizza.CLOCK_IRRELEVANCE)
        lines = frequency_lines(by_strength(parts))
        irrelevance_curves(parts, axes[2, 0], lines=lines, thresholds=thresholds)
        formula_curves(tables["algorithm"], axes[2, 1])
        _steps(tables, [axes[1, 1], *axes[2]], tables["algorithm"]["step"])
    else:
        for ax in (axes[1, 1], *axes[2]):
            style.note_instead(ax)
    # After the legends, which find less room once there is a colour bar in the figure.
    by_difference(tables["answer_map"], axes[1, 0], axes_of(tables))
    style.label_panels(axes.flat)
    return figure


def by_difference(table: pd.DataFrame, ax: Axes, operands: tuple[str, str] = ("$a$", "$b$")) -> None:
    """Logit of the right answer at each difference and sum of the operands, in the axes of the paper's figure 3."""
    n = 0 if not len(table) else 1 + int(table["first"].max())
    if n:
        total, difference = (table["first"] + table["second"]) % n, (table["first"] - table["second"]) % n
        table = table.assign(first=difference, second=total)
        if n % 2 == 0:
            # Sum and difference are both even or both odd: two pairs share a cell, which is two sums wide.
            both = table.groupby(["first", "second"], as_index=False)["logit"].mean()
            table = pd.concat([both, both.assign(second=(both["second"] + 1) % n)])
    logit_map(table, ax)
    if n:
        of = "" if operands == ("$a$", "$b$") else f" of {operands[0]} and {operands[1]}"
        names = (f"sum{of}", f"difference{of}") if of else ("$a + b$", "$a - b$")
        ax.set(xlabel=f"{names[0]} mod {n}", ylabel=f"{names[1]} mod {n}")


def _zhong_said(tables: Tables) -> str:
    of_run = clock_or_pizza.run_verdict(clock_or_pizza.checkpoint_verdicts(tables))
    return (
        "After Zhong et al. 2023. (a, b) Rows of W_E in the planes of the two frequencies that explain most of the "
        "logits (figures 4 and 5 have planes of principal components); colours are residues. (c) Logit of the right "
        "answer, nats, centred over the answers of a pair, by sum and difference of the operands (figure 3): a "
        "pizza's depends on a - b, a clock's hardly. (d) Gradient symmetricity, distance irrelevance and circularity "
        "of the whole network, along training; the strip on top is the verdict of each checkpoint by this toolkit's "
        "rules. (e) Distance irrelevance of one frequency alone, this toolkit's; dotted: its thresholds, below a "
        "pizza, above a clock (the paper, of whole networks: 0 to 0.4 and 0.4 to 1). (f) Share of the whole network's "
        "logits that either formula explains, all frequencies fitted together (table 2 isolates one circle); dashed: "
        "coefficient of variation of the right answer's logit. The paper calls a network circular from 0.995. "
        f"Verdict on this run: {of_run['verdict']}. {outcome(tables).said}"
    )


def _compute_liu(run, device: str) -> Tables:
    from interp.measurement.measure import measure
    from interp.probes import embedding_planes, representation_quality

    tables = measure(run, ["losses", "logit_spectrum"], device=device)
    frequencies, _ = followed_frequencies(tables)
    strongest = emergence(tables["logit_spectrum"], frequencies)["frequency"].tolist()[:3]
    empty = tables["losses"].iloc[:0]
    if not strongest:
        return {**tables, "embedding_planes": empty, "representation_quality": empty}
    quality = {"representation_quality": partial(representation_quality, frequencies=strongest)}
    planes = {"embedding_planes": partial(embedding_planes, frequencies=strongest[:1])}
    steps = sorted({_memorized(run, tables), run.steps[-1]})
    return {**tables, **measure(run, quality, device=device), **measure(run, planes, steps, device=device)}


def _memorization(tables: Tables) -> int | None:
    """The step from which on the run has memorized, if it has."""
    found = outcome(tables).memorization
    return None if found is None else found.step


def _memorized(run, tables: Tables) -> int:
    """The first checkpoint that has memorized; the first of all where none has."""
    step = _memorization({"history": run.history(), **tables})
    return next((s for s in run.steps if s >= (step or 0)), run.steps[-1])


def _draw_liu(tables: Tables) -> Figure:
    figure, axes = style.new_figure(2, 2, height=5.0)
    planes, quality = tables["embedding_planes"], tables["representation_quality"]
    steps = sorted(planes["step"].unique()) if len(planes) else []
    far = 1.1 * float(np.hypot(planes["cosine"], planes["sine"]).max()) if len(planes) else None
    for ax, step in zip(axes[0], [*steps, None, None], strict=False):
        own = planes[planes["step"] == step] if step is not None else planes.iloc[:0]
        embedding_circles(own, ax, limit=far)
        if step is not None:
            ax.set_title(f"step {int(step)}: {ax.get_title()}")
    loss_curves(tables, axes[1, 0])
    quality_curves(quality, axes[1, 1])
    _steps(tables, axes[1], tables["losses"]["step"] if len(tables["losses"]) else [0])
    style.label_panels(axes.flat)
    return figure


def _liu_said(tables: Tables) -> str:
    quality = tables["representation_quality"]
    ends = listed(
        f"k = {k} {part['parallel_chords'].iloc[0]:.2f} at step {part['step'].iloc[0]} and "
        f"{part['parallel_chords'].iloc[-1]:.2f} at step {part['step'].iloc[-1]}"
        for k, part in (quality.groupby("frequency") if len(quality) else ())
    )
    has_memorized = _memorization(tables) is not None
    first = "at the first checkpoint that has memorized" if has_memorized else "at the first checkpoint"
    return (
        "After Liu et al. 2022, figures 1 and 2. (a, b) Rows of W_E in the plane of the frequency that explains most "
        f"of the logits, {first} and at the last; colours are residues. The paper takes principal components. (c) "
        "Train and test loss, nats; band: the bracket of grokking. (d) An index of this toolkit: share of the pairs "
        "of pairs with one answer whose chords are parallel; thin: that of closed parallelograms, which the paper's "
        "index counts in addition without a modulus: all on a line, few on a circle; dotted: the most parallel chords "
        f"after random names of the residues: {ends}. {outcome(tables).said}"
    )


def _compute_chughtai(run, device: str) -> Tables:
    from interp.analyses import groups

    return groups.compute(run, device)


def _draw_chughtai(tables: Tables) -> Figure:
    from interp.analyses import groups

    return groups.draw(tables)


def _chughtai_said(tables: Tables) -> str:
    from interp.analyses import groups

    losses = tables["representation_losses"]
    has_random = len(losses) > 0 and (losses["selection"] == "random").any()
    beside = ", and losses are beside those of random sets" if has_random else ""
    return (
        "After Chughtai et al. 2023, of whatever group the run learns; a representation is key if it stands out of "
        f"the logits at a checkpoint that generalises{beside}. Theirs are key from a cosine of 0.005 at the end. "
        "Coset concentration is of Stander et al. 2023, who contest this account; the paper has no cosets of neurons. "
        f"{panels_said(groups.__doc__ or '')} {outcome(tables).said}"
    )


PICTURES = {
    "nanda2023": Picture(
        shows="a network that adds modulo p, taken apart, after Nanda et al. 2023",
        compute=_compute_nanda,
        draw=_draw_nanda,
        caption=_nanda_said,
        needs=("logit_components",),
    ),
    "zhong2023": Picture(
        shows="clock or pizza, after Zhong et al. 2023",
        compute=_compute_zhong,
        draw=_draw_zhong,
        caption=_zhong_said,
        needs=("algorithm_by_frequency",),
    ),
    "chughtai2023": Picture(
        shows="a network that composes in a group, one representation at a time, after Chughtai et al. 2023",
        compute=_compute_chughtai,
        draw=_draw_chughtai,
        caption=_chughtai_said,
        needs=("representation_spectrum",),
    ),
    "liu2022": Picture(
        shows="the embedding before and after it generalises, after Liu et al. 2022",
        compute=_compute_liu,
        draw=_draw_liu,
        caption=_liu_said,
        needs=("embedding_planes",),
    ),
}

"""The central figures of four papers, from one's own run: what their panels show, measured by this toolkit's probes.

Each is after the paper, not of it: captions say what differs. Nanda et al. 2023 (2301.05217), Zhong et al. 2023
(2306.17844), Chughtai et al. 2023 (2302.03025), Liu et al. 2022 (2205.10343).
"""

from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from interp.figures import (
    algorithm_curves,
    attention_map,
    component_map,
    embedding_circles,
    formula_curves,
    frequency_lines,
    head_name,
    irrelevance_curves,
    logit_map,
    loss_curves,
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
from interp.ground.thresholds import LOGIT_FRACTION
from interp.tables.folder import Tables
from interp.tables.key_frequencies import by_strength, emergence, followed_frequencies, run_key_frequencies
from interp.tables.outcome import outcome
from interp.theories import clock_or_pizza
from interp.views.pictures.circles import axes_of
from interp.views.pictures.picture import Picture
from interp.views.pictures.whole import panels_said


def _compute_nanda(run, device: str) -> Tables:
    from interp.analyses import attention, progress_measures
    from interp.measurement.measure import measure

    last = [run.steps[-1]]
    along = measure(run, ["embedding_spectrum", "logit_spectrum"], device=device)
    at_end = measure(
        run, ["logit_components", "neuron_maps", "attention_periodicity"], steps=last, device=device
    )
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
    figure, axes = style.new_figure(4, 2, height=8.6)
    loss_curves(tables, axes[0, 0])
    spectrum_map(tables["embedding_spectrum"], axes[0, 1])
    head = _best_head(tables)
    if head is None:
        style.note_instead(axes[1, 0], "no attention to show")
    else:
        labels = tuple(tables["pattern_axes"]["label"])
        attention_map(tables["patterns_at_end"], axes[1, 0], head=head, axes=labels)
    first = tables["neuron_maps"]
    neuron = first[first["neuron"] == first["neuron"].iloc[0]] if len(first) else first
    neuron_map(neuron, axes[1, 1], axes=axes_of(tables))
    component_map(tables["logit_components"], _key(tables), axes[2, 0])
    progress_curves(tables["progress_measures"], axes[2, 1])
    sparsity_curves(tables["fourier_sparsity"], axes[3, 0])
    total_norm_curve(tables["weight_norms"], axes[3, 1])
    _steps(tables, [axes[0, 0], axes[2, 1], *axes[3]], tables["weight_norms"]["step"])
    style.label_panels(axes.flat)
    return figure


def _steps(tables: Tables, axes, steps) -> None:
    """A step axis below each of these, with the bracket of grokking."""
    found = outcome(tables).grokking
    for ax in axes:
        if ax.axison:
            phase_bands({} if found is None else {"grokking": found}, ax, alpha=0.4, edge=True)
            style.step_axis(ax, np.unique(steps), "linear", n_ticks=4)


def _nanda_said(tables: Tables) -> str:
    keys = run_key_frequencies(tables)
    found = f"k = {listed(keys)}" if keys else "there are none in this run"
    return (
        "After Nanda et al. 2023. (a) Train and test loss, nats; band: the bracket of grokking. (b) Share of the power "
        "of W_E in each frequency. (c) Attention of the answered position to a, and (d) one neuron, over all pairs "
        "(a, b): the head and the neuron that one frequency explains best, not typical ones. (e) Power of the logits "
        "by frequency of a and b. (f) Excluded and restricted loss; bands: as many random frequencies. (g) Gini "
        "coefficients; dotted: random names of the residues. (h) Sum of squared weights. Key frequencies stand out of "
        f"the logits (more than {LOGIT_FRACTION:.1%}, and than their null) at a checkpoint that generalises: {found}. "
        f"The paper chose its own by hand. {outcome(tables).said}"
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
    logit_map(tables["answer_map"], axes[1, 0], axes=axes_of(tables))
    if len(parts) and len(tables["algorithm"]):
        verdicts = clock_or_pizza.checkpoint_verdicts(tables)
        algorithm_curves(tables["algorithm"], verdicts, axes[1, 1])
        thresholds = (clock_or_pizza.PIZZA_IRRELEVANCE, clock_or_pizza.CLOCK_IRRELEVANCE)
        lines = frequency_lines(by_strength(parts))
        irrelevance_curves(parts, axes[2, 0], lines=lines, thresholds=thresholds)
        formula_curves(tables["algorithm"], axes[2, 1])
        _steps(tables, [axes[1, 1], *axes[2]], tables["algorithm"]["step"])
    else:
        for ax in (axes[1, 1], *axes[2]):
            style.note_instead(ax)
    style.label_panels(axes.flat)
    return figure


def _zhong_said(tables: Tables) -> str:
    of_run = clock_or_pizza.run_verdict(clock_or_pizza.checkpoint_verdicts(tables))
    return (
        "After Zhong et al. 2023. (a, b) Rows of W_E in the planes of the two frequencies that explain most of the "
        "logits; colours are residues. (c) Logit of the right answer over all pairs (a, b), nats, centred over the "
        "answers of a pair: a clock's hardly depends on the pair, a pizza's on a - b. (d) Gradient symmetricity, "
        "distance irrelevance and circularity of the whole network; the strip on top is the verdict of each "
        "checkpoint. (e) Distance irrelevance of one frequency alone; dotted: below a pizza, above a clock. (f) Share "
        "of the logits that either formula explains (the squared correlation, where the paper has 1 minus the variance "
        f"of the difference). Verdict on this run: {of_run['verdict']}. {outcome(tables).said}"
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


def _memorized(run, tables: Tables) -> int:
    """The first checkpoint that has memorized; the first of all where none has."""
    found = outcome({"history": run.history(), **tables}).memorization
    step = found.step if found is not None and found.step is not None else run.steps[0]
    return next((s for s in run.steps if s >= step), run.steps[-1])


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
    return (
        "After Liu et al. 2022. (a, b) Rows of W_E in the plane of the frequency that explains most of the logits, at "
        "the first checkpoint that has memorized and at the last; colours are residues. The paper takes principal "
        "components, and its index is of a toy of addition without a modulus, whose embeddings come to lie on a line. "
        "(c) Train and test loss, nats; band: the bracket of grokking. (d) Share of the pairs of pairs with one answer "
        "whose chords are parallel, in place of the paper's closed parallelograms, of which a circle has few; dotted: "
        "the most "
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

    return (
        "After Chughtai et al. 2023, of whatever group the run learns; a representation is key if it stands out of "
        "the logits at a checkpoint that generalises, and losses are beside those of random sets. "
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

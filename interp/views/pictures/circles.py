"""Pictures of circles and of quantities over all pairs, of one checkpoint; of the index of representation quality."""

from collections.abc import Callable

from interp.figures import embedding_circles, logit_map, neuron_map, quality_curves
from interp.ground.plain_text import listed
from interp.tables.folder import Tables
from interp.tables.outcome import outcome
from interp.views.pictures.captions import at_end, null_said, number
from interp.views.pictures.panels import along, at_step, panel
from interp.views.pictures.picture import Picture


def _first(tables: Tables, name: str, column: str):
    """The rows of the first frequency or neuron of a table, which is the strongest."""
    table = tables[name]
    return table[table[column] == table[column].iloc[0]] if len(table) else table


def _of_pairs(*probes: str) -> Callable[..., Tables]:
    """`compute` of a map over pairs at one checkpoint: the probes, and what the axes are."""
    measured = at_step(*probes)

    def compute(run, device: str, step: int) -> Tables:
        from interp.analyses.attention import pattern_axes

        tables = measured(run, device, step)
        return {**tables, "pattern_axes": pattern_axes(run)}

    return compute


def axes_of(tables: Tables) -> tuple[str, str]:
    """What the axes of a map over pairs are, as `logit_map` takes them; tables of old do not say it."""
    if "pattern_axes" not in tables:
        return "$a$", "$b$"
    first, second = tables["pattern_axes"]["label"]
    return first, second


def _pairs_said(tables: Tables) -> str:
    """ " Axes: ...", where an operand is not drawn in its own order."""
    from interp.analyses.attention import plain_label

    first, second = map(plain_label, axes_of(tables))
    return "" if (first, second) == ("a", "b") else f" Axes: {second} and {first}."


def _circle_said(tables: Tables) -> str:
    row = _first(tables, "embedding_planes", "frequency").iloc[0]
    return (
        f"Rows of the embedding W_E in the plane of frequency k = {row['frequency']}, which holds "
        f"{row['fraction']:.1%} of its power; colours are residues, joined in the order of k a mod n. The plane is "
        "fitted to this frequency, so that rows without structure look like a noisy circle too."
    )


def _logits_said(tables: Tables) -> str:
    logit = tables["answer_map"]["logit"]
    return (
        "Logit of the right answer at each pair (a, b), in nats, centred over the answers of the pair: "
        f"{number(float(logit.min()))} to {number(float(logit.max()))}, mean {number(float(logit.mean()))}."
        + _pairs_said(tables)
    )


def _neuron_said(tables: Tables) -> str:
    row = _first(tables, "neuron_maps", "neuron").iloc[0]
    return (
        f"Activation of neuron {row['neuron']} at each pair (a, b): the one that a single frequency explains best "
        f"(k = {row['frequency']}, {row['fraction_explained']:.1%} of its variance), not a typical one. After the "
        "activations over the inputs of Nanda et al. 2023." + _pairs_said(tables)
    )


def _quality_said(tables: Tables) -> str:
    last = at_end(tables["representation_quality"])
    values = listed(
        f"k = {row.frequency} {row.parallel_chords:.2f}{null_said(row.null)}, parallelograms {row.parallelograms:.2f}"
        for row in last.itertuples()
    )
    return (
        "Share of the pairs of pairs with one answer whose chords are parallel in the plane of a frequency; dotted: "
        f"the most after random names of the residues. At step {last['step'].iloc[0]}: {values}. An "
        "index of this toolkit, for circles, after the representation quality index of Liu et al. 2022, which counts "
        "closed parallelograms (thin) in addition without a modulus. Frequencies: the strongest of each checkpoint. "
        + outcome(tables).said
    )


PICTURES = {
    "embedding_circles": Picture(
        shows="the residues in the plane of the embedding's strongest frequency, at one checkpoint",
        compute=at_step("embedding_planes", "losses"),
        draw=panel(
            lambda tables, ax: embedding_circles(_first(tables, "embedding_planes", "frequency"), ax),
            height=3.4,
            is_square=True,
        ),
        caption=_circle_said,
        needs=("embedding_planes",),
        is_of_step=True,
    ),
    "logit_map": Picture(
        shows="logit of the right answer over all inputs (a, b), at one checkpoint",
        compute=_of_pairs("answer_map", "losses"),
        draw=panel(
            lambda tables, ax: logit_map(tables["answer_map"], ax, axes=axes_of(tables)),
            height=3.4,
            is_square=True,
        ),
        caption=_logits_said,
        needs=("answer_map",),
        is_of_step=True,
    ),
    "neuron_map": Picture(
        shows="activation of the most periodic neuron over all inputs (a, b), at one checkpoint",
        compute=_of_pairs("neuron_maps", "losses"),
        draw=panel(
            lambda tables, ax: neuron_map(_first(tables, "neuron_maps", "neuron"), ax, axes=axes_of(tables)),
            height=3.4,
            is_square=True,
        ),
        caption=_neuron_said,
        needs=("neuron_maps",),
        is_of_step=True,
    ),
    "quality_curves": Picture(
        shows="share of parallel chords in the plane of each frequency, along training",
        compute=along("representation_quality", "losses"),
        draw=panel(
            lambda tables, ax: quality_curves(tables["representation_quality"], ax),
            steps_of="representation_quality",
        ),
        caption=_quality_said,
        needs=("representation_quality",),
    ),
}

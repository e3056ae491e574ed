"""Figures by their names: `interp figure RUN NAME`, and `named(NAME)` in Python.

A picture knows which tables it needs, how it is drawn, and what its caption says. Those of one panel lie here, a
subject a file, under the name of the function of `interp.figures` that draws them; those of several panels are the
figures of `interp.analyses`. A new one is a value in a file's `PICTURES`; a new file has its line below.
"""

from interp.views.pictures import (
    algorithm,
    attention,
    carries,
    circles,
    crossings,
    geometry,
    in_context,
    losses,
    papers,
    progress,
    representations,
    spectra,
    subnetworks,
    sweeps,
    trials,
    weights,
    whole,
)
from interp.views.pictures.picture import Picture

PICTURES: dict[str, Picture] = {
    **losses.PICTURES,
    **progress.PICTURES,
    **spectra.PICTURES,
    **algorithm.PICTURES,
    **attention.PICTURES,
    **weights.PICTURES,
    **circles.PICTURES,
    **geometry.PICTURES,
    **representations.PICTURES,
    **carries.PICTURES,
    **crossings.PICTURES,
    **subnetworks.PICTURES,
    **in_context.PICTURES,
    **trials.PICTURES,
    **sweeps.PICTURES,
    **papers.PICTURES,
}

# Functions of `interp.figures` that draw no picture: colours, names, legends, and what lies over another picture.
PARTS = (
    "arm_lines",
    "beside_curves",
    "bracket_band",
    "bracket_text",
    "descent_curves",
    "descent_legend",
    "effect_legend",
    "emergence_bands",
    "epoch_curves",
    "frequency_lines",
    "head_lines",
    "head_name",
    "matrix_lines",
    "pattern_curves",
    "phase_bands",
    "phase_legend",
    "phase_patch_legend",
    "phase_patches",
    "quantity_curves",
    "representation_colours",
    "slice_curves",
    "verdict_legend",
)


def names() -> list[str]:
    """The names of all pictures: the figures of analyses, then those of one panel."""
    return [*whole.NAMES, *PICTURES]


def named(name: str) -> Picture:
    """The picture of this name.

    Raises:
        ValueError: if there is none; those whose names are close are listed, or all.
    """
    from difflib import get_close_matches

    if name in whole.NAMES:
        return whole.of_analysis(name)
    if name in PICTURES:
        return PICTURES[name]
    near = get_close_matches(name, names())
    there = f"Close to it: {', '.join(near)}." if near else f"There are: {', '.join(names())}."
    raise ValueError(f"There is no figure {name!r}. {there} `interp figure --list` says what each shows.")

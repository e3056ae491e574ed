"""Widths and fonts of the places that figures are made for: `style.using("icml-column")`.

A name is a place and a width: `column`, `text` (the whole width), and where the text is one column `half` of it, for
two figures side by side. Widths of NeurIPS, ICML and ICLR, and the sizes of their smallest text, are tueplots'.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

SERIF, SANS = "serif", "sans-serif"
FAMILIES = {
    # The last of each comes with matplotlib.
    SERIF: ("Times New Roman", "Times", "TeX Gyre Termes", "Nimbus Roman", "Liberation Serif", "STIXGeneral"),
    SANS: ("DejaVu Sans",),
}
# Points of ticks at least, of which notes have five sixths and more: ICML's 6 would make those smaller than 5.5.
SMALLEST = 6.5
# Inches between two figures side by side.
GAP = 0.2
_TUEPLOTS = {
    "neurips": ("neurips2024", {}),
    "iclr": ("iclr2024", {}),
    "icml": ("icml2024", {"column": "full"}),
}


@dataclass(frozen=True)
class Preset:
    """A place for figures.

    Attributes:
        width: inches of a figure that fills it.
        size: points of ticks and legends; labels are half a point larger, notes smaller.
        family: "serif" or "sans-serif".
        scale: how many times as large it is shown: a slide is drawn small and enlarged, lines and marks with it.
    """

    width: float
    size: float
    family: str = SERIF
    scale: float = 1.0


# Inches and points. journal: one and two columns of most two-column journals. acl: acl.sty (16 cm of text in two
# columns of 7.7 cm). arxiv: the article class on letter paper with margins of an inch, in one column or two that are
# 10 points apart. slides: 13.3 x 7.5 inches, half an inch of margin, drawn at half its size. poster: an A0 sheet, or
# a column of it where it has three, drawn at a quarter of its size.
_OWN = {
    "journal-column": Preset(3.35, 7.0, SANS),
    "journal-text": Preset(6.9, 7.0, SANS),
    "acl-column": Preset(3.03, 7.0),
    "acl-text": Preset(6.30, 7.0),
    "arxiv-column": Preset(3.18, 7.0),
    "arxiv-text": Preset(6.50, 8.0),
    "slides-column": Preset(3.05, 7.0, SANS, 2.0),
    "slides-text": Preset(6.20, 7.5, SANS, 2.0),
    "poster-column": Preset(2.60, 6.5, SANS, 4.0),
    "poster-text": Preset(8.00, 7.0, SANS, 4.0),
}
_OF_VENUES = ("neurips-half", "neurips-text", "iclr-half", "iclr-text", "icml-column", "icml-text")
# In one-column papers the column is the text.
_ALIASES = {"neurips-column": "neurips-text", "iclr-column": "iclr-text"}

PRESETS = tuple(sorted([*_OWN, *_OF_VENUES, *_ALIASES]))
DEFAULT = "journal-text"


@cache
def named(name: str) -> Preset:
    """The preset of this name.

    Raises:
        ValueError: if there is none; the ones there are, are listed.
    """
    name = _ALIASES.get(name, name)
    if name in _OWN:
        return _OWN[name]
    if name not in _OF_VENUES:
        near = get_close_matches(name, PRESETS, 1)
        meant = f" Is {near[0]!r} meant?" if near else ""
        raise ValueError(f"There is no preset {name!r}.{meant} There are: {', '.join(PRESETS)}.")
    from tueplots import bundles

    venue, width = name.split("-")
    bundle, options = _TUEPLOTS[venue]
    settings = getattr(bundles, bundle)(usetex=False, **options)
    full = float(settings["figure.figsize"][0])
    column = (
        getattr(bundles, bundle)(usetex=False, column="half")["figure.figsize"][0] if width == "column" else 0
    )
    widths = {"text": full, "half": (full - GAP) / 2, "column": float(column)}
    return Preset(round(widths[width], 3), max(float(settings["legend.fontsize"]), SMALLEST))


def settings(preset: Preset) -> dict[str, Any]:
    """Matplotlib's settings of a preset: the fonts."""
    return {
        "font.family": _installed(preset.family),
        "mathtext.fontset": "stix" if preset.family == SERIF else "dejavusans",
        "font.size": preset.size + 0.5,
        "axes.labelsize": preset.size + 0.5,
        "axes.titlesize": preset.size + 0.5,
        "xtick.labelsize": preset.size,
        "ytick.labelsize": preset.size,
        "legend.fontsize": preset.size,
    }


@cache
def _installed(family: str) -> str:
    """The first of a family's fonts that is installed: one that is not would be warned of at every text."""
    from matplotlib.font_manager import get_font_names

    there = set(get_font_names())
    return next(name for name in FAMILIES[family] if name in there)

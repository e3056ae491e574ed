"""When something began, as bands on a step axis: the bracket of a transition, from the last checkpoint without it."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from interp.figures import style
from interp.tables.brackets_said import bracket_text

if TYPE_CHECKING:
    from interp.tables.transitions import Transition

PHASE_COLOURS = {
    "memorization": style.ORANGE,
    "circuit_formation": style.SKY,
    "cleanup": style.PURPLE,
    "cleanup_end": style.BLACK,
    "sparsification": style.BLUE,
    "grokking": style.GREEN,
    "collapse": style.VERMILION,
}


def bracket_band(found: "Transition | None", ax: Axes, **band: Any) -> Axes:
    """A grey band from the last checkpoint without it to the first with it; nothing where it never comes or is unknown.

    Where there is none without it, from step 0: that is all that is known.

    Args:
        band: options of `axvspan` (color, alpha, lw).
    """
    if found is not None and found.step is not None:
        options: dict[str, Any] = {"color": "0.8", "lw": 0, "zorder": 0, **band}
        ax.axvspan(found.before or 0, found.step, **options)
    return ax


def phase_bands(
    found: "Mapping[str, Transition]", ax: Axes, *, alpha: float = 0.5, lw: float = 1.0, edge: bool = False
) -> Axes:
    """A band for each phase that begins, in its colour.

    Args:
        found: of `interp.tables.phases`, or some of it.
        lw: points around a band, so that narrow ones are seen.
        edge: a line at the first checkpoint of each phase.
    """
    for name, colour in PHASE_COLOURS.items():
        if name in found:
            bracket_band(found[name], ax, color=colour, alpha=alpha, lw=lw)
            if edge and (step := found[name].step) is not None:
                ax.axvline(step, color=colour, lw=0.6, alpha=0.7, zorder=0)
    return ax


def phase_patches(names: Iterable[str], *, lw: float = 1.0) -> list[Patch]:
    """What a legend shows for the bands of these phases."""
    return [Patch(color=PHASE_COLOURS[name], alpha=0.5, lw=lw) for name in names]


def phase_legend(figure: Figure | SubFigure, found: "Mapping[str, Transition]") -> None:
    """The legend of `phase_bands` above a figure: the colour of each phase and the bracket in which it begins."""
    # A collapse is the exception, and not a phase of every run: that there was none is not said.
    named = [
        name
        for name in PHASE_COLOURS
        if name in found and not (name == "collapse" and found[name].step is None)
    ]
    if not named:
        return
    style.figure_legend(
        figure,
        phase_patches(named, lw=0.0),
        [f"{name.replace('_', ' ')}\n{bracket_text(found[name])}" for name in named],
        handlelength=1.0,
        columnspacing=1.4,
    )

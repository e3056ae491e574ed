"""What most pictures are made of: probes along a run, or at one of its checkpoints, and a single panel."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp.figures import bracket_band, style
from interp.tables.folder import Tables
from interp.tables.outcome import outcome

HEIGHT = 2.2


def along(*probes: str, at_last: Sequence[str] = ()) -> Callable[..., Tables]:
    """`compute` of a picture that shows these probes at all checkpoints, and others at the last one."""

    def compute(run, device: str) -> Tables:
        from interp.measurement.measure import measure

        tables = measure(run, list(probes), device=device)
        return {**tables, **measure(run, list(at_last), run.steps[-1:], device=device)} if at_last else tables

    return compute


def at_step(*probes: str) -> Callable[..., Tables]:
    """`compute` of a picture that shows these probes at one checkpoint."""

    def compute(run, device: str, step: int) -> Tables:
        from interp.measurement.measure import measure

        return measure(run, list(probes), steps=[step], device=device)

    return compute


def computed_by(analysis: str) -> Callable[..., Tables]:
    """`compute` of a picture that shows a part of what this analysis computes."""

    def compute(what, device: str) -> Tables:
        from interp.analyses import named

        return named(analysis).compute(what, device)

    return compute


def panel(
    draw_on: Callable[[Tables, Axes], Any],
    *,
    steps_of: str | None = None,
    scale: str = "linear",
    has_grokking: bool = True,
    height: float = HEIGHT,
    is_square: bool = False,
) -> Callable[[Tables], Figure]:
    """`draw` of a picture with one panel.

    Args:
        steps_of: the table whose steps the x axis spans; under its curves a grey band is the bracket of grokking.
        scale: of the steps, "linear" or "log".
        has_grokking: whether that band is drawn.
        height: inches, where no preset says it.
        is_square: whether it is as wide as high, with a colour bar: such a figure is narrower than the preset.
    """

    def draw(tables: Tables) -> Figure:
        width = style.square_width(height) if is_square else None
        figure, axes = style.new_figure(height=height, width=width)
        ax = axes[0, 0]
        if steps_of is not None and has_grokking:
            bracket_band(outcome(tables).grokking, ax, lw=0.8, label="grokking")
        draw_on(tables, ax)
        if steps_of is not None and ax.axison and len(tables[steps_of]):
            style.step_axis(ax, np.unique(tables[steps_of]["step"]), scale)
        return figure

    return draw

"""Analyses, a question a file: checkpoints -> tables -> a figure and the answer in numbers.

Each is a module with its question as docstring and three functions: `compute(run, device) -> tables`,
`draw(tables) -> Figure` and `summarize(tables) -> dict`; what is asked of many runs has a `subject` too. A new one is
a file here and its name below; then `interp analyse NAME RUN` knows it. `interp.analyses.frame` does what is the same
for all.
"""

from types import ModuleType

from interp.analyses import (
    attention,
    clock_pizza,
    compare,
    explain,
    forecast,
    fourier,
    geometry,
    groups,
    phase_diagram,
    progress_measures,
    weight_norms,
)

__all__ = [
    "attention",
    "clock_pizza",
    "compare",
    "explain",
    "forecast",
    "fourier",
    "geometry",
    "groups",
    "phase_diagram",
    "progress_measures",
    "weight_norms",
]


def named(name: str) -> ModuleType:
    """The analysis of this name.

    Raises:
        ValueError: if there is none; the ones there are, are listed.
    """
    if name not in __all__:
        raise ValueError(f"There is no analysis {name!r}. There are: {', '.join(__all__)}.")
    return globals()[name]


def questions() -> dict[str, str]:
    """The question of each analysis, the first line of its docstring."""
    return {name: (named(name).__doc__ or "").partition("\n")[0] for name in __all__}

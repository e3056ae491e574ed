"""Analyses, a question a file: checkpoints -> tables -> a figure and the answer in numbers.

Each is a module with its question as docstring and three functions: `compute(run, device) -> tables`,
`draw(tables) -> Figure` and `summarize(tables) -> dict`; what is asked of many runs has a `subject` too, and options
that one alone takes stand in `own_options`. A new one is a file here and its name below; then `interp analyse NAME RUN`
knows it. `interp.analyses.frame` does what is the same for all.
"""

from importlib import import_module
from types import ModuleType

__all__ = [
    "attention",
    "clock_pizza",
    "compare",
    "digits",
    "double_descent",
    "explain",
    "forecast",
    "fourier",
    "geometry",
    "groups",
    "language_model",
    "languages",
    "parity",
    "phase_diagram",
    "progress_measures",
    "sequences",
    "weight_norms",
]


def named(name: str) -> ModuleType:
    """The analysis of this name.

    Raises:
        ValueError: if there is none; the ones there are, are listed.
    """
    if name not in __all__:
        raise ValueError(f"There is no analysis {name!r}. There are: {', '.join(__all__)}.")
    # One at a time: together they take longer to load than a figure takes to draw.
    return import_module(f"{__name__}.{name}")


def questions() -> dict[str, str]:
    """The question of each analysis, the first line of its docstring."""
    return {name: (named(name).__doc__ or "").partition("\n")[0] for name in __all__}


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return named(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

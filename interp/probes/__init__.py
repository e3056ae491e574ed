"""Probes: functions from a snapshot to a tidy table, one a file of the same name.

A probe is any function of a snapshot that returns a DataFrame. Those that come with the package stand in folders by
what they look at, each folder's `__init__` importing its own; here they are found by name, loaded on first use.

    >>> from interp.probes import losses                     # doctest: +SKIP
    >>> named("losses")                                      # doctest: +SKIP
    <function losses at 0x...>
"""

from collections.abc import Callable
from importlib import import_module
from inspect import isfunction
from pkgutil import iter_modules
from typing import Any


def named(name: str) -> Callable:
    """The probe of this name, imported on first use.

    Raises:
        ValueError: if there is none; the ones there are, are listed.
    """
    probes = _all()
    if name not in probes:
        raise ValueError(f"There is no probe {name!r}. There are: {', '.join(sorted(probes))}.")
    return probes[name]


def available() -> list[str]:
    """The names of all probes, alphabetically."""
    return sorted(_all())


def _all() -> dict[str, Callable]:
    """Functions that a folder's `__init__` imports from modules of their names."""
    folders = [
        import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__) if module.ispkg
    ]
    return {
        name: value
        for folder in folders
        for name, value in vars(folder).items()
        if isfunction(value) and value.__module__ == f"{folder.__name__}.{name}"
    }


def __getattr__(name: str) -> Any:
    if name.startswith("_") or name not in _all():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _all()[name]

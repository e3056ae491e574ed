"""grokscope: why does a network that has long memorised suddenly generalise?

Checkpoints of a long training run are loaded into hooked models, and probes track Fourier features, attention
patterns and weight norms along them. Tensors on one side, tables on the other, one door between:

    tensor wing (torch)                                    table wing (numpy, pandas; never torch)

    6  measure       run x probes -> tidy tables     -->   1  figures/*      tables -> axes
    5  probes/*      snapshot -> table                     0  transitions    when something happened, with its bracket
    4  training, snapshots, sources/*
    3  runs          the disk layout
    2  models (hooked), factorized (fast, exact), forward (which of the two)
    1  tasks/*, architecture
    0  fourier, schedule, durable, progress

`cli`, `commands/*`, `analysis` and the scripts in analyses/ stand above both. A module imports only from lower floors.

    >>> import interp
    >>> run = interp.open_run("checkpoints/mainline")                          # doctest: +SKIP
    >>> model = run.model(run.steps[-1])                                       # doctest: +SKIP
    >>> logits, cache = model.run_with_cache(run.task.tokens)                  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.measure import measure
    from interp.runs import open_run
    from interp.sources import import_run
    from interp.training import resume, train

__all__ = ["import_run", "measure", "open_run", "resume", "train"]

_HOME = {
    "open_run": "interp.runs",
    "train": "interp.training",
    "resume": "interp.training",
    "measure": "interp.measure",
    "import_run": "interp.sources",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: torch takes seconds, `import interp` must not.
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'interp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

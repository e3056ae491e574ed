"""grokscope: why does a network that has long memorised suddenly generalise?

Checkpoints of a long training run are loaded into hooked models, and probes track Fourier features, attention
patterns and weight norms along them. Tensors on one side, tables on the other, one door between:

    TENSOR WING (torch)
    6  measure                           the door: run x probes -> tidy tables
    5  probes/*                          snapshot -> table
       measure_stream, measure_cache     step after step through the probes; what was measured before
    4  training, snapshots               the long run; a checkpoint brought to life
    3  runs                              the disk layout
       sources/*                         other people's checkpoints -> a run
       opening                           a run, or anyone's folder as one
       recorded, verification, repair    is a run what it says? what of it can be restored?
    2  models, bridge                    hooked networks: built here, or from Hugging Face
       factorized, forward               the same logits, fast and exact; which of the two answers
       clock_pizza                       the formulas of two algorithms
       series                            are these the steps that they claim to be?
       presets                           named configs
       run_config, task_file, tensor_files, packed_weights, file_damage
                                         the files of a run, one by one
    1  architecture, tasks/*             what a network is; what it learns
    0  fourier                           real Fourier analysis on Z_n
       mathematics/*                     finite groups and their representations

    TABLE WING (numpy, pandas; never torch)
    1  figures/*                         tables -> figures
    0  transitions, phases               when something happened, with its bracket
       algorithm_verdict                 clock or pizza
       curves                            one curve of a table

    COMMON GROUND (neither): choices, durable, findings, plain_warnings, progress, provenance, schedule
    ABOVE BOTH: cli, commands/*, analysis, and the scripts in analyses/

A module imports only from below, within a floor too: tests/test_architecture.py knows the steps between.

    >>> import interp
    >>> run = interp.open_run("checkpoints/mainline")                          # doctest: +SKIP
    >>> model = run.model(run.steps[-1])                                       # doctest: +SKIP
    >>> logits, cache = model.run_with_cache(run.task.tokens)                  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.measure import measure
    from interp.opening import open_run
    from interp.sources import import_run
    from interp.training import resume, train

__all__ = ["import_run", "measure", "open_run", "resume", "train"]

_HOME = {
    "open_run": "interp.opening",
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

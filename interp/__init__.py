"""grokscope: why does a network that has long memorised suddenly generalise?

Checkpoints of a long training run are loaded into hooked models, and probes track Fourier features, attention
patterns and weight norms along them. Tensors on one side, tables on the other, one door between:

    ABOVE BOTH WINGS
     4  commands/       the command line, one file a subcommand
     3  views/          what is looked at: a figure by its name, an animation, the page to scrub through a run
     2  trials/         theories on trial: predictions locked, arms trained, outcomes gathered
     1  analyses/       a question a file: checkpoints -> tables -> a figure and the answer in numbers
     0  sweeps/         many runs: a grid of recipes, its workers, the table over all of them

    TENSOR WING (torch)
    10  measurement/    the door: run x probes -> tidy tables
     9  probes/         snapshot -> table, a probe a file
     8  checks/         is a run what it says? are these the steps that they claim to be? what can be restored?
     7  sources/        a run, or anyone's checkpoints as one
     6  snapshots/      a checkpoint brought to life
     5  training/       the long run
     4  runs/           the disk layout, file by file; configs and presets
     3  interventions/  edits of weights and activations as values, and their shams
     2  networks/       what a network is; its logits, fast and exact; hooked modules
     1  tasks/          what it learns: tasks as data, a family a file
     0  mathematics/    Fourier analysis on Z_n, finite groups and their representations, two formulas

    TABLE WING (numpy, pandas; never torch)
     3  report/         what the evidence on a run says, on one page
     2  theories/       arms judged by effects; clock or pizza
     1  figures/        tables -> figures
     0  tables/         when something happened, with its bracket

    COMMON GROUND (neither)
        ground/         atomic files, progress bars, warnings, provenance

A folder imports only from lower floors of its own wing and from the ground (`tests/test_architecture.py`).

    >>> import interp
    >>> run = interp.open_run("checkpoints/mainline")                          # doctest: +SKIP
    >>> model = run.model(run.steps[-1])                                       # doctest: +SKIP
    >>> logits, cache = model.run_with_cache(run.task.tokens)                  # doctest: +SKIP
"""

import os
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.analyses.of_run import grokking, memorization, phases
    from interp.measurement.measure import measure
    from interp.sources import import_run
    from interp.sources.opening import open_run
    from interp.sweeps.opened import open_sweep
    from interp.sweeps.sweep import sweep
    from interp.theories.judging import judge
    from interp.training.branches import branch
    from interp.training.train import resume, train
    from interp.views.described import describe

__all__ = [
    "branch",
    "describe",
    "grokking",
    "import_run",
    "judge",
    "measure",
    "memorization",
    "open_run",
    "open_sweep",
    "phases",
    "resume",
    "sweep",
    "train",
]

# Else a product's last bits depend on where in memory its factors lie, and a member of a stack on its place there. It
# is read at the first product, and costs nothing that could be measured (docs/performance.md).
os.environ.setdefault("MKL_CBWR", "AUTO")

# What a package that we load asks of notebooks, in red: no display of ours needs it.
warnings.filterwarnings("ignore", message="IProgress not found")

_HOME = {
    "open_run": "interp.sources.opening",
    "train": "interp.training.train",
    "resume": "interp.training.train",
    "branch": "interp.training.branches",
    "measure": "interp.measurement.measure",
    "import_run": "interp.sources",
    "sweep": "interp.sweeps.sweep",
    "open_sweep": "interp.sweeps.opened",
    "judge": "interp.theories.judging",
    "phases": "interp.analyses.of_run",
    "memorization": "interp.analyses.of_run",
    "grokking": "interp.analyses.of_run",
    "describe": "interp.views.described",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: torch takes seconds, `import interp` must not.
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'interp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

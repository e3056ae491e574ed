"""Probes: functions from a snapshot to a tidy table, one a file of the same name.

Nothing is registered: a file interp/probes/<name>.py with a function <name> is a probe, and so is any function of a
snapshot that returns a DataFrame. The tuples below only say which ones the command line means by "standard" and by
"all" (standard and slow). Nothing is imported until a probe is asked for.

    >>> named("losses")                                      # doctest: +SKIP
    <function losses at 0x...>
"""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

# One forward pass over all inputs answers these together.
STANDARD = (
    "losses",
    "embedding_spectrum",
    "neuron_logit_spectrum",
    "logit_spectrum",
    "logit_cells",
    "neuron_frequencies",
    "key_frequencies",
    "frequency_phases",
    "fourier_sparsity",
    "progress_measures",
    "attention_patterns",
    "attention_periodicity",
    "attention_circuits",
    "induction_scores",
    "weight_norms",
    "weight_distances",
    "weight_spectra",
    "neuron_activity",
    "algorithm",
    "algorithm_by_frequency",
)
# Thousands of rows a step: by name, for the steps that are looked at.
LARGE = ("logit_components",)
# Hessians, sampling, many passes: seconds to minutes a step, for a chosen subset of steps.
SLOW = (
    "gradient_statistics",
    "sharpness",
    "kernel_distance",
    "local_complexity",
    "compressibility",
    "learning_coefficient",
)


def named(name: str) -> Callable:
    """The probe of this name, imported on first use.

    Raises:
        ValueError: if there is none; the ones there are, are listed.
    """
    if name not in available():
        raise ValueError(f"There is no probe {name!r}. There are: {', '.join(available())}.")
    return getattr(import_module(f"interp.probes.{name}"), name)


def available() -> list[str]:
    """The names of all probes: the files in this directory."""
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))

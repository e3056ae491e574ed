"""The door between the wings: a run and probes in, tidy tables out.

Checkpoints stream through, one `Snapshot` a step that all probes of the step share; it is freed before the next, so
memory does not grow with the length of the run, except for the tables. What was measured is kept in the run's
directory (`interp.measurement.cache`), and a second or resumed call computes only what is missing.

    >>> tables = measure(run, ["losses", "weight_norms"], "every:1000")                 # doctest: +SKIP
    >>> from functools import partial                                                  # doctest: +SKIP
    >>> measure(run, {"at_end": partial(progress_measures, key_step=20_000)}, [0, 100])  # doctest: +SKIP
"""

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from interp import probes as probe_files
from interp.ground.plain_text import visible
from interp.ground.progress_bar import bar
from interp.measurement.cache import CacheKey, Kept, Measured, remove_leftovers
from interp.measurement.steps import select_steps
from interp.measurement.stream import MeasureError, Outcome, Probe, function_of, odd_column, outcomes
from interp.runs.run import Run

SECONDS_BETWEEN_SAVES = 10.0
STEPS_BETWEEN_SAVES = 20  # a step's small tables take several times the memory of their rows in a joined one


def measure(
    run: Run,
    probes: Sequence[Probe | str] | Mapping[str, Probe | str],
    steps: Iterable[int | np.integer] | str | None = None,
    *,
    n_jobs: int = 1,
    cache: bool = True,
    device: str = "cpu",
    progress: bool = True,
    on_error: Literal["raise", "skip"] = "raise",
) -> dict[str, pd.DataFrame]:
    """One tidy table a probe over the checkpoints of a run, columns `run` and `step` first.

    A table says what the weights of a step are, not what happened between two steps: read times off it with
    `interp.tables.transitions`, which keeps the bracket that the checkpoint spacing leaves open. Kept tables are reused
    whatever the thread count was; they differ from fresh ones by float rounding at most.

    Args:
        probes: functions of a snapshot (parameters by functools.partial), or names of files in interp/probes. A
            mapping gives the tables names of their own, as two settings of one probe need.
        steps: saved steps; a text as `select_steps` reads it; None for all.
        n_jobs: processes; -1 for one a CPU core. Each takes seconds to start and holds one snapshot in memory, so
            more than one pays for minutes of work only. Each gets its share of the cores as threads.
        cache: False neither reads nor writes what is kept.
        device: where the snapshots live: "cpu", "cuda" or "mps".
        progress: False hides the bar (which only shows on a terminal).
        on_error: "raise" stops at the first damaged checkpoint or failing probe, after keeping what was measured;
            "skip" goes on and records it in the tables' attrs["failed"], {step: message}.

    Returns:
        {name: table}, rows by step, then in the probe's order. A probe that does not apply to the run has an empty
        table, and attrs["not_applicable"] says why.

    Raises:
        RunError: if a step was not saved, or its checkpoint is damaged.
        MeasureError: if a probe fails or returns no tidy table, or a worker process dies.
        ValueError: if two probes have one name, or n_jobs or on_error are not valid.
        KeyboardInterrupt: after Ctrl-C, which says what is kept.
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"measure needs on_error='raise' or 'skip', got {on_error!r}.")
    if n_jobs == 0 or n_jobs < -1:
        raise ValueError(f"measure needs n_jobs of at least 1, or -1 for one a core, got {n_jobs}.")
    by_name, chosen = _named(probes), select_steps(run, steps)
    if cache:
        remove_leftovers(run.measures)
    kept = {
        name: Kept(run, chosen, CacheKey.of(run, name, probe, device) if cache else None)
        for name, probe in by_name.items()
    }
    todo = [(step, names) for step in chosen if (names := [n for n in kept if kept[n].lacks(step)])]
    failed: dict[str, dict[int, str]] = {name: {} for name in kept}
    first_error: Exception | None = None

    has_keys = any(table.key for table in kept.values())
    stream = outcomes(run, todo, by_name, device, n_jobs, is_over=lambda: first_error is not None)
    to_disk, saved_at, unsaved = cache, time.monotonic(), 0
    display = bar() if progress else None
    try:
        with display or nullcontext():
            shown = display.add_task(visible(f"measure {run.name}"), total=len(todo)) if display else None
            for outcome in stream:
                for name, result in outcome.results.items():
                    kept[name].put(outcome.step, result)
                for name, error in outcome.failures.items():
                    told = error if outcome.is_damaged else _failure(run, outcome, name, to_disk and has_keys)
                    failed[name][outcome.step] = getattr(told, "failed", str(told))
                    if on_error == "raise":
                        first_error = first_error or told
                if display and shown is not None:
                    display.advance(shown)
                unsaved += 1
                if unsaved >= STEPS_BETWEEN_SAVES or time.monotonic() - saved_at > SECONDS_BETWEEN_SAVES:
                    to_disk, saved_at, unsaved = _save(run, kept, to_disk), time.monotonic(), 0
    except KeyboardInterrupt:
        what = "What was measured is kept: the same call goes on from there" if to_disk else "Nothing is kept"
        raise KeyboardInterrupt(f"Stopped measuring run {run.name!r}. {what}.") from None
    finally:
        stream.close()
        _save(run, kept, to_disk)
    if first_error:
        raise first_error
    return {name: _finished(run, kept[name].measured, failed[name]) for name in kept}


def _named(probes: Sequence[Probe | str] | Mapping[str, Probe | str]) -> dict[str, Probe]:
    if isinstance(probes, Mapping):
        return {name: probe_files.named(p) if isinstance(p, str) else p for name, p in probes.items()}
    if isinstance(probes, str) and probes in ("standard", "all"):
        name = "STANDARD" if probes == "standard" else "STANDARD + SLOW"
        raise ValueError(
            f"measure needs a list of probes, got {probes!r}, a word of the command line. Use {name} from "
            "interp.measurement.standard."
        )
    if isinstance(probes, str) or callable(probes):
        shown = repr(probes) if isinstance(probes, str) else getattr(probes, "__name__", repr(probes))
        raise ValueError(f"measure needs a list of probes, got {shown} alone. Use [{shown}].")
    found: dict[str, Probe] = {}
    for item in probes:
        probe = probe_files.named(item) if isinstance(item, str) else item
        function = function_of(probe)
        name = getattr(function, "__name__", type(function).__name__)
        if name in found:
            raise ValueError(
                f"Two probes are named {name!r}. Give a mapping: measure(run, {{'one': ..., 'other': ...}})."
            )
        found[name] = probe
    return found


def _failure(run: Run, outcome: Outcome, name: str, is_kept: bool) -> MeasureError:
    error, place = outcome.failures[name], outcome.places.get(name)
    what = f"{type(error).__name__}: {str(error).rstrip('.')}{f' ({place})' if place else ''}"
    told = MeasureError(
        f"Probe {name!r} failed at step {outcome.step} of run {run.name!r}: {what}.",
        "What was measured before is kept: once this is mended, the same call goes on from there."
        if is_kept
        else "",
        "To go on past it use on_error='skip'.",
    )
    told.__cause__ = error
    return told


def _save(run: Run, kept: dict[str, Kept], to_disk: bool) -> bool:
    """Join new tables to the others and keep them on disk; whether the disk takes them.

    Raises:
        MeasureError: if a column holds values of one kind at some steps and of another at others; the rest is kept.
    """
    mixed: MeasureError | None = None
    for name, tables in kept.items():
        try:
            tables.save(to_disk)
        except (pa.ArrowException, OverflowError):
            odd = odd_column(tables.measured.table)
            mixed = MeasureError(f"Probe {name!r} returned, over the steps of run {run.name!r}, {odd}.")
        except OSError as error:
            to_disk = False
            warnings.warn(
                f"The tables of run {run.name!r} are not kept for the next call: {error}.", stacklevel=3
            )
    if mixed:
        raise mixed
    return to_disk


def _finished(run: Run, measured: Measured, failed: dict[int, str]) -> pd.DataFrame:
    table = measured.table.reset_index(drop=True)
    table.insert(0, "run", pd.Series([run.name] * len(table), dtype="str"))
    reasons = list(measured.not_applicable.values())
    table.attrs = ({"not_applicable": reasons[0]} if reasons else {}) | ({"failed": failed} if failed else {})
    return table

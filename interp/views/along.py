"""The tables of a run that the page shows, and what is read off them: phases, key frequencies, forecasts."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from interp.ground.thresholds import stands_out
from interp.measurement.measure import measure
from interp.probes import progress_measures
from interp.runs.run import Run
from interp.tables.key_frequencies import followed_frequencies, run_key_frequencies
from interp.tables.outcome import Outcome, dated, outcome
from interp.tables.phases import can_tell, phases
from interp.tables.transitions import Transition
from interp.theories.forecast import WINDOW, curves_of
from interp.theories.forecaster import forecasts, read_forecaster, why_not

PROBES = (
    "losses", "embedding_spectrum", "neuron_logit_spectrum", "logit_spectrum", "neuron_frequencies",
    "fourier_sparsity", "attention_patterns", "attention_periodicity", "weight_norms",
)  # fmt: skip
# On residues the Fourier probes say the same, and this takes minutes.
WITHOUT_RESIDUES = ("character_similarity", "representation_spectrum")
# Rows of the history on the page.
MOST_EVALUATIONS = 1500


@dataclass(frozen=True)
class Along:
    """What the tables of a run say.

    Attributes:
        steps: checkpoints that could be read by every probe, ascending.
        damaged: {step: what was found}.
        phases: those that can be dated: what holds at the only checkpoint already is left out.
        ended: how the run ended, read off the whole of its history.
        keys: the run's key frequencies, which know how it ends; empty where it has none.
        followed: those, or in a run without any the strongest of its last checkpoint.
        reasons: {table: why it does not apply}.
    """

    steps: list[int]
    damaged: dict[int, str]
    tables: dict[str, pd.DataFrame]
    phases: dict[str, Transition]
    ended: Outcome
    keys: list[int]
    followed: list[int]
    chosen_by: str
    reasons: dict[str, str]
    n_evaluations: int

    def keys_at(self, step: int) -> list[int]:
        """Frequencies that stand out of the logits of this checkpoint alone, ascending."""
        spectrum = self.tables["logit_spectrum"]
        if not len(spectrum):
            return []
        rows = spectrum[spectrum["step"] == step]
        return sorted(int(k) for k in rows["frequency"][stands_out(rows["fraction_explained"], rows["null"])])


def along(run: Run, steps: list[int], device: str = "cpu") -> Along:
    """Measure a run at these checkpoints, and read its phases off them.

    Raises:
        ValueError: if none of them can be read.
    """
    take = partial(measure, run, steps=steps, device=device, on_error="skip")
    tables = take(PROBES)
    if not len(tables["logit_spectrum"]):
        tables |= take(WITHOUT_RESIDUES)
    tables, damaged, left = _without_damaged(run, steps, tables)
    keys = run_key_frequencies(tables)
    followed, chosen_by = followed_frequencies(tables)
    if len(tables["logit_spectrum"]):
        probe = partial(progress_measures, frequencies=followed or None)
        tables |= measure(run, {"progress_measures": probe}, steps=left, device=device, on_error="skip")
        tables, more, left = _without_damaged(run, left, tables)
        damaged |= more
    history = run.history()
    with_history = {**tables, "history": history}
    dating = with_history if keys else {k: v for k, v in with_history.items() if k != "progress_measures"}
    found = dated(phases(dating), left) if can_tell(with_history) else {}
    ended = outcome(with_history)
    tables["forecasts"] = _forecasts(run.name, history, tables, left)
    tables["history"], n_evaluations = _thinned(history), len(history)
    reasons = {
        name: table.attrs["not_applicable"]
        for name, table in tables.items()
        if "not_applicable" in table.attrs
    }
    return Along(left, damaged, tables, found, ended, keys, followed, chosen_by, reasons, n_evaluations)


def _without_damaged(
    run: Run, steps: list[int], tables: dict[str, pd.DataFrame]
) -> tuple[dict[str, pd.DataFrame], dict[int, str], list[int]]:
    """The tables without the steps at which any probe failed, those steps, and what is left of all.

    Panels that lie side by side have the same steps.
    """
    damaged = {step: why for table in tables.values() for step, why in table.attrs.get("failed", {}).items()}
    left = [step for step in steps if step not in damaged]
    if not left:
        raise ValueError(
            f"Run {run.name!r} has no checkpoint that can be read: {next(iter(damaged.values()))}"
        )
    kept = {name: table[table["step"].isin(left)] if len(table) else table for name, table in tables.items()}
    return kept, damaged, left


def _thinned(history: pd.DataFrame) -> pd.DataFrame:
    """Every n-th row of a long history, and its last, those with a test loss first."""
    if "test_loss" in history and history["test_loss"].notna().any():
        history = history[history["test_loss"].notna()]
    every = -(-len(history) // MOST_EVALUATIONS) or 1
    kept = history.iloc[::every]
    return (
        kept
        if not len(history) or kept.index[-1] == history.index[-1]
        else pd.concat([kept, history.iloc[-1:]])
    )


def _forecasts(
    name: str, history: pd.DataFrame, tables: dict[str, pd.DataFrame], steps: list[int]
) -> pd.DataFrame:
    """What could be forecast at each checkpoint between memorization and grokking from what had been seen by then."""
    nothing = pd.DataFrame(columns=["step", "measure", "seen", "raw", "forecast", "low", "high", "why_not"])
    if "test_accuracy" not in history or not history["test_accuracy"].notna().any():
        return nothing
    if why_not(history):
        return nothing
    learned, rows = read_forecaster(), []
    whole = history.dropna(subset=["test_accuracy"])
    for step in steps:
        seen = whole[whole["step"] <= step]
        if not len(seen):
            continue
        sofar = outcome({"history": seen})
        is_open = sofar.memorization is not None and sofar.memorization.step is not None
        if not is_open or (sofar.grokking is not None and sofar.grokking.step is not None):
            continue
        table = forecasts(
            learned, curves_of(seen.assign(run=name), _sparsity(tables, steps, step)), float(step)
        )
        rows.append(table.rename(columns={"step": "forecast"}).assign(step=step))
    return pd.concat(rows, ignore_index=True)[list(nothing.columns)] if rows else nothing


def _sparsity(tables: dict[str, pd.DataFrame], steps: list[int], step: int) -> pd.DataFrame | None:
    """The Gini coefficients that lie in reach of the line, and the first, which says where it started."""
    table = tables["fourier_sparsity"]
    if not len(table):
        return None
    at: Any = table["step"]
    return table[((at <= step) & (at >= (1 - WINDOW) * step)) | (at == steps[0])]

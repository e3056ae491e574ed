"""What each checkpoint looks like: arrays over pairs, neurons and frequencies, quantised for the page.

What would make the page too large is drawn on some of the residues, or left out, and the page says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interp.ground.plain_text import number_of, ordinal
from interp.report.explorer.encoded import quantised, whole_numbers
from interp.runs.run import Run
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.structure import Cyclic
from interp.views.algebra_stills import circles, distances, neuron_shares, plane, planes_of
from interp.views.along import Along
from interp.views.cells import Cells

# Bytes of one array over all steps, before it is deflated.
BUDGET = 4_000_000
# Cells on a side of a map, below which it says nothing.
LEAST_SIDE = 24


@dataclass(frozen=True)
class Stills:
    """What the page has of each checkpoint besides the measured tables.

    Attributes:
        arrays: by name, steps first (but `is_train`, of all steps), as `quantised` and `whole_numbers` give them.
        tables: by name, what of them is better a table.
        about: what the page has to know of them.
        reasons: {array: why it is not there}.
        notes: sentences on what is shown of them.
    """

    arrays: dict[str, dict[str, Any]]
    tables: dict[str, pd.DataFrame]
    about: dict[str, Any]
    reasons: dict[str, str]
    notes: list[str]


def stills(run: Run, found: Along, device: str = "cpu") -> Stills:
    """Go through the checkpoints once more, for what is too large for tables."""
    last = Snapshot.of(run, found.steps[-1], device)
    about, reasons = _about(last), dict(found.reasons)
    notes: list[str] = []
    taken = _taken(last, found, about, notes, reasons)
    gathered: dict[str, list[np.ndarray]] = {name: [] for name in taken}
    for step in found.steps:
        snapshot = last if step == last.step else Snapshot.of(run, step, device)
        for name, take in taken.items():
            gathered[name].append(take(snapshot))
    whole = {name: np.stack(values) for name, values in gathered.items()}
    tables: dict[str, pd.DataFrame] = {}
    arrays: dict[str, dict[str, Any]] = {}
    if "circles" in whole:
        arrays["circles"], tables["circles"] = _circles(whole.pop("circles"), found.steps, about["circles"])
    if "distances" in whole:
        tables["logits_by_distance"] = _by_distance(whole.pop("distances"), found.steps)
        tables["clock"] = _clock(found)
    if "right" in whole:
        both = whole.pop("right")
        whole |= {"probability": both[:, 0], "margin": both[:, 1]}
    if (is_train := about.pop("is_train", None)) is not None:
        arrays["is_train"] = whole_numbers(is_train)
    for name, values in whole.items():
        arrays[name] = _packed(name, values)
    return Stills(arrays, tables, about, reasons, notes)


def _about(last: Snapshot) -> dict[str, Any]:
    structure = last.task.structure if last.task is not None else None
    if isinstance(structure, Cyclic):
        return {"n": structure.order, "frequencies": structure.order // 2}
    return {}


def _taken(
    last: Snapshot, found: Along, about: dict[str, Any], notes: list[str], reasons: dict[str, str]
) -> dict[str, Callable[[Snapshot], np.ndarray]]:
    """What is taken of each snapshot, as far as it applies and fits."""
    taken: dict[str, Callable[[Snapshot], np.ndarray]] = {}
    n_steps = len(found.steps)
    try:
        side = _side(n_steps)
        cells = Cells.of(last, side)
        about["cells"] = {
            "side": cells.side,
            "every": cells.every,
            "labels": list(cells.labels),
            "operands": cells.operands.tolist(),
        }
        about["is_train"] = cells.is_train(last)
        taken |= {"right": cells.right, "error": cells.error}
        if cells.every > 1:
            notes.append(f"Maps over pairs show every {ordinal(cells.every)} value of each operand.")
        n_heads = last.pattern.shape[1] * last.pattern.shape[2]
        side = _side(n_steps * n_heads)
        if side >= min(LEAST_SIDE, cells.n):
            few = Cells.of(last, side)
            about["attention"] = {
                "side": few.side,
                "every": few.every,
                "heads": [[i, j] for i in range(last.pattern.shape[1]) for j in range(last.pattern.shape[2])],
            }
            taken["attention"] = few.attention
        else:
            reasons["attention"] = (
                f"Maps of {number_of(n_heads, 'head')} at {number_of(n_steps, 'checkpoint')} would make this page too "
                "large. The tables attention_patterns and attention_periodicity have them in numbers."
            )
    except NotApplicable as reason:
        reasons.setdefault("attention" if "right" in taken else "answers", str(reason))
    try:
        residues = last.once(Residues)
    except NotApplicable as reason:
        reasons["algebra"] = str(reason)
        return taken
    n, n_frequencies = residues.n, (residues.n - 1) // 2
    taken["distances"] = lambda snapshot: distances(snapshot, cells)
    if cells.every == 1:
        taken["plane"] = lambda snapshot: plane(snapshot, cells)
    try:
        frequencies = list(range(1, n_frequencies + 1))
        # Two planes, two coordinates in each.
        if 4 * n * n_frequencies * n_steps > BUDGET // 4 * 3:
            frequencies = [k for k in found.followed if k <= n_frequencies]
        final = planes_of(residues.embedding, frequencies)
        about["circles"] = {"frequencies": frequencies}
        taken["circles"] = lambda snapshot: circles(snapshot, frequencies, final)
    except NotApplicable as reason:
        reasons["circles"] = str(reason)
    try:
        n_neurons = residues.neuron_table.shape[2]
        if n_neurons * n_frequencies * n_steps <= BUDGET:
            taken["neurons"] = neuron_shares
        else:
            reasons["neurons"] = (
                f"The spectra of {n_neurons} neurons would make this page too large. The table neuron_frequencies has "
                "the strongest frequency of each."
            )
    except NotApplicable as reason:
        reasons["neurons"] = str(reason)
    return taken


def _side(n_maps: int) -> int:
    """Cells on a side of as many maps as fit the budget."""
    return min(128, int((BUDGET / n_maps) ** 0.5))


def _packed(name: str, values: np.ndarray) -> dict[str, Any]:
    if name == "error":
        return whole_numbers(values)
    if name == "margin":
        ends = max(float(np.abs(values[np.isfinite(values)]).max(initial=0.0)), 1e-9)
        return quantised(values, low=-ends, high=ends)
    if name == "plane":
        return quantised(values, low=-1.0, high=1.0)
    return quantised(values, low=0.0, high=1.0)


def _circles(
    values: np.ndarray, steps: list[int], about: dict[str, Any]
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Coordinates relative to the largest of their step, frequency and plane, and a table of those.

    Args:
        values: (step, plane, frequency, residue, 2).
    """
    largest = np.maximum(np.abs(values).max((-1, -2)), 1e-12)
    spectrum = np.abs(np.fft.fft(values[..., 0] + 1j * values[..., 1], axis=-1)) ** 2
    n = values.shape[3]
    k = np.array(about["frequencies"])
    at = np.arange(len(k))
    own = spectrum[:, :, at, k] + spectrum[:, :, at, n - k]
    total = np.maximum(spectrum[..., 1:].sum(-1), 1e-30)
    index = pd.MultiIndex.from_product(
        [steps, ["own", "final"], about["frequencies"]], names=["step", "plane", "frequency"]
    )
    table = pd.DataFrame(
        {"largest": largest.ravel(), "share": (own / total).ravel()}, index=index
    ).reset_index()
    return quantised(values / largest[..., None, None], low=-1.0, high=1.0), table


def _by_distance(values: np.ndarray, steps: list[int]) -> pd.DataFrame:
    """Args: values (step, 2, n): mean and standard deviation."""
    n = values.shape[2]
    return pd.DataFrame(
        {
            "step": np.repeat(steps, n),
            "distance": np.tile(np.arange(n), len(steps)),
            "mean": values[:, 0].ravel(),
            "sd": values[:, 1].ravel(),
        }
    )


def _clock(found: Along) -> pd.DataFrame:
    """The share of the logits that a clock explains, of the keys of each step and of those of the run.

    In a run without key frequencies those that are followed are only the strongest, and are called so.
    """
    spectrum = found.tables["logit_spectrum"]
    final = "hindsight" if found.keys else "strongest"
    rows = []
    for step in found.steps:
        share = spectrum[spectrum["step"] == step].set_index("frequency")["fraction_explained"]
        for keys, chosen in (("leak-free", found.keys_at(step)), (final, found.followed)):
            rows.append(
                {"step": step, "keys": keys, "n_keys": len(chosen), "share": float(share[chosen].sum())}
            )
        rows.append({"step": step, "keys": "all", "n_keys": len(share), "share": float(share.sum())})
    return pd.DataFrame(rows)

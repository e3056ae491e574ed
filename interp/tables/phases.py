"""The phases of Nanda et al. 2023, from a run's tables: memorization, circuit formation, cleanup; grokking; collapse.

The paper gives its boundaries as epochs, without a rule. Here every boundary is a rule with its threshold, and its
bracket says how much the curve, not only the checkpoint spacing, leaves open. docs/transitions.md shows what the rules
say on known curves.

References: Nanda et al. 2023, "Progress measures for grokking via mechanistic interpretability", section 5.2 and
figure 7.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from interp.ground.thresholds import ACCURACY
from interp.tables.accuracies import by_split
from interp.tables.curves import SHORT, breaks, curve, slopes, stretches
from interp.tables.outcome import outcome
from interp.tables.transitions import Transition, around, lasting

FLOOR = 2.0  # the floor of the excluded loss: up to so many times its least value
SMOOTHED = (
    3  # checkpoints: a running median against lone outliers of the excluded loss; the ends stay as they are
)
SLOPE_WINDOW = 5  # checkpoints whose least-squares line gives a slope
STEEPER = 1.5  # cleanup begins where the norm falls so many times faster than before, ...
CLEANED = 0.1  # ... if log(sum of squared weights) still falls by this much from there
SETTLED = 0.05  # cleanup ends where slopes stay below this share of their largest
PIECES = (3, 4, 5)  # straight pieces that the norm's curve is cut into
LEAST_LOSS = 1e-16  # losses below the rounding of float64 log-softmax count as this


def phases(
    tables: Mapping[str, pd.DataFrame], *, accuracy: float = ACCURACY, tolerated: float = SHORT
) -> dict[str, Transition]:
    """The beginnings of Nanda et al.'s phases, and of grokking, each with its bracket.

    memorization       train accuracy stays at `accuracy`.
    circuit_formation  after memorization the excluded loss leaves its floor (up to FLOOR times its least value) for
                       good: `step` is the first checkpoint past the floor, `before` the last ahead of it, since
                       nothing on a floor tells where formation begins. On a flat curve the bracket is wide. Never, if
                       the excluded loss ends within FLOOR of the train loss there (these frequencies are not used) or
                       ends on its floor. All floor, and beyond FLOOR times the train loss at both of its ends: the
                       circuit came with memorization.
    cleanup            within circuit formation the sum of squared weights begins to fall faster: of the change points
                       of its logarithm the one where the slope steepens most. The bracket spans the answers with
                       PIECES straight pieces.
    cleanup_end        after that the slopes of log restricted loss and of the Gini coefficient of W_E stay below
                       SETTLED of their largest.
    grokking           test accuracy stays at `accuracy`. Not a phase: it comes in cleanup, late in the changes.
    collapse           test accuracy that had stayed at `accuracy` falls below it for long, the last time that it does
                       (`interp.tables.collapse`). No phase of the paper. Short falls, as slingshots, are none.

    The paper gives its boundaries as epochs, without a rule, and has memorization last until the excluded loss turns,
    which here is where circuit formation begins. Neither is a theorem: read the curves beside the bands.

    Args:
        tables: as `measure` returns them, each over any steps; what is missing leaves its phases unknown.
            history (`Run.history()`) or losses: accuracies and train loss; the first of them that has rows. With
                corrupted labels give losses too: like the excluded loss, its train loss leaves them out.
            progress_measures, with a key set: rows with selection "key" of excluded_loss (train) and restricted_loss
                (all).
            weight_norms: the row "total".
            fourier_sparsity: gini of W_E.
        accuracy, tolerated: of memorization and grokking, as `transition`.

    Returns:
        All six. `before` and `step` both None: not known, for want of tables or checkpoints. `step` None: never.

    Raises:
        ValueError: if no table can tell any of them, or progress_measures holds no key set.

    References: Nanda et al. 2023, section 5.2 and figure 7.
    """
    _check_can_tell(tables)
    answers = next((t for name in ("history", "losses") if len(t := tables.get(name, _NOTHING))), _NOTHING)
    wide = by_split(answers)
    unknown = Transition("", None, None, None)
    found = dict.fromkeys(
        ("memorization", "circuit_formation", "cleanup", "cleanup_end", "grokking", "collapse"), unknown
    )
    ended = outcome(tables, accuracy=accuracy, tolerated=tolerated)
    found["memorization"] = ended.memorization or unknown
    found["grokking"] = ended.grokking or unknown
    found["collapse"] = ended.collapse or unknown
    measures = tables.get("progress_measures", _NOTHING)
    if not len(measures):
        return found

    excluded, restricted = (
        _of_key_set(measures, "excluded_loss", "train"),
        _of_key_set(measures, "restricted_loss", "all"),
    )
    if found["memorization"] is not unknown and excluded is not None:
        train_losses = _train_losses_beside(excluded, wide, tables.get("losses", _NOTHING))
        found["circuit_formation"] = _circuit_formation(excluded, train_losses, found["memorization"])
    norms = tables.get("weight_norms", _NOTHING)
    if len(norms):
        found["cleanup"] = _cleanup(norms[norms["matrix"] == "total"], found["circuit_formation"])
    sparsity = tables.get("fourier_sparsity", _NOTHING)
    if len(sparsity) and restricted is not None:
        gini = sparsity[sparsity["matrix"] == "W_E"]
        found["cleanup_end"] = _cleanup_end(restricted, gini, found["cleanup"])
    return found


_NOTHING = pd.DataFrame()


def can_tell(tables: Mapping[str, pd.DataFrame]) -> bool:
    """Whether `phases` has a table by which it can date anything: those of a source without task and log have none."""
    return any(len(tables.get(name, _NOTHING)) for name in ("history", "losses"))


def _check_can_tell(tables: Mapping[str, pd.DataFrame]) -> None:
    """Refuse what is not a mapping of tables, and tables of which none can date a phase."""
    if not isinstance(tables, Mapping):
        raise ValueError(
            f"phases needs a mapping of tables by name, got {type(tables).__name__}. `interp.phases(run)` measures the "
            "tables of a run first."
        )
    if not can_tell(tables):
        raise ValueError(
            f"phases needs a table 'history' (run.history()) or 'losses' with rows, got {sorted(tables) or 'none'}. "
            "Memorization and grokking are read from them; circuit_formation needs 'progress_measures' with a key set "
            "too, cleanup 'weight_norms' as well, cleanup_end 'fourier_sparsity' as well. "
            "`interp.phases(run)` measures all of them."
        )


def _of_key_set(measures: pd.DataFrame, measure: str, split: str) -> pd.DataFrame | None:
    """The curve of the run's key set, or None for a run without that split."""
    if not (measures["selection"] == "key").any():
        raise ValueError(
            "Phases need progress measures of one key set for the whole run, these have none. Measure with "
            "functools.partial(progress_measures, frequencies=run_key_frequencies(tables))."
        )
    rows = measures[
        (measures["selection"] == "key") & (measures["measure"] == measure) & (measures["split"] == split)
    ]
    return rows if len(rows) else None


def _train_losses_beside(excluded: pd.DataFrame, answers: pd.DataFrame, losses: pd.DataFrame) -> np.ndarray:
    """The train loss at every step of the excluded loss, or the last one known before it.

    The excluded loss leaves corrupted rows out. So does the train split of the losses table, unlike a history.
    """
    if len(losses) and {"train", "corrupted"} <= set(losses["split"]):
        answers = losses[losses["split"] == "train"].rename(columns={"loss": "train_loss"})
    steps, train_losses = curve(answers, "train_loss")
    at = np.searchsorted(steps, curve(excluded, "loss")[0], side="right") - 1
    return np.maximum(train_losses[np.maximum(at, 0)], LEAST_LOSS)


def _circuit_formation(excluded: pd.DataFrame, train_losses: np.ndarray, memorized: Transition) -> Transition:
    steps, losses = curve(excluded, "loss")
    if memorized.step is None or steps[-1] < memorized.step:
        return Transition("excluded_loss", None, int(steps[-1]), None)
    after = steps >= memorized.step
    uses_them = losses[after] > FLOOR * train_losses[after]
    steps, logs = steps[after], np.log(np.maximum(losses[after], LEAST_LOSS))
    smooth = pd.Series(logs).rolling(SMOOTHED, center=True).median().fillna(pd.Series(logs)).to_numpy()
    least = int(smooth.argmin())
    on_floor = smooth <= smooth[least] + np.log(FLOOR)
    threshold = float(np.exp(smooth[least]) * FLOOR)
    first = next(start for start, end in stretches(on_floor) if start <= least < end)
    last = int(np.flatnonzero(on_floor)[-1])
    if on_floor.all() and uses_them[-1]:
        # Nothing to leave: it was there already, or some time after the first checkpoint came without a mark.
        began = (memorized.before, int(steps[0])) if uses_them[0] else (None, None)
        return Transition("excluded_loss", threshold, *began)
    if last + 1 == len(steps) or not uses_them[-1]:
        return Transition("excluded_loss", threshold, int(steps[-1]), None)
    before = int(steps[first - 1]) if first else memorized.before
    return Transition("excluded_loss", threshold, before, int(steps[last + 1]))


def _cleanup(norms: pd.DataFrame, formation: Transition) -> Transition:
    quantity = "log sum_of_squares, slope"
    if formation.step is None:
        return Transition(quantity, None, formation.before, None)
    steps, values = curve(norms, "sum_of_squares")
    within = steps >= formation.step
    steps, logs = steps[within], np.log(values[within])
    brackets, tried = [], 0
    for n_pieces in PIECES:
        if len(steps) < 3 * n_pieces:
            continue
        tried += 1
        knots, slope = breaks(steps, logs, n_pieces - 1)
        i = int(np.diff(slope).argmin())
        falls = np.interp(knots[i + 1], steps, logs) - logs[-1]
        if slope[i + 1] < STEEPER * min(slope[i], 0.0) and falls > CLEANED:
            brackets.append(around(steps, knots[i + 1]))
    if not brackets:  # with too few checkpoints for some of PIECES a steepening may have been missed
        return Transition(quantity, None, int(steps[-1]) if tried == len(PIECES) else None, None)
    return Transition(quantity, None, min(b for b, _ in brackets), max(s for _, s in brackets))


def _cleanup_end(restricted: pd.DataFrame, gini: pd.DataFrame, cleanup: Transition) -> Transition:
    quantity = "log restricted_loss and gini, slopes"
    if cleanup.step is None:
        return Transition(quantity, SETTLED, cleanup.before, None)
    both = restricted[["step", "loss"]].merge(gini[["step", "gini"]], on="step")
    both["loss"] = np.log(both["loss"].clip(lower=LEAST_LOSS))
    both = both[both["step"] >= cleanup.before]
    if len(both) < SLOPE_WINDOW:
        return Transition(quantity, SETTLED, None, None)
    settled = np.ones(len(both), dtype=bool)
    for column in ("loss", "gini"):
        steps, values = curve(both, column)
        slope = np.abs(slopes(steps, values, SLOPE_WINDOW))
        settled &= slope <= SETTLED * slope.max()
    # Slopes over several checkpoints already pass over what is short.
    return lasting(quantity, SETTLED, steps, settled, 0.0)

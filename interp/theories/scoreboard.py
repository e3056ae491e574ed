"""All verdicts in one table: theories against what was trained and what was observed. No score adds them up."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from interp.theories.arms_table import BRANCH, check_arms
from interp.theories.branch_points import aligned_steps
from interp.theories.contrasts import Evidence
from interp.theories.in_words import NOT_TESTABLE
from interp.theories.lock import Lock
from interp.theories.locked_part import arms_under_lock, begun_before, levels_under_lock
from interp.theories.prediction import Prediction
from interp.theories.statistic import Spread, arms_of
from interp.theories.verdict import COLUMNS, STATUS, Verdict, Verdicts, corrected, judged_by

_Tables = tuple[pd.DataFrame | None, pd.DataFrame | None]
LEVELS = [
    *("arm", "dose", "pair", "kind", "reference", "reference_dose"),
    *("branch_step", "quantity", "value", "valid", "why_not"),
]


def scoreboard(
    lock_or_predictions: Lock | Iterable[Prediction],
    arms: pd.DataFrame | None,
    levels: pd.DataFrame | None,
    observed: Mapping[str, pd.DataFrame],
    *,
    also: Iterable[Prediction] = (),
) -> pd.DataFrame:
    """One row a prediction, and a kind of pairs where both kinds were trained.

    A lock is judged by what it promised: of its arms, pairs and budgets. Where more was trained of the arms of a
    prediction, a further row, exploratory, is judged by all of it. A prediction of arms that were begun before the lock
    was written is exploratory.

    Args:
        lock_or_predictions: of `read_lock`; or predictions, which are exploratory then.
        arms: an arms table, or None; it is checked.
        levels: quantities of arms that are not times, or None.
        observed: the tables of the observed run by name, as `measure` returns them, and "history".
        also: predictions judged beside those of the lock; exploratory.

    Columns:
        theory, prediction: names.
        verdict: supported, consistent, contradicted, undecided, not evaluable, or not testable here.
        statistic: what was measured, in words.
        value, low, high: its number and interval.
        rival: the other account.
        arms: those that it takes.
        primary: whether it was corrected for the number of such rows.
        why, would_change: in words that follow from the numbers.
        status: observed, this run (jitter pairs), this recipe (seeds), exploratory (not locked), or not tested.
        does_not_show: what it leaves open in any case.

    Raises:
        ValueError: as `check_arms`; as `check_levels`.
    """
    rows = verdicts(lock_or_predictions, arms, levels, observed, also=also)
    return pd.DataFrame([row.row for row in rows], columns=COLUMNS)


def verdicts(
    lock_or_predictions: Lock | Iterable[Prediction],
    arms: pd.DataFrame | None,
    levels: pd.DataFrame | None,
    observed: Mapping[str, pd.DataFrame],
    *,
    also: Iterable[Prediction] = (),
) -> Verdicts:
    """The rows of `scoreboard` as values; in a notebook a table."""
    lock = lock_or_predictions if isinstance(lock_or_predictions, Lock) else None
    steps: Sequence[int] = lock.branch_steps if lock else ()
    locked = tuple(lock.predictions if lock else lock_or_predictions)  # type: ignore[arg-type]
    arms = None if arms is None else check_arms(arms).reset_index(drop=True)
    levels = None if levels is None else check_levels(levels).reset_index(drop=True)
    whole = (arms, levels)
    promised = whole if lock is None else _under_lock(lock, *whole)
    early = _early_arms(lock, arms)
    asked = [(p, promised, lock is not None and not _was_seen(p, early)) for p in locked]
    # Locked rows first: the others take nothing from their level.
    asked.sort(key=lambda one: not one[2])
    beyond = _beyond(promised, whole)
    asked += [(p, whole, False) for p, _, is_locked in asked if is_locked and beyond & {*p.arms}]
    asked += [(p, whole, False) for p in also if p not in {*locked}]
    kinds = [kind for kind in STATUS if any(t is not None and (t["kind"] == kind).any() for t in whole)]
    rows: list[Verdict] = []
    for i, kind in enumerate(kinds or [""]):
        evidence = {
            id(tables): Evidence(_of_kind(tables[0], kind), _of_kind(tables[1], kind), observed, tuple(steps))
            for tables in (promised, whole)
        }
        found = [
            judged_by(prediction, evidence[id(tables)], is_locked=is_locked)
            for prediction, tables, is_locked in asked
        ]
        n = sum(is_locked for _, _, is_locked in asked)
        found = [*corrected(found[:n]), *corrected(found[n:])]
        # What no arms decide stands once, with the first kind.
        rows += [row for row in found if i == 0 or row.prediction.arms]
    return Verdicts(_without_gaps(rows))


def _under_lock(lock: Lock, arms: pd.DataFrame | None, levels: pd.DataFrame | None) -> _Tables:
    return (
        None if arms is None else arms_under_lock(lock, arms),
        None if levels is None else levels_under_lock(lock, levels, arms),
    )


def _early_arms(lock: Lock | None, arms: pd.DataFrame | None) -> set[str]:
    """Arms of which a pair was there before the lock; controls, which change nothing, left out."""
    if lock is None or arms is None:
        return set()
    older = begun_before(lock, arms)
    return {*older.loc[older["reference"] != "", "arm"]}


def _was_seen(prediction: Prediction, early: set[str]) -> bool:
    """Whether an arm that the number is made of was there before the lock; what guards are made of may have been."""
    statistic = prediction.statistic
    return bool(early) if isinstance(statistic, Spread) else bool(early & {*arms_of(statistic)})


def _beyond(promised: _Tables, whole: _Tables) -> set[str]:
    """Arms of which more is there than was promised: pairs, branch points, or events after their budget."""
    out: set[str] = set()
    for part, table in zip(promised, whole, strict=True):
        if part is None or table is None:
            continue
        out |= {*table.loc[table.index.difference(part.index), "arm"]}
        same, name = table.loc[part.index], "step" if "step" in table else "value"
        out |= {*same.loc[(same[name].notna() & part[name].isna()).to_numpy(), "arm"]}
    return out


def _of_kind(table: pd.DataFrame | None, kind: str) -> pd.DataFrame | None:
    return None if table is None else table[table["kind"] == kind]


def check_levels(levels: pd.DataFrame) -> pd.DataFrame:
    """The levels table, pairs as texts as in an arms table.

    Raises:
        ValueError: if a column is missing, a value is no number, or a row stands twice.
    """
    if lacking := [name for name in LEVELS if name not in levels.columns]:
        raise ValueError(
            f"A table of levels needs the columns {', '.join(lacking)}, and has "
            f"{', '.join(map(str, levels.columns))}. "
            "Add them; dose, reference, reference_dose and why_not may hold nothing."
        )
    if not pd.api.types.is_numeric_dtype(levels["value"]):
        raise ValueError(
            "A table of levels needs numbers in value, got texts. Leave out what was not measured."
        )
    if "point" in levels:
        # Rows without a point are no point of their own among the others.
        for part in (levels["point"].notna(), levels["point"].isna()):
            aligned = aligned_steps(levels[part], levels.loc[part, "point"].fillna(""))
            levels = levels.assign(branch_step=levels["branch_step"].mask(part, aligned))
    is_twice = levels.duplicated([*BRANCH, "quantity"])
    if is_twice.any():
        row = levels[is_twice].iloc[0]
        raise ValueError(
            f"A table of levels needs one row an arm, dose, pair, branch step and quantity, got {row['quantity']} of "
            f"{row['arm']} in pair {row['pair']} twice. Leave one of them."
        )
    is_true = levels["valid"].astype(str).str.lower() == "true"
    return levels.assign(pair=levels["pair"].astype(str), valid=is_true)


def _without_gaps(rows: list[Verdict]) -> list[Verdict]:
    """Without rows that are not testable with one kind of pairs and are with the other, and each of the rest once."""
    names = [(row.prediction.theory, row.prediction.name) for row in rows]
    told = {name for name, row in zip(names, rows, strict=True) if row.verdict != NOT_TESTABLE}
    return [
        row
        for i, (name, row) in enumerate(zip(names, rows, strict=True))
        if row.verdict != NOT_TESTABLE or (name not in told and name not in names[:i])
    ]

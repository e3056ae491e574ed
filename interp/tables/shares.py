"""What becomes of many runs: shares by phase, those that have not grokked yet, and where a field decides.

A run that has not grokked by its end may do so later: every share is one by the end of what was trained, and times are
right-censored there (Kaplan and Meier 1958; here of `scipy.stats`).

References: Liu et al. 2022, "Towards understanding grokking", table 1 (the four phases).
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import CensoredData, binomtest, ecdf, logrank

from interp.tables.wording import PHASES, setting_text

# Steps from memorization to generalisation below which there is no delay to speak of (Liu et al. 2022, table 1).
COMPREHENSION = 1000
LEVEL = 0.95


def groups(runs: pd.DataFrame, fields: Sequence[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The runs by the values of these fields, in order; all of them as one group where there are no fields."""
    if not fields:
        yield {}, runs
        return
    for key, rows in runs.groupby(list(fields), dropna=False):
        yield dict(zip(fields, key, strict=True)), rows


def is_numeric(runs: pd.DataFrame, field: str) -> bool:
    """Whether a field's values are positive numbers, of which there are logarithms."""
    return is_ordered(runs, field) and bool((runs[field].dropna() > 0).all())


def is_ordered(runs: pd.DataFrame, field: str) -> bool:
    """Whether a field's values are numbers."""
    return pd.api.types.is_numeric_dtype(runs[field]) and not pd.api.types.is_bool_dtype(runs[field])


def run_phases(runs: pd.DataFrame, *, comprehension: int = COMPREHENSION) -> pd.Series:
    """The phase of each run by its end; missing for one that is not complete.

    confusion: it did not memorize. memorization: it did, and test accuracy did not come to stay. grokking: that came
    `comprehension` steps after memorization or later; comprehension: sooner.

    Args:
        runs: `status`, and `memorization_step`, `grokking_step` and `delay`, missing where they did not come.
    """
    memorized, grokked = runs["memorization_step"].notna(), runs["grokking_step"].notna()
    delayed = runs["delay"].astype("float64") >= comprehension
    found = np.select(
        [grokked & delayed, grokked, memorized], ["grokking", "comprehension", "memorization"], "confusion"
    )
    return pd.Series(found, index=runs.index, dtype="object").where(runs["status"] == "complete")


def cells(runs: pd.DataFrame, fields: Sequence[str], *, comprehension: int = COMPREHENSION) -> pd.DataFrame:
    """One row for each combination of the fields' values: how many runs are in which phase by their end.

    Columns: the fields; n (complete runs), n_other (diverged, failed or not done), a count for each of PHASES; share
    that generalised with its exact binomial interval, `low` to `high` (95 %, Clopper and Pearson); budget (least steps
    of a run), median_step (by which half have generalised, of the Kaplan-Meier curve; NaN where fewer have).
    """
    phase = run_phases(runs, comprehension=comprehension)
    rows = []
    for values, part in groups(runs, fields):
        counts, done = phase[part.index].value_counts(), part[part["status"] == "complete"]
        n = int(counts.sum())
        n_generalised = int(counts.get("grokking", 0) + counts.get("comprehension", 0))
        ends = binomtest(n_generalised, n).proportion_ci(LEVEL) if n else None
        rows.append(
            values
            | {"n": n, "n_other": len(part) - n}
            | {name: int(counts.get(name, 0)) for name in PHASES}
            | {"share": n_generalised / n if n else np.nan}
            | {"low": ends.low if ends else np.nan, "high": ends.high if ends else np.nan}
            | {"budget": done["step"].min() if n else np.nan, "median_step": _median_step(part)}
        )
    return pd.DataFrame(rows)


def _times(runs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The grokking steps of the runs, and of the others that are in order how far they were seen not to."""
    # What diverged is another fate, and no sign of being late.
    is_known = runs["grokking_step"].notna() | runs["grokking_before"].notna()
    known = runs[is_known & ~runs["status"].isin(["diverged", "failed", "unreadable"])]
    has_come = known["grokking_step"].notna()
    return (
        known.loc[has_come, "grokking_step"].to_numpy(float),
        known.loc[~has_come, "grokking_before"].to_numpy(float),
    )


def survival(runs: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """The share of runs that have not grokked by each step (Kaplan-Meier), by the values of the fields.

    Columns: the fields; step, share, low, high (95 %, log-log), n (runs). The first row of each is step 0, the last the
    longest that a run was seen.
    """
    parts = []
    for values, part in groups(runs, fields):
        come, censored = _times(part)
        if not len(come) + len(censored):
            continue
        curve = ecdf(CensoredData(uncensored=come, right=censored)).sf
        with warnings.catch_warnings():
            # Where nothing has come yet there is no interval, and scipy says so by NaN and a warning.
            warnings.simplefilter("ignore", RuntimeWarning)
            ends = curve.confidence_interval(LEVEL, method="log-log")
        step = np.concatenate([[0.0], curve.quantiles])
        table = pd.DataFrame({"step": step, "share": np.concatenate([[1.0], curve.probabilities])})
        for name, end in (("low", ends.low), ("high", ends.high)):
            table[name] = np.concatenate([[1.0], end.probabilities])
        parts.append(table.assign(**values, n=len(come) + len(censored)))
    columns = [*fields, "step", "share", "low", "high", "n"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _median_step(runs: pd.DataFrame) -> float:
    curve = survival(runs, ())
    below = curve.loc[curve["share"] <= 0.5, "step"]
    return float(below.iloc[0]) if len(below) else np.nan


def log_rank(runs: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """Whether neighbouring values of a field differ in when runs grok: the log-rank test, all else equal.

    Columns: field, setting (of the other fields), value, other, n, n_other, statistic (of the normal
    distribution: above 0 where `value` is the quicker), p, p_holm (corrected over all rows).
    Pairs in which nothing has grokked are left out.
    """
    rows = []
    for field in fields:
        for values, part in groups(runs, [name for name in fields if name != field]):
            of = dict(iter(part.groupby(field, dropna=False)))
            for value, other in zip(list(of), list(of)[1:], strict=False):
                one, two = _times(of[value]), _times(of[other])
                if not len(one[0]) + len(two[0]) or not min(sum(map(len, one)), sum(map(len, two))):
                    continue
                with np.errstate(invalid="ignore", divide="ignore"):
                    found = logrank(*(CensoredData(uncensored=t, right=c) for t, c in (one, two)))
                if not np.isfinite(found.pvalue):
                    # All came at one moment: nothing is told apart.
                    continue
                rows.append(
                    {"field": field, "setting": setting_text(values), "value": value, "other": other}
                    | {"n": sum(map(len, one)), "n_other": sum(map(len, two))}
                    | {"statistic": float(found.statistic), "p": float(found.pvalue)}
                )
    columns = ["field", "setting", "value", "other", "n", "n_other", "statistic", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=_holm(table["p"].to_numpy(float)))


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)) if len(p) else p
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def critical_values(cells: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """Between which two values of a field half of the runs begin to generalise by the end of their training.

    The critical train fraction, for one. It is one of the budget as well: runs near it are slow.

    Args:
        cells: as `cells` gives them, over these fields.

    Columns: field, setting (of the other fields), direction ("rise", or "fall" where fewer generalise at larger values:
    then it is gone through from the largest down), before (last value at which at most half did; missing where more did
    at the first already), step (first with more, all later values too; missing where there is none), share_before,
    share_step, n_values, is_monotone (whether the share never turns back), budget.
    """
    rows = []
    for field in fields:
        if not is_ordered(cells, field):
            continue
        for values, part in groups(cells[cells["n"] > 0], [name for name in fields if name != field]):
            if len(part) < 2:
                continue
            part = part.sort_values(field)
            falls = part["share"].iloc[-1] < part["share"].iloc[0]
            part = part.iloc[::-1] if falls else part
            share = part["share"].to_numpy()
            n_few = len(share) - int(np.cumprod(share[::-1] > 0.5).sum())
            at = {"before": n_few - 1, "step": n_few}
            ends = {end: i if 0 <= i < len(share) else None for end, i in at.items()}
            rows.append(
                {"field": field, "setting": setting_text(values), "direction": "fall" if falls else "rise"}
                | {end: part[field].iloc[i] if i is not None else None for end, i in ends.items()}
                | {f"share_{end}": share[i] if i is not None else None for end, i in ends.items()}
                | {"n_values": len(part), "is_monotone": bool((np.diff(share) >= 0).all())}
                | {"budget": part["budget"].min()}
            )
    columns = [
        "field",
        "setting",
        "direction",
        "before",
        "step",
        "share_before",
        "share_step",
        "n_values",
        "is_monotone",
        "budget",
    ]
    return pd.DataFrame(rows, columns=columns)

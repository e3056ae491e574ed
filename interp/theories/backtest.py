"""How good are forecasts? Each family of runs forecast from the others alone, beside the mean and "no change".

Split by seed, forecasts look better than they are on a new modulus or train fraction: families are left out as a whole.
What a measure is when runs generalise, the factor, the interval and both things to beat are learned of the others.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from interp.theories.forecast import calibration, chance, levels, looks, usable, with_families

FORECAST = ("step", "low", "high", "mean", "no_change")


def backtest(
    curves: Mapping[str, pd.DataFrame], runs: pd.DataFrame, fields: Sequence[str], left_out: str | None
) -> pd.DataFrame:
    """Every look of `interp.theories.forecast.looks` forecast from runs with another value of `left_out`.

    Args:
        curves: of `interp.theories.forecast.curves_of`.
        runs: of a sweep.
        fields: whose settings are the families of the intervals.
        left_out: the field of which a value at a time is left out; None: a family at a time.

    Columns: those of `looks`, family, left_out; step, low, high (forecast, missing without an answer); mean (of the
    logarithm of the others' grokking steps) and no_change (the event is a fixed factor from what was seen, that of the
    looks of others which teach the forecast), the two things that a forecast has to beat. None of them is earlier than
    what was seen.
    """
    keys = with_families(runs, fields)["family"] if left_out is None else runs[left_out]
    parts = []
    for value in keys.unique():
        own, others = runs[keys == value], runs[keys != value]
        at = levels(curves, others)
        asked = with_families(looks(curves, own, at, fields), fields)
        known = with_families(looks(curves, others, at, fields), fields)
        for measure, rows in asked.groupby("measure"):
            parts.append(_forecast(rows, known[known["measure"] == measure], str(measure)))
    empty = with_families(looks({}, runs, {}, fields), fields).assign(**dict.fromkeys(FORECAST, np.nan))
    return pd.concat(parts or [empty], ignore_index=True).assign(left_out=left_out or "family")


def _forecast(rows: pd.DataFrame, known: pd.DataFrame, measure: str) -> pd.DataFrame:
    teaches = usable(known)
    learned = calibration(teaches, measure)
    come = known.dropna(subset=["event"]).groupby("run")["event"].first()
    mean = 10 ** np.log10(come).mean() if len(come) else np.nan
    factor = 10 ** np.median(np.log10(teaches["event"] / teaches["seen"])) if len(teaches) else np.nan
    ends = [
        (np.nan,) * 3 if np.isnan(raw) or learned is None else learned.forecast(raw) for raw in rows["raw"]
    ]
    step, low, high = np.array(ends).reshape(-1, 3).T
    found = {"step": step, "low": low, "high": high, "mean": mean, "no_change": factor * rows["seen"]}
    # That it has not come by now is known.
    return rows.assign(**{name: np.maximum(x, rows["seen"]) for name, x in found.items()})


def scores(tested: pd.DataFrame) -> pd.DataFrame:
    """How good the forecasts of each measure were, over all families and for each value that was left out.

    Columns: measure, left_out, value ("all" or the family's), n_looks, n_answers; of the answers for runs that grokked:
    n_scored, error, error_mean, error_no_change (mean of the absolute difference in decades), skill_mean and
    skill_no_change (1 minus the ratio of the errors: 0 is no better, 1 exact); n_endless (intervals without an end),
    coverage (of the others, the share that holds the event; a family counts as much as another), width (of the others,
    median, decades), lead (median over runs of the event over the step of the first answer), n_grokked,
    n_answered (runs that grokked with an answer before); of runs that never grokked: n_never, n_alarms (with an answer
    within what was trained at some look), n_false (whose whole interval lay within it at some look).
    """
    rows = []
    for (measure, field), part in tested.groupby(["measure", "left_out"], sort=False):
        of = part["family"] if field == "family" else part[str(field)]
        groups = [
            ("all", part),
            *(((str(v), part[of == v]) for v in sorted(of.unique())) if of.nunique() > 1 else ()),
        ]
        rows += [{"measure": measure, "left_out": field, "value": v, **_score(p)} for v, p in groups]
    return pd.DataFrame(rows)


def _score(part: pd.DataFrame) -> dict:
    answered = part[part["step"].notna() & np.isfinite(part["step"])]
    scored = answered[answered["event"].notna()]
    log_event = np.log10(scored["event"])
    errors = {
        name: float((log_event - np.log10(scored[column])).abs().mean()) if len(scored) else np.nan
        for name, column in (("error", "step"), ("error_mean", "mean"), ("error_no_change", "no_change"))
    }
    ended = scored[np.isfinite(scored["high"]) & (scored["low"] > 0)]
    is_held = (ended["low"] <= ended["event"]) & (ended["event"] <= ended["high"])
    first = scored.sort_values("seen").groupby("run").first()
    never = part[part["event"].isna()]
    alarms = never[never["step"] <= never["budget"]]
    return {
        "n_looks": len(part), "n_answers": len(answered), "n_scored": len(scored), **errors,
        "skill_mean": 1 - errors["error"] / errors["error_mean"],
        "skill_no_change": 1 - errors["error"] / errors["error_no_change"],
        "n_endless": len(scored) - len(ended),
        "coverage": float(is_held.groupby(ended["family"]).mean().mean()) if len(ended) else np.nan,
        "width": float(np.median(np.log10(ended["high"] / ended["low"]))) if len(ended) else np.nan,
        "lead": float((first["event"] / first["seen"]).median()) if len(first) else np.nan,
        "n_grokked": part.loc[part["event"].notna(), "run"].nunique(), "n_answered": len(first),
        "n_never": never["run"].nunique(), "n_alarms": alarms["run"].nunique(),
        "n_false": alarms.loc[alarms["high"] <= alarms["budget"], "run"].nunique(),
    }  # fmt: skip


def will_it(runs: pd.DataFrame, table: pd.DataFrame, left_out: str | None) -> pd.DataFrame:
    """The chance that a run generalises by its end, from runs with another value of `left_out`, at each multiple.

    Args:
        runs: of a sweep.
        table: of `looks`, of one measure, so that each look counts once.
        left_out: None: each run from all others.

    Columns: multiple, n (looks of which the others tell), chance (mean), share (that did), brier (mean squared
    difference), brier_share (of the share of the other runs that generalised by their end, which knows nothing of the
    time seen).
    """
    memorized = runs.set_index("run")["memorization_step"].astype(float)
    rows = []
    of, key = (runs["run"], "run") if left_out is None else (runs[left_out], left_out)
    for value in of.unique():
        others = runs[(of != value) & runs["memorization_step"].notna()]
        if not len(others):
            continue
        share = float(others["grokking_step"].notna().mean())
        for row in table[table[key] == value].to_dict("records"):
            found = chance(others, row["multiple"], row["budget"] / memorized[row["run"]])
            rows.append((row["multiple"], found, float(not np.isnan(row["event"])), share))
    found = pd.DataFrame(rows, columns=["multiple", "chance", "came", "of_others"]).dropna()
    found["brier"] = (found["chance"] - found["came"]) ** 2
    found["brier_share"] = (found["of_others"] - found["came"]) ** 2
    return found.groupby("multiple", as_index=False).agg(
        n=("came", "size"), chance=("chance", "mean"), share=("came", "mean"),
        brier=("brier", "mean"), brier_share=("brier_share", "mean"),
    )  # fmt: skip

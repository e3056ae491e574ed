"""How good are forecasts? Each family of runs forecast from the others alone, beside the mean and "no change".

Split by seed, forecasts look better than they are on a new modulus or train fraction: families are left out as a whole.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from interp.theories.forecast import MEASURES, calibration, chance, usable, with_families


def backtest(table: pd.DataFrame, fields: Sequence[str], left_out: str | None) -> pd.DataFrame:
    """Every look forecast from those of runs with another value of `left_out`.

    Args:
        table: of `interp.theories.forecast.looks`.
        fields: whose settings are the families of the intervals.
        left_out: the field of which a value at a time is left out; None: a family at a time.

    Columns: those of `looks`, family, left_out; step, low, high (forecast, missing without an answer); mean (of the
    logarithm of the others' grokking steps) and no_change (the event is a fixed factor from what was seen: that of the
    others' looks), the two things that a forecast has to beat.
    """
    table = with_families(table, fields)
    groups = table["family"] if left_out is None else table[left_out]
    parts = []
    for value in groups.unique():
        own, others = table[groups == value], table[groups != value]
        for measure, rows in own.groupby("measure"):
            known = others[others["measure"] == measure]
            parts.append(_forecast(rows, known, str(measure)).assign(left_out=left_out or "family"))
    return pd.concat(parts, ignore_index=True) if parts else table.assign(step=np.nan)


def _forecast(rows: pd.DataFrame, known: pd.DataFrame, measure: str) -> pd.DataFrame:
    learned = calibration(usable(known), measure)
    come = known.dropna(subset=["event"])
    mean = 10 ** np.log10(come.groupby("run")["event"].first()).mean() if len(come) else np.nan
    factor = 10 ** np.median(np.log10(come["event"] / come["seen"])) if len(come) else np.nan
    ends = [
        (np.nan,) * 3 if np.isnan(raw) or learned is None else learned.forecast(raw) for raw in rows["raw"]
    ]
    return rows.assign(
        **dict(zip(("step", "low", "high"), np.array(ends).reshape(-1, 3).T, strict=True)),
        mean=mean,
        no_change=factor * rows["seen"],
    )


def scores(tested: pd.DataFrame) -> pd.DataFrame:
    """How good the forecasts of each measure were, over all families and for each value that was left out.

    Columns: measure, left_out, value ("all" or the family's), n_looks, n_answers; of the answers for runs that grokked:
    n_scored, error, error_mean, error_no_change (mean of the absolute difference in decades), skill_mean and
    skill_no_change (1 minus the ratio of the errors: 0 is no better, 1 exact); coverage (share whose interval holds the
    event), width (median, decades), lead (median over runs of the event over the step of the first answer), n_grokked,
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
    is_held = (scored["low"] <= scored["event"]) & (scored["event"] <= scored["high"])
    first = scored.sort_values("seen").groupby("run").first()
    never = part[part["event"].isna()]
    alarms = never[never["step"] <= never["budget"]]
    return {
        "n_looks": len(part), "n_answers": len(answered), "n_scored": len(scored), **errors,
        "skill_mean": 1 - errors["error"] / errors["error_mean"],
        "skill_no_change": 1 - errors["error"] / errors["error_no_change"],
        "coverage": float(is_held.mean()) if len(scored) else np.nan,
        "width": float(np.median(np.log10(scored["high"] / scored["low"]))) if len(scored) else np.nan,
        "lead": float((first["event"] / first["seen"]).median()) if len(first) else np.nan,
        "n_grokked": part.loc[part["event"].notna(), "run"].nunique(), "n_answered": len(first),
        "n_never": never["run"].nunique(), "n_alarms": alarms["run"].nunique(),
        "n_false": alarms.loc[alarms["high"] <= alarms["budget"], "run"].nunique(),
    }  # fmt: skip


def will_it(runs: pd.DataFrame, table: pd.DataFrame, left_out: str | None) -> pd.DataFrame:
    """The chance that a run generalises by its end, from runs with another value of `left_out`, at each multiple.

    Args:
        runs: of a sweep.
        table: of `looks`; of one measure, so that each look counts once.

    Columns: multiple, n, chance (mean), share (that did), brier (mean squared difference), brier_share (of the share of
    the other runs that generalised by their end, which knows nothing of the time seen).
    """
    table = table[table["measure"] == MEASURES[0]].merge(
        runs[["run", "memorization_step"]], on="run", validate="many_to_one"
    )
    rows = []
    values = runs[left_out].unique() if left_out is not None else [None]
    for value in values:
        others = runs if left_out is None else runs[runs[left_out] != value]
        own = table if left_out is None else table[table[left_out] == value]
        memorized = others[others["memorization_step"].notna()]
        share = float(memorized["grokking_step"].notna().mean()) if len(memorized) else np.nan
        for row in own.to_dict("records"):
            horizon = row["budget"] / float(row["memorization_step"])
            found = chance(others, row["multiple"], horizon)
            rows.append(
                {"multiple": row["multiple"], "chance": found, "came": float(not np.isnan(row["event"]))}
                | {"share_of_others": share}
            )
    found = pd.DataFrame(rows, columns=["multiple", "chance", "came", "share_of_others"])
    found["brier"] = (found["chance"] - found["came"]) ** 2
    found["brier_share"] = (found["share_of_others"] - found["came"]) ** 2
    means = found.groupby("multiple", as_index=False).agg(
        n=("came", "size"), chance=("chance", "mean"), share=("came", "mean"),
        brier=("brier", "mean"), brier_share=("brier_share", "mean"),
    )  # fmt: skip
    return means

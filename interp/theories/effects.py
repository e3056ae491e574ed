"""Effects: how much later, or earlier, the event came in an arm than in its reference, from an arms table alone.

D is the number of steps from the branch to the event. Nobody looked between two evaluations, so that D is known as a
bracket, (before, step], or as beyond the budget. An effect is ln D(arm) - ln D(reference) within pairs; what the
brackets leave open goes into its bounds. The interval runs from the lower limit of Student's t interval of the lower
bounds to the upper limit of that of the upper bounds: of exact values it is the t interval, and censored pairs, which
have one bound, count instead of being dropped.

How it can mislead: a single pair far from the others widens the interval to both sides, as it does every t interval;
the sign test beside it does not mind. Jitter pairs (this run) and seed pairs (this recipe) are
never put together, nor are branch steps.

References: Student 1908, "The probable error of a mean"; Manski 2003, "Partial identification of probability
distributions" (bounds instead of assumptions); Schuirmann 1987 (equality as a region).
"""

import math

import numpy as np
import pandas as pd

from interp.theories.arms_table import SETTING, check_arms
from interp.theories.pair_statistics import LEVEL, limits, medians, resolvable, sign_p

# Callers find it with the effects that it belongs to.
from interp.theories.pair_statistics import interval as interval

# No smaller difference is of practical interest, however sure.
LEAST_ZONE = math.log(1.15)
KEYS = ["arm", "dose", "reference", "reference_dose", "event", "threshold"]
EFFECTS = [*KEYS, "n_pairs", "n_censored", "ratio", "low", "high", "sign_p", "zone", "resolvable", "verdict"]
# What tells two effects apart; the last two become columns where the table has several of them.
ALL_KEYS = [*KEYS, "branch_step", "kind"]

_BOUNDS = ["pair", "kind", "low", "high", "value", "is_censored"]


def pair_effects(
    arms: pd.DataFrame,
    arm: str,
    dose: float | None,
    over: str,
    over_dose: float | None,
    event: str,
    threshold: float,
    branch_step: int,
) -> pd.DataFrame:
    """ln D(arm) - ln D(over) of each pair that has both, whether or not the table names the one as reference.

    Args:
        arms: as `check_arms` returns it.
        dose, over_dose: None (or NaN) for an arm without.

    Columns:
        pair, kind: as in the table.
        low, high: bounds; infinite where an event was not seen to begin or to come.
        value: ln(step of the arm / step of the other), NaN where either is censored.
        is_censored: whether either is.

    Rows that are not valid are left out, as are events that held at the branch already.
    """
    setting = (
        (arms["event"] == event) & (arms["threshold"] == threshold) & (arms["branch_step"] == branch_step)
    )
    mine, other = (
        arms[setting & (arms["arm"] == name) & _has_dose(arms, size)]
        for name, size in ((arm, dose), (over, over_dose))
    )
    both = _bounded(mine.merge(other, on=["pair", "kind"], suffixes=("", "_over")))
    return both.loc[both["why"] == "", _BOUNDS].sort_values("pair", ignore_index=True)


def zone(
    arms: pd.DataFrame, arm: str, dose: float | None, event: str, threshold: float, branch_step: int
) -> float:
    """Half-width, on the ln scale, of the region in which times count as equal to those of this arm.

    ln 1.15, or twice the standard deviation of ln D over the arm's jitter pairs if that is more: a difference that a
    rounding error makes is no effect. Censored pairs, and those that are not valid, do not enter.
    """
    setting = (
        (arms["event"] == event) & (arms["threshold"] == threshold) & (arms["branch_step"] == branch_step)
    )
    rows = _of_zone(arms[setting & (arms["arm"] == arm) & _has_dose(arms, dose)])
    return max(LEAST_ZONE, 2 * float(rows["ln"].std(ddof=1))) if len(rows) > 1 else LEAST_ZONE


def effects(arms: pd.DataFrame) -> pd.DataFrame:
    """One row an arm, dose, reference, event and threshold, for all rows that name a reference.

    Args:
        arms: an arms table; it is checked.

    Columns:
        arm, dose, reference, reference_dose, event, threshold: as in the table.
        n_pairs: pairs of which both arms are valid.
        n_censored: those in which the event did not come within the budget in either arm, or in both.
        ratio: median over pairs of D(arm) / D(reference).
        low, high: interval of the ratio, level 95 %; NaN for fewer than two pairs.
        sign_p: two-sided exact sign test over the pairs whose bounds leave no doubt which was first.
        zone: on the ln scale (`zone`).
        resolvable: the ratio that as many pairs of this spread can just tell from 1.
        verdict: "later", "earlier", "equal", "undecided" or "not evaluable".
        branch_step, kind: only where the table has several branch steps, or both kinds.

    Raises:
        ValueError: as `check_arms`.
    """
    arms = check_arms(arms)
    return _shown(_all_effects(arms, paired(arms)), arms)


def effects_and_reasons(arms: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`effects`, and a row for each reason why one is not decided or a pair does not count.

    Args:
        arms: as `check_arms` returns it.

    Columns of the reasons:
        arm, dose, reference, reference_dose, event, threshold, branch_step, kind: of the effect.
        pair: "" where the reason is that of the verdict.
        why: in words.
    """
    pairs = paired(arms)
    found = _all_effects(arms, pairs)
    of_verdicts = found.loc[found["why"] != "", [*ALL_KEYS, "why"]].assign(pair="")
    of_pairs = pairs.loc[pairs["why"] != "", [*ALL_KEYS, "pair", "why"]]
    reasons = pd.concat([of_verdicts, of_pairs])[[*ALL_KEYS, "pair", "why"]]
    return _shown(found, arms), reasons.sort_values([*ALL_KEYS, "pair"], ignore_index=True)


def paired(arms: pd.DataFrame) -> pd.DataFrame:
    """Each row that names a reference beside that reference's, sorted, with the bounds of `pair_effects`.

    Columns:
        those of the table; those of the reference with the ending `_over`; low, high, value, is_censored.
        why: why the pair does not count, "" where it does.
    """
    keys = ["pair", "kind", *SETTING]
    over = arms[["arm", "dose", *keys, "before", "step", "budget", "valid", "why_not"]]
    over = over.rename(
        columns={"arm": "reference", "dose": "reference_dose"}
        | {name: f"{name}_over" for name in ("before", "step", "budget", "valid", "why_not")}
    )
    both = arms[arms["reference"] != ""].merge(over, on=["reference", "reference_dose", *keys])
    return _bounded(both).sort_values([*ALL_KEYS, "pair"], ignore_index=True)


def with_identity(table: pd.DataFrame, arms: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """These columns, and branch step and kind behind them where the arms table has several."""
    has_several = arms["branch_step"].nunique() > 1 or arms["kind"].nunique() > 1
    return table[[*columns, *(("branch_step", "kind") if has_several else ())]]


def ln_bounds(arms: pd.DataFrame, suffix: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Bounds of ln D of each row: of its bracket, or from its budget on."""
    step = arms[f"step{suffix}"].to_numpy()
    is_censored = np.isnan(step)
    low = np.where(is_censored, arms[f"budget{suffix}"], arms[f"before{suffix}"])
    with np.errstate(divide="ignore"):
        return np.log(low), np.log(np.where(is_censored, np.inf, step))


def _has_dose(arms: pd.DataFrame, dose: float | None) -> pd.Series:
    return arms["dose"].isna() if dose is None or math.isnan(dose) else arms["dose"] == dose


def _bounded(both: pd.DataFrame) -> pd.DataFrame:
    """Rows of an arm and, with the ending `_over`, of another: bounds of the effect, and why a pair does not count."""
    low, high = ln_bounds(both)
    low_over, high_over = ln_bounds(both, "_over")
    step, step_over = both["step"].to_numpy(), both["step_over"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {"low": low - high_over, "high": high - low_over, "value": np.log(step) - np.log(step_over)}
    why = [
        _why_left_out(*row)
        for row in zip(
            both["valid"],
            both["why_not"],
            both["valid_over"],
            both["why_not_over"],
            step,
            step_over,
            strict=True,
        )
    ]
    return both.assign(
        **values,
        is_censored=np.isnan(step) | np.isnan(step_over),
        why=pd.Series(why, index=both.index, dtype=object),
    )


def _why_left_out(
    is_valid: bool, why_not: str, is_valid_over: bool, why_not_over: str, step: float, step_over: float
) -> str:
    """Why a pair does not count; "" where it does."""
    if not is_valid:
        return f"the arm is not valid: {why_not or 'no reason is given'}"
    if not is_valid_over:
        return f"the reference is not valid: {why_not_over or 'no reason is given'}"
    if step == 0 or step_over == 0:
        return f"the event held at the branch already in the {'arm' if step == 0 else 'reference'}"
    return ""


def _all_effects(arms: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Every effect with all that tells them apart, numbers on the scale of ratios, and why it is not decided."""
    group = pairs.groupby(ALL_KEYS, dropna=False, sort=True).ngroup().to_numpy()
    found = pairs.loc[~pd.Series(group).duplicated().to_numpy(), ALL_KEYS].reset_index(drop=True)
    n_effects, counts = len(found), (pairs["why"] == "").to_numpy()
    all_counted = np.bincount(group[counts], minlength=n_effects)
    used, group = pairs[counts], group[counts]
    is_censored = used["is_censored"].to_numpy()
    values, low, high = (used[name].to_numpy() for name in ("value", "low", "high"))
    found["n_pairs"] = all_counted
    found["n_censored"] = np.bincount(group[is_censored], minlength=n_effects)
    found["ratio"] = medians(_ratios(used), group, n_effects)
    found["ln_low"] = limits(low, group, n_effects, LEVEL, -1)
    found["ln_high"] = limits(high, group, n_effects, LEVEL, 1)
    found["sign_p"] = sign_p(low, high, group, n_effects)
    found["zone"] = _zones(arms, found)
    found["resolvable"] = resolvable(values[~is_censored], group[~is_censored], n_effects)
    is_first = ((used["before"] == 0) & (used["before_over"] == 0)).to_numpy() & ~is_censored
    is_coarse = (all_counted > 0) & (np.bincount(group[is_first], minlength=n_effects) == all_counted)
    is_open = np.bincount(group[np.isinf(low) & np.isinf(high)], minlength=n_effects)
    known = (found["ln_low"], found["ln_high"], found["zone"], all_counted, is_coarse, is_open)
    judged = [_verdict(*row) for row in zip(*(column.tolist() for column in known), strict=True)]
    found["verdict"], found["why"] = (
        pd.Series([row[i] for row in judged], index=found.index, dtype=object) for i in (0, 1)
    )
    return found.assign(low=np.exp(found["ln_low"]), high=np.exp(found["ln_high"]))


def _verdict(
    low: float, high: float, half: float, n_pairs: int, is_coarse: bool, n_open: int
) -> tuple[str, str]:
    """Verdict on an interval of ln ratio, and why it is not decided."""
    if n_pairs == 0:
        return "not evaluable", "no pair is left"
    if is_coarse:
        return (
            "not evaluable",
            "every event came by the first evaluation after the branch: the evaluation grid is coarser than the effect",
        )
    if n_pairs == 1:
        return "undecided", "one pair has no interval: train more pairs"
    if low > half:
        return "later", ""
    if high < -half:
        return "earlier", ""
    if -half <= low and high <= half:
        return "equal", ""
    if n_open == n_pairs:
        return "undecided", "no pair says which was first: extend the budget, or evaluate more often"
    reach = f"from {math.exp(low):.3g} to {math.exp(high):.3g}"
    inside = f"{math.exp(-half):.3g} to {math.exp(half):.3g}"
    return (
        "undecided",
        f"the interval {reach} is neither inside nor outside of what counts as equal, {inside}",
    )


def _ratios(pairs: pd.DataFrame) -> np.ndarray:
    """D(arm) / D(reference) of each pair: infinity for a censored arm, 0 for a censored reference, NaN for both."""
    step, over = pairs["step"].to_numpy(), pairs["step_over"].to_numpy()
    censored = np.where(np.isnan(over), np.where(np.isnan(step), np.nan, 0.0), np.inf)
    return np.where(np.isnan(step) | np.isnan(over), censored, step / over)


def _of_zone(arms: pd.DataFrame) -> pd.DataFrame:
    """The rows whose spread the zone is made of, with their ln D."""
    rows = arms[arms["valid"] & (arms["kind"] == "jitter") & (arms["step"] > 0)]
    return rows.assign(ln=np.log(rows["step"]))


def _zones(arms: pd.DataFrame, found: pd.DataFrame) -> np.ndarray:
    """`zone` of every effect's reference."""
    keys = ["arm", "dose", *SETTING]
    sd = _of_zone(arms).groupby(keys, dropna=False)["ln"].std(ddof=1).rename("sd").reset_index()
    sd = sd.rename(columns={"arm": "reference", "dose": "reference_dose"})
    merged = found[["reference", "reference_dose", *SETTING]].merge(
        sd, on=["reference", "reference_dose", *SETTING], how="left"
    )
    return np.fmax(LEAST_ZONE, 2 * merged["sd"].to_numpy())


def _shown(found: pd.DataFrame, arms: pd.DataFrame) -> pd.DataFrame:
    return with_identity(found, arms, EFFECTS)

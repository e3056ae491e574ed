"""What became of the arms, in plain words that follow from their numbers."""

import math
from collections.abc import Mapping, Sequence

from interp.ground.plain_text import listed
from interp.report.account import Account
from interp.report.sentences import OBSERVED, Sentence, number, spanned, status_of
from interp.theories import arms_table
from interp.theories.in_words import NOT_EVALUABLE, UNDECIDED
from interp.theories.levels import EARLY
from interp.theories.statistic import EffectRatio, named

# Updates of an arm that are this much smaller or larger than the control's are told.
_AS_LARGE = 1.5


def changed(account: Account) -> list[Sentence]:
    """What became of the arms, by verdict."""
    if not len(account.effects):
        return [Sentence("No arm was trained.", OBSERVED)]
    status, found = status_of(account), []
    for verdict, opening in (
        ("later", "Later than the reference"),
        ("earlier", "Earlier than the reference"),
        ("equal", "As late as the reference, within what counts as equal"),
        (UNDECIDED, "Undecided"),
    ):
        if rows := _with_verdict(account, verdict):
            found.append(Sentence(f"{opening}: {'; '.join(map(_effect, rows))}.", status))
    if rows := _with_verdict(account, NOT_EVALUABLE):
        reasons = dict.fromkeys(row["why"] for row in rows)
        told = [f"{_by_reference([row for row in rows if row['why'] == why])} ({why})" for why in reasons]
        found.append(Sentence(f"Not evaluable, and counted for nothing: {'; '.join(told)}.", status))
    return [*found, *_of_two_arms(account), *_small_updates(account, status)]


def _of_two_arms(account: Account) -> list[Sentence]:
    """Predictions that compare two arms of which neither is the other's reference, and have no line above."""
    keys = ["arm", "dose", "reference", "reference_dose"]
    above = {tuple(map(_dose, row)) for row in account.effects[keys].itertuples(index=False)}
    by_status: dict[str, dict[str, str]] = {}
    for row in account.rows:
        s = row.prediction.statistic
        if isinstance(s, EffectRatio) and row.found is not None:
            if (s.arm, s.dose, s.over, s.over_dose) in above:
                continue
            label = f"{named(s.arm, s.dose)} over {named(s.over, s.over_dose)}"
            by_status.setdefault(row.status, {})[label] = f"{label} {spanned(row)}"
    return [
        Sentence(f"Of two arms with each other: {'; '.join(told.values())}.", status)
        for status, told in by_status.items()
    ]


def _dose(x: object) -> object:
    return None if isinstance(x, float) and math.isnan(x) else x


def _small_updates(account: Account, status: str) -> list[Sentence]:
    """Which arms moved more slowly or faster than the control just after the branch, whatever was changed."""
    levels = account.levels
    if not len(levels):
        return []
    rows = levels[levels["quantity"] == "updates_after_branch"]
    sizes = {
        arms_table.named(str(arm), dose): float(part["value"].median())
        for (arm, dose), part in rows.groupby(["arm", "dose"], dropna=False, sort=False)
    }
    parts = []
    for said, chosen in (
        ("smaller", {name: x for name, x in sizes.items() if x < 1 / _AS_LARGE}),
        ("larger", {name: x for name, x in sizes.items() if x > _AS_LARGE}),
    ):
        if chosen:
            told = listed([f"{name} {number(x)}" for name, x in chosen.items()])
            parts.append(f"{said} than the control's, by the factor {told}")
    if not parts:
        return []
    text = (
        f"In the first {EARLY} steps updates were {'; '.join(parts)}. An edit or a jump of the norm does so by itself "
        "(large gradients make Adam's next steps small), so that part of a delay may be due to it; of two arms that "
        "share it, it draws the ratio towards 1."
    )
    return [Sentence(text, status)]


def _with_verdict(account: Account, verdict: str) -> list[dict]:
    return account.effects[account.effects["verdict"] == verdict].to_dict("records")


def _by_reference(rows: Sequence[Mapping]) -> str:
    """The labels of effects, those of one reference together."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        arm, _, over = row["label"].partition(" over ")
        groups.setdefault(over, []).append(arm)
    return "; ".join(f"{listed(arms)} over {over}" for over, arms in groups.items())


def _effect(row: Mapping) -> str:
    if math.isnan(row["low"]):
        return f"{row['label']} {number(row['ratio'])} times (one pair)"
    if math.isinf(row["high"]) and row["low"] == 0:
        return f"{row['label']} without a bound (both are censored)"
    if math.isinf(row["high"]):
        return f"{row['label']} at least {number(row['low'])} times (censored)"
    if row["low"] == 0:
        return f"{row['label']} at most {number(row['high'])} times (the reference is censored)"
    return f"{row['label']} {number(row['ratio'])} times ({number(row['low'])} to {number(row['high'])})"

"""What the numbers say, in plain words: other numbers give other words. Every sentence carries its status.

observed      read off the checkpoints of the run alone
this run      from jitter pairs of arms
this recipe   from seeds
exploratory   not written down before it was trained
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from interp.ground.plain_text import listed, number_of
from interp.report.account import Account
from interp.tables.brackets_said import relapses_said
from interp.theories.in_words import (
    CONSISTENT,
    CONTRADICTED,
    SUPPORTED,
)
from interp.theories.prediction import OF_SWEEP, Prediction
from interp.theories.statistic import Absent, LevelRatio, Observed, Region, arms_of
from interp.theories.verdict import EXPLORATORY, STATUS, Verdict

OBSERVED = "observed"
DECIDED = (SUPPORTED, CONTRADICTED)
_ARMS, _CONTROL, _CHECKPOINTS, _SWEEPS = "arms", "control", "checkpoints", "sweeps"
# Who speaks, by status and what a row rests on.
_SPEAKS = {
    ("this run", _ARMS): "On this run, the trained arms",
    ("this recipe", _ARMS): "Over seeds of this recipe, the trained arms",
    ("this run", _CONTROL): "On this run, the controls, in which nothing was changed,",
    ("this recipe", _CONTROL): "Over seeds of this recipe, the controls, in which nothing was changed,",
    (EXPLORATORY, _ARMS): "Comparisons of arms, with no lock before,",
    (EXPLORATORY, _CONTROL): "Controls without a lock, in which nothing was changed,",
    (EXPLORATORY, _CHECKPOINTS): "The checkpoints alone, with nothing locked,",
    (OBSERVED, _CHECKPOINTS): "The checkpoints alone",
    (EXPLORATORY, _SWEEPS): "Many runs side by side, with nothing locked,",
    (OBSERVED, _SWEEPS): "Many runs side by side",
}


@dataclass(frozen=True)
class Sentence:
    """A sentence with its status; with the verdict that it tells, if it is of one."""

    text: str
    status: str
    verdict: str | None = None


def plain(name: str) -> str:
    """A name in words.

    >>> plain("hidden_progress")
    'hidden progress'
    """
    return name.replace("_", " ")


def number(x: float) -> str:
    """A number as a page shows it.

    >>> number(1.6249), number(float("nan")), number(float("inf")), number(1268.4)
    ('1.62', 'not known', 'no bound', '1268')
    """
    if not math.isfinite(x):
        return "not known" if math.isnan(x) else "no bound"
    return f"{x:.0f}" if 1000 <= abs(x) < 1e6 else f"{x:.3g}"


def spanned(row: Verdict) -> str:
    """The number of a verdict with its interval; empty where it has none."""
    if row.found is None:
        return ""
    if math.isnan(row.low):
        return f"{number(row.value)} (no interval)"
    return f"{number(row.value)} ({number(row.low)} to {number(row.high)})"


def within(region: Region | None) -> str:
    """A region in words, its ends as a page shows numbers.

    >>> within(Region(1 / 1.15, 1.15)), within(Region(low=1.25)), within(None)
    ('0.87 to 1.15', 'at least 1.25', 'everything else')
    """
    if region is None:
        return "everything else"
    low, high = (None if x is None else float(f"{x:.3g}") for x in (region.low, region.high))
    return str(Region(low, high))


def rival_said(of: Prediction) -> str:
    """What the rival of a prediction says of its number."""
    return "says nothing about it" if of.rival_region is None else f"requires {within(of.rival_region)}"


def answer(account: Account) -> list[Sentence]:
    """What the evidence supports, contradicts or leaves undecided, in a few sentences."""
    found = [_under_what(account), Sentence(account.ended.said, OBSERVED)]
    for (status, rests_on), who in _SPEAKS.items():
        rows = [row for row in account.rows if row.found is not None and row.status == status]
        found += _standing([row for row in rows if _rests_on(row) == rests_on], who, status)
    decided = [row for row in account.rows if row.verdict in DECIDED]
    tried = {row.prediction.theory for row in decided if row.prediction.primary}
    # What came to mind after the lock stands beside what the lock says of the same theory, and is marked.
    found += [
        Sentence(_told(row), row.status, row.verdict)
        for row in decided
        if row.prediction.primary
        or (row.status == EXPLORATORY and _rests_on(row) == _ARMS and row.prediction.theory in tried)
    ]
    return [*found, Sentence(_CAUTION, OBSERVED if not account.n_trained else status_of(account))]


_CAUTION = (
    "These verdicts stand side by side: theories that do not compete may all stand, and nothing adds them up."
)


def status_of(account: Account) -> str:
    """The status of what is said of the arms as such."""
    if account.lock is None:
        return EXPLORATORY
    kinds = set(account.arms["kind"]) if len(account.arms) else set()
    return next((text for kind, text in STATUS.items() if kind in kinds), OBSERVED)


def _under_what(account: Account) -> Sentence:
    """Whether anything was trained, and whether it was predicted before."""
    if not account.n_trained:
        commands = f"{account.command('interp predict RUN')}, then {account.command('interp battery RUN')}"
        return Sentence(
            f"Nothing was trained{'' if account.lock else ', and no prediction was locked'}: what follows rests on the "
            f"checkpoints alone, which show an order and sizes but no cause. To try the theories: {commands}.",
            OBSERVED,
        )
    branches = "branch" if account.n_trained == 1 else "branches"
    of = f"{len(account.others) + 1} runs of one recipe" if account.others else "this run"
    counts = f"{account.n_trained} {branches} of {of}"
    if account.lock is None:
        return Sentence(
            f"{counts} were trained without a lock: no prediction was written down before, so that everything below is "
            "exploratory.",
            EXPLORATORY,
        )
    n_primary = len(account.lock.primary)
    judged = {
        _name(row)
        for row in account.rows
        if row.prediction.primary and row.found is not None and row.status != EXPLORATORY
    }
    some, older = counts, ""
    if n_older := account.n_before_lock:
        some = f"{account.n_trained - n_older} of {counts}"
        older = "; rows about the others, which were there before, are exploratory"
    return Sentence(
        f"{number_of(len(account.lock.predictions), 'prediction')}, {n_primary} of them primary, were locked "
        f"({account.lock.hash[:12]}, {account.lock.time}) before {some} were trained{older}. Of the primary ones "
        f"{len(judged)} can be judged by what was trained. {_REACH[status_of(account)]}",
        status_of(account),
    )


_REACH = {
    STATUS[
        "jitter"
    ]: "Its pairs are copies of one run, disturbed by a millionth of the weights: intervals say how "
    "exactly this run repeats, not what another seed, branch point or draw of a sham would give.",
    STATUS["seed"]: "Its pairs are seeds: intervals say what further seeds of this recipe would give.",
    OBSERVED: "",
}


def _name(row: Verdict) -> tuple[str, str]:
    return row.prediction.theory, row.prediction.name


def _rests_on(row: Verdict) -> str:
    statistic = row.prediction.statistic
    if isinstance(statistic, (Observed, Absent)):
        return _SWEEPS if row.prediction.command == OF_SWEEP else _CHECKPOINTS
    names = arms_of(statistic)
    return _CONTROL if names and all(name.startswith("control") for name in names) else _ARMS


def _standing(rows: Sequence[Verdict], who: str, status: str) -> list[Sentence]:
    """Which theories the rows of one status support, contradict, or leave undecided."""
    verdicts = by_theory(rows)
    groups: dict[str, list[str]] = {"support": [], "contradict": [], "both": [], "undecided": [], "allow": []}
    for theory, there in verdicts.items():
        groups[_group(there)].append(plain(theory))
    parts = []
    if groups["support"]:
        parts.append(f"support {listed(groups['support'])}")
    if groups["contradict"]:
        parts.append(f"contradict {listed(groups['contradict'])}")
    if groups["both"]:
        parts.append(f"support some and contradict other predictions of {listed(groups['both'])}")
    if groups["allow"]:
        parts.append(f"are what {listed(groups['allow'])} would lead to, but so would a rival")
    if groups["undecided"]:
        parts.append(f"leave {listed(groups['undecided'])} undecided")
    return [Sentence(f"{who} {'; they '.join(parts)}.", status)] if parts else []


def by_theory(rows: Sequence[Verdict]) -> dict[str, set[str]]:
    """The verdicts of each theory."""
    theories = dict.fromkeys(row.prediction.theory for row in rows)
    return {theory: {row.verdict for row in rows if row.prediction.theory == theory} for theory in theories}


def _group(verdicts: set[str]) -> str:
    if SUPPORTED in verdicts:
        return "both" if CONTRADICTED in verdicts else "support"
    if CONTRADICTED in verdicts:
        return "contradict"
    return "allow" if CONSISTENT in verdicts else "undecided"


def _told(row: Verdict) -> str:
    """A decided row in a sentence: what was predicted, what was found, what the rival would need."""
    of = row.prediction
    rival = "" if of.rival_region is None else f"; the rival, {of.rival}, {rival_said(of)}"
    return (
        f"{plain(of.theory).capitalize()}: {of.statement} Found: {_unit(row)}{spanned(row)}, where it requires "
        f"{within(of.required)}{rival}.{by_other_events(row)}"
    )


def by_other_events(row: Verdict) -> str:
    """What another event would have said, where that is another verdict.

    Decided rows alone: an undecided one may lie on either side anyway.
    """
    others = [other.said for other in row.elsewhere if other.verdict != row.verdict]
    return f" By another event it would not be {row.verdict}: {'; '.join(others)}." if others else ""


def _unit(row: Verdict) -> str:
    statistic = row.prediction.statistic
    if isinstance(statistic, LevelRatio):
        return f"ratio of {plain(statistic.quantity)} "
    return "ratio of times " if row.found is not None and row.found.is_log else ""


def happened(account: Account) -> list[Sentence]:
    """What began on the parent, and in which order as far as the checkpoints tell."""
    begun = account.moves.dropna(subset=["step"])
    found = [Sentence(_order_said(begun), OBSERVED)] if len(begun) else []
    never = account.moves[account.moves["step"].isna()]
    if len(never):
        found.append(Sentence(f"Not seen by the last checkpoint: {listed(never['what'])}.", OBSERVED))
    memorized, grokked = account.ended.memorization, account.ended.grokking
    if (
        memorized is not None
        and grokked is not None
        and memorized.step is not None
        and grokked.step is not None
    ):
        steps = grokked.step - memorized.step
        said = f"From memorization to generalisation it took {number_of(steps, 'step')}"
        found.append(Sentence(f"{said}{relapses_said(grokked)}.", OBSERVED))
    return found or [Sentence("No table of the run says when anything began.", OBSERVED)]


def _order_said(begun: pd.DataFrame) -> str:
    """The first to move, and what came after; together where the brackets overlap."""
    groups: list[list[pd.Series]] = []
    for _, row in begun.iterrows():
        since = 0.0 if math.isnan(row["before"]) else row["before"]
        if groups and since < max(other["step"] for other in groups[-1]):
            groups[-1].append(row)
        else:
            groups.append([row])
    told = [_together(group) for group in groups]
    first, *later = told
    return f"First to move: {first}" + "".join(f"; then {text}" for text in later) + "."


def _together(group: Sequence[pd.Series]) -> str:
    text = listed([f"{row['what']} ({_bracket(row)})" for row in group])
    return text if len(group) == 1 else f"{text}, in an order that the brackets leave open"


def _bracket(row: pd.Series) -> str:
    if math.isnan(row["before"]):
        return f"by step {row['step']:.0f}"
    return f"steps {row['before']:.0f} to {row['step']:.0f}"

"""What is open, and the exact command that would settle it."""

import re
from dataclasses import dataclass

from interp.report.account import Account
from interp.report.made import locked_names
from interp.report.sentences import plain
from interp.theories.in_words import NOT_EVALUABLE, NOT_TESTABLE, UNDECIDED
from interp.theories.statistic import Absent
from interp.theories.verdict import Verdict


@dataclass(frozen=True)
class Open:
    """What is not decided, and the exact command that would settle it.

    Attributes:
        command: None where no command of this package does.
        rows: the predictions that it is about.
        why: what is missing, in words.
    """

    command: str | None
    rows: tuple[Verdict, ...]
    why: str


def left_open(account: Account) -> list[Open]:
    """What is open, by the command that would settle it; those that settle most first."""
    groups: dict[tuple[str | None, str], list[Verdict]] = {}
    for row in account.rows:
        if row.verdict in (UNDECIDED, NOT_EVALUABLE, NOT_TESTABLE):
            groups.setdefault(_settled_by(row, account), []).append(row)
    found = [Open(command, tuple(rows), why) for (command, why), rows in groups.items()]
    return sorted(
        found, key=lambda o: (o.command is None, -sum(r.prediction.primary for r in o.rows), -len(o.rows))
    )


def _settled_by(row: Verdict, account: Account) -> tuple[str | None, str]:
    of = row.prediction
    if isinstance(of.statistic, Absent):
        return None, "Nothing in this package measures it"
    if row.verdict == NOT_EVALUABLE:
        return None, "A check failed: it takes a run, or an arm, in which the check holds"
    needs_lock = bool(of.arms) and account.lock is None
    if needs_lock:
        return account.command("interp predict RUN"), "The arms have to be predicted, then trained"
    if row.verdict == NOT_TESTABLE:
        if of.cost and account.lock is not None and (without := _not_in(account, of.arms)):
            return None, f"Not among the arms of this lock: {', '.join(without)}"
        return account.command(of.command), of.needs
    if (n := pairs_wanted(row)) is not None:
        return account.command(f"interp battery RUN --theories {of.theory} --pairs {n}"), "More pairs"
    return None, "Undecided as it stands"


def _not_in(account: Account, arms: tuple[str, ...]) -> list[str]:
    """Those of these arms that the lock does not hold, nor a table; none where it does not say in a way that is known.

    An arm is not made where the run gives no occasion for it (docs/explain.md), or where an earlier version wrote the
    lock.
    """
    assert account.lock is not None
    locked = locked_names(account.lock)
    trained = set(account.arms["arm"]) if len(account.arms) else set()
    return [name for name in arms if locked and name not in locked | trained]


def pairs_wanted(row: Verdict) -> int | None:
    """How many pairs would decide an undecided row, as far as its spread tells."""
    found = re.match(r"About (\d+) pairs", row.would_change)
    if found:
        return int(found[1])
    return 3 if row.would_change.startswith("One pair has no spread") else None


def called(row: Verdict) -> str:
    """A prediction by name: theory and what it says."""
    return f"{plain(row.prediction.theory)}: {plain(row.prediction.name)}"

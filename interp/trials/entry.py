"""One arm of a battery as a lock holds it: everything that trains it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from interp.runs.tensor_files import RunError
from interp.training.arms import Arm, Until, arm_from_json, arm_to_json


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One arm as the lock holds it: everything that trains it.

    Attributes:
        parent: which of the trial's runs it leaves; the only one, unless pairs are runs of several seeds.
        pair: the pair of a single run that it is made for, where something in it is drawn at random; None: all pairs.
        key: its folder within a pair.
        at: where it leaves the parent, or the lead.
        follows: keys of the arms of its pair whose path it follows, by the name that its rules know them by.
        budget: steps at most.
    """

    arm: Arm
    parent: int = 0
    pair: int | None = None
    key: str
    at: int
    from_lead: bool
    follows: Mapping[str, str]
    until: Until | None
    budget: int

    def to_json(self) -> dict[str, Any]:
        until = None if self.until is None else vars(self.until)
        return {**vars(self), "arm": arm_to_json(self.arm), "follows": dict(self.follows), "until": until}


def entry_from_json(value: Mapping[str, Any], where: str) -> Entry:
    """The arm that a lock holds.

    Raises:
        RunError: if it has an edit or a rule that this version does not know.
    """
    try:
        until = None if value["until"] is None else Until(**value["until"])
        return Entry(**{**value, "arm": arm_from_json(value["arm"], where), "until": until})
    except (KeyError, TypeError) as error:
        raise RunError(f"{where} holds an arm that this version does not know: {error}.") from error


def by_pair(draws: Sequence[Sequence[Entry]]) -> list[Entry]:
    """The arms of all pairs: once where they are the same in each, else one a pair."""
    by_key = [{entry.key: entry for entry in draw} for draw in draws]
    found: list[Entry] = []
    for key in dict.fromkeys(key for draw in by_key for key in draw):
        there = [(i, draw[key]) for i, draw in enumerate(by_key) if key in draw]
        first = there[0][1]
        is_same = len(there) == len(draws) and all(entry == first for _, entry in there)
        found += [first] if is_same else [replace(entry, pair=i) for i, entry in there]
    return found

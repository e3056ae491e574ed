"""Arms as they are named on the command line: those of the battery, one's own in a file, or a changed setting."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from interp.runs.run import Run
from interp.runs.settings import setting
from interp.training.arms import CONTROL, Arm, Until, arm_from_json
from interp.trials.entry import Entry, by_pair
from interp.trials.facts import Facts, facts_of
from interp.trials.planned import GROUPS, planned_arms
from interp.trials.planned_arm import UNTIL, Planned


def chosen_entries(
    run: Run,
    at: int,
    names: Sequence[str],
    changed: Sequence[Arm],
    *,
    steps: int,
    is_whole: bool,
    n_pairs: int = 0,
) -> list[Entry]:
    """The arms that were named, and those that they follow or are compared with, all from one step.

    Args:
        names: "control", "norm" (all its doses) or "norm:1.15", or a JSON file of an arm.
        changed: arms made elsewhere, compared with the control.
        is_whole: whether all steps are trained, whatever is reached before.
        n_pairs: what a sham draws at random it draws anew for each of so many pairs; 0: one pair.

    Raises:
        ValueError: if there is no such arm, or the run has no plateau for those of the battery.
    """
    own = [_in_file(Path(name)) for name in names if _is_file(name)]
    of_battery = [name for name in names if not _is_file(name) and name != "control"]
    draws: list[list[Planned]] = [[]]
    if of_battery:
        facts = facts_of(run, at)
        draws = [_of_battery(run, facts, of_battery, seed) for seed in range(max(n_pairs, 1))]
    return by_pair([_entries(at, plans, own, changed, steps=steps, is_whole=is_whole) for plans in draws])


def _entries(
    at: int,
    plans: Sequence[Planned],
    own: Sequence[Arm],
    changed: Sequence[Arm],
    *,
    steps: int,
    is_whole: bool,
) -> list[Entry]:
    until = None if is_whole else UNTIL
    entries = [_entry(plan.arm, at, steps, plan.follows, None if is_whole else plan.until) for plan in plans]
    arms = [CONTROL, *[replace(arm, reference=arm.reference or "control") for arm in (*own, *changed)]]
    # The control of an arm that follows its path must go on as long as that.
    entries += [
        _entry(
            arm, at, steps, follows_of(arm), None if arm.is_control and _has_followers(plans, own) else until
        )
        for arm in arms
        if arm.label not in {entry.key for entry in entries}
    ]
    return entries


def follows_of(arm: Arm) -> tuple[str, ...]:
    """The arms whose path its rules follow."""
    return tuple(dict.fromkeys(need.partition("/")[0] for rule in arm.rules for need in rule.needs(("a",))))


def changed_arm(name: str, texts: Sequence[str], *, fresh_optimizer: bool = False) -> Arm:
    """An arm of changed fields of the recipe, as typed: "optimizer.weight_decay=0".

    Raises:
        ValueError: if a text is no FIELD=VALUE.
    """
    return Arm(name=name, settings=dict(map(setting, texts)), fresh_optimizer=fresh_optimizer)


def _has_followers(plans: Sequence[Planned], own: Sequence[Arm]) -> bool:
    return bool(plans) or any(follows_of(arm) for arm in own)


def _of_battery(run: Run, facts: Facts, names: Sequence[str], seed: int) -> list[Planned]:
    wanted = [name.partition(":") for name in names]
    known = [name for group in GROUPS for name in group]
    if unknown := [name for name, _, _ in wanted if name not in known]:
        raise ValueError(
            f"There is no arm {unknown[0]!r}, and no such file. There are: {', '.join(known)}; or a JSON file of "
            "an arm."
        )
    planned = planned_arms(run, facts, seed=seed, names=[n for n, _, _ in wanted])
    plans = [p for p in planned if p.point == "plateau"]
    found = []
    for name, colon, dose in wanted:
        of_name = [p for p in plans if p.arm.name == name and (not colon or p.arm.dose == _dose(dose, name))]
        if not of_name:
            doses = ", ".join(
                f"{p.arm.dose:g}" for p in plans if p.arm.name == name and p.arm.dose is not None
            )
            raise ValueError(
                f"Arm {name}{colon}{dose} is not one that makes sense on run {run.name!r}."
                + (f" Its doses are {doses}." if doses else "")
            )
        found += of_name
    labels = {p.arm.label for p in found}
    for plan in list(found):
        # In the order of the battery, which has what is followed first.
        labels |= {*plan.follows, *([plan.arm.reference] if plan.arm.reference else [])}
    everything = [*planned_arms(run, facts, names=["control"]), *plans]
    return [p for p in everything if (p.arm.label in labels and p.arm.name != "replay") or p in found]


def _dose(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--arm {name}:{text}: needs a number as dose, as norm:1.15.") from None


def _is_file(name: str) -> bool:
    return name.endswith(".json")


def _in_file(path: Path) -> Arm:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"--arm {path}: needs a JSON file of an arm, and it cannot be read: {error}."
        ) from error
    if not isinstance(value, dict):
        raise ValueError(f"--arm {path}: needs a JSON object of an arm, got {type(value).__name__}.")
    return arm_from_json(value, str(path))


def _entry(arm: Arm, at: int, steps: int, follows: Sequence[str], until: Until | None) -> Entry:
    return Entry(
        arm=arm,
        key=arm.label,
        at=at,
        from_lead=False,
        follows={f: f for f in follows},
        until=until,
        budget=steps,
    )

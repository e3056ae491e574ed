"""Predictions before anything is trained: what each arm will be, what each theory says of it, written and locked."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from interp.ground.progress_bar import counted
from interp.runs.belonging import belonging
from interp.runs.run import Run
from interp.theories import ALL
from interp.theories.lock import Lock, read_lock, write_lock
from interp.trials.entry import Entry, by_pair, entry_from_json
from interp.trials.facts import Facts, facts_of
from interp.trials.outcomes import EVENTS
from interp.trials.planned import planned_arms
from interp.trials.planned_arm import Planned

PREDICTIONS = "predictions.json"
# Of the steps that the parent took from the branch: an arm that has not got there by then is censored.
BUDGET = 4.0


def predict(
    runs: Run | Sequence[Run],
    out: Path,
    *,
    at: int | None = None,
    n_pairs: int = 3,
    factor: float = BUDGET,
    steps: int | None = None,
    seed: int = 0,
    critical_size: int | None = None,
    device: str = "cpu",
) -> Lock:
    """Write down what every theory says of the arms of this run, before any of them is trained.

    What is said of one run holds for it: its pairs differ by a disturbance at the branch. What is said of several,
    which differ by their seeds, holds for their recipe: each is a pair, and leaves at a branch point of its own.

    Args:
        out: the folder of the trial, which gets `predictions.json`.
        at: where arms leave the run; None: where its circuit is half formed (`facts_of`).
        n_pairs: jitter pairs, of a single run.
        factor: budget of an arm in units of what the parent took from there to test accuracy 0.95.
        steps: the budget itself, for a parent that never got there.
        seed: of what shams draw, in the first pair; one more in each further pair, so that no draw decides alone.
        critical_size: as `facts_of`.


    Raises:
        ValueError: if there is a lock already, a run has no plateau to branch from (`facts_of`), or several are not of
            one recipe.
        RunError: if there is no such checkpoint.
    """
    runs = [runs] if isinstance(runs, Run) else list(runs)
    if (out / PREDICTIONS).exists():
        # Before minutes are spent on measuring.
        raise ValueError(
            f"{out / PREDICTIONS} exists. A lock is never written over, since what was predicted first must stay. "
            "Take a new folder (--out), or delete the file if nothing was trained under it."
        )
    if n_pairs < 1:
        raise ValueError(f"A trial needs at least 1 pair, got {n_pairs}. A verdict needs 2 or more.")
    _check_one_recipe(runs)
    parents: list[dict[str, Any]] = []
    entries: list[Entry] = []
    for i, run in enumerate(counted(runs, len(runs), "predict")):
        facts = facts_of(run, at, critical_size=critical_size, device=device)
        if facts.to_grok is None and steps is None:
            raise ValueError(
                f"A trial needs a budget, and run {run.name!r} never generalised, so that it cannot be read off it. "
                "State it: --steps N."
            )
        parents.append(identity(run) | {"facts": facts.to_json(), "lead": lead_of(run, facts)})
        seeds = range(seed, seed + n_pairs) if len(runs) == 1 else [seed + i]
        draws = [_entries(run, facts, planned_arms(run, facts, seed=s), factor, steps) for s in seeds]
        entries += [replace(e, parent=i) for e in by_pair(draws)]
    # An arm of all runs, then the next arm; within an arm in the order of the runs, or pairs.
    order = {key: i for i, key in enumerate(dict.fromkeys(e.key for e in entries))}
    entries.sort(key=lambda e: (order[e.key], e.parent, e.pair or 0))
    first = parents[0]["facts"]["at"]
    of_first = {e.at for e in entries if e.parent == 0}
    out.mkdir(parents=True, exist_ok=True)
    return write_lock(
        out / PREDICTIONS,
        run={"name": ", ".join(run.name for run in runs), "parents": parents},
        branch_steps=sorted(of_first, key=lambda step: (step != first, step)),
        arms=[entry.to_json() for entry in entries],
        n_pairs=n_pairs if len(runs) == 1 else len(runs),
        thresholds={quantity: list(thresholds) for quantity, _, thresholds in EVENTS},
        predictions=[prediction for theory in ALL for prediction in theory.predictions],
    )


def _check_one_recipe(runs: Sequence[Run]) -> None:
    """Refuse runs that differ in more than their seeds and what was saved of them."""

    def but_seeds(run: Run) -> Any:
        task: Any = run.config.task
        seedless = None if task is None else replace(task, split_seed=0)
        return replace(run.config, task=seedless, seed=0, n_steps=None, schedule=None)

    for run in runs[1:]:
        if but_seeds(run) != but_seeds(runs[0]):
            raise ValueError(
                f"A trial of a recipe needs runs that differ by their seeds alone, and {run.name!r} has another config "
                f"than {runs[0].name!r}. Try each by itself."
            )
    if len({_decides(run) for run in runs}) < len(runs):
        raise ValueError(
            "A trial of a recipe needs runs of different seeds, and two of these are the same run."
        )


def _decides(run: Run) -> str:
    return belonging("run.json", run.config)["run"]


def identity(run: Run) -> dict[str, Any]:
    """What tells whether a lock is of this run."""
    return {"name": run.name, "decides": _decides(run)}


def lead_of(run: Run, facts: Facts) -> dict[str, int] | None:
    """From where to where the parent is trained once more to have the optimizer's state at memorization.

    None where a checkpoint has it, soon after memorization.
    """
    if facts.memorized_with_state is not None and facts.memorized_with_state <= 2 * facts.memorized:
        return None
    before = [step for step in run.optimizer_steps if step < facts.memorized]
    if before:
        return {"at": before[-1], "to": facts.memorized}
    return {"at": 0, "to": facts.memorized} if 0 in run.index else None


def locked(out: Path, runs: Sequence[Run]) -> Lock:
    """The lock of a trial, if it is of these runs.

    Raises:
        ValueError: if there is none, it was edited, or it is of other runs.
    """
    lock = read_lock(out / PREDICTIONS)
    stated = [{key: parent.get(key) for key in ("name", "decides")} for parent in lock.run["parents"]]
    if stated != [identity(run) for run in runs]:
        raise ValueError(
            f"{out / PREDICTIONS} was written for {lock.run['name']}, and its runs have other names or configs than "
            f"{', '.join(str(run.path) for run in runs)}. Name those runs in that order, or another folder (--out)."
        )
    return lock


def about_lock(lock: Lock) -> dict[str, Any]:
    """What the tables of a battery say of the lock under which it was trained."""
    return {"run": lock.run["name"], "lock": {"hash": lock.hash, "time": lock.time}, "n_pairs": lock.n_pairs}


def kind_of(lock: Lock) -> str:
    """What the pairs of a lock are: disturbances of one run, or seeds of a recipe."""
    return "jitter" if len(lock.run["parents"]) == 1 else "seed"


def entries_of(lock: Lock, where: str) -> list[Entry]:
    """The arms of a lock, those first that decide most."""
    return [entry_from_json(value, where) for value in lock.arms]


def _entries(
    run: Run, facts: Facts, planned: Sequence[Planned], factor: float, steps: int | None
) -> list[Entry]:
    lead = lead_of(run, facts)
    memorized = facts.memorized if lead else facts.memorized_with_state
    points = {
        "plateau": facts.at,
        "later": facts.later,
        "memorization": memorized,
        "start": 0,
        "grokked": facts.grokked_with_state,
    }
    out = []
    for plan in planned:
        at = points[plan.point]
        if at is None:
            continue
        budget = steps if steps is not None else _budget(facts, at, factor * plan.budget / BUDGET)
        suffix = "" if plan.point == "plateau" else f"@{plan.point}"
        out.append(
            Entry(
                arm=plan.arm,
                key=plan.key,
                at=at,
                from_lead=lead is not None and plan.point == "memorization",
                follows={name: name + suffix for name in plan.follows},
                until=plan.until,
                budget=budget,
            )
        )
    return out


def _budget(facts: Facts, at: int, factor: float) -> int:
    """Steps in units of what the parent took from here to grokking; of a later point, from the plateau."""
    assert facts.grokked is not None
    steps = factor * (facts.grokked - (at if at < facts.grokked else facts.at))
    return max(int(-(-steps // facts.interval)) * facts.interval, 10 * facts.interval)

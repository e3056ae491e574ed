"""Arms trained, as many at once as there are cores, and what came of them as tables.

    OUT/branches/0/control/     the control of pair 0, an ordinary run; further arms and pairs beside it
    OUT/arms.csv, levels.csv, checks.csv, curves.csv, about.json

Training can be stopped at any time, and goes on where it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from interp.ground.provenance import versions
from interp.runs.config import Recipe
from interp.runs.run import Run, open_run
from interp.tables.folder import write_tables
from interp.training.arms import Branch, branch_of, has_shown
from interp.training.branches import begin_branch, branch, extend
from interp.training.paths import known_steps
from interp.training.several import Job, JobEnd, train_jobs
from interp.training.train import resume
from interp.trials.entry import Entry
from interp.trials.levels import levels_of
from interp.trials.outcomes import arm_rows, as_table, check_rows, curve_rows, level_rows

BRANCHES = "branches"
CHECKPOINTS = 20


def train_entries(
    run: Run,
    out: Path,
    entries: Sequence[Entry],
    *,
    n_pairs: int,
    n_processes: int,
    fresh_optimizer: bool = False,
    recipe: Recipe | None = None,
) -> list[JobEnd]:
    """Train arms without a lock.

    Args:
        n_pairs: 0 for one pair without a disturbance.
        recipe: as `branch`.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when everything is saved.
    """
    if fresh_optimizer:
        entries = [replace(e, arm=replace(e.arm, fresh_optimizer=True)) for e in entries]
    jobs = [
        job_of(run, out, entry, pair, is_disturbed=n_pairs > 0, recipe=recipe, one_thread=n_processes > 1)
        for entry in entries
        for pair in map(str, range(max(n_pairs, 1)))
        if entry.pair in (None, int(pair))
    ]
    return train_jobs(jobs, n_processes)


def gather(
    out: Path,
    about: Mapping[str, Any],
    kind: str = "jitter",
    more_levels: Sequence[Mapping[str, Any]] = (),
) -> dict[str, pd.DataFrame]:
    """The tables of every arm under a folder that was trained to its end, written into it.

    Args:
        about: what stands in about.json beside them.
        kind: of the pairs, "jitter" or "seed".
        more_levels: rows of levels that are of no branch.

    Raises:
        ValueError: if no arm is done.
        RunError: if a branch is damaged.
    """
    made = trained(out)
    if not made:
        raise ValueError(f"{out} holds no arm that was trained to its end.")
    rows: dict[str, list[Any]] = {"arms": [], "levels": [], "checks": []}
    curves = []
    for run in made:
        control = control_of(run, made)
        rows["arms"] += arm_rows(run, kind, control)
        rows["levels"] += level_rows(run, kind, control, levels_of(run, _parent_of(run), control))
        rows["checks"] += check_rows(run, kind, control)
        curves.append(curve_rows(run, kind))
    tables = {name: as_table(found) for name, found in rows.items()}
    tables["curves"] = pd.concat(curves, ignore_index=True)
    tables["levels"] = pd.concat([tables["levels"], as_table(more_levels)], ignore_index=True)
    tables = {name: _with_former(out, name, table) for name, table in tables.items()}
    write_tables(out, tables, {**about, "n_branches": len(made), "versions": versions()})
    return tables


def _with_former(out: Path, name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The table with the rows that an earlier call wrote of branches that are no longer there, to save space."""
    former = out / f"{name}.csv"
    if not former.exists():
        return table
    old = pd.read_csv(former, dtype={"pair": str})
    new = table.assign(pair=table["pair"].astype(str))
    of = [name for name in ("arm", "dose", "pair", "branch_step") if name in old]
    here = set(map(tuple, new[of].astype(str).to_numpy()))
    kept = old[[tuple(row) not in here for row in old[of].astype(str).to_numpy()]]
    return pd.concat([kept, new], ignore_index=True) if len(kept) else new


def _parent_of(run: Run) -> Run | None:
    parent = run.record.parent
    return open_run(parent.run) if parent is not None and (Path(parent.run) / "run.json").exists() else None


def trained(out: Path) -> list[Run]:
    """The branches of all pairs that came to their end, of each pair in the order in which they were made."""
    folders = [f for f in (out / BRANCHES).glob("*/*") if f.parent.name.isdigit() and is_done(f)]
    runs = [open_run(f) for f in folders]
    return sorted(runs, key=lambda run: (int(run.path.parent.name), run.record.created or "", run.name))


def control_of(run: Run, among: Sequence[Run]) -> Run | None:
    """The control of the same pair and branch point at which the references of an arm end; None for itself."""
    by_label = {
        _branch(other).arm.label: other
        for other in among
        if other.path.parent == run.path.parent and other.config.first_step == run.config.first_step
    }
    found: Run | None = run
    while found is not None and (arm := _branch(found).arm).reference is not None:
        dose = arm.reference_dose
        found = by_label.get(arm.reference if dose is None else f"{arm.reference}-{dose:g}")
    return None if found is run else found


def _branch(run: Run) -> Branch:
    found = branch_of(run)
    assert found is not None
    return found


def train_arm(
    *,
    path: Path,
    run: Run,
    entry: Entry,
    pair: str,
    follows: dict[str, Path],
    jitter: int | None,
    threads: int | None,
    recipe: Recipe | None,
    only_begins: bool = False,
) -> None:
    """Train one arm of one pair to its end, which is no later than that of the paths that it follows.

    Args:
        only_begins: make its directory and train nothing; the threads are those of the stack then.
    """
    followed = _opened(follows)
    asked: dict[str, Any] = {
        "at": entry.at,
        "budget": _allowed(entry.budget, followed),
        "arm": entry.arm,
        "pair": pair,
        "jitter": jitter,
        "until": entry.until,
        "follows": followed,
        "recipe": recipe,
        # Of an arm that goes on to the end, for what is read off its weights along the way.
        "save": [f"every:{max(entry.budget // CHECKPOINTS, 1)}"] if entry.until is None else (),
    }
    if only_begins:
        begin_branch(run, path, **asked)
    else:
        branch(run, path, **asked, threads=threads)


def continue_arm(path: Path, budget: int, follows: Mapping[str, Path]) -> None:
    """Go on with an arm that was stopped, or that has shown nothing within a smaller budget."""
    run = open_run(path)
    if run.record.status != "complete":
        resume(path)
    if not has_had(path, budget, follows):
        followed = _opened(follows)
        extend(path, _allowed(budget, followed), followed)


def has_had(path: Path, budget: int, follows: Mapping[str, Path]) -> bool:
    """Whether an arm has shown what it was trained for, or has had its budget, or all of the path that it follows."""
    run = open_run(path)
    trained_steps = (run.config.n_steps or 0) - run.config.first_step
    return has_shown(run) or trained_steps >= _allowed(budget, _opened(follows))


def _opened(follows: Mapping[str, Path]) -> dict[str, Run]:
    return {name: open_run(where) for name, where in follows.items()}


def _allowed(budget: int, followed: Mapping[str, Run]) -> int:
    """The budget, as far as the paths that are followed go."""
    return min([budget, *map(known_steps, followed.values())])


def folder(out: Path, pair: str, key: str) -> Path:
    """Where a branch lies."""
    return out / BRANCHES / pair / key


def job_of(
    run: Run,
    out: Path,
    entry: Entry,
    pair: str,
    *,
    is_disturbed: bool = True,
    recipe: Recipe | None = None,
    one_thread: bool = True,
    times: float = 1.0,
) -> Job:
    """The job that trains an arm of a pair, or goes on with it.

    Args:
        times: of its budget, that an arm which has shown nothing is given.
    """
    follows = {name: folder(out, pair, key) for name, key in entry.follows.items()}
    budget = round(times * entry.budget)
    arguments = {
        "run": run,
        "entry": replace(entry, budget=budget),
        "pair": pair,
        "follows": follows,
        "jitter": jitter_of(pair) if is_disturbed else None,
        "threads": 1 if one_thread else None,
        "recipe": recipe,
    }
    return Job(
        path=folder(out, pair, entry.key),
        train=train_arm,
        arguments=arguments,
        goes_on=partial(continue_arm, budget=budget, follows=follows),
        after=tuple(follows.values()),
        is_done=partial(has_had, budget=budget, follows=follows),
        begins=partial(train_arm, only_begins=True),
    )


def jitter_of(pair: str) -> int:
    """The seed of the disturbance that the arms of a pair share."""
    return int(pair) + 1


def is_done(path: Path) -> bool:
    """Whether an arm came to its end, also where that was no number any more."""
    return (path / "run.json").exists() and open_run(path).record.status in ("complete", "diverged")

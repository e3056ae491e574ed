"""Which runs a sweep has: a base recipe, and the fields in which its runs differ.

A grid is every combination of the values of its fields; a list names each run's values itself. Replicates differ in
all seeds at once (initialization, split, mini-batches), so that each is another draw of the same recipe.
"""

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from interp.ground.plain_text import shown
from interp.runs.config import Recipe, config_to_json
from interp.runs.schedule import fitted_schedule
from interp.runs.settings import value_of, with_settings

Settings = Mapping[str, Any]
Over = Mapping[str, Sequence[Any]] | Sequence[Settings]

# Beyond so many a slip of the hand is more likely than a plan: they are asked for once more.
MANY = 1000
_LONGEST_NAME = 120


@dataclass(frozen=True)
class Planned:
    """One run of a sweep.

    Attributes:
        name: of its directory.
        settings: the fields in which the sweep's runs differ, as they are here.
    """

    name: str
    settings: Settings
    recipe: Recipe


def n_runs(over: Over, seeds: Sequence[int]) -> int:
    """How many runs a sweep would have, without making them."""
    n = math.prod(len(values) for values in over.values()) if isinstance(over, Mapping) else len(over)
    return n * max(len(seeds), 1)


def planned_runs(
    base: Recipe,
    over: Over,
    seeds: Sequence[int] = (),
    *,
    refit: bool = True,
    typed: Mapping[str, str] | None = None,
) -> list[Planned]:
    """The runs of a sweep, in order: the last field changes fastest, seeds faster still.

    Args:
        over: values of each field by its path (`optimizer.weight_decay`, any that `interp.runs.settings` sets), of
            which every combination is a run; or a list with the fields of each run.
        seeds: of the replicates; none: each run once, with the seeds of the base.
        refit: whether each run's checkpoints are fitted to its length; otherwise they are those of the base.
        typed: how the user wrote a field, for errors.

    Raises:
        ValueError: if there are none, a field does not exist, a value does not fit, or two runs would be the same.
    """
    combinations = _combinations(over, typed or {})
    replicates = [dict(_seeds(base, seed)) for seed in seeds] or [{}]
    if double := {field for settings in combinations for field in settings} & {
        f for r in replicates for f in r
    }:
        raise ValueError(
            f"A sweep needs each field once, and seeds set {', '.join(sorted(double))}, which is swept too. Take one "
            "of the two."
        )
    settings = [{**one, **seed} for one in combinations for seed in replicates]
    found = []
    for name, own in zip(_names(settings), settings, strict=True):
        found.append(Planned(name, own, recipe_of(base, own, refit, typed or {})))
    _check_different(found)
    return found


def _combinations(over: Over, typed: Mapping[str, str]) -> list[dict[str, Any]]:
    if not isinstance(over, Mapping):
        if not over:
            raise ValueError("A sweep needs at least one run, got an empty list.")
        return [dict(settings) for settings in over]
    for field, values in over.items():
        if isinstance(values, str) or not len(values):
            raise ValueError(
                f"{typed.get(field, field)}: a sweep needs a list of at least one value, got {shown(values)}."
            )
    return [dict(zip(over, values, strict=True)) for values in itertools.product(*over.values())]


def _seeds(base: Recipe, seed: int) -> list[tuple[str, int]]:
    """Every seed of a recipe, by its path."""
    found = [("seed", seed)]
    if any(f.name == "split_seed" for f in fields(base.task)):  # type: ignore[arg-type]
        found.append(("task.split_seed", seed))
    if base.optimizer.batch_size is not None:
        found.append(("optimizer.batch_seed", seed))
    return found


def recipe_of(
    base: Recipe, settings: Settings, refit: bool = True, typed: Mapping[str, str] | None = None
) -> Recipe:
    """The base with these fields, as `planned_runs`."""
    typed = typed or {}
    own = dict(settings)
    n_steps = own.pop("n_steps", base.n_steps)
    try:
        if type(n_steps) is not int or n_steps < 1:
            raise ValueError(
                f"{typed.get('n_steps', 'n_steps')}: a run needs a number of steps of at least 1, got {shown(n_steps)}."
            )
        if n_steps != base.n_steps and not refit:
            raise ValueError(
                f"{typed.get('n_steps', 'n_steps')}: the steps to save are those of runs of {base.n_steps} steps. "
                "Leave them out (--save), and each run's are fitted to its length."
            )
        if refit:
            base = replace(base, n_steps=n_steps, schedule=fitted_schedule(n_steps))
        return with_settings(base, own, typed)
    except ValueError as error:
        where = ", ".join(f"{field}={_text(value)}" for field, value in settings.items())
        raise ValueError(f"{error} (in the run with {where})" if len(settings) > 1 else str(error)) from error


def _names(settings: Sequence[Settings]) -> list[str]:
    """Names of directories: the fields that differ and their values, or numbers where that is too long or not unique.

    >>> _names([{"task.p": 23, "optimizer.betas": [0.9, 0.98]}, {"task.p": 29, "optimizer.betas": [0.9, 0.98]}])
    ['p=23,betas=0.9-0.98', 'p=29,betas=0.9-0.98']
    """
    paths = list(dict.fromkeys(path for own in settings for path in own))
    # One seed stands for all that are equal to it.
    if (
        all(own.get("task.split_seed", own.get("seed")) == own.get("seed") for own in settings)
        and "seed" in paths
    ):
        paths = [path for path in paths if path not in ("task.split_seed", "optimizer.batch_seed")]
    last = [path.rpartition(".")[-1] for path in paths]
    said = {path: path if last.count(short) > 1 else short for path, short in zip(paths, last, strict=True)}
    names = [
        ",".join(f"{said[path]}={_text(own[path])}" for path in paths if path in own) or "run"
        for own in settings
    ]
    if len(set(names)) == len(names) and max(map(len, names)) <= _LONGEST_NAME:
        return names
    width = len(str(len(names) - 1))
    return [f"run-{i:0{width}}" for i in range(len(names))]


def _text(value: Any) -> str:
    """A value as a name of a file may have it."""
    if isinstance(value, list | tuple):
        return "-".join(map(_text, value))
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return re.sub(r"[^\w.+-]", "_", text)


def _check_different(runs: Sequence[Planned]) -> None:
    known: dict[str, str] = {}
    for run in runs:
        if (other := known.setdefault(decides(run.recipe), run.name)) != run.name:
            raise ValueError(
                f"Every run of a sweep needs to differ from the others, and {run.name} is the same as {other}: a value "
                "stands twice."
            )


def decides(recipe: Recipe) -> str:
    """What decides a run's numbers, as text: equal of two recipes that are the same run, whatever is saved of it."""
    value = config_to_json(recipe.config())
    return json.dumps({name: x for name, x in value.items() if name != "schedule"}, sort_keys=True)


def values_of(text: str) -> tuple[str, list[Any]]:
    """Path and values of a field as typed after --over.

    Values are separated by commas, or are an evenly spaced START:STOP:STEP with both ends, or a JSON list.

    Raises:
        ValueError: if it is none of these.

    >>> values_of("optimizer.weight_decay=0.1,0.3,1")
    ('optimizer.weight_decay', [0.1, 0.3, 1])
    >>> values_of("task.train_fraction=0.3:0.6:0.1")
    ('task.train_fraction', [0.3, 0.4, 0.5, 0.6])
    >>> values_of("optimizer.betas=[[0.9, 0.98], [0.9, 0.999]]")[1]
    [[0.9, 0.98], [0.9, 0.999]]
    """
    path, equals, values = text.partition("=")
    if not equals or not path:
        raise ValueError(f"--over {text}: needs FIELD=VALUES, as --over optimizer.weight_decay=0.1,0.3,1.")
    if values.startswith("["):
        found = value_of(values)
        if not isinstance(found, list):
            raise ValueError(f"--over {text}: needs a JSON list, as [0.1, 0.3].")
        return path, found
    number = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
    if match := re.fullmatch(rf"({number}):({number}):({number})", values):
        return path, _spaced(text, *match.groups())
    if ":" in values or not values.strip(","):
        raise ValueError(f"--over {text}: needs values as 0.1,0.3,1 or START:STOP:STEP, as 0.3:0.6:0.05.")
    return path, [value_of(value) for value in values.split(",")]


def _spaced(text: str, *typed: str) -> list[Any]:
    start, stop, step = map(float, typed)
    if step <= 0 or stop < start:
        raise ValueError(f"--over {text}: needs START <= STOP and STEP > 0.")
    if (stop - start) / step > 10**6:
        raise ValueError(f"--over {text}: names more than 1,000,000 values.")
    n = math.floor((stop - start) / step + 1e-9) + 1
    if all(re.fullmatch(r"[-+]?\d+", x) for x in typed):
        return [int(typed[0]) + i * int(typed[2]) for i in range(n)]
    # As the user would write them: .3 + .05 is .35.
    return [float(f"{start + i * step:.10g}") for i in range(n)]


def listed_runs(path: Path) -> list[Settings]:
    """The runs of a CSV file: a column a field, a row a run; an empty cell leaves the field as in the base.

    Raises:
        ValueError: if there are none, or a row has more cells than fields.
        OSError: if it cannot be read.
    """
    import csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError(f"{path} needs a line with the fields and one for each run, got none.")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise ValueError(
                f"{path} needs as many values in line {number} as there are fields in the first."
            )
    return [{field: value_of(x) for field, x in row.items() if x != ""} for row in rows]

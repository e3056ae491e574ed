"""What damage may do to a run: what is read is what was, or refused by name, or gone and named by verify; never other.

A run's own files say what it holds, so a step or a state whose entry was taken out of index.json cannot be missed when
it is read; `interp verify` finds it by the schedule and by the file that nobody names.
"""

import contextlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.fault_parts.material import contents
from benchmarks.fault_parts.processes import Ended, Failed, Process, check_sentence, command, value_of

REFUSED = "refused: "
# What can be made anew from the rest.
DERIVED = ("packed", "measures")
Around = Callable[[Path], AbstractContextManager[Any]]


def readings(path: Path) -> dict[str, str]:
    """All that is read from a run, each as a digest: "" where there is nothing, "refused: ..." where it is an error.

    Of tables and packed weights every step by itself, so that one that is gone is told from one that is another.
    """
    import interp
    from interp.runs.saving import read_latest

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {"run.json": _said(lambda: _config(path))}
        if found["run.json"].startswith(REFUSED):
            return found
        run = interp.open_run(path)
        found |= {
            "history": _said(lambda: _digest(run.history())),
            "recorded": _said(lambda: _digest(run.recorded())),
            "task": _said(lambda: _digest([run.task.inputs, run.task.labels, run.task.is_train])),
            "latest": _said(lambda: _state(read_latest(run))),
            "steps": _said(lambda: json.dumps(run.steps)),
        }
        if found["steps"].startswith(REFUSED):
            return found
        losses = partial(_by_step, "losses", run.steps, lambda: _of_table(interp.measure(run, ["losses"])))
        packed = partial(_by_step, "packed", run.steps, lambda: map(_one, run.weights("W_E")))
        found |= packed() | losses()
        for step in run.steps:
            for name, read in _of_step(run, step):
                found[f"{name} {step}"] = _said(read)
    return found


def check_numbers(whole: Path, path: Path) -> None:
    """Refuse unless all that is read from two runs is the same.

    Raises:
        Failed: with what differs.
    """
    want, found = (value_of(partial(readings, at)) for at in (whole, path))
    if differ := [name for name in want if found.get(name) != want[name]]:
        raise Failed(f"other numbers: {', '.join(differ)}")


def _of_step(run: Any, step: int) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "weights", lambda: _digest(run.step_weights(step).values())
    yield "optimizer", lambda: _digest((run.checkpoint(step).optimizer or {}).values())
    yield "tensor", lambda: _one(run.tensor(step, "W_E"))


def _said(read: Callable[[], str]) -> str:
    try:
        return read()
    # What an error of the package is; a traceback is none of these.
    except (ValueError, OSError) as error:
        return f"{REFUSED}{error}"


def _config(path: Path) -> str:
    import interp
    from interp.runs.config import config_to_json

    return json.dumps(config_to_json(interp.open_run(path).config), sort_keys=True)


def _by_step(name: str, steps: list[int], read: Callable[[], Any]) -> dict[str, str]:
    try:
        return {f"{name} {step}": value for step, value in zip(steps, read(), strict=True)}
    except (ValueError, OSError) as error:
        return dict.fromkeys((f"{name} {step}" for step in steps), f"{REFUSED}{error}")


def _of_table(tables: Mapping[str, Any]) -> Iterator[str]:
    table = tables["losses"].drop(columns="run", errors="ignore")
    return (rows.to_csv(index=False) for _, rows in table.groupby("step"))


def _state(state: Any) -> str:
    if state is None:
        return ""
    return f"{state.step} {_digest([*state.weights.values(), *(state.optimizer or {}).values()])}"


def _one(array: Any) -> str:
    return _digest([array])


def _digest(what: Any) -> str:
    import hashlib

    import numpy as np
    import pandas as pd

    digest = hashlib.sha256()
    arrays = [what.to_csv().encode()] if isinstance(what, pd.DataFrame) and len(what) else what
    if isinstance(what, pd.DataFrame) and not len(what):
        return ""
    is_empty = True
    for array in arrays:
        digest.update(array if isinstance(array, bytes) else np.ascontiguousarray(array).tobytes())
        is_empty = False
    return "" if is_empty else digest.hexdigest()


# What is promised of them.


def check_kept(
    whole: Mapping[str, str], found: Mapping[str, str], verified: Ended, named: tuple[str, ...]
) -> None:
    """Refuse unless all that was read is as of the whole run, or is refused by name; and verify names what is lost.

    Args:
        named: names of which an error, and the report, must have one.

    Raises:
        Failed: at another number, an error that names nothing, or damage that verify does not name.
    """
    check_sentence(verified)
    for name, value in found.items():
        if value.startswith(REFUSED):
            if not any(text in value for text in named):
                raise Failed(f"{name} is refused without a name: {value}")
        elif value and value != whole.get(name) and not (name == "steps" and _are_fewer(value, whole[name])):
            raise Failed(f"another {name} in silence (verify: {verified.code})")
    if lost := lost_of(whole, found):
        if verified.code != 1:
            text = f"verify ends with {verified.code}, though {lost[0]} is lost"
            raise Failed(f"{text}: {found.get(lost[0]) or 'gone'}")
        if not any(text in verified.out + verified.error for text in named):
            raise Failed(
                f"verify names none of {', '.join(named)}: {verified.out[:300]}{verified.error[-300:]}"
            )


def _are_fewer(value: str, whole: str) -> bool:
    return set(json.loads(value)) < set(json.loads(whole))


def lost_of(whole: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """What a whole run gives and this one does not."""
    lost = [name for name in whole if found.get(name, "") != whole[name]]
    # Without it resume goes on from a checkpoint, to the same end: it can be made anew.
    return [name for name in lost if name != "latest" or found.get(name)]


def check_damaged(
    whole: Mapping[str, str], path: Path, named: tuple[str, ...], around: Around = contextlib.nullcontext
) -> None:
    """Refuse unless a damaged run keeps what is promised of it, before a repair and after.

    Args:
        around: what is entered, of the run, wherever it is looked at.

    Raises:
        Failed: as `check_kept`; where a repair loses something or leaves it worse; where anything outside changes.
    """
    outside = contents(path.parent / "outside")
    before = contents(path, DERIVED)
    # Links lead from both to the same files.
    repaired = Path(shutil.copytree(path, path.parent / "repaired", symlinks=True))
    verified = looked_at(path, around)
    if contents(path, DERIVED) != before:
        raise Failed("verify has written into the run")
    found = value_of(partial(_within, readings, path, around))
    check_kept(whole, found, verified, named)

    ended = looked_at(repaired, around, "--repair")
    after = value_of(partial(_within, readings, repaired, around))
    check_kept(whole, after, ended, named)
    if worse := set(lost_of(whole, after)) - set(lost_of(whole, found)):
        raise Failed(f"--repair has lost {', '.join(sorted(worse))}")
    if contents(path.parent / "outside") != outside:
        raise Failed("something outside the run was changed")
    left = set(map(_key, contents(repaired, DERIVED).values()))
    if gone := [name for name, data in before.items() if _is_kept(name, data) and _key(data) not in left]:
        damaged = [name for name in gone if Path(name).name not in named]
        if damaged:
            raise Failed(f"--repair has removed the content of {', '.join(damaged)}")


def looked_at(path: Path, around: Around, *options: str) -> Ended:
    """`interp verify`, to its end."""
    return Process(partial(_within, lambda at: command("verify", at, *options)(), path, around)).wait()


def _within(act: Callable[[Path], Any], path: Path, around: Around) -> Any:
    with around(path):
        return act(path)


def _is_kept(name: str, data: object) -> bool:
    return isinstance(data, bytes) and name != "index.json"


def _key(data: object) -> object:
    return data

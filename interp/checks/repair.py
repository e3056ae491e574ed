"""Rewrites what is damaged in a run from what remains of it, and never guesses a weight.

Weights and optimizer state come back only where every tensor has the checksum that was recorded when it was saved.
They are looked for in other files of the run (swapped, renamed, left by a killed process), in the resume state, in the
packed weights, and in the damaged file itself, whose header alone may be broken. The rest is derived: index entries
from files that agree with their own headers, generated data from the config, the resume state from the newest
checkpoint with optimizer state. What cannot be restored is left as it is, with a sentence that says what to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import torch

from interp.checks.file_damage import consistent, file_damage, index_entry, index_from_files, loaded
from interp.checks.findings import Repair
from interp.checks.of_other_files import REPAIRING_SUFFIX, checkpoint_files, table_damage, unsealed_tables
from interp.checks.restoring import how_to_retrain, repair_checkpoints
from interp.ground.system_errors import system_error
from interp.ground.whole_files import remove_leftovers, within, write_bytes
from interp.ground.whole_reading import read_whole
from interp.networks import objective
from interp.networks.answers import answer_logits
from interp.networks.config import check_weights
from interp.runs.index import index_bytes, inside, read_altered_index
from interp.runs.locks import run_lock
from interp.runs.packed_weights import packed_damage
from interp.runs.run import Run, open_run
from interp.runs.saving import read_latest, save_latest
from interp.runs.seal import is_sealed
from interp.runs.task_file import task_bytes
from interp.runs.tensor_files import RunError, read_tensors


def repair_run(path: Path) -> list[Repair]:
    """Rewrite what can be rewritten from what remains of a run; what was done, file by file.

    Raises:
        RunError: if a trainer is working on the run.
    """
    path = Path(path).expanduser().resolve()
    try:
        with run_lock(path):
            return _repair(path)
    except filelock.Timeout:
        raise RunError(
            f"A trainer is working on {path}. Stop it, or wait until it is done, and repair then."
        ) from None


def _repair(path: Path) -> list[Repair]:
    done: list[Repair] = []
    run = None
    try:
        run = open_run(path)
    except RunError as error:
        done.append(Repair("run.json", False, f"not repairable: nothing else holds the config ({error})"))
    index = None
    with _refusals("index.json", done):
        index = _repair_index(path, run, done)
    if index is None:
        return done
    repair_checkpoints(path, index, done)
    if run is not None:
        with _refusals("task.safetensors", done):
            _repair_task(run, index, done)
        with _refusals("latest.safetensors", done):
            _repair_latest(run, index, done)
        _look_at_tables(run, done)
    for name, kind, _ in packed_damage(path, index):
        stamp = name.removesuffix("npy") + "json"
        _remove(path, [name, stamp], f"{kind}: removed, it is packed anew on first use", done)
    for name in [*(name for name, _ in table_damage(path)), *unsealed_tables(path)]:
        _remove(path, [name], "removed, it is measured anew on first use", done)
    if all(repair.done for repair in done):  # else a leftover may be the last trace of something
        for file in sorted(path.rglob(f".*{REPAIRING_SUFFIX}")):
            name = file.relative_to(path).as_posix()
            _remove(path, [name], "left by a repair that was stopped: removed", done)
        for file in remove_leftovers(path):
            done.append(Repair(file.relative_to(path).as_posix(), True, "left by a killed process: removed"))
    return done


@contextmanager
def _refusals(name: str, done: list[Repair]) -> Iterator[None]:
    """What the system refuses ends one repair, not the others."""
    try:
        yield
    except OSError as error:
        done.append(Repair(name, False, f"not repairable: {system_error(error)}"))


def _remove(path: Path, names: list[str], why: str, done: list[Repair]) -> None:
    """Delete derived files of the run, unless they lie outside it; the first is named."""
    with _refusals(names[0], done):
        for file in [within(path, path / name) for name in names]:
            file.unlink(missing_ok=True)
        done.append(Repair(names[0], True, why))


def _look_at_tables(run: Run, done: list[Repair]) -> None:
    """Say what to do where history or recorded values are lost: nothing else holds them."""
    is_complete = run.record.is_own and run.record.status == "complete"
    for name, read in (("history.parquet", run.history), ("recorded.parquet", run.recorded)):
        try:
            if is_complete and name == "history.parquet" and not (run.path / name).exists():
                raise RunError("it is missing")
            read()
        except RunError as error:
            text = f"delete it and latest.safetensors: `interp resume {run.path}` trains the run again from step 0"
            text = how_to_retrain(run.path) if is_complete else text
            text = text if run.record.is_own else "import the run again, or restore the file from a copy"
            done.append(Repair(name, False, f"not repairable ({error}); {text}"))


def _repair_index(path: Path, run: Run | None, done: list[Repair]) -> dict[int, dict[str, Any]] | None:
    """The index as it is or can be made; None where there is one that the system does not give."""
    try:
        index = read_altered_index(path)
    except RunError as error:
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError):
            done.append(Repair("index.json", False, f"not repairable, nor anything else without it: {error}"))
            return None
        index = index_from_files(path)
        if run is not None:
            index = {step: entry for step, entry in index.items() if _fits(run, entry, {})}
        if not index:
            text = "not repairable: no checkpoint file vouches for itself by checksums in its header"
            done.append(Repair("index.json", False, text))
            return {}
        text = f"written anew from the {len(index)} checkpoint files that agree with their own headers"
        done.append(Repair("index.json", True, text))
    before = {step: dict(entry) for step, entry in index.items()}
    for file in checkpoint_files(path):
        name = file.relative_to(path).as_posix()
        if file.parent.name != "steps" or file.suffix != ".safetensors":
            continue
        entry = index_entry(path, file)
        step = int(file.stem) if file.stem.isdigit() else None
        if step is None or entry is None:
            if name not in {e["file"] for e in index.values()}:
                text = "not repairable: it is not in the index, and its header does not vouch for its name and tensors"
                done.append(Repair(name, False, text))
            continue
        recorded = index.get(step)
        if recorded is None:
            if run is None or not _fits(run, entry, index):
                done.append(
                    Repair(name, False, "not repairable: its tensors are not those of the run's model")
                )
                continue
            index[step] = entry
            done.append(Repair("index.json", True, f"entry of step {step} written from {name}"))
        elif recorded != entry and _agree(recorded, entry):
            index[step] = recorded | {key: entry[key] for key in ("file", "checksum", "tensors")}
            if index[step] != recorded:
                done.append(Repair("index.json", True, f"entry of step {step} written anew from {name}"))
        state = entry.get("optimizer")
        recorded_state = index[step].get("optimizer")
        if state and (recorded_state is None or (recorded_state != state and _agree(recorded_state, state))):
            index[step]["optimizer"] = state
            if recorded is not None:
                text = f"entry of the optimizer's state of step {step} written from {state['file']}"
                done.append(Repair("index.json", True, text))
    for step in [step for step, entry in index.items() if _is_of_another_step(path, step, entry)]:
        text = f"entry of step {step} removed: it was that of step {int(Path(index.pop(step)['file']).stem)}"
        done.append(Repair("index.json", True, text))
    if index != before or done:
        index = dict(sorted(index.items()))
        write_bytes(path / "index.json", index_bytes(index))
    return index


def _agree(recorded: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether an entry and a consistent file are of one checkpoint: half of the entry proves it for the other half."""
    return recorded["tensors"] == found["tensors"] or recorded["checksum"] == found["checksum"]


def _is_of_another_step(path: Path, step: int, entry: dict[str, Any]) -> bool:
    """Whether an entry is that of a file that vouches for another step, and for these tensors."""
    file = inside(path, entry["file"], "steps")
    if file is None or file.stem == f"{step:010d}":
        return False
    found = index_entry(path, file)
    return found is not None and found["tensors"] == entry["tensors"]


def _fits(run: Run, entry: dict[str, Any], index: dict[int, dict[str, Any]]) -> bool:
    """Whether an entry's weights are those of the run's network, or named as others where that is not known."""
    names = set(entry["tensors"])
    others = [set(e["tensors"]) for e in index.values()]
    if run.config.model is None:
        return not others or names == others[0]
    tensors = loaded(run.path / entry["file"])
    try:
        check_weights(run.config.model, tensors or {}, entry["file"])
        return True
    except ValueError:
        return False


def _repair_task(run: Run, index: dict[int, dict[str, Any]], done: list[Repair]) -> None:
    if run.config.task is None:
        return
    try:
        _ = run.task
        return
    except RunError as error:
        why = str(error)
    name, config = "task.safetensors", run.config.task
    if config.split in ("explicit", "unknown"):
        text = f"not repairable: its split was recorded, no generator makes it again ({why})"
        done.append(Repair(name, False, text))
        return
    damage = file_damage(run.path / name, None)
    if damage is not None and damage[0] == "unreadable":
        done.append(Repair(name, False, f"not repairable: {why}"))
        return
    readable = (
        damage is None and loaded(run.path / name) is not None and _says_what_was_written(run.path / name)
    )
    if readable and not _config_explains_losses(run, index):
        text = (
            "not repairable: it contradicts the config in run.json, and the recorded losses do not show that the "
            "config is right; restore either from a copy"
        )
        done.append(Repair(name, False, text))
        return
    write_bytes(run.path / name, task_bytes(config.task()))
    proof = ", whose losses on it are the recorded ones" if readable else ""
    done.append(Repair(name, True, f"generated anew from the config{proof}"))


def _says_what_was_written(file: Path) -> bool:
    """Whether a file's own checksum, if it states one, does not show that the file is the one that changed."""
    try:
        is_sealed(read_whole(file))
        return True
    except ValueError:
        return False


@torch.no_grad()
def _config_explains_losses(run: Run, index: dict[int, dict[str, Any]]) -> bool:
    """Whether the losses on the data of the config are the recorded ones, at the last step with a test loss."""
    try:
        history = run.history().dropna(subset=["test_loss"]).set_index("step")
        assert run.config.task
        task, model = run.config.task.task(), run.config.model
        steps = [step for step in index if step in history.index]
        if not steps or model is None or task.is_train is None:
            return False
        weights = read_tensors(run.path / index[steps[-1]]["file"], index[steps[-1]]["checksum"])
    except (RunError, KeyError, ValueError):
        return False
    for split in ("train", "test"):
        questions = task.of_split(split)
        loss = objective.scores(answer_logits(model, questions)(weights), questions.labels)["loss"]
        recorded = float(history.loc[steps[-1], f"{split}_loss"])
        if abs(loss - recorded) > 1e-3 * max(loss, recorded) + 1e-9:
            return False
    return True


def _repair_latest(run: Run, index: dict[int, dict[str, Any]], done: list[Repair]) -> None:
    name = "latest.safetensors"
    file = run.path / name
    if not file.exists():
        return
    if consistent(file) is not None:
        try:
            read_latest(run)
        # Whole, and another run's: it may be needed there.
        except RunError as error:
            done.append(Repair(name, False, f"not repairable: {error}"))
        return
    for step in sorted((s for s, entry in index.items() if "optimizer" in entry), reverse=True):
        try:
            weights = read_tensors(run.path / index[step]["file"], index[step]["checksum"])
            state = index[step]["optimizer"]
            optimizer = read_tensors(run.path / state["file"], state["checksum"])
        except RunError:
            continue
        save_latest(run, step, weights, optimizer)
        done.append(Repair(name, True, f"written from checkpoint {step}: resume goes on from there, exactly"))
        return
    text = "not repairable: no checkpoint with the optimizer's state is whole; "
    done.append(Repair(name, False, text + how_to_retrain(run.path)))

"""Rewrites what is damaged in a run from what remains of it, and never guesses a weight.

Weights and optimizer state come back only where every tensor has the checksum that was recorded when it was saved.
They are looked for in other files of the run (swapped, renamed, left by a killed process), in the resume state, in the
packed weights, and in the damaged file itself, whose header alone may be broken. The rest is derived: index entries
from files that agree with their own headers, generated data from the config, the resume state from the newest
checkpoint with optimizer state. What cannot be restored is left as it is, with a sentence that says what to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import torch

from interp.checks.file_damage import consistent, file_damage, index_entry, index_from_files, loaded
from interp.ground.whole_files import TEMPORARY_SUFFIX, remove_leftovers, write_bytes, write_json
from interp.networks import objective
from interp.networks.answers import answer_logits
from interp.networks.config import Weights, check_weights
from interp.runs.index import inside, read_altered_index
from interp.runs.packed_weights import packed_damage, packed_tensor
from interp.runs.run import Run, open_run
from interp.runs.saving import save_latest
from interp.runs.task_file import task_bytes
from interp.runs.tensor_files import (
    RunError,
    check_weight_names,
    file_checksum,
    read_tensors,
    safetensors_bytes,
    tensor_checksum,
)


@dataclass(frozen=True)
class Repair:
    """What was done about one file, or why nothing could be.

    Attributes:
        where: the file, relative to the run.
        done: whether it is restored.
        message: one sentence.
    """

    where: str
    done: bool
    message: str

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"where": self.where, "done": self.done, "message": self.message}


def repair_run(path: Path) -> list[Repair]:
    """Rewrite what can be rewritten from what remains of a run; what was done, file by file.

    Raises:
        RunError: if a trainer is working on the run.
    """
    path = Path(path).expanduser().resolve()
    lock = filelock.FileLock(path / "lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RunError(
            f"A trainer is working on {path}. Stop it, or wait until it is done, and repair then."
        ) from None
    try:
        return _repair(path)
    finally:
        lock.release()


def _repair(path: Path) -> list[Repair]:
    done: list[Repair] = []
    run = None
    try:
        run = open_run(path)
    except RunError as error:
        done.append(Repair("run.json", False, f"not repairable: nothing else holds the config ({error})"))
    index = _repair_index(path, run, done)
    _repair_checkpoints(path, index, done)
    if run is not None:
        _repair_task(run, index, done)
        _repair_latest(run, index, done)
        if run.record.is_own and run.record.status == "complete":
            try:
                if not (path / "history.parquet").exists():
                    raise RunError("it is missing")
                run.history()
            except RunError as error:
                done.append(Repair("history.parquet", False, f"not repairable ({error}); {_retrain(path)}"))
    for name, kind, _ in packed_damage(path, index):
        array = path / name
        array.unlink(missing_ok=True)
        array.with_suffix(".json").unlink(missing_ok=True)
        done.append(Repair(name, True, f"{kind}: removed, it is packed anew on first use"))
    if all(repair.done for repair in done):  # else a leftover may be the last trace of something
        for file in remove_leftovers(path):
            done.append(Repair(file.relative_to(path).as_posix(), True, "left by a killed process: removed"))
    return done


def _repair_index(path: Path, run: Run | None, done: list[Repair]) -> dict[int, dict[str, Any]]:
    try:
        index = read_altered_index(path)
    except RunError:
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
    for file in sorted((path / "steps").glob("*.safetensors")):
        name = file.relative_to(path).as_posix()
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
    if index != before or done:
        index = dict(sorted(index.items()))
        write_json(path / "index.json", {str(step): entry for step, entry in index.items()})
    return index


def _agree(recorded: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether an entry and a consistent file are of one checkpoint: half of the entry proves it for the other half."""
    return recorded["tensors"] == found["tensors"] or recorded["checksum"] == found["checksum"]


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


def _repair_checkpoints(path: Path, index: dict[int, dict[str, Any]], done: list[Repair]) -> None:
    damaged = {}
    for step, entry in index.items():
        for folder, about in (("steps", entry), ("optimizer", entry.get("optimizer"))):
            if about is None:
                continue
            file = inside(path, about["file"], folder)
            if file is None:
                text = f"not repairable: step {step} names {about['file']}, outside the run's {folder}/"
                done.append(Repair("index.json", False, text))
            elif file_damage(file, about["checksum"]):
                if folder == "steps":
                    try:
                        check_weight_names(about["tensors"], f"step {step}")
                    except RunError as error:
                        done.append(Repair("index.json", False, f"not repairable: {error}"))
                        continue
                damaged[about["file"]] = (step, about)
    if not damaged:
        return
    whole: dict[str, Path] = {}
    for file in [*path.rglob("*.safetensors"), *path.rglob(f".*{TEMPORARY_SUFFIX}")]:
        if file.is_file() and file.stat().st_size:
            whole.setdefault(file_checksum(file), file)
    plan: dict[str, tuple[bytes, str]] = {}  # all is read before anything is written: files may be swapped
    for name, (step, about) in damaged.items():
        found = whole.get(about["checksum"])
        if found is not None:
            plan[name] = (found.read_bytes(), f"restored from {found.relative_to(path).as_posix()}")
            continue
        if not about["tensors"] and Path(name).parts[0] == "steps":  # an optimizer without state has none
            text = f"not repairable: its entry in the index lists no tensors; {_retrain(path)}"
            done.append(Repair(name, False, text))
            continue
        tensors, sources = _search(path, index, step, about)
        absent = [key for key in about["tensors"] if key not in tensors]
        if absent:
            text = f"not repairable: {len(absent)} of {len(about['tensors'])} tensors are nowhere else; "
            done.append(Repair(name, False, text + _retrain(path)))
        else:
            data = safetensors_bytes({key: tensors[key] for key in about["tensors"]}, step)
            plan[name] = (data, f"restored from {', '.join(sorted(sources)) or 'its entry'}")
    for name, (data, text) in plan.items():
        write_bytes(path / name, data)
        step, about = damaged[name]
        about["checksum"] = file_checksum(
            path / name
        )  # as before, unless another program wrote the former file
        done.append(Repair(name, True, f"{text}; every tensor has its recorded checksum"))
    write_json(path / "index.json", {str(step): entry for step, entry in index.items()})


def _search(
    path: Path, index: dict[int, dict[str, Any]], step: int, about: dict[str, Any]
) -> tuple[Weights, set[str]]:
    """Tensors of a damaged file found elsewhere by their checksums, and where."""
    part = Path(about["file"]).parts[0]
    found: Weights = {}
    sources: set[str] = set()
    for source, tensors in _places(path, part, about["file"]):
        for name, checksum in about["tensors"].items():
            if name not in found and name in tensors and tensor_checksum(tensors[name]) == checksum:
                found[name] = tensors[name]
                sources.add(source)
    if part == "steps":
        for name, checksum in about["tensors"].items():
            array = path / "packed" / f"{name}.npy"
            if name not in found and array.exists():
                row = list(index).index(step)
                if (tensor := packed_tensor(array, row, checksum)) is not None:
                    found[name] = tensor
                    sources.add("packed/")
    return found, sources


def _places(path: Path, part: str, name: str) -> Iterator[tuple[str, Weights]]:
    prefix = "weights/" if part == "steps" else "optimizer/"
    if (path / name).exists() and (own := loaded(path / name)) is not None:
        yield "its own tensors", own
    if (path / "latest.safetensors").exists() and (latest := loaded(path / "latest.safetensors")) is not None:
        yield (
            "latest.safetensors",
            {key.removeprefix(prefix): t for key, t in latest.items() if key.startswith(prefix)},
        )


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
    readable = file_damage(run.path / name, None) is None and loaded(run.path / name) is not None
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
    if not file.exists() or consistent(file) is not None:
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
    done.append(Repair(name, False, text + _retrain(run.path)))


def _retrain(path: Path) -> str:
    return (
        f"retrain the run with interp.train(interp.open_run({str(path)!r}).config, NEW), which gives the same weights "
        "on the same kind of machine, and copy the file from there"
    )

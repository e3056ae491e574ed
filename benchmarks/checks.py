"""What it costs that everything is checked when it is read: each reader beside itself without its check.

python benchmarks/checks.py [--repeats 40] [--json FILE]
"""

import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
import xxhash

sys.path.insert(0, str(Path(__file__).parent.parent))

from timing import arguments, median_seconds, report

import interp
from interp.networks.config import initial_weights
from interp.runs.presets import mainline, variation
from interp.runs.record import RunRecord
from interp.runs.run import Run, open_run
from interp.runs.saving import create_run, save_checkpoint, save_history
from interp.sources.files.reading import read

N_CHECKPOINTS, N_ROWS = 40, 10_001


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(options.threads)
    recipe, n_checkpoints, n_rows = mainline(20), N_CHECKPOINTS, N_ROWS
    if options.tiny:
        recipe, n_checkpoints, n_rows = (
            variation(recipe, task={"p": 11}, model={"d_model": 16, "d_mlp": 32}),
            5,
            11,
        )
    with tempfile.TemporaryDirectory() as directory:
        run = create_run(
            Path(directory) / "run",
            recipe.config(),
            RunRecord(status="complete", unit="step"),
            recipe.task.task(),
        )
        for step in range(n_checkpoints):
            save_checkpoint(run, step, initial_weights(recipe.model, step))
        rng = np.random.default_rng(0)
        columns = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
        save_history(
            run, pd.DataFrame({"step": range(n_rows)} | {name: rng.random(n_rows) for name in columns})
        )
        foreign = Path(directory) / "foreign.pt"
        torch.save(dict(run.step_weights(0)), foreign)
        rows = []
        for what, checked, unchecked in _readers(open_run(run.path), foreign):
            seconds = median_seconds({"checked": checked, "not": unchecked}, options.repeats)
            rows.append((f"{what}, checked", seconds["checked"] * 1e3, "ms", ""))
            rows.append((f"{what}, checked / not", seconds["checked"] / seconds["not"], "times", ""))
    report(rows, options)


Read = Callable[[], object]


def _readers(run: Run, foreign: Path) -> list[tuple[str, Read, Read]]:
    """What is read, and the same without its check."""
    archives = import_module("interp.sources.files.archives")

    def torch_file() -> object:
        archives._checked.cache_clear()
        return {name: tensor.clone() for name, tensor in read(foreign).items()}

    def trusted(data: object) -> SimpleNamespace:
        return SimpleNamespace(hexdigest=lambda: run.index[0]["checksum"])

    interp.measure(run, ["weight_norms"], progress=False)
    np.array(run.weights("W_E"))
    tables, packed = (import_module(f"interp.runs.{name}") for name in ("table_files", "packed_weights"))
    readers: list[tuple[str, Read, object, str, Callable[..., object]]] = [
        ("run.json", lambda: open_run(run.path), import_module("interp.runs.run"), "check_stated", _nothing),
        (f"a history of {len(run.history()):,} rows", run.history, tables, "is_sealed", _yes),
        ("a kept table", lambda: interp.measure(run, ["weight_norms"], progress=False), tables, "is_sealed", _yes),
        (f"W_E of {len(run.steps)} checkpoints, packed", lambda: np.array(run.weights("W_E")), packed, "_is_row", _yes),
        ("a checkpoint", lambda: run.step_weights(0), xxhash, "xxh3_64", trusted),
        ("a torch archive, first read", torch_file, zipfile.ZipFile, "testzip", _nothing),
    ]  # fmt: skip
    return [
        (what, read, _without(read, owner, name, instead)) for what, read, owner, name, instead in readers
    ]


def _yes(*_: object) -> bool:
    return True


def _nothing(*_: object) -> None:
    return None


def _without(checked: Read, owner: object, name: str, instead: Callable[..., object]) -> Read:
    check = getattr(owner, name)

    def read_without() -> object:
        setattr(owner, name, instead)
        try:
            return checked()
        finally:
            setattr(owner, name, check)

    return read_without


if __name__ == "__main__":
    main()

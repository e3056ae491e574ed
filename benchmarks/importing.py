"""Opening, importing and checking other people's checkpoints: seconds and peak memory.

A folder of --files checkpoints of a one-layer transformer (p=31, d_model 32), one .pth each, is

open      opened in place (the second time in this process: the first loads modules)
import    imported; and the run that this gave opened, one weight read
verify    checked: every tensor of every step hashed

bundled   the checkpoints of the bundled run, one .pth each, opened in place: their task and split are found

python benchmarks/importing.py [--files 250] [--json FILE]
"""

import argparse
import json
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from interp.checks.of_source import verify_source
from interp.networks.config import initial_weights, transformer_config
from interp.sources import import_run
from interp.sources.opening import open_run

Result = TypeVar("Result")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=250, help="checkpoints in the folder")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    options = parser.parse_args()
    config = transformer_config(
        p=31, n_ctx=3, d_vocab=32, n_layers=1, d_model=32, n_heads=4, d_mlp=64, act_fn="relu"
    )
    found: dict[str, float] = {"files": options.files}
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # random weights answer no operation, and the import says so
        source, dest = Path(directory) / "source", Path(directory) / "dest"
        source.mkdir()
        weights = initial_weights(config, 0)
        for step in range(options.files):
            torch.save({name: w + 1e-3 * step for name, w in weights.items()}, source / f"step_{step}.pth")
        open_run(source)
        measured(found, "open_in_place", lambda: open_run(source))
        measured(found, "import", lambda: import_run(source, dest))
        measured(found, "open_imported", lambda: open_run(dest).tensor(options.files - 1, "W_E"))
        measured(found, "verify", lambda: verify_source(source))

        bundled = open_run(Path(__file__).parent.parent / "checkpoints" / "mainline")
        folder = Path(directory) / "bundled"
        folder.mkdir()
        for step in bundled.steps:
            torch.save(bundled.step_weights(step), folder / f"{step}.pth")
        opened = measured(found, "open_bundled_in_place", lambda: open_run(folder))
        assert opened.config.task is not None and opened.config.task.split == "shuffle"
    text = json.dumps(found, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")


def measured(found: dict[str, float], name: str, do: Callable[[], Result]) -> Result:
    """What `do` gives; its seconds, and by how much it raised the peak memory, are noted."""
    before, start = peak_mb(), time.perf_counter()
    result = do()
    found[f"{name}_seconds"] = time.perf_counter() - start
    found[f"{name}_memory_added_mb"] = peak_mb() - before
    return result


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

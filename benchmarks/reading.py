"""Reading a run: weights into a live model, a checkpoint from the page cache, one weight over 200 checkpoints.

A run of mainline size is written to a temporary directory first.

    python benchmarks/reading.py [--repeats 20] [--json FILE]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from interp.runs.record import RunRecord
from interp.runs.run import open_run
from interp.runs.saving import create_run, save_checkpoint

sys.path.insert(0, str(Path(__file__).parent.parent))

from timing import arguments, median_seconds, report

from interp.networks.config import initial_weights
from interp.networks.hooked import build_model
from interp.runs.presets import mainline, variation


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(options.threads)
    recipe, n_checkpoints = mainline(20), 200
    if options.tiny:
        recipe, n_checkpoints = variation(recipe, task={"p": 11}, model={"d_model": 16, "d_mlp": 32}), 5
    with tempfile.TemporaryDirectory() as directory:
        record = RunRecord(status="complete", unit="step")
        run = create_run(Path(directory) / "run", recipe.config(), record, None)
        for step in range(n_checkpoints):
            save_checkpoint(run, step, initial_weights(recipe.model, step))
        megabytes = (run.path / run.index[0]["file"]).stat().st_size / 1e6
        model = build_model(recipe.model)
        both = [run.step_weights(step) for step in (0, 1)]

        def swap() -> None:
            both.reverse()
            model.load_weights(both[0])

        np.array(run.weights("W_E"))  # packs it
        seconds = median_seconds(
            {
                "swap": swap,
                "read": lambda: run.step_weights(0),
                "map": lambda: run.weights("W_E"),
                "copy": lambda: np.array(run.weights("W_E")),
                "open": lambda: np.array(open_run(run.path).weights("W_E")),
            },
            options.repeats,
        )
        what = f"W_E of {n_checkpoints} checkpoints"
        report(
            [
                ("weights into a live model", seconds["swap"] * 1e3, "ms", "under 2"),
                ("a checkpoint from a warm page cache, checked", seconds["read"] * 1e3, "ms", ""),
                ("the same as a rate", megabytes / seconds["read"], "MB/s", "at least 500"),
                (f"{what}, packed: mapped", seconds["map"] * 1e3, "ms", "under 5"),
                (f"{what}, packed: read into memory", seconds["copy"] * 1e3, "ms", "under 5"),
                (f"{what}, packed: run opened and read", seconds["open"] * 1e3, "ms", ""),
            ],
            options,
        )


if __name__ == "__main__":
    main()

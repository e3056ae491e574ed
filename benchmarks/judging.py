"""`interp judge` on an arms table of ten thousand rows, in new processes: from the shell to the tables on the disk.

Three shapes of table: few pairs of many arms, many pairs of few, and all arms with doses.

    python benchmarks/judging.py [--repeats 20] [--json FILE]
"""

import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from timing import arguments, median_seconds, report

from interp.theories.arms_table import COLUMNS

ROOT = Path(__file__).parent.parent
EVENTS = [("test_loss", 1.0), *(("test_accuracy", threshold) for threshold in (0.9, 0.95, 0.99))]


def main() -> None:
    options = arguments(__doc__)
    n_rows = 200 if options.tiny else 10_000
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        shapes = {
            "3 pairs of many arms": arms_table(n_rows, n_pairs=3, n_doses=1),
            "100 pairs of few arms": arms_table(n_rows, n_pairs=min(100, n_rows // 20), n_doses=1),
            "3 pairs, 5 doses an arm": arms_table(n_rows, n_pairs=3, n_doses=5),
        }
        for i, table in enumerate(shapes.values()):
            table.to_csv(folder / f"{i}.csv", index=False)

        def process(*command: str):
            return lambda: subprocess.run(
                [sys.executable, *command], cwd=ROOT, check=True, capture_output=True
            )

        seconds = median_seconds(
            {"bare": process("-c", "pass")}
            | {
                name: process("-m", "interp", "judge", str(folder / f"{i}.csv"), "--out", str(folder / "out"))
                for i, name in enumerate(shapes)
            },
            options.repeats,
        )
        report(
            [
                ("python -c pass", seconds["bare"], "s", ""),
                *(
                    (f"{len(table)} rows, {name}", seconds[name], "s", "under 2")
                    for name, table in shapes.items()
                ),
            ],
            options,
        )


def arms_table(n_rows: int, n_pairs: int, n_doses: int) -> pd.DataFrame:
    """About as many rows: a control and arms that come after random times, a tenth of them never."""
    generator = np.random.default_rng(0)
    n_arms = max(1, (n_rows // (n_pairs * len(EVENTS)) - 1) // n_doses)
    arms = [("control", math.nan, "")]
    arms += [(f"arm {i}", float(dose), "control") for i in range(n_arms) for dose in range(n_doses)]
    rows = []
    for pair in range(n_pairs):
        for arm, dose, reference in arms:
            for event, threshold in EVENTS:
                step = 10 * int(300 * math.exp(generator.normal(0, 0.2)))
                bracket = (12_000, math.nan) if generator.random() < 0.1 else (step - 10, step)
                place = (arm, dose, pair, "seed", reference, math.nan, 2500)
                rows.append((*place, event, threshold, *bracket, 12_000, True, ""))
    return pd.DataFrame(rows, columns=COLUMNS)


if __name__ == "__main__":
    main()

"""What `import interp` adds to a bare interpreter, and how long `interp --help` takes, in new processes.

python benchmarks/startup.py [--repeats 20] [--json FILE]
"""

import subprocess
import sys
from pathlib import Path

from timing import arguments, median_seconds, report

ROOT = Path(__file__).parent.parent


def main() -> None:
    options = arguments(__doc__)
    repeats = 2 if options.tiny else options.repeats

    def process(*command: str):
        return lambda: subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)

    seconds = median_seconds(
        {
            "bare": process("-c", "pass"),
            "import": process("-c", "import interp"),
            "help": process("-m", "interp", "--help"),
        },
        repeats,
    )
    report(
        [
            ("python -c pass", seconds["bare"] * 1e3, "ms", ""),
            ("import interp adds", (seconds["import"] - seconds["bare"]) * 1e3, "ms", "under 50"),
            ("interp --help", seconds["help"] * 1e3, "ms", "under 300"),
        ],
        options,
    )


if __name__ == "__main__":
    main()

"""How the benchmarks time and report: contenders take turns, so that a busy moment of the machine hits all of them."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

Row = tuple[str, float, str, str]  # what, number, unit, what it is held against


def arguments(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    parser.add_argument(
        "--repeats", type=int, default=20, help="turns of each contender; the median is reported"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of torch")
    parser.add_argument("--tiny", action="store_true", help="small inputs, only to see that it runs")
    parser.add_argument("--json", type=Path, help="write the table there too")
    return parser.parse_args()


def median_seconds(contenders: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, after one turn of each that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            if turn:
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def report(rows: list[Row], options: argparse.Namespace) -> None:
    """Print the table, and write it as JSON where asked for."""
    width = max(len(row[0]) for row in rows)
    for what, number, unit, wanted in rows:
        print(f"{what:<{width}}  {number:>10.3g} {unit:<5}  {wanted}")
    if options.json:
        record = {
            "machine": platform.platform(),
            "processor": platform.machine(),
            "python": platform.python_version(),
            "threads": options.threads,
            "repeats": options.repeats,
            "tiny": options.tiny,
            "rows": [dict(zip(("what", "number", "unit", "wanted"), row, strict=True)) for row in rows],
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

"""Files that are read for ever, or to no end: deep and long JSON, tables of equal rows, pipes, devices, holes."""

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.fault_parts.material import Material
from benchmarks.fault_parts.strange import Hostile, Place, file_of_run, saved, trial, written
from benchmarks.fault_parts.trials import Trial

JSON, ENDLESS = "JSON and tables without end", "devices, pipes and sparse files of a terabyte"
DEEP = 100_000


def trials(material: Material) -> Iterator[Trial]:
    for hostile in (*_json(), *_endless()):
        yield trial(material, hostile)


# JSON, tables.


_TEXTS: dict[str, Callable[[], str]] = {
    "deep": lambda: "[" * DEEP + "]" * DEEP,
    "deep-dict": lambda: '{"a":' * 5000 + "1" + "}" * 5000,
    "keys": lambda: json.dumps({f"k{i}": i for i in range(500_000)}),
    "digits": lambda: '{"step": 1' + "0" * 10**6 + "}",
    "float": lambda: '{"step": 1e400, "loss": NaN, "lr": -Infinity}',
    "rows": lambda: json.dumps([{"step": i, "loss": 0.5} for i in range(300_000)]),
    "word": lambda: json.dumps("x" * 10**7),
    "open": lambda: '{"a": "' + "\\u0000" * 10**5,
}
_LOGS = (
    "log.json",
    "trainer_state.json",
    "config.json",
    "metrics.jsonl",
    "split.json",
    "train_indices.json",
    "log.csv",
)
_RUN_JSON = ("run.json", "index.json", "packed/embed.W_E.json")


def _json() -> Iterator[Hostile]:
    for name in _TEXTS:
        for file in _LOGS:
            yield Hostile(f"json/{file}/{name}", JSON, partial(_log, name=name, file=file))
        for file in _RUN_JSON:
            yield Hostile(
                f"json/{file}/{name}", JSON, partial(_json_of_run, name=name, file=file), run="whole"
            )
    for file in ("history.parquet", "measures"):
        yield Hostile(f"json/table/{file}", JSON, partial(_table, name=file), run="whole")


def _log(place: Place, name: str, file: str) -> Path:
    written(place, file, _TEXTS[name]().encode())
    return saved(place, place.content).parent


def _json_of_run(place: Place, name: str, file: str) -> Path:
    return written(place, file, _TEXTS[name]().encode()) and place.source


def _table(place: Place, name: str) -> Path:
    """Thirty million equal rows in a small file."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    equal = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3 * 10**7, dtype=np.int8)), pa.array([0.5]))
    columns = dict.fromkeys(("step", "train_loss", "test_loss", "train_accuracy", "test_accuracy"), equal)
    pq.write_table(pa.table(columns), file_of_run(place, name))
    return place.source


# What never ends.


def _endless() -> Iterator[Hostile]:
    for name, make in {"pipe": _pipe, "zeros": _zeros, "terabyte": _terabyte, "socket": _socket}.items():
        for file in ("step_5.pt", "log.json", "train_indices.npy", "config.json"):
            yield Hostile(f"endless/{name}/{file}", ENDLESS, partial(_beside, make=make, file=file))
        for file in (
            "run.json",
            "index.json",
            "history.parquet",
            "latest.safetensors",
            "task.safetensors",
            "lock",
        ):
            yield Hostile(
                f"endless/{name}/run/{file}", ENDLESS, partial(_in_run, make=make, file=file), run="whole"
            )
        for file in ("steps/0000000020.safetensors", "packed/embed.W_E.npy", "packed/embed.W_E.json"):
            yield Hostile(
                f"endless/{name}/run/{file}", ENDLESS, partial(_in_run, make=make, file=file), run="whole"
            )
        yield Hostile(f"endless/{name}/itself", ENDLESS, partial(_itself_opened, make=make))


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _terabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"PK\x03\x04" if path.suffix == ".pt" else b"{")
        file.truncate(2**40)


def _socket(path: Path) -> None:
    import socket

    os.chdir(path.parent)
    socket.socket(socket.AF_UNIX).bind(path.name)


def _beside(place: Place, make: Callable[[Path], None], file: str) -> Path:
    make(place.source / file)
    return saved(place, place.content, "step_1.pt").parent


def _in_run(place: Place, make: Callable[[Path], None], file: str) -> Path:
    (place.source / file).unlink(missing_ok=True)
    make(place.source / file)
    return place.source


def _itself_opened(place: Place, make: Callable[[Path], None]) -> Path:
    make(place.source / "step_5.pt")
    return place.source / "step_5.pt"

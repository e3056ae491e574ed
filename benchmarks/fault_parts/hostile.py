"""Files that would run code: as anyone's checkpoint, beside one, as a file of a run, as a folder of Hugging Face.

The other files that do harm are in exhausting.py, unending.py and misleading.py.
"""

import json
import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.fault_parts import exhausting, misleading, unending
from benchmarks.fault_parts.material import Material
from benchmarks.fault_parts.pickled import (
    MARK,
    PROTOCOLS,
    Called,
    as_array,
    as_arrays,
    as_pickle,
    as_torch,
    called,
    payloads,
    text,
)
from benchmarks.fault_parts.strange import (
    Hostile,
    Place,
    alone_and_beside,
    file_of_run,
    saved,
    trial,
    written,
)
from benchmarks.fault_parts.trials import Trial

ENDINGS = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".npy", ".npz", ".safetensors", "")
NAMES = tuple(payloads(Path()))
SPLITS = (
    "train_indices.npy", "split.pt", "train_data.pkl", "data.pth", "test_idx.bin", "indices.pickle", "data/train.npy",
)  # fmt: skip
RUN_FILES = (
    "run.json", "index.json", "task.safetensors", "latest.safetensors", "history.parquet",
    "steps/0000000020.safetensors", "packed/embed.W_E.npy", "packed/embed.W_E.json", "measures",
)  # fmt: skip
PICKLE, BESIDE, RUN = (
    "a pickle that runs code",
    "code in a file beside checkpoints",
    "code in a file of a run",
)
ODD, SCRIPT = "torch's own calls with odd arguments", "TorchScript, and modules as a whole"


def trials(material: Material) -> Iterator[Trial]:
    for hostile in (*_pickles(), *_splits(), *_runs(), *_odd_calls(), *_scripts()):
        yield trial(material, hostile)
    yield from exhausting.trials(material)
    yield from unending.trials(material)
    yield from misleading.trials(material)


# Pickles.


def _carriers(place: Place, opcodes: bytes) -> dict[str, Any]:
    model, content = place.state, place.content
    return {
        "plain": lambda: as_pickle(opcodes),
        "archive": lambda: as_torch(content | {"extra": MARK}, opcodes),
        "legacy": lambda: as_torch(content | {"extra": MARK}, opcodes, is_legacy=True),
        "whole": lambda: as_torch(MARK, opcodes),
        "config": lambda: as_torch(content | {"config": {"n_heads": MARK}}, opcodes),
        "key": lambda: as_torch({MARK: 1} | content, opcodes),
        "weight": lambda: as_torch({"model": model | {"embed.W_E": MARK}}, opcodes),
        "array": lambda: as_array(as_pickle(opcodes)),
        "arrays": lambda: as_arrays(as_pickle(opcodes)),
    }


CARRIERS = ("plain", "archive", "legacy", "whole", "config", "key", "weight", "array", "arrays")


def _pickles() -> Iterator[Hostile]:
    n = 0
    for carrier in CARRIERS:
        for name in NAMES:
            n += 1
            ending = ENDINGS[n % len(ENDINGS)]
            make = partial(_carried, carrier=carrier, payload=name, ending=ending)
            # By turns, and every protocol and ending both ways.
            yield list(alone_and_beside(f"{carrier}/{_plain(name)}{ending}", PICKLE, make))[n % 2]
    for protocol in PROTOCOLS:
        for ending in ENDINGS:
            make = partial(_pickled, protocol=protocol, ending=ending)
            yield from alone_and_beside(f"protocol{protocol}/step_5{ending}", PICKLE, make)


def _plain(name: str) -> str:
    return name.replace(" ", "-")


def _carried(place: Place, carrier: str, payload: str, ending: str) -> Path:
    opcodes = payloads(place.canary)[payload]
    return written(place, f"step_5{ending}", _carriers(place, opcodes)[carrier]())


def _pickled(place: Place, protocol: int, ending: str) -> Path:
    code = Called(eval, f"open({str(place.canary)!r}, 'w')")
    return written(place, f"step_5{ending}", pickle.dumps({"model": 1, "x": code}, protocol))


# Beside checkpoints, and in runs.


def _splits() -> Iterator[Hostile]:
    for name in SPLITS:
        for carrier in ("plain", "archive", "array"):
            yield Hostile(f"split/{carrier}/{name}", BESIDE, partial(_split, name=name, carrier=carrier))


def _split(place: Place, name: str, carrier: str) -> Path:
    saved(place, place.content)
    opcodes = payloads(place.canary)["posix.system"]
    written(place, name, _carriers(place, opcodes)[carrier]())
    return place.source


def _runs() -> Iterator[Hostile]:
    for name in RUN_FILES:
        for carrier in ("plain", "archive", "array"):
            make = partial(_in_run, name=name, carrier=carrier)
            yield Hostile(f"run/{carrier}/{name}", RUN, make, run="whole")
    for sealed in (False, True):
        for name in ("history.parquet", "measures"):
            make = partial(_extension, name=name, is_sealed=sealed)
            yield Hostile(f"run/extension{sealed:d}/{name}", RUN, make, run="whole")


def _in_run(place: Place, name: str, carrier: str) -> Path:
    opcodes = payloads(place.canary)["posix.system"]
    file_of_run(place, name).write_bytes(_carriers(place, opcodes)[carrier]())
    return place.source


def _extension(place: Place, name: str, is_sealed: bool) -> Path:
    """A table with a column of a type that pyarrow once unpickled, and with the same among what pandas keeps."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from interp.runs.seal import OPEN, sealed

    code = as_pickle(payloads(place.canary)["posix.system"])
    file = file_of_run(place, name)
    table = pq.read_table(file)
    kind = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": code}
    fields = [field.with_metadata(kind) for field in table.schema]
    column = {
        "name": "x",
        "field_name": "x",
        "pandas_type": "object",
        "numpy_type": "object",
        "metadata": {"x": 1},
    }
    kept = {b"pandas": json.dumps({"columns": [column], "index_columns": [], "x": code.hex()}).encode()}
    metadata = {**(table.schema.metadata or {}), **kept, b"seal": OPEN.encode(), b"pickle": code}
    table = table.cast(pa.schema(fields)).replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    data = sink.getvalue().to_pybytes()
    file.write_bytes(sealed(data) if is_sealed else data)
    return place.source


# What torch allows.


def _odd_calls() -> Iterator[Hostile]:
    from torch._weights_only_unpickler import _get_allowed_globals

    for name in sorted(_get_allowed_globals()):
        if not name.startswith(("torch.cuda", "torch.sparse")) and "Storage" not in name:
            make = partial(_odd_call, name=name)
            yield Hostile(f"odd/{name}", ODD, make)
    yield from (Hostile(f"odd/set_/{n}", ODD, partial(_set, n=n)) for n in range(len(_SETS)))


_HUGE = b"\x8a\x06\x00\x00\x00\x00\x00\x10"
_ODD_ARGUMENTS = (
    b"", b"N", b"K\x00", b"J\xff\xff\xff\xff", _HUGE, text("cuda:7"), b"]", b"}", b"(K\x02K\x02t",
    b"]" + _HUGE + b"a", b"N" * 7, b"K\x01" * 3, text("x") * 5, b"(" + _HUGE * 2 + b"t" + b"K\x01" * 3,
)  # fmt: skip


def _odd_call(place: Place, name: str) -> Path:
    """One file for each list of arguments, with a whole checkpoint."""
    module, _, attribute = name.rpartition(".")
    for n, arguments in enumerate(_ODD_ARGUMENTS):
        data = as_torch(place.content | {"extra": MARK}, called(module, attribute, arguments))
        written(place, f"step_{n}.pt", data)
    return place.source


# What BUILD hands to a tensor: storage, offset, shape, strides.
_SETS = (
    b"(NK\x00" + _HUGE + b"\x85)t",
    b"(" + b"K\x00" * 4 + b"t",
    b"(h\x99K\x00" + _HUGE + b"\x85K\x01\x85t",
    b"(h\x99" + _HUGE + b"K\x01\x85K\x01\x85t",
    b"(h\x99K\x00(" + _HUGE * 3 + b"t(K\x01K\x01K\x01tt",
    b"(h\x99J\xff\xff\xff\xffK\x01\x85J\xff\xff\xff\xff\x85t",
)


def _set(place: Place, n: int) -> Path:
    """A tensor that is told another shape after it was made, of a storage of its own."""
    import torch

    mark, small = b"q\x99", torch.zeros(2)
    del mark
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x02tQq\x99"
    made = called("torch", "Tensor")
    opcodes = storage + b"0" + made + _SETS[n] + b"b"
    return written(place, "step_5.pt", as_torch({"a": small, "model": place.state, "extra": MARK}, opcodes))


def _scripts() -> Iterator[Hostile]:
    for name, make in {
        "script": _script, "traced": _traced, "module": _module, "optimizer": _optimizer, "exported": _constants,
    }.items():  # fmt: skip
        yield from alone_and_beside(f"script/{name}", SCRIPT, make)


def _script(place: Place) -> Path:
    import torch

    module = torch.jit.script(torch.nn.Linear(2, 2))
    torch.jit.save(module, place.source / "step_5.pt")
    return place.source / "step_5.pt"


def _traced(place: Place) -> Path:
    import torch

    module = torch.jit.trace(torch.nn.ReLU(), torch.ones(2))
    torch.jit.save(module, place.source / "step_5.pt", _extra_files={"../../evil.txt": b"x"})
    return place.source / "step_5.pt"


def _module(place: Place) -> Path:
    import torch

    return saved(place, torch.nn.Sequential(torch.nn.Linear(2, 2)))


def _optimizer(place: Place) -> Path:
    import torch

    return saved(
        place, {"model": place.state, "optimizer": torch.optim.SGD(list(place.state.values()), lr=1.0)}
    )


def _constants(place: Place) -> Path:
    """An archive with a second pickle in it, and the whole one of a checkpoint under its name twice."""
    import io
    import warnings
    import zipfile

    code = as_pickle(payloads(place.canary)["posix.system"])
    data = io.BytesIO(as_torch(place.content, b""))
    with warnings.catch_warnings(), zipfile.ZipFile(data, "a") as archive:
        warnings.simplefilter("ignore")
        for name in [n for n in archive.namelist() if n.endswith("data.pkl")]:
            archive.writestr(name, code)
        archive.writestr("archive/constants.pkl", code)
        archive.writestr("archive/code/__torch__.py", "import os")
    return written(place, "step_5.pt", data.getvalue())

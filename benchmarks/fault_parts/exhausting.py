"""Files that claim more than they hold: memory and time."""

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.fault_parts.material import Material
from benchmarks.fault_parts.pickled import MARK, as_torch, rewritten, text
from benchmarks.fault_parts.strange import Hostile, Place, alone_and_beside, saved, trial, written
from benchmarks.fault_parts.trials import Trial

SHARED, SHAPES = "containers that share and nest", "tensors that claim more than they hold"
ARCHIVES, SIZES = "archives that unpack to far more", "networks of absurd sizes"
LEVELS = (24, 40, 60)
DEEP = 100_000


def trials(material: Material) -> Iterator[Trial]:
    for hostile in (*_shared(), *_shapes(), *_archives(), *_sizes()):
        yield trial(material, hostile)


# Containers.


def chain(levels: int, kind: Callable[[list], Any] = list) -> Any:
    """Two references to the one below, at each level: 2^levels entries that take no room."""
    value = kind([1, 2])
    for _ in range(levels):
        value = kind([value, value])
    return value


def _dict(pair: list) -> dict:
    return {"a": pair[0], "b": pair[1]}


def _itself() -> dict:
    value: dict = {}
    value["x"] = value["model"] = value
    return value


CONTAINERS: dict[str, Callable[[], Any]] = {
    **{f"lists{n}": partial(chain, n) for n in LEVELS},
    **{f"tuples{n}": partial(chain, n, tuple) for n in LEVELS},
    **{f"dicts{n}": partial(chain, n, _dict) for n in LEVELS},
    "itself": _itself,
    "long": lambda: list(range(200_000)),
    "keys": lambda: {f"k{i}": i for i in range(100_000)},
    "digits": lambda: [10**5000 + i for i in range(2000)],
    "word": lambda: "x" * 10**7,
}
PLACES: dict[str, Callable[[dict, dict, Any], Any]] = {
    "config": lambda content, state, value: content | {"config": {"n_heads": value, "x": value}},
    "loss": lambda content, state, value: content | {"train_loss": value, "train_losses": value},
    "step": lambda content, state, value: content | {"step": value, "epoch": value},
    "state": lambda content, state, value: {"model": state | {"embed.W_E": value}},
    "rows": lambda content, state, value: content | {"train_data": value, "test_indices": value},
    "top": lambda content, state, value: [value, {"model": state, "epoch": value}],
}


def _shared() -> Iterator[Hostile]:
    for name, value in CONTAINERS.items():
        for place, put in PLACES.items():
            make = partial(_contained, value=value, put=put)
            yield Hostile(f"shared/{name}/{place}", SHARED, make)
    for n in (900, DEEP):
        for is_legacy in (False, True):
            deep = b"]" * n + b"a" * (n - 1)
            yield Hostile(
                f"shared/deep{n}/{is_legacy:d}", SHARED, partial(_opcodes, opcodes=deep, is_legacy=is_legacy)
            )
    for n in LEVELS:
        twice = (
            b"}(K\x01K\x02\x86r\x00\x00\x10\x00" + b"j\x00\x00\x10\x00\x86r\x00\x00\x10\x00" * n + b"K\x05u"
        )
        for is_legacy in (False, True):
            yield Hostile(
                f"shared/keys{n}/{is_legacy:d}", SHARED, partial(_opcodes, opcodes=twice, is_legacy=is_legacy)
            )


def _contained(place: Place, value: Callable[[], Any], put: Callable) -> Path:
    return saved(place, put(place.content, place.state, value()))


def _opcodes(place: Place, opcodes: bytes, is_legacy: bool = False) -> Path:
    return written(
        place, "step_5.pt", as_torch(place.content | {"extra": MARK}, opcodes, is_legacy=is_legacy)
    )


# Tensors.


def _shapes() -> Iterator[Hostile]:
    tensors = {
        "expanded": lambda t: t.zeros(1).expand(10**6, 10**6),
        "strides": lambda t: t.zeros(4).as_strided((2, 2), (1, 1)),
        "empty": lambda t: t.zeros(10**9, 0),
        "many": lambda t: t.zeros(1).expand(*[1] * 60),
        "meta": lambda t: t.empty(10**9, 10**6, device="meta"),
        "sparse": lambda t: t.sparse_coo_tensor(t.zeros(2, 1, dtype=t.int64), t.ones(1), (10**9, 10**6)),
        "rows": lambda t: t.sparse_csr_tensor(
            t.zeros(2, dtype=t.int64), t.zeros(0, dtype=t.int64), t.zeros(0), (1, 10**12)
        ),
    }  # fmt: skip
    for name, make in tensors.items():
        for is_new in (True, False):
            yield Hostile(
                f"shapes/weight/{name}{is_new:d}",
                SHAPES,
                partial(_tensor, tensor=make, is_new=is_new, key=""),
            )
        for key in ("train_loss", "train_data", "step"):
            yield Hostile(f"shapes/{key}/{name}", SHAPES, partial(_tensor, tensor=make, is_new=True, key=key))
    for n, sizes in enumerate(
        (b"J\x00\x00\x00\x40", b"\x8a\x06\x00\x00\x00\x00\x00\x10", b"J\xff\xff\xff\xff")
    ):
        for is_legacy in (False, True):
            yield from alone_and_beside(
                f"shapes/storage{n}/{is_legacy:d}",
                SHAPES,
                partial(_storage, sizes=sizes, is_legacy=is_legacy),
            )
    for name in _HEADERS:
        yield from alone_and_beside(f"shapes/header/{name}", SHAPES, partial(_header, name=name))
        yield Hostile(f"shapes/run/{name}", SHAPES, partial(_header_of_run, name=name), run="whole")
    for name in _ARRAYS:
        yield Hostile(f"shapes/array/{name}", SHAPES, partial(_array, name=name))
        yield Hostile(f"shapes/packed/{name}", SHAPES, partial(_packed, name=name), run="whole")


def _tensor(place: Place, tensor: Callable, is_new: bool, key: str) -> Path:
    import torch

    made = tensor(torch)
    content = place.content | {key: made} if key else {"model": place.state | {"embed.W_E": made}}
    return saved(place, content, _use_new_zipfile_serialization=is_new)


def _storage(place: Place, sizes: bytes, is_legacy: bool) -> Path:
    """A storage of six numbers whose pickle says another size."""
    import torch

    file = io.BytesIO()
    torch.save({"w.x": torch.arange(6.0)}, file, _use_new_zipfile_serialization=not is_legacy)
    change = lambda data: data.replace(b"K\x06", sizes)  # noqa: E731
    data = change(file.getvalue()) if is_legacy else rewritten(file.getvalue(), change)
    return written(place, "step_5.pt", data)


def _one(dtype: str = "F32", shape: tuple = (2,), ends: tuple = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(ends)}


_HEADERS: dict[str, Callable[[], bytes]] = {
    "huge": lambda: json.dumps({"a": _one(shape=(10**9, 10**9))}).encode(),
    "overflow": lambda: json.dumps({"a": _one(shape=(2**62, 4))}).encode(),
    "overlap": lambda: json.dumps({f"a{i}": _one() for i in range(1000)}).encode(),
    "backwards": lambda: json.dumps({"a": _one(ends=(8, 0))}).encode(),
    "negative": lambda: json.dumps({"a": _one(shape=(-2,), ends=(-8, 0))}).encode(),
    "empty": lambda: json.dumps({f"a{i}": _one(shape=(10**12, 0), ends=(0, 0)) for i in range(100)}).encode(),
    "deep": lambda: b'{"__metadata__": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "many": lambda: json.dumps({f"a{i}": _one(shape=(0,), ends=(0, 0)) for i in range(20_000)}).encode(),
    "metadata": lambda: json.dumps({"__metadata__": {str(i): "x" for i in range(200_000)}, "a": _one()}).encode(),
    "spaces": lambda: b"{" + b" " * 50_000_000 + b"}",
    "types": lambda: json.dumps({"a": _one("F8_E4M3", (8,)), "b": _one("Q9")}).encode(),
    "twice": lambda: b'{"a": %s, "a": %s}' % ((json.dumps(_one()).encode(),) * 2),
}  # fmt: skip


def _with_header(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + bytes(8)


def _header(place: Place, name: str) -> Path:
    return written(place, "step_5.safetensors", _with_header(_HEADERS[name]()))


def _header_of_run(place: Place, name: str) -> Path:
    for file in ("latest.safetensors", "task.safetensors", "steps/0000000020.safetensors"):
        written(place, file, _with_header(_HEADERS[name]()))
    return place.source


def _numpy(header: str) -> bytes:
    data = header.encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(data)) + data + bytes(64)


_ARRAYS: dict[str, Callable[[], bytes]] = {
    "huge": lambda: _numpy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 3), }"),
    "overflow": lambda: _numpy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**62}, 4), }}"),
    "negative": lambda: _numpy("{'descr': '<i8', 'fortran_order': False, 'shape': (-1, 3), }"),
    "empty": lambda: _numpy("{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000, 0), }"),
    "deep": lambda: _numpy("(" * 5000 + ")" * 5000),
    "long": lambda: _numpy("{'descr': '<i8', 'fortran_order': False, 'shape': (" + "1, " * 10**6 + "), }"),
    "nothing": lambda: _numpy("{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000,), }"),
    "records": lambda: _numpy(
        "{'descr': [('a', '|O'), ('b', '<f4', (1000000,))], 'fortran_order': False, 'shape': (1,), }"
    ),
    "claims": lambda: b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
}  # fmt: skip


def _array(place: Place, name: str) -> Path:
    saved(place, place.content)
    written(place, "train_indices.npy", _ARRAYS[name]())
    return place.source


def _packed(place: Place, name: str) -> Path:
    for file in (place.source / "packed").glob("*.npy"):
        file.write_bytes(_ARRAYS[name]())
    return place.source


# Archives.


def _archives() -> Iterator[Hostile]:
    for name, make in {
        "zeros": _bomb, "pickle": _bomb_in_pickle, "records": _many_records, "claims": _claims, "inside": _nested,
    }.items():  # fmt: skip
        yield from alone_and_beside(f"archives/{name}", ARCHIVES, make)
    yield Hostile("archives/arrays", ARCHIVES, _arrays)


def _bomb(place: Place) -> Path:
    import torch

    file = io.BytesIO()
    torch.save({"model": place.state | {"x.y": torch.zeros(5 * 10**7)}}, file)
    return written(place, "step_5.pt", rewritten(file.getvalue(), lambda data: data, zipfile.ZIP_DEFLATED))


def _bomb_in_pickle(place: Place) -> Path:
    data = as_torch(place.content | {"extra": MARK}, b"]" + text("x" * 1000) * 2000 + b"0" * 2000)
    return written(place, "step_5.pt", rewritten(data, lambda data: data, zipfile.ZIP_DEFLATED))


def _many_records(place: Place) -> Path:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        for n in range(60_000):
            archive.writestr(f"archive/data/{n}", b"")
    return written(place, "step_5.pt", file.getvalue())


def _claims(place: Place) -> Path:
    """Sizes in the directory of the archive that are those of a terabyte."""
    data = bytearray(as_torch(place.content, b""))
    at = data.index(b"PK\x01\x02")
    data[at + 20 : at + 28] = b"\xff\xff\xff\x7f" * 2
    return written(place, "step_5.pt", bytes(data))


def _nested(place: Place) -> Path:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**8))
    return written(place, "step_5.pt", file.getvalue())


def _arrays(place: Place) -> Path:
    saved(place, place.content)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.npy", _ARRAYS["huge"]() + bytes(10**8))
    written(place, "indices.npz", file.getvalue())
    written(place, "indices.npy", file.getvalue())
    return place.source


# Networks.


def _sizes() -> Iterator[Hostile]:
    wide = {"vocabulary": (3000, 2), "large-vocabulary": (200_000, 1), "million": (10**6, 1)}
    for name, (n_tokens, width) in wide.items():
        for stated in (True, False):
            make = partial(_hooked, n_tokens=n_tokens, width=width)
            yield Hostile(f"sizes/{name}/{stated:d}", SIZES, make, stated=stated)
    for name, options in {
        "positions": {"n_ctx": 10**6}, "layers": {"n_layers": 200}, "neurons": {"d_mlp": 10**6},
        "heads": {"n_heads": 4000}, "no-width": {"width": 0}, "nothing": {"n_tokens": 0}, "one": {"n_tokens": 1},
    }.items():  # fmt: skip
        yield Hostile(f"sizes/{name}", SIZES, partial(_hooked, **options))
    for n in (10**4, 3 * 10**4):
        yield Hostile(f"sizes/names{n}", SIZES, partial(_many_names, n=n))
    yield Hostile("sizes/files", SIZES, _many_files)


def _hooked(
    place: Place,
    n_tokens: int = 12,
    width: int = 4,
    n_ctx: int = 3,
    n_layers: int = 1,
    d_mlp: int = 2,
    n_heads: int = 1,
) -> Path:
    import torch

    shapes = {
        "embed.W_E": (n_tokens, width),
        "pos_embed.W_pos": (n_ctx, width),
        "unembed.W_U": (width, max(n_tokens - 1, 0)),
    }
    for i in range(n_layers):
        head = {f"blocks.{i}.attn.W_{x}": (n_heads, width, 1) for x in "QKV"}
        mlp = {f"blocks.{i}.mlp.W_in": (width, d_mlp), f"blocks.{i}.mlp.b_in": (d_mlp,)}
        mlp |= {f"blocks.{i}.mlp.W_out": (d_mlp, width), f"blocks.{i}.mlp.b_out": (width,)}
        shapes |= head | {f"blocks.{i}.attn.W_O": (n_heads, 1, width)} | mlp
    return saved(place, {name: torch.zeros(shape) for name, shape in shapes.items()})


def _many_names(place: Place, n: int) -> Path:
    import torch

    small = torch.zeros(1)
    return saved(place, place.state | {f"blocks.{i}.x": small for i in range(n)})


def _many_files(place: Place) -> Path:
    for n in range(1000):
        written(place, f"log_{n}.pt", b"PK\x03\x04")
    return saved(place, place.content).parent

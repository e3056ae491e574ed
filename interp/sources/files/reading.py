"""Files of strangers, read without running anything that they say.

Tensors and plain containers come out, nothing else: `torch.load(weights_only=True)` with an allow-list of harmless
types, safetensors, JSON. A file that needs more is refused with the name of the type. Sizes are checked before memory
is taken: a header may claim what the file does not hold. Zip-format files are mapped, not read, so that one checkpoint
of a large file can be looked at alone.

Files are recognised by their first bytes: names do not matter.
"""

import argparse
import json
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from interp.networks.config import Weights
from interp.runs.tensor_files import RunError
from interp.sources.files.arrays import ArrayError, StoredConfig, stand_ins, with_arrays

Kind = Literal["torch", "torch-legacy", "pickle", "safetensors"]


class SourceError(RunError):
    """A source cannot be read as it is: one sentence that names the file and what to do."""


class SourceWarning(UserWarning):
    """Something in a source was left out, assumed or looks wrong; the rest was read."""


def warn(text: str) -> None:
    """Say it to who called the caller."""
    warnings.warn(text, SourceWarning, stacklevel=3)


# Classes of TransformerLens and its ancestors that no longer exist. Exact names, never a pattern.
_CONFIG_CLASSES = (
    "transformer_lens.HookedTransformerConfig.HookedTransformerConfig",
    "transformer_lens.config.HookedTransformerConfig.HookedTransformerConfig",
    "transformer_lens.config.hooked_transformer_config.HookedTransformerConfig",
    "easy_transformer.EasyTransformerConfig.EasyTransformerConfig",
    "easy_transformer.EasyTransformer.EasyTransformerConfig",
)


def _allowed_types() -> list[Any]:
    return [*stand_ins(), *((StoredConfig, name) for name in _CONFIG_CLASSES), argparse.Namespace]


def kind_of(path: Path) -> Kind | None:
    """What a file is by its first bytes, or None where it holds no tensors."""
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    if head.startswith(b"PK\x03\x04"):
        return "torch"
    if head[:2] == b"\x80\x02" and b"\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19" in head:
        return "torch-legacy"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    if len(head) > 8 and head[8:9] == b"{":
        return "safetensors"
    return None


def read(path: Path) -> Any:
    """The content of a file: containers of tensors, numbers and texts.

    Tensors of zip-format files are mapped from disk: use them before the file is changed.

    Raises:
        SourceError: if the file is no such file, is damaged or truncated, needs a type that is not allowed, or claims
            more data than it holds.
    """
    kind = kind_of(path)
    if kind is None:
        size = path.stat().st_size
        what = "is empty" if size == 0 else "is neither a file of torch.save nor a safetensors file"
        raise SourceError(f"{path} {what}. It may be truncated, or no checkpoint: leave it out.")
    if kind == "pickle":
        raise SourceError(
            f"{path} is a plain pickle, which can run any code when it is opened. If you trust it, open it in Python "
            "yourself and save its tensors with torch.save({name: tensor, ...}, path)."
        )
    if kind == "safetensors":
        return _read_safetensors(path)
    return _read_torch(path, kind)


def _read_torch(path: Path, kind: Kind) -> Any:
    size = path.stat().st_size
    mapped = kind == "torch" and _check_archive(path, size)
    try:
        with torch.serialization.safe_globals(_allowed_types()):
            if kind == "torch-legacy":
                _check_legacy(path, size)
            if path.suffix == ".safetensors":  # torch believes this name, though not in an open file
                with path.open("rb") as file:
                    return with_arrays(torch.load(file, map_location="cpu", weights_only=True))
            return with_arrays(torch.load(path, map_location="cpu", weights_only=True, mmap=mapped))
    except (SourceError, ArrayError) as error:
        raise SourceError(f"{path}: {error}") from error
    except Exception as error:  # damaged files fail in dozens of ways, all of them mean the same
        raise _refusal(path, error) from error


def _check_archive(path: Path, size: int) -> bool:
    """Whether the entries are stored as they are, so that they can be mapped (torch maps compressed ones as garbage).

    Raises:
        SourceError: if the archive is damaged or claims far more than it holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise SourceError(
            f"{path} is damaged or truncated: {error}. Copy it again from its origin."
        ) from error
    claimed = sum(entry.file_size for entry in entries)
    if claimed > 10 * size:
        raise SourceError(
            f"{path} claims {claimed:,} bytes of content in {size:,} bytes on disk. No trainer writes such a file; if "
            "you trust it, load it yourself and save it again with torch.save."
        )
    if not any(entry.filename.endswith("/data.pkl") for entry in entries):
        raise SourceError(f"{path} is a zip archive, but not one of torch.save. Unpack it, or leave it out.")
    return all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)


def _check_legacy(path: Path, size: int) -> None:
    """Refuse a file of torch < 1.6 whose storages are larger than the file: loading would allocate them first."""
    from torch._subclasses.fake_tensor import FakeTensorMode  # a second to load, needed for old files only

    with FakeTensorMode():  # shapes without memory
        content = torch.load(path, map_location="cpu", weights_only=True)
    _check_sizes(content, size, depth=4)


def _check_sizes(content: Any, size: int, depth: int) -> None:
    if isinstance(content, Tensor):
        if max(content.numel() * content.element_size(), content.untyped_storage().nbytes()) > size:
            raise SourceError(_larger(tuple(content.shape), size))
    elif depth:
        parts = content.values() if isinstance(content, Mapping) else content
        for part in parts if isinstance(content, Mapping | list | tuple) else ():
            _check_sizes(part, size, depth - 1)


def _larger(shape: tuple[int, ...], size: int) -> str:
    return (
        f"it claims a tensor of shape {shape}, more than the {size:,} bytes of the file. It is damaged or made to "
        "exhaust memory: leave it out."
    )


def check_tensors(tensors: Mapping[str, Tensor], path: Path, where: str) -> None:
    """Refuse tensors that no weights are: larger than their file (by strides of 0), sparse, quantized.

    Raises:
        SourceError: if there is such a tensor.
    """
    size = path.stat().st_size if path.is_file() else None
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise SourceError(
                f"{where} holds {name} in a form that is not a plain dense tensor: convert it first."
            )
        if size is not None and tensor.numel() * tensor.element_size() > size:
            raise SourceError(f"{where}, {name}: {_larger(tuple(tensor.shape), size)}")


def _refusal(path: Path, error: Exception) -> SourceError:
    try:
        needed = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:
        needed = []
    allowed = {name if isinstance(name, str) else name[1] for name in _names(_allowed_types())}
    needed = [name for name in needed if name not in allowed]
    text = str(error)
    if not needed and "GLOBAL " in text:
        needed = [text.split("GLOBAL ", 1)[1].split()[0].rstrip(".,")]
    if needed:
        return SourceError(
            f"{path} needs the type {', '.join(sorted(needed)[:3])} to be opened, which could run code of whoever made "
            "it. If you trust it, open it with torch.load(path, weights_only=False) where that code is installed and "
            "save its state dict alone: torch.save(model.state_dict(), path)."
        )
    first = text.strip().splitlines()[0][:160] if text.strip() else type(error).__name__
    return SourceError(f"{path} is damaged or truncated: {first}. Copy it again from its origin.")


def _names(types: list[Any]) -> list[str]:
    return [t[1] if isinstance(t, tuple) else f"{t.__module__}.{t.__qualname__}" for t in types]


def _read_safetensors(path: Path) -> dict[str, Any]:
    """Tensors by name; the header's metadata beside them."""
    from safetensors import SafetensorError, safe_open

    size = path.stat().st_size
    with path.open("rb") as file:
        (header,) = struct.unpack("<Q", file.read(8))
    if header > size - 8:
        raise SourceError(
            f"{path} claims a header of {header:,} bytes in a file of {size:,}: it is damaged or truncated. Copy it "
            "again from its origin."
        )
    try:
        with safe_open(path, framework="pt") as file:
            content: dict[str, Any] = dict(file.metadata() or {})
            content["tensors"] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise SourceError(
            f"{path} is damaged or truncated: {error}. Copy it again from its origin."
        ) from error
    return content


def read_json(path: Path) -> Any:
    """The value in a JSON file of at most 64 MB.

    Raises:
        SourceError: if it is larger, or not JSON.
    """
    if path.stat().st_size > 64 * 2**20:
        raise SourceError(f"{path} is larger than any config or log. Leave it out.")
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not readable JSON ({error}).") from error


def as_weights(tensors: Mapping[str, Tensor]) -> Weights:
    """Float tensors of their own, in float32 unless they are float64 (half precision is widened, exactly)."""
    return {
        name: t.detach().to(torch.float64 if t.dtype == torch.float64 else torch.float32).clone()
        for name, t in tensors.items()
    }

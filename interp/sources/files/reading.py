"""Files of strangers, read without running anything that they say.

Tensors and plain containers come out, nothing else: `torch.load(weights_only=True)` with an allow-list of harmless
types, safetensors, JSON. A file that needs more is refused with the name of the type. Sizes are checked before memory
is taken: a header may claim what the file does not hold. Zip-format files are mapped, not read, so that one checkpoint
of a large file can be looked at alone.

Files are recognised by their first bytes: names do not matter.
"""

import argparse
import logging
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from interp.ground.plain_json import json_value
from interp.ground.whole_reading import check_regular
from interp.networks.config import Weights
from interp.sources.files.archives import can_be_mapped
from interp.sources.files.arrays import ArrayError, StoredConfig, stand_ins, with_arrays
from interp.sources.files.errors import SourceError, SourceWarning, warn
from interp.sources.files.pickles import check_keys
from interp.sources.files.tensors import check_claims

__all__ = ["SourceError", "SourceWarning", "as_weights", "kind_of", "read", "read_json", "warn"]

Kind = Literal["torch", "torch-legacy", "pickle", "safetensors"]


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
        check_regular(path)
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
    mapped = kind == "torch" and can_be_mapped(path)
    try:
        return with_arrays(_loaded(path, kind, mapped))
    except SourceError:
        raise
    except ArrayError as error:
        raise SourceError(f"{path}: {error}") from error
    except RecursionError as error:
        raise SourceError(
            f"{path} holds containers nested deeper than any checkpoint's. It is damaged or made to do harm: leave it "
            "out."
        ) from error
    except Exception as error:  # damaged files fail in dozens of ways, all of them mean the same
        raise _refusal(path, error) from error


def _loaded(path: Path, kind: Kind, mapped: bool) -> Any:
    with torch.serialization.safe_globals(_allowed_types()), warnings.catch_warnings():
        # What torch says of old storages and forms of tensors; those that cannot be used are refused later, by name.
        warnings.simplefilter("ignore")
        if kind == "torch-legacy":
            _check_legacy(path)
        if path.suffix == ".safetensors":  # torch believes this name, though not in an open file
            with path.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def _check_legacy(path: Path) -> None:
    """Refuse a file of torch < 1.6 whose storages are larger than the file: loading would allocate them first."""
    from torch._subclasses.fake_tensor import FakeTensorMode  # a second to load, needed for old files only

    with path.open("rb") as file:
        # A number that says what it is, the version, the machine, the content.
        for _ in range(4):
            check_keys(file)
    # It prints a traceback of whatever a damaged file makes it refuse, which is said in a sentence.
    log = logging.getLogger("torch._subclasses.fake_tensor")
    was_silent, log.disabled = log.disabled, True
    try:
        with FakeTensorMode():  # shapes without memory
            check_claims(torch.load(path, map_location="cpu", weights_only=True), path)
    finally:
        log.disabled = was_silent


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
    # What stands before is torch's advice to open it all the same.
    text = text.split("WeightsUnpickler error:")[-1].strip()
    first = text.splitlines()[0][:160] if text else type(error).__name__
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
    try:
        size = check_regular(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    if size > 64 * 2**20:
        raise SourceError(f"{path} is larger than any config or log. Leave it out.")
    try:
        return json_value(path.read_text("utf-8"))
    except ValueError as error:
        raise SourceError(f"{path} is not readable JSON ({error}).") from error


def as_weights(tensors: Mapping[str, Tensor]) -> Weights:
    """Float tensors of their own, all in float32, or in float64 where one is (what is narrower is widened, exactly)."""
    is_double = any(t.dtype == torch.float64 for t in tensors.values())
    dtype = torch.float64 if is_double else torch.float32
    return {name: t.detach().to(dtype).clone() for name, t in tensors.items()}

"""Which tensors of a stranger's file are weights: plain numbers, all of them there."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp.sources.files.arrays import StoredConfig
from interp.sources.files.errors import SourceError

_NUMBERS = {
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool, torch.uint8, torch.int8, torch.int16,
    torch.int32, torch.int64,
}  # fmt: skip


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is dense, of ordinary numbers, in memory, and has a number of its own for each entry."""
    return form_of(tensor) is None and not is_larger_than(tensor, tensor.untyped_storage().nbytes())


def form_of(tensor: Tensor) -> str | None:
    """What a tensor is that is not dense in memory and of ordinary numbers; None where it is."""
    # In this order: of the first ones nothing else can be asked.
    if tensor.is_nested:
        return "a nested tensor"
    if tensor.layout != torch.strided:
        return f"a sparse tensor ({tensor.layout})"
    if tensor.device.type != "cpu":
        return f"a tensor on {tensor.device.type!r}, without data here"
    if tensor.is_quantized or tensor.dtype not in _NUMBERS:
        return f"a tensor of {tensor.dtype}"
    return None


def is_larger_than(tensor: Tensor, size: int) -> bool:
    """Whether a tensor claims more bytes than this many; by strides of 0 any tensor can."""
    return tensor.numel() * tensor.element_size() > size


def check_tensors(tensors: Mapping[str, Tensor], path: Path, where: str) -> None:
    """Refuse tensors that no weights are: of another form, or larger than their file.

    Raises:
        SourceError: if there is such a tensor.
    """
    size = path.stat().st_size if path.is_file() else None
    for name, tensor in tensors.items():
        if (form := form_of(tensor)) is not None:
            raise SourceError(
                f"{where} holds {name} in a form that is not a plain dense tensor: it is {form}. Convert it first, as "
                "to float32, and save it again."
            )
        if size is not None and is_larger_than(tensor, size):
            raise SourceError(f"{where}, {name}: {_larger(tuple(tensor.shape), size)}")


def check_claims(content: Any, path: Path) -> None:
    """Refuse content with a tensor, anywhere in it, whose numbers or storage are larger than the file.

    Raises:
        SourceError: if there is one.
    """
    size = path.stat().st_size
    for tensor in tensors_in(content):
        if form_of(tensor) is not None:
            continue
        if is_larger_than(tensor, size) or tensor.untyped_storage().nbytes() > size:
            raise SourceError(f"{path}: {_larger(tuple(tensor.shape), size)}")


def tensors_in(content: Any) -> Iterator[Tensor]:
    """Every tensor in containers of containers, each container once: they may hold each other."""
    left, seen = [content], set()
    while left:
        value = left.pop()
        if isinstance(value, Tensor):
            yield value
            continue
        if isinstance(value, argparse.Namespace | StoredConfig):
            value = vars(value)
        if isinstance(value, Mapping | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            left += value.values() if isinstance(value, Mapping) else value


def _larger(shape: tuple[int, ...], size: int) -> str:
    return (
        f"it claims a tensor of shape {shape}, more than the {size:,} bytes of the file. It is damaged or made to "
        "exhaust memory: leave it out."
    )

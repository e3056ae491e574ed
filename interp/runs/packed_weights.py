"""One weight over all saved steps as one memory-mapped array: made on first use, rebuilt when stale.

packed/embed.W_E.npy     (step, *shape); bfloat16 as float32, since numpy has none
packed/embed.W_E.json    the steps, and the checksum of the tensor of each
"""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interp.ground.plain_json import json_value
from interp.ground.whole_files import write_bytes, write_json
from interp.ground.whole_reading import mapped_array, read_whole
from interp.runs.locks import folder_lock
from interp.runs.tensor_files import RunError, array_checksum, check_weight_names, tensor_checksum


def packed_weight(
    folder: Path, name: str, checksums: Mapping[int, str | None], read: Callable[[int], Tensor], where: str
) -> np.ndarray:
    """A read-only array (step, *shape), memory-mapped unless the folder cannot be written.

    Every row has the checksum of its tensor, on each call: the file is read once, at some GB a second.

    Args:
        checksums: that of the tensor at every step, which decides whether what is packed is still right.
        read: the tensor of a step.
        where: whose weight it is, for errors.

    Raises:
        RunError: if the weight changes shape between steps, or its name could lead out of the folder.
    """
    check_weight_names([name], where)
    array, stamp = folder / f"{name}.npy", folder / f"{name}.json"
    fingerprint = {"steps": list(checksums), "tensors": list(checksums.values())}
    if _stamp(stamp) == fingerprint and (mapped := _whole(array, list(checksums.values()))) is not None:
        return mapped
    packed = stacked_weight(name, list(checksums), read, where)
    buffer = BytesIO()
    np.save(buffer, packed)
    try:
        with folder_lock(folder):
            stamp.unlink(missing_ok=True)
            write_bytes(array, buffer.getvalue())
            write_json(stamp, fingerprint)
    except OSError:
        return packed  # a directory that cannot be written is no reason not to answer
    mapped = _mapped(array)
    return packed if mapped is None else mapped


def _stamp(file: Path) -> Any:
    """What a stamp says, None where it cannot be read: not packed yet, or half packed."""
    try:
        return json_value(read_whole(file).decode("utf-8"))
    except (OSError, ValueError):
        return None


def _mapped(file: Path) -> np.memmap | None:
    """A packed array, None where the file is none (missing, cut, empty, something else)."""
    try:
        array = mapped_array(file)
    except (OSError, ValueError):
        return None
    return array if isinstance(array, np.memmap) and array.ndim else None


def _whole(file: Path, checksums: Sequence[str | None]) -> np.memmap | None:
    """A packed array whose rows have these checksums, or None."""
    mapped = _mapped(file)
    is_whole = mapped is not None and len(mapped) == len(checksums) and all(map(_is_row, mapped, checksums))
    return mapped if is_whole else None


def _is_row(row: np.ndarray, checksum: str | None) -> bool:
    row = np.asarray(row)
    return array_checksum(row) == checksum or row_tensor(row, str(checksum)) is not None


def stacked_weight(name: str, steps: list[int], read: Callable[[int], Tensor], where: str) -> np.ndarray:
    """A read-only array (step, *shape) in memory.

    Raises:
        RunError: if the weight changes shape between steps.
    """
    slices: list[Tensor] = []
    for step in steps:
        tensor = read(step)
        if slices and tensor.shape != slices[0].shape:
            raise RunError(
                f"Weight {name!r} of {where} is {tuple(slices[0].shape)} at step {steps[0]} and "
                f"{tuple(tensor.shape)} at step {step}: it cannot be one array over all steps."
            )
        slices.append(tensor)
    array = torch.stack(slices)
    packed = (array.float() if array.dtype == torch.bfloat16 else array).numpy()
    packed.flags.writeable = False
    return packed


def packed_damage(path: Path, index: Mapping[int, dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Packed weights of a run that are of former checkpoints ("stale") or not what was packed ("altered")."""
    out = []
    for stamp in sorted((path / "packed").glob("*.json")):
        array, name = stamp.with_suffix(".npy"), f"packed/{stamp.stem}.npy"
        checksums = [index[step]["tensors"].get(stamp.stem) for step in index]
        if _stamp(stamp) != {"steps": list(index), "tensors": checksums}:
            out.append((name, "stale", f"{name} is of other checkpoints and is packed anew on next use"))
            continue
        if _whole(array, checksums) is None:
            out.append((name, "altered", f"{name} does not hold the weights of the checkpoints"))
    return out


def packed_tensor(array: Path, row: int, checksum: str) -> Tensor | None:
    """The tensor in a row of a packed array, if it has this checksum."""
    mapped = _mapped(array)
    return None if mapped is None or row >= len(mapped) else row_tensor(np.asarray(mapped[row]), checksum)


def row_tensor(row: np.ndarray, checksum: str) -> Tensor | None:
    """The tensor that a row was packed from, if it has this checksum."""
    try:
        tensor = torch.from_numpy(np.array(row))
    except TypeError:
        return None
    for candidate in (tensor, tensor.bfloat16()):  # bfloat16 is packed as float32
        if tensor_checksum(candidate) == checksum:
            return candidate
    return None

"""Files of a run: tensors with a checksum of every one in the header, and the error for what is not as it was saved."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from interp.ground.plain_json import json_value
from interp.ground.plain_text import sentence, shown, visible, visible_lines
from interp.ground.system_errors import system_error
from interp.ground.whole_reading import check_fits, check_regular, read_whole
from interp.networks.config import Weights

# What a system adds to a name (temporary files, endings) fits beside these.
_LONGEST_NAME = 200
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{kind}{n}" for kind in ("COM", "LPT") for n in range(1, 10))}


class RunError(ValueError):
    """What is on disk is not what was expected: one sentence that names the file and what to do.

    Args:
        text: the sentence; it may hold names as files have them.
        below: lines under it, as a list or code, in which such names are literals.
    """

    def __init__(self, text: str = "", below: str = ""):
        super().__init__(sentence(text), *([visible_lines(below)] if below else []))

    def __str__(self) -> str:
        return "\n".join(self.args)


def check_weight_names(names: Iterable[str], where: Path | str) -> None:
    """Nothing, if every name can be that of a file in packed/ and of nothing outside it, on any system.

    Raises:
        RunError: if one is empty or long, holds a separator, ".." or a control character, or is a device's.
    """
    for name in names:
        if any(part in name for part in ("/", "\\", "..", ":")) or visible(name) != name:
            raise RunError(
                f"{where} has a weight named {shown(name)}, whose packed file could lie outside the run. Rename it: a "
                "weight's name holds no '/', '\\', ':', '..' or control character."
            )
        if not name or len(name.encode()) > _LONGEST_NAME or name.split(".")[0].upper() in _DEVICES:
            raise RunError(
                f"{where} has a weight named {shown(name)}, which can be no file's name on every system. Rename it: "
                f"a weight's name has 1 to {_LONGEST_NAME} bytes and does not begin as a device's (NUL., CON., ...)."
            )


def tensor_checksum(tensor: Tensor) -> str:
    """Checksum (xxh3, 64 bit) of a tensor's dtype, shape and bytes.

    >>> tensor_checksum(torch.zeros(2)) == tensor_checksum(torch.zeros(2, 1))
    False
    """
    flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return _checksum(str(tensor.dtype), tuple(tensor.shape), flat.view(torch.uint8).numpy())


def array_checksum(array: np.ndarray) -> str:
    """That of the tensor of the same dtype, shape and bytes, without making one.

    >>> array_checksum(np.zeros(2, np.float32)) == tensor_checksum(torch.zeros(2))
    True
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    return _checksum(f"torch.{array.dtype}", array.shape, flat.view(np.uint8))


def _checksum(dtype: str, shape: tuple[int, ...], flat: np.ndarray) -> str:
    digest = xxhash.xxh3_64(f"{dtype}{shape}".encode())
    digest.update(flat.data)
    return digest.hexdigest()


def file_checksum(path: Path) -> str:
    """Checksum (xxh3, 64 bit) of a file, read through a memory map.

    Raises:
        RunError: if the file is missing or empty.
    """
    try:
        check_fits(path)
        return xxhash.xxh3_64(np.memmap(path, dtype=np.uint8, mode="r").data).hexdigest()
    except OSError as error:
        raise not_readable(path, error) from error
    except ValueError as error:
        raise damaged(path, str(error)) from error


def read_tensors(path: Path, checksum: str) -> Weights:
    """All tensors of a safetensors file that must have this checksum.

    Raises:
        RunError: if the file is missing, truncated or altered.
    """
    try:
        data = read_whole(path)
    except OSError as error:
        raise not_readable(path, error) from error
    found = xxhash.xxh3_64(data).hexdigest()
    if found != checksum:
        raise damaged(path, f"its checksum is {found}, {checksum} was recorded when it was saved")
    try:
        return tensors_in_order(data)[0]
    except (SafetensorError, ValueError) as error:
        raise damaged(path, str(error)) from error


def read_tensor(path: Path, name: str, checksum: str) -> Tensor:
    """One tensor of a safetensors file, which must have this checksum; the rest of the file is not read.

    Raises:
        RunError: if the file is missing or damaged, or the tensor is not the one that was saved.
    """
    try:
        check_regular(path)
        with safe_open(path, framework="pt") as file:
            tensor = file.get_tensor(name)
    except FileNotFoundError as error:
        raise damaged(path, str(error)) from error
    except OSError as error:
        raise not_readable(path, error) from error
    except SafetensorError as error:
        raise damaged(path, str(error)) from error
    if tensor_checksum(tensor) != checksum:
        raise damaged(path, f"tensor {name} has another checksum than the one recorded when it was saved")
    return tensor


def tensors_in_order(data: bytes) -> tuple[Weights, dict[str, str]]:
    """Tensors and metadata; in the order of saving where it is recorded, since safetensors gives a random one."""
    tensors, metadata = load_safetensors(data), _header(data)[0].get("__metadata__", {})
    order = json_value(metadata.get("checksums", "{}"))
    return {name: tensors[name] for name in [*order, *sorted(tensors)] if name in tensors}, metadata


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where the tensors start."""
    start = 8 + int.from_bytes(data[:8], "little")
    return json_value(data[8:start]), start


def damaged(path: Path, why: str) -> RunError:
    """The error for a file of a run that is not as it was saved."""
    run = path.parent.parent if path.parent.name in ("steps", "optimizer", "huggingface") else path.parent
    return RunError(
        f"{path} is damaged: {why}. Run `interp verify {run}` to see what else is; other steps can still be read."
    )


def not_readable(path: Path, error: OSError) -> RunError:
    """The error for a file of a run that the system does not give: it may be whole, and only closed to this user."""
    if isinstance(error, FileNotFoundError):
        return damaged(path, "it is missing")
    return RunError(f"{system_error(error, path)}.")


def safetensors_bytes(tensors: Mapping[str, Tensor], step: int | None, **more: str) -> bytes:
    """A safetensors file with the step and every tensor's checksum in its header: equal bytes for equal tensors.

    Args:
        more: further metadata.
    """
    cpu = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    metadata = {} if step is None else {"step": str(step)}
    metadata |= {"checksums": json.dumps({k: tensor_checksum(t) for k, t in cpu.items()}), **more}
    data = save_safetensors(cpu, metadata=metadata)
    # safetensors writes metadata in random order. Sorted, a checkpoint that is written again after a kill is the same
    # file, and the checksum in the index holds whether or not the kill came before the index was written.
    header, start = _header(data)
    header["__metadata__"] = metadata
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[start:]


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        RunError: if it is missing or not JSON.
    """
    try:
        return json_value(read_whole(path).decode("utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing. {_advice(path)}") from error
    except OSError as error:
        raise not_readable(path, error) from error
    except ValueError as error:
        raise RunError(f"{path} is not readable JSON ({error}). {_advice(path)}") from error


def _advice(path: Path) -> str:
    """What to do about a JSON file of a run."""
    if path.name == "index.json":
        return f"Run `interp verify --repair {path.parent}`."
    return (
        f"Nothing else holds what it says: restore it from a copy. The weights are still there: `interp info "
        f"{path.parent / 'steps'}`."
    )

"""Which rows a trainer listed as train or as test: inside its checkpoints, or in files beside them.

    train_indices, test_idx, is_train, train_mask          numbers a * p + b, or one boolean a row
    train_data, test_pairs, train, ...                     pairs (a, b); triples with "=" or the answer
    split.json, data.pt, indices.npy, ...                  several of these under their names

A file is one of these by its name and its content: .pt, .pth (read as all files of strangers are), .npy, .csv,
.json.
What is listed is only read here; `interp.sources.learned` compares it with the task, the losses and each other.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from interp.sources.files import reading
from interp.sources.files.reading import SourceError
from interp.sources.files.tensors import is_plain
from interp.sources.files.wrapping import states_of

_NAME = re.compile(
    r"(is_)?(?P<part>train|test|val|valid|validation)(ing)?"
    r"(_?(data|dataset|set|pairs|triples|inputs|indices|idx|index|ids|rows|mask|split|x))?"
)
_SEVERAL = re.compile(r"(data_?)?(split|splits|indices|split_indices|train_test_split|data|dataset)")
_INSIDE = ("inputs", "pairs", "data", "x", "indices", "rows")
_ENDINGS = (".pt", ".pth", ".bin", ".npy", ".csv", ".json", ".pkl", ".pickle")
_FOLDERS = ("", "data", "splits", "checkpoints")
_MOST = 10**7

Part = Literal["train", "test"]


@dataclass(frozen=True, eq=False)
class ListedRows:
    """Rows that a source lists as train, or as test.

    Attributes:
        where: the file, and what it is called there, for errors.
        kind: "rows" (numbers a * p + b), "pairs" (a, b and perhaps a third number), "mask" (one boolean a row).
    """

    where: str
    part: Part
    kind: Literal["rows", "pairs", "mask"]
    values: np.ndarray

    def is_same(self, other: "ListedRows") -> bool:
        return (self.part, self.kind) == (other.part, other.kind) and np.array_equal(
            self.values, other.values
        )


@dataclass(eq=False)
class SplitFiles:
    """What files beside checkpoints list.

    Attributes:
        files: all of them; none is a checkpoint.
        unreadable: those that are called like one and cannot be read, with the reason.
    """

    listed: list[ListedRows] = field(default_factory=list)
    files: set[Path] = field(default_factory=set)
    unreadable: dict[str, str] = field(default_factory=dict)


def split_files(source: Path) -> SplitFiles:
    """The files in a folder, and in folders of it that hold data, that list train or test rows."""
    found = SplitFiles()
    for file in _candidates(source):
        name = file.relative_to(source).as_posix()
        try:
            content = _content(file)
            if file.suffix not in (".npy", ".csv", ".json") and _is_checkpoint(content, file):
                continue
        except SourceError as error:
            found.files.add(file)
            found.unreadable[name] = str(error)
            continue
        listed = list(rows_in({file.stem: content}, str(file)))
        if _SEVERAL.fullmatch(file.stem.lower()) and isinstance(content, Mapping):
            listed = list(rows_in(content, str(file)))
        if listed:
            found.listed += listed
            found.files.add(file)
    return found


def rows_in(
    content: Mapping[Any, Any], where: str, spend: Callable[[Any], None] = lambda value: None
) -> Iterator[ListedRows]:
    """What a mapping lists under names of splits.

    Args:
        spend: told each value before it is looked through.
    """
    for key, value in content.items():
        match = _NAME.fullmatch(key.lower()) if isinstance(key, str) else None
        if match and (rows := _rows(value, key.lower(), spend)) is not None:
            part: Part = "train" if match["part"] == "train" else "test"
            stem = Path(where).stem
            yield ListedRows(where if key == stem else f"{where} ({key})", part, *rows)


def _candidates(source: Path) -> Iterator[Path]:
    for folder in [source / name for name in _FOLDERS] if source.is_dir() else []:
        for file in sorted(folder.iterdir()) if folder.is_dir() else []:
            stem = file.stem.lower()
            is_called_so = _NAME.fullmatch(stem) or _SEVERAL.fullmatch(stem)
            if is_called_so and file.suffix.lower() in _ENDINGS and file.is_file():
                yield file


def _is_checkpoint(content: Any, file: Path) -> bool:
    return any(not state.is_unsure for state in states_of(content, file))


def _content(file: Path) -> Any:
    """What a file holds; of a table its columns by name, or its numbers where it has no header."""
    if file.suffix == ".npy":
        return _of_npy(file)
    if file.suffix == ".csv":
        return _of_csv(file)
    if file.suffix == ".json":
        return reading.read_json(file)
    return reading.read(file)


def _of_npy(file: Path) -> np.ndarray:
    try:
        # Mapped: a header that claims more than the file holds is refused before memory is taken. An archive of arrays
        # under this name is none.
        return np.lib.format.open_memmap(file, mode="r")
    except (ValueError, TypeError, OSError, EOFError, SyntaxError, OverflowError, MemoryError) as error:
        first = str(error).partition("\n")[0] or type(error).__name__
        raise SourceError(f"{file} is no array of numbers that can be read: {first}") from error


def _of_csv(file: Path) -> Any:
    import pandas as pd  # heavy, and few sources list rows in one

    try:
        table = pd.read_csv(file, header=None, nrows=_MOST, encoding="utf-8-sig", skipinitialspace=True)
    except (ValueError, OSError) as error:
        raise SourceError(f"{file} is no table that can be read: {str(error).splitlines()[0]}") from error
    header = [str(name).strip().lower() for name in table.iloc[0]] if len(table) else []
    if not any(re.search("[a-z]", name) for name in header):
        return table.to_numpy()
    body = table.iloc[1:].set_axis(header, axis=1).apply(pd.to_numeric, errors="coerce")
    for wanted in (("a", "b", "c"), ("a", "b", "label"), ("a", "b", "answer"), ("a", "b", "y"), ("a", "b"),
                   ("x", "y"), ("index",), ("idx",), ("row",)):  # fmt: skip
        if set(wanted) <= set(header) and body.columns.is_unique:
            return body[list(wanted)].to_numpy()
    return None


def _rows(
    value: Any, name: str, spend: Callable[[Any], None]
) -> tuple[Literal["rows", "pairs", "mask"], np.ndarray] | None:
    """The rows that a value lists, or None where it lists none."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in _INSIDE if key in value), None)
    if isinstance(value, list | tuple) and len(value) == 2 and (inputs := _numpy(value[0])) is not None:
        value = inputs if inputs.ndim == 2 else value  # inputs and labels
    spend(value)
    array = _array(value)
    if array is None or not 0 < len(array) <= _MOST:
        return None
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    is_mask = array.dtype == bool or (
        ("mask" in name or name.startswith("is_")) and set(np.unique(array)) <= {0, 1}
    )
    if array.ndim == 1:
        return ("mask", array.astype(bool)) if is_mask else ("rows", array.astype(np.int64))
    return ("pairs", array.astype(np.int64)) if array.ndim == 2 and array.shape[1] in (2, 3) else None


def _numpy(value: Any) -> np.ndarray | None:
    """An array, or a tensor of plain numbers as one; None for anything else."""
    if isinstance(value, Tensor) and is_plain(value) and value.dtype != torch.bfloat16:
        return value.detach().resolve_neg().numpy()
    return value if isinstance(value, np.ndarray) else None


def _array(value: Any) -> np.ndarray | None:
    """Whole numbers from 0, or booleans, however they were kept; None for anything else."""
    value = _of_list(value) if isinstance(value, list | tuple) else _numpy(value)
    if value is None or value.dtype.kind not in "biuf" or value.ndim not in (1, 2):
        return None
    if value.dtype.kind != "b" and not _are_counts(value):
        return None
    return np.asarray(value)


def _are_counts(values: np.ndarray) -> bool:
    # In this order: of infinity there is no remainder.
    return bool(np.all((values >= 0) & (values < 2**62))) and bool(np.all(values % 1 == 0))


def _of_list(rows: list | tuple) -> np.ndarray | None:
    """A list of numbers, or of rows of two or three; a list of anything deeper is none."""
    if len(rows) > _MOST:
        return None
    arrays = (_numpy(row) for row in rows)
    plain = [
        row if array is None or array.ndim > 1 or array.size > 3 else array.tolist()
        for row, array in zip(rows, arrays, strict=True)
    ]
    if not all(_is_number(row) or _is_row(row) for row in plain):
        return None
    if len({_is_number(row) or len(row) for row in plain}) != 1:
        return None
    return np.array(plain)


def _is_row(row: Any) -> bool:
    return isinstance(row, list | tuple) and len(row) in (2, 3) and all(_is_number(x) for x in row)


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.integer | np.bool_)

"""Which rows a trainer listed as train or as test: inside its checkpoints, or in files beside them.

    train_indices, test_idx, is_train, train_mask          numbers a * p + b, or one boolean a row
    train_data, test_pairs, train, ...                     pairs (a, b); triples with "=" or the answer
    split.json, data.pt, indices.npy, ...                  several of these under their names

A file is one of these by its name and its content: .pt, .pth (read as all files of strangers are), .npy, .csv,
.json. Names of rows (indices, rows, mask, pairs, split, ...) say that they list some: what cannot be understood there
is kept with the reason, and refused where the split is looked for. Names of data (train, test_data, data, ...) may mean
something else: of a file a warning says why it was not taken, inside a checkpoint it is passed over.
What is listed is only read here; `interp.sources.listed` compares it with the task and each other, and
`interp.sources.memorized` with the losses.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from interp.ground.plain_text import shown
from interp.ground.whole_reading import mapped_array
from interp.sources.files import reading
from interp.sources.files.reading import SourceError
from interp.sources.files.tensors import is_plain
from interp.sources.files.wrapping import states_of

_NAME = re.compile(
    r"(is_)?(?P<part>train|test|val|valid|validation)(ing)?"
    r"(_?(data|dataset|set|pairs|triples|inputs|indices|idx|index|ids|rows|mask|split|x))?"
)
_SEVERAL = re.compile(r"(data_?)?(split|splits|indices|split_indices|train_test_split|data|dataset)")
# Names that can mean nothing but rows.
_SURELY = re.compile(
    r"is_.*|.*(pairs|triples|indices|idx|index|ids|rows|mask|split)|(data_?)?(split|splits|train_test_split)"
)
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
        wrong: what keeps a list that is called so from being one; it has no values then.
        is_doubtful: whether it is wrong, and its name may mean something else.
    """

    where: str
    part: Part
    kind: Literal["rows", "pairs", "mask"]
    values: np.ndarray
    wrong: str | None = None
    is_doubtful: bool = False

    def is_same(self, other: "ListedRows") -> bool:
        mine, its = (self.part, self.kind, self.wrong), (other.part, other.kind, other.wrong)
        return mine == its and np.array_equal(self.values, other.values)


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
        if is_several := _SEVERAL.fullmatch(file.stem.lower()) and isinstance(content, Mapping):
            listed = list(rows_in(content, str(file), is_sure=_is_sure(file.stem)))
        else:
            listed = list(rows_in({file.stem: content}, str(file)))
        if doubtful := next((rows for rows in listed if rows.is_doubtful), None):
            found.unreadable[name] = f"{doubtful.where} {doubtful.wrong}."
        if listed := [rows for rows in listed if not rows.is_doubtful]:
            found.listed += listed
            found.files.add(file)
        elif _is_sure(file.stem):
            under = " under a name of train or test rows" if is_several else ""
            found.files.add(file)
            found.unreadable[name] = f"{file} holds no list of rows{under}."
    return found


def rows_in(
    content: Mapping[Any, Any],
    where: str,
    spend: Callable[[Any], None] = lambda value: None,
    is_sure: bool = False,
) -> Iterator[ListedRows]:
    """What a mapping lists under names of splits, and what is wrong with a list there that can be nothing else.

    Args:
        spend: told each value before it is looked through.
        is_sure: whether the mapping is a split by its name, so that any name of a part in it means rows.
    """
    for key, value in content.items():
        match = _NAME.fullmatch(key.lower()) if isinstance(key, str) else None
        if match is None or (rows := _inner(value)) is None:
            continue
        part: Part = "train" if match["part"] == "train" else "test"
        named = where if key == Path(where).stem else f"{where} ({key})"
        if part == "test" and not len(rows):
            # No validation rows beside train and test rows.
            continue
        spend(rows)
        try:
            yield ListedRows(named, part, *_rows(rows, key.lower()))
        except _NoRowsError as error:
            is_doubtful = not (is_sure or _is_sure(key))
            yield ListedRows(named, part, "rows", np.empty(0, np.int64), str(error), is_doubtful)


def _is_sure(name: str) -> bool:
    return _SURELY.fullmatch(name.lower()) is not None


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
        return mapped_array(file)
    # An archive of arrays under this name, too.
    except (ValueError, OSError) as error:
        first = str(error).partition("\n")[0]
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


class _NoRowsError(ValueError):
    """Why something is no list of rows: the end of a sentence that begins with where it lies."""


def _inner(value: Any) -> list | tuple | np.ndarray | Tensor | None:
    """The list or array that may list rows, in a mapping or beside labels too; None where there is none."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in _INSIDE if key in value), None)
    if isinstance(value, list | tuple) and len(value) == 2 and (inputs := _numpy(value[0])) is not None:
        value = inputs if inputs.ndim == 2 else value  # inputs and labels
    if isinstance(value, Tensor):
        # Tensors of other forms are left out wherever they are no weights.
        return value if is_plain(value) and value.ndim else None
    is_array = isinstance(value, np.ndarray) and value.ndim > 0
    return value if is_array or isinstance(value, list | tuple) else None


def _rows(value: Any, name: str) -> tuple[Literal["rows", "pairs", "mask"], np.ndarray]:
    """The rows that a list or an array lists.

    Raises:
        _NoRowsError: if it lists none.
    """
    array = _array(value)
    if not len(array):
        raise _NoRowsError("is empty")
    if len(array) > _MOST:
        raise _NoRowsError(_too_many(len(array)))
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    is_mask = array.dtype == bool or (
        ("mask" in name or name.startswith("is_")) and set(np.unique(array)) <= {0, 1}
    )
    if array.ndim == 1:
        return ("mask", array.astype(bool)) if is_mask else ("rows", array.astype(np.int64))
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        hint = ": transpose it" if array.ndim == 2 and array.shape[0] in (2, 3) else ""
        needs = f"where each row is one number or a pair (a, b){hint}"
        raise _NoRowsError(f"has the shape {tuple(array.shape)}, {needs}")
    return "pairs", array.astype(np.int64)


def _numpy(value: Any) -> np.ndarray | None:
    """An array, or a tensor of plain numbers as one; None for anything else."""
    if isinstance(value, Tensor) and is_plain(value) and value.dtype != torch.bfloat16:
        return value.detach().resolve_neg().numpy()
    return value if isinstance(value, np.ndarray) else None


def _array(value: Any) -> np.ndarray:
    """Whole numbers from 0, or booleans, however they were kept.

    Raises:
        _NoRowsError: for anything else.
    """
    array = _of_list(value) if isinstance(value, list | tuple) else _numpy(value)
    if array is None or array.dtype.kind not in "biuf":
        dtype = value.dtype if array is None else array.dtype
        raise _NoRowsError(f"holds numbers of dtype {dtype}, where whole numbers are needed")
    if array.dtype.kind != "b" and not (is_count := _are_counts(array)).all():
        raise _NoRowsError(f"holds {array[~is_count][0]}, which is no whole number from 0")
    return np.asarray(array)


def _are_counts(values: np.ndarray) -> np.ndarray:
    within = (values >= 0) & (values < 2**62)
    # Of infinity there is no remainder.
    return within & (np.where(within, values, 0) % 1 == 0)


def _of_list(rows: list | tuple) -> np.ndarray:
    """A list of numbers, or of rows of two or three.

    Raises:
        _NoRowsError: if it is of anything else or deeper.
    """
    if len(rows) > _MOST:
        raise _NoRowsError(_too_many(len(rows)))
    arrays = (_numpy(row) for row in rows)
    plain = [
        row if array is None or array.ndim > 1 or array.size > 3 else array.tolist()
        for row, array in zip(rows, arrays, strict=True)
    ]
    for place, row in enumerate(plain):
        if not _is_number(row) and not _is_row(row):
            needs = "where each row is one number or a pair (a, b)"
            raise _NoRowsError(f"holds {shown(row)} at place {place}, {needs}")
        if _length(row) != _length(plain[0]):
            raise _NoRowsError(
                f"holds both {shown(plain[0])} and {shown(row)}, which are not rows of one kind"
            )
    return np.array(plain)


def _too_many(n: int) -> str:
    return f"has {n:,} entries, more than any task has rows"


def _length(row: Any) -> int:
    """How many numbers a row is; 0 for one that is a number itself."""
    return 0 if _is_number(row) else len(row)


def _is_row(row: Any) -> bool:
    return isinstance(row, list | tuple) and len(row) in (2, 3) and all(_is_number(x) for x in row)


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.integer | np.bool_)

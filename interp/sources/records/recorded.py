"""What trainers write beside the weights: losses and accuracies along the run, train rows, configs.

Recorded values are taken over as they are, never recomputed. Which weights they belong to differs between trainers by
one update (most measure the train loss before the update after which they save), so that they are a cross-check, not
a truth.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from interp.sources.files.errors import SourceError
from interp.sources.files.options import as_options, name_of, plain_option
from interp.sources.files.steps import LARGEST_COUNT
from interp.sources.files.tensors import is_plain
from interp.sources.records.splits import ListedRows, rows_in

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")

COLUMN_OF = {
    name: column
    for column, names in {
        "train_loss": ("train_loss", "training_loss", "loss", "train_losses", "training_losses", "losses"),
        "test_loss": (
            "test_loss", "val_loss", "validation_loss", "eval_loss", "test_losses", "val_losses", "losses_val",
        ),
        "train_accuracy": (
            "train_accuracy", "training_accuracy", "train_acc", "train_accuracies", "train_accs", "accs",
        ),
        "test_accuracy": (
            "test_accuracy", "val_accuracy", "validation_accuracy", "eval_accuracy", "test_acc", "val_acc",
            "test_accuracies", "test_accs", "val_accs", "accs_val",
        ),
    }.items()
    for name in names
}  # fmt: skip

BARE = ("loss", "losses", "accs")  # of the train rows, unless the file is named after others
_RANK = {name: i for i, name in enumerate(COLUMN_OF)}

_STEPS_OF_LISTS = ("steps", "its", "epochs", "log_steps", "eval_steps")
# Beyond these a file is made to take forever.
_MOST_NUMBERS = 10**8
_MOST_QUANTITIES = 200

_POSITIONS = ("step", "global_step", "iteration", "iter", "epoch", "tokens")


@dataclass(eq=False)
class Recorded:
    """What was found so far, over all files of a source.

    Attributes:
        rows: quantity -> step -> value.
        listed: rows that are listed as train or as test, each list once.
        config: what the trainer stored of its options.
        unplaced: recorded lists whose steps nobody states.
        logs, percent: logs that were taken in, and accuracies in them that were in percent and are shares now.
    """

    rows: dict[str, dict[int, float]] = field(default_factory=dict)
    listed: list[ListedRows] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    unplaced: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    percent: list[str] = field(default_factory=list)
    _n_numbers: int = 0

    def learn(
        self, content: Mapping[str, Any], step: int | None, every_epoch: bool = False, where: str = ""
    ) -> None:
        """Take in what lay beside a state dict of that step.

        Args:
            where: the file, for errors.
            every_epoch: the trainer is known to log each of its epochs, from the first on: lists need no steps.
        """
        for key, value in content.items():
            if key in ("config", "cfg", "args", "hyper_parameters", "hparams", "metadata", "model_config"):
                self.config |= as_options(value)
            elif key == "metrics" and isinstance(value, Mapping):
                self._learn_numbers(value, step, every_epoch)
        self._learn_numbers(content, step, every_epoch)
        self.list_rows(rows for rows in rows_in(content, where, self._spend) if not rows.is_doubtful)

    def list_rows(self, listed: Iterable[ListedRows]) -> None:
        """Take in lists of rows; a series says the same again with every checkpoint."""
        for rows in listed:
            if not any(rows.is_same(other) for other in self.listed):
                self.listed.append(rows)

    def _learn_numbers(self, content: Mapping[str, Any], step: int | None, every_epoch: bool) -> None:
        single = {key: number(value) for key, value in content.items() if isinstance(key, str)}
        lists = {key: self._numbers(content[key]) for key in single if key.lower() in COLUMN_OF}
        lists |= {key: self._numbers(content[key]) for key in _STEPS_OF_LISTS if key in single}
        along = next((lists[key] for key in _STEPS_OF_LISTS if lists.get(key)), None)
        named = name_columns(key for key, values in lists.items() if values)
        # Beside a list, a number is the last of it given once more.
        by_number = name_columns(key for key, value in single.items() if value is not None)
        named |= {key: column for key, column in by_number.items() if column not in named.values()}
        for key, value in single.items():
            column, values = named.get(key, key), lists.get(key)
            is_unwanted = key.lower() in COLUMN_OF or len(self.rows) > _MOST_QUANTITIES or len(key) > 100
            if is_unwanted and key not in named:
                continue
            quantity = key in named or isinstance(
                content[key], float | Tensor
            )  # integers are options: seed, p
            if value is not None and step is not None and quantity and key not in _POSITIONS:
                self.rows.setdefault(column, {})[step] = value
            elif values and key in named:
                if along is not None and along is not values and len(along) == len(values):
                    if (places := _wholes(along)) is None:
                        self.unplaced.append(f"{key} (beside it, steps that are none)")
                    else:
                        self.rows.setdefault(column, {}).update(zip(places, values, strict=True))
                elif (
                    every_epoch if step is None else len(values) >= step
                ):  # one value an update, the first of them before any
                    self.rows.setdefault(column, {}).update(enumerate(values))
                else:
                    self.unplaced.append(f"{key} ({len(values)} values)")

    def _numbers(self, value: Any) -> list[float] | None:
        self._spend(value)
        return _numbers(value)

    def _spend(self, value: Any) -> None:
        """Refuse to take in more numbers than any source records: a small file can name one list a million times."""
        if isinstance(value, list | tuple) or (isinstance(value, Tensor | np.ndarray) and _has_length(value)):
            self._n_numbers += len(value)
        if self._n_numbers > _MOST_NUMBERS:
            raise SourceError(
                f"The source records more than {_MOST_NUMBERS:,} numbers beside its weights, which no trainer does. "
                "Leave the losses out of its files."
            )

    def history(self) -> "pd.DataFrame | None":
        """The columns of `Run.history()`, NaN where nothing was recorded; None where nothing was."""
        table = self._table([c for c in COLUMNS if c in self.rows])
        return None if table is None else table.reindex(columns=["step", *COLUMNS])

    def others(self) -> "pd.DataFrame | None":
        """Every other quantity: a column each, step first."""
        return self._table(self.other_names())

    def other_names(self) -> list[str]:
        """The names of those quantities."""
        return sorted(set(self.rows) - set(COLUMNS))

    def _table(self, names: Sequence[str]) -> "pd.DataFrame | None":
        if not names:
            return None
        import pandas as pd  # heavy, and few sources record anything

        columns = {name: pd.Series(self.rows[name], dtype="float64") for name in names}
        table = pd.DataFrame(columns).sort_index()
        table.index.name = "step"
        return table.reset_index()


def name_columns(keys: Iterable[str]) -> dict[str, str]:
    """The column of each key that is known as one; of several keys of one column the plainest, the first of equals.

    >>> name_columns(["loss", "train_loss", "lr"])
    {'train_loss': 'train_loss'}
    """
    best: dict[str, str] = {}
    for key in keys:
        column = COLUMN_OF.get(key.lower())
        if column and (column not in best or _RANK[key.lower()] < _RANK[best[column].lower()]):
            best[column] = key
    return {key: column for column, key in best.items()}


def jsonable(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that JSON can hold as they are; others as text. No value of a stranger is longer than 200 signs."""
    out: dict[str, Any] = {}
    for key, value in islice(options.items(), 200):
        plain = plain_option(value)
        if isinstance(plain, float) and not math.isfinite(plain):
            plain = str(plain)
        out[name_of(key)] = plain[:200] if isinstance(plain, str) else plain
    return out


def number(value: Any) -> float | None:
    """A value as a number, or None where it is none."""
    if isinstance(value, Tensor) and is_plain(value) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None


def _has_length(value: Tensor | np.ndarray) -> bool:
    return (not isinstance(value, Tensor) or is_plain(value)) and value.ndim > 0


def _numbers(value: Any) -> list[float] | None:
    """A list of numbers, however it was kept; None for anything else."""
    if isinstance(value, Tensor) and not is_plain(value):
        return None
    if isinstance(value, Tensor | np.ndarray):
        if value.ndim != 1:
            return None
        value = value.tolist()
    if not isinstance(value, list | tuple) or not value:
        return None
    numbers = [number(x) for x in value]
    return None if any(x is None for x in numbers) else numbers  # type: ignore[return-value]


def _wholes(numbers: Sequence[float | None]) -> list[int] | None:
    """The numbers as integers, or None if one is no count from 0."""
    found = [int(x) for x in numbers if x is not None and 0 <= x < LARGEST_COUNT and x % 1 == 0]
    return found if len(found) == len(numbers) else None

"""What trainers write beside the weights: losses and accuracies along the run, train rows, configs.

Recorded values are taken over as they are, never recomputed. Which weights they belong to differs between trainers by
one update (most measure the train loss before the update after which they save), so that they are a cross-check, not
a truth.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from interp.sources.files.arrays import StoredConfig
from interp.sources.files.steps import LARGEST_COUNT
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
        self.list_rows(rows_in(content, where))

    def list_rows(self, listed: Iterable[ListedRows]) -> None:
        """Take in lists of rows; a series says the same again with every checkpoint."""
        for rows in listed:
            if not any(rows.is_same(other) for other in self.listed):
                self.listed.append(rows)

    def _learn_numbers(self, content: Mapping[str, Any], step: int | None, every_epoch: bool) -> None:
        lists = {key: _numbers(value) for key, value in content.items() if isinstance(key, str)}
        single = {key: _number(content[key]) for key in lists}
        along = next((lists[key] for key in _STEPS_OF_LISTS if lists.get(key)), None)
        named = name_columns(key for key, values in lists.items() if values)
        # Beside a list, a number is the last of it given once more.
        by_number = name_columns(key for key, value in single.items() if value is not None)
        named |= {key: column for key, column in by_number.items() if column not in named.values()}
        for key, values in lists.items():
            column = named.get(key, key)
            if key.lower() in COLUMN_OF and key not in named:
                continue
            value = single[key]
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

    def history(self) -> "pd.DataFrame | None":
        """The columns of `Run.history()`, NaN where nothing was recorded; None where nothing was."""
        table = self._table([c for c in COLUMNS if c in self.rows])
        return None if table is None else table.reindex(columns=["step", *COLUMNS])

    def others(self) -> "pd.DataFrame | None":
        """Every other quantity: a column each, step first."""
        return self._table(sorted(set(self.rows) - set(COLUMNS)))

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


def as_options(value: Any) -> dict[str, Any]:
    """A stored config as a dict: a plain one, a Namespace, or the attributes of a config class that is gone."""
    if isinstance(value, Mapping):
        inner = value.get("hparams")
        return dict(value) if inner is None else as_options(inner)
    if isinstance(value, StoredConfig) or type(value).__name__ == "Namespace":
        return dict(vars(value))
    return {}


def jsonable(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that JSON can hold as they are; others as text. No value of a stranger is longer than 200 signs."""
    out: dict[str, Any] = {}
    for key, value in list(options.items())[:200]:
        plain = isinstance(value, str | int | float | bool | None)
        if isinstance(value, float) and not math.isfinite(value):
            plain = False
        out[str(key)[:100]] = value[:200] if isinstance(value, str) else value if plain else str(value)[:200]
    return out


def _number(value: Any) -> float | None:
    if isinstance(value, Tensor) and value.numel() == 1 and value.layout == torch.strided:
        value = value.item()
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None


def _numbers(value: Any) -> list[float] | None:
    """A list of numbers, however it was kept; None for anything else."""
    if isinstance(value, Tensor) or type(value).__name__ == "ndarray":
        if value.ndim != 1 or len(value) > 10**8:
            return None
        value = value.tolist()
    if not isinstance(value, list | tuple) or not value:
        return None
    numbers = [_number(x) for x in value]
    return None if any(x is None for x in numbers) else numbers  # type: ignore[return-value]


def _wholes(numbers: Sequence[float | None]) -> list[int] | None:
    """The numbers as integers, or None if one is no count from 0."""
    found = [int(x) for x in numbers if x is not None and 0 <= x < LARGEST_COUNT and x % 1 == 0]
    return found if len(found) == len(numbers) else None

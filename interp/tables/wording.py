"""Fields of a config, their values and the phases of a run, as figures and sentences say them. Without pandas."""

from collections.abc import Mapping
from typing import Any

# From nothing learned to all of it at once (Liu et al. 2022, "Towards understanding grokking", table 1).
PHASES = ("confusion", "memorization", "grokking", "comprehension")
# What is evaluated along a run and its branches, as it stands on an axis.
QUANTITIES = {
    "test_accuracy": "test accuracy",
    "train_accuracy": "train accuracy",
    "test_loss": "test loss (nats)",
    "train_loss": "train loss (nats)",
    "norm": "norm of the weights (l2)",
    "margin": "mean train margin (nats)",
}
# Config fields by their last name, as they stand on an axis.
SHORT_NAMES = {"lr": "learning rate", "d_model": "width", "d_mlp": "neurons"}


def set_name(are_key: bool, n: int) -> str:
    """What figures call the frequencies or representations that are followed.

    >>> set_name(True, 4), set_name(False, 2)
    ('key set', 'strongest 2')
    """
    return "key set" if are_key else f"strongest {n}"


def field_name(field: str) -> str:
    """A field of the config, as it is said.

    >>> field_name("optimizer.weight_decay"), field_name("optimizer.lr"), field_name("task.p")
    ('weight decay', 'learning rate', 'p')
    """
    last = field.rpartition(".")[-1]
    return SHORT_NAMES.get(last, last.replace("_", " "))


def value_text(value: Any) -> str:
    """A value of a field, as it is said.

    >>> value_text(0.30000000000000004), value_text(113), value_text("gelu"), value_text(None), value_text(float("nan"))
    ('0.3', '113', 'gelu', 'none', 'none')
    """
    if isinstance(value, str):
        return value
    # What is missing equals nothing, itself included, or refuses to be compared.
    if value is None or str(value) in ("nan", "<NA>"):
        return "none"
    return f"{value:.6g}"


def setting_text(values: Mapping[str, Any]) -> str:
    """Values of fields in words; "all runs" of none.

    >>> setting_text({"task.p": 23, "optimizer.weight_decay": 1.0})
    'p = 23, weight decay = 1'
    """
    said = (f"{field_name(name)} = {value_text(value)}" for name, value in values.items())
    return ", ".join(said) or "all runs"

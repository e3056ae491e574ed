"""What a family needs to recognise its tasks behind a network that someone else trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Fields of a task without a split, and those that a stated task may lack.
NO_SPLIT: dict[str, Any] = {"split": "unknown", "split_seed": 0}
UNSPLIT: dict[str, Any] = {"train_fraction": None, "corrupted_fraction": 0.0, **NO_SPLIT}


@dataclass(frozen=True)
class Sizes:
    """What a network shows of its task: positions of a row, tokens, outputs."""

    n_pos: int
    n_tokens: int
    n_outputs: int


def check_can_be_made_again(known: Mapping[str, Any], *, is_drawn: bool) -> None:
    """Refuse labels that another program drew.

    Args:
        is_drawn: whether all labels are drawn at random.

    Raises:
        ValueError: if they are, or some are corrupted.
    """
    if is_drawn or known.get("corrupted_fraction"):
        raise ValueError(
            "Labels that another program drew at random cannot be made again here: a task with operation 'random' or "
            "corrupted labels cannot be imported. Leave the task out: probes of weights do without."
        )

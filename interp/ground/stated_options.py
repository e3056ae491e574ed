"""Options that state what someone else's checkpoints do not say: one definition for the command line and the scripts.

`interp import`, `info`, `measure`, `verify`, `analyse` and `python analyses/NAME.py` take the same ones; in Python they
are the arguments of `interp.open_run`. A run says itself what it is, and takes none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StatedOption:
    """One option.

    Attributes:
        name: of the option, with underscores: --train-fraction is train_fraction.
        kind: str, int, float or bool.
        field: what it states: a part of an argument of `interp.open_run` ("task.p"), or an argument ("unit").
        help: a line for users.
        choices: the texts that it can be; any where there are none.
    """

    name: str
    kind: type
    field: str
    help: str
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"


STATED_OPTIONS = (
    StatedOption("task", str, "task.operation", "Operation: add, subtract, multiply, ..."),
    StatedOption("p", int, "task.p", "Modulus."),
    StatedOption("group", str, "task.group", "Group instead of operation and modulus: S5, D7, C113, ..."),
    StatedOption("train_fraction", float, "task.train_fraction", "Share of the pairs in train."),
    StatedOption(
        "split", str, "task.split", "How train was drawn: Python's shuffle, torch.randperm.",
        ("shuffle", "unordered", "torch"),
    ),
    StatedOption("split_seed", int, "task.split_seed", "Seed of the split."),
    StatedOption("override_split", bool, "override_split", "What is stated counts where the files list other rows."),
    StatedOption("equals_token", bool, "task.equals_token", "Rows are (a, b, =)."),
    StatedOption(
        "separate_vocabularies", bool, "task.separate_vocabularies",
        "The second operand has tokens of its own.",
    ),
    StatedOption(
        "activation", str, "model.act_fn", "Tensors do not show it.",
        ("relu", "gelu", "quadratic", "tanh"),
    ),
    StatedOption(
        "normalization", str, "model.normalization_type", "LNPre leaves no tensors.", ("none", "LNPre")
    ),
    StatedOption(
        "attention", str, "model.attention_dir", "Where no mask is stored.", ("causal", "bidirectional")
    ),
    StatedOption("heads", int, "model.n_heads", "Attention heads, where the matrices hold all at once."),
    StatedOption("format", str, "format", "auto, or a name of `interp import --list`."),
    StatedOption("unit", str, "unit", "What the checkpoints' numbers count: step, epoch, ..."),
)  # fmt: skip


def stated_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `interp.open_run` that say the same as these options, None where nothing was typed."""
    found: dict[str, Any] = {}
    for option in STATED_OPTIONS:
        if (value := options.get(option.name)) is not None:
            argument, _, field = option.field.partition(".")
            if field:
                value = {**found.get(argument, {}), field: None if value == "none" else value}
            found[argument] = value
    return found


def typed(options: Mapping[str, Any]) -> list[str]:
    """The options as they are typed: ["--p 113", "--no-equals-token"]."""
    texts = []
    for option in STATED_OPTIONS:
        if (value := options.get(option.name)) is not None:
            flag = option.flag if value is not False else option.flag.replace("--", "--no-", 1)
            texts.append(flag if isinstance(value, bool) else f"{option.flag} {value}")
    return texts


def check_no_run(path: Any, is_run: bool, options: Mapping[str, Any]) -> None:
    """Refuse statements about a run.

    Raises:
        ValueError: if it is one and something was stated; the options are named.
    """
    if is_run and (said := typed(options)):
        raise ValueError(f"{path} is a run, which says itself what it is: leave out {', '.join(said)}.")

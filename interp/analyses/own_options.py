"""Options that one analysis takes and the others do not, on the command line and in its script.

Here, and not in the file of the analysis, so that `interp analyse --help` loads none of them. What is given comes to
`compute` as keyword arguments; those that are not given are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OwnOption:
    """One option.

    Attributes:
        name: of the argument of `compute`, and of the option.
        kind: str or int; bool of what is asked for or not.
        metavar: what stands for the value in the help.
        help: a line for users.
    """

    name: str
    kind: type
    metavar: str
    help: str

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"


OWN_OPTIONS: dict[str, tuple[OwnOption, ...]] = {
    "language_model": (
        OwnOption(
            "text",
            str,
            "FILE",
            "Text in UTF-8, or .npy of token ids (default: text.txt beside the checkpoints).",
        ),
        OwnOption("before", int, "STEP", "Report what changed from this step on, with --after."),
        OwnOption("after", int, "STEP", "Report what changed up to this step, with --before."),
        OwnOption(
            "keep_going", bool, "", "Go on past steps that are missing or damaged; the answer lists them."
        ),
    ),
}


def of(analysis: str) -> tuple[OwnOption, ...]:
    """The options of an analysis, none for most."""
    return OWN_OPTIONS.get(analysis, ())


def check_own(analysis: str, given: Mapping[str, Any]) -> None:
    """Refuse options that this analysis does not take.

    Raises:
        ValueError: with the option, and whose it is.
    """
    known = {option.name for option in of(analysis)}
    for name, options in OWN_OPTIONS.items():
        for option in options:
            if option.name in given and option.name not in known:
                raise ValueError(
                    f"{analysis} takes no {option.flag}, which is an option of {name}. Leave it out."
                )


def typed_own(analysis: str, given: Mapping[str, Any]) -> list[str]:
    """The options as they are typed: ["--text book.txt"]."""
    return [
        option.flag if option.kind is bool else f"{option.flag} {given[option.name]}"
        for option in of(analysis)
        if option.name in given
    ]

"""What was typed, in messages: the option on the command line in place of the field that it sets."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# Fields that are no words of English, apart from those with an underscore.
ABBREVIATIONS = ("lr", "eps", "betas")


def as_typed(message: str, options: Mapping[str, str]) -> str:
    """The message with options in place of the fields that they set.

    A field that is a word, as `seed` or `p`, counts as one only where its value is given (`p=7`).

    >>> as_typed("A model needs d_model divisible by n_heads, got n_heads=3.", {"n_heads": "--heads"})
    'A model needs d_model divisible by --heads, got --heads 3.'
    """
    for field, option in options.items():
        # Not inside a path as task.p, a quoted name or another option, nor as it was typed after --set.
        start = rf"(?<![\w.'-])(?<!--set ){re.escape(field)}"
        given = f"{option}{'=' if option.startswith('--set ') else ' '}"
        message = re.sub(rf"{start}=(?=\S)", given.replace("\\", r"\\"), message)
        if "_" in field or field in ABBREVIATIONS:
            message = re.sub(rf"{start}(?![\w='])", option.replace("\\", r"\\"), message)
    return message


@contextmanager
def errors_as_typed(options: Mapping[str, str]) -> Iterator[None]:
    """Errors from inside name options in place of fields."""
    try:
        yield
    except ValueError as error:
        if len(error.args) == 1 and (text := as_typed(str(error), options)) != str(error):
            raise type(error)(text) from error
        raise

"""Tables as figures are given them: a missing column is named, and what is infinite leaves a gap.

Runs diverge, and a picture of one has to show as much as there is.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np

# Where infinity says something: an interval that has no end, a ratio to what never came, a null that all is below.
ENDLESS = {np.inf: {"high", "ratio", "null"}, -np.inf: {"low"}}


def drawn_as_given(draw: Callable[..., Any]) -> Callable[..., Any]:
    """This figure function, with infinite values as gaps, and with a sentence for a missing column.

    Columns that a figure needs depend on what is in its table, so that no list beside the function would be right:
    what pandas did not find is what is missing. Other errors pass unchanged.

    Raises:
        ValueError: if a table has rows and lacks a column.
    """

    @wraps(draw)
    def drawn(*args: Any, **options: Any) -> Any:
        args = tuple(_finite(value) for value in args)
        try:
            return draw(*args, **{name: _finite(value) for name, value in options.items()})
        except KeyError as error:
            if not _is_of_pandas(error):
                raise
            given = [value for value in (*args, *options.values()) if hasattr(value, "columns")]
            given += [t for v in args if isinstance(v, dict) for t in v.values() if hasattr(t, "columns")]
            there = " and ".join("(" + ", ".join(map(str, table.columns)) + ")" for table in given)
            raise ValueError(
                f"{draw.__name__} needs the column {error.args[0]!r}, got a table with {there}. "
                f"help({draw.__name__}) says of which probe or table the figure is."
            ) from error

    return drawn


def known(table: Any, *columns: str) -> Any:
    """The rows of a table that have these numbers; one without rows may lack the columns too."""
    return table.dropna(subset=list(columns)) if len(table) else table


def _finite(value: Any) -> Any:
    """A table, or tables by name, without infinite values but where those say something; anything else as it is."""
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if not hasattr(value, "columns"):
        return value
    changed = {}
    for name in value.select_dtypes("float"):
        column = value[name]
        gone = [at for at, kept in ENDLESS.items() if name not in kept and (column == at).any()]
        if gone:
            changed[name] = column.mask(column.isin(gone))
    return value.assign(**changed) if changed else value


def _is_of_pandas(error: KeyError) -> bool:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and str(at.tb_frame.f_globals.get("__name__", "")).startswith("pandas")

"""A table without a column that a figure needs: an error that names figure, column and what the table has."""

from collections.abc import Callable
from functools import wraps
from typing import Any


def named_by(draw: Callable[..., Any]) -> Callable[..., Any]:
    """This figure function, whose error of a missing column is a sentence.

    Columns that a figure needs depend on what is in its table, so that no list beside the function would be right:
    what pandas did not find is what is missing. Other errors pass unchanged.

    Raises:
        ValueError: if a table has rows and lacks a column.
    """

    @wraps(draw)
    def drawn(*args: Any, **options: Any) -> Any:
        try:
            return draw(*args, **options)
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


def _is_of_pandas(error: KeyError) -> bool:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and str(at.tb_frame.f_globals.get("__name__", "")).startswith("pandas")

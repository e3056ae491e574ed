"""The tables of an earlier call, and why some of them have no rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interp.ground.stated_options import typed
from interp.tables.folder import Tables, read_about, read_tables


def reasons_in(tables: Tables) -> list[str]:
    """Why probes do not apply, each reason once."""
    table = tables.get("does_not_apply")
    return [] if table is None or not len(table) else list(dict.fromkeys(table["reason"]))


def kept(
    out: Path, program: str, stated: Mapping[str, Any], own: Sequence[str] = ()
) -> tuple[Tables, dict[str, Any]]:
    """The tables of an earlier call.

    Raises:
        ValueError: if the folder lacks them, or they were computed under another statement.
    """
    about = read_about(out)
    if about is not None and (said := [*typed(stated), *own]) and said != about.get("stated", []):
        raise ValueError(
            f"{out} holds tables that were computed with {', '.join(about.get('stated', [])) or 'nothing stated'}, not "
            f"with {', '.join(said)}. Run `{program}` with these options and without --draw-only first."
        )
    if about is None:
        raise ValueError(
            f"{out} holds no tables of this analysis to draw. Run `{program}` without --draw-only first."
        )
    try:
        return read_tables(out)
    except ValueError as error:
        raise ValueError(f"{error} Run the analysis again without --draw-only.") from error

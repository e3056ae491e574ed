"""Where a source is and of which format: what is stated, or the first of `FORMATS` that knows it."""

import os
from pathlib import Path

from interp.sources import formats
from interp.sources.adapter_draft import drafted, listed
from interp.sources.files.reading import SourceError
from interp.sources.formats.format import Beside, Format, Found, WholeSource
from interp.sources.opened import OpenedRun


def located(source: str | os.PathLike) -> Path:
    """The path of a source, fetched first where it is a name that a format knows, as a repository of the hub.

    Raises:
        SourceError: if there is nothing, or it cannot be fetched.
    """
    fetched = (format.whole_source.fetched(str(source)) for format in formats.FORMATS if format.whole_source)
    source = next((place for place in fetched if place is not None), source)
    # Of a link, its own name may state the step.
    path = Path(os.path.abspath(Path(source).expanduser()))
    if not path.exists():
        raise SourceError(f"There is nothing at {path}. Name the file or folder that holds the checkpoints.")
    return path


def stated_format(name: str) -> Format | None:
    """The format of this name, or None for "auto": each source is then recognised by what it holds.

    Raises:
        SourceError: if there is none of this name.
    """
    named = {format.name: format for format in formats.FORMATS}
    if name not in ("auto", *named):
        raise SourceError(f"Format {name!r} is none of auto, {', '.join(named)}.")
    return named.get(name)


def candidates(stated: Format | None) -> tuple[Format, ...]:
    """The formats that a source may be of."""
    return formats.FORMATS if stated is None else (stated,)


def opened_whole(source: Path, stated: Format | None) -> OpenedRun | None:
    """The run of a source that a format opens as a whole, or None where none does."""
    for format in candidates(stated):
        if format.whole_source and (run := format.whole_source.opened(source)) is not None:
            return run
    return None


def opened_remote(name: str, stated: Format | None, drop_downloads: bool) -> OpenedRun | None:
    """The run of a name that a format knows, as a repository of the hub, or None where none does."""
    for format in candidates(stated):
        if format.whole_source and (run := format.whole_source.remote(name, drop_downloads)) is not None:
            return run
    return None


def opened_as_whole(run: OpenedRun) -> WholeSource | None:
    """How a format opened this run as a whole, or None where it was opened a state dict at a time."""
    name = (run.record.source or {}).get("format")
    return next((format.whole_source for format in formats.FORMATS if format.name == name), None)


def beside(source: Path, stated: Format | None) -> Beside:
    """The JSON beside the checkpoints that one of the formats looks for, and where the checkpoints are."""
    found = (format.beside(source) for format in candidates(stated))
    return next((one for one in found if one is not None), Beside({}, source))


def is_known(found: Found, stated: Format | None) -> bool:
    """Whether a format knows this state dict, the stated one where one is stated."""
    return any(format.recognizes(found) for format in candidates(stated))


def recognized(found: Found, stated: Format | None) -> Format:
    """The format of a state dict.

    Raises:
        SourceError: if it is of none that is known.
    """
    if stated is not None:
        return stated
    for format in formats.FORMATS:
        if format.recognizes(found):
            return format
    raise SourceError(
        f"{found.where} holds tensors of no known format:",
        f"{listed(found.tensors)}\n`interp import --list` says what is known. Anything else comes in with an adapter "
        f"(docs/import.md); one to start from:\n\n{drafted(found.tensors, found.where)}",
    )

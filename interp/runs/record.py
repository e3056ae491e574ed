"""What a run.json says beside its config: where a run is from, what became of it, and on which machines."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pydantic

from interp.ground.choices import check_choices
from interp.ground.plain_text import shown
from interp.runs.tensor_files import RunError

FORMAT = "grokscope-run"
FORMAT_VERSION = 1

Status = Literal["running", "complete", "interrupted", "failed", "diverged", "imported", "opened in place"]

# A field of a later version could change what the others mean, and would be lost on the next write.
_NO_OTHERS = pydantic.ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True)
class Session:
    """Where and with what a stretch of training ran: equal numbers need an equal device, thread count and torch.

    Attributes:
        from_step: step that it started from; a run that was resumed has several sessions.
        started: time, UTC.
        device, threads: as given to `train` or `resume`.
        device_name, cpu_capability, platform: the machine.
        versions: of the packages that decide numbers, by name.
        commit: that of this package's source, None outside a repository.
        extended_from: the steps that the run was to have before, where this session made it longer.
        stack: runs that were trained with it as one tensor program, itself included; None where it was alone.
    """

    __pydantic_config__ = _NO_OTHERS

    from_step: pydantic.StrictInt
    started: str
    device: str
    device_name: str
    threads: pydantic.StrictInt
    cpu_capability: str
    platform: str
    versions: Mapping[str, str]
    commit: str | None
    extended_from: pydantic.StrictInt | None = None
    stack: pydantic.StrictInt | None = None


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The run that a branch left, by name or path, the step at which it did, and the arm that it took."""

    __pydantic_config__ = _NO_OTHERS

    run: str
    step: pydantic.StrictInt
    arm: str


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run is, beside the config that decides its numbers.

    Attributes:
        status: how far training got, or that it took place elsewhere.
        unit: what a step counts: "step" in own runs; "epoch" or "tokens" in some of others.
        created: time, UTC; None in runs of others.
        forward_path: the pass that answers ("factorized" or "plain"); None for a network that is not built here.
        history_is: what the losses of a run of others are, None where it has none.
        sessions: the stretches of training, oldest first; none in runs of others.
        source: of runs of others, where they are from and how what they do not say was found.
        parent: of a branch, where it left its parent.
    """

    __pydantic_config__ = _NO_OTHERS

    status: Status
    unit: str
    created: str | None = None
    forward_path: str | None = None
    history_is: str | None = None
    sessions: tuple[Session, ...] = ()
    source: Mapping[str, Any] | None = None
    parent: Parent | None = None

    def __post_init__(self):
        check_choices(self)
        if self.source is not None:
            _check_source(self.source)

    @property
    def is_own(self) -> bool:
        """Whether it was trained here, or is about to be: a trainer killed in its first moments left no session."""
        return bool(self.sessions) or self.status == "running"

    @property
    def device(self) -> str | None:
        """That of the first session: with another one a resumed run no longer equals one that never stopped."""
        return self.sessions[0].device if self.sessions else None

    @property
    def threads(self) -> int | None:
        """Those of the first session, which decide numbers as the device does."""
        return self.sessions[0].threads if self.sessions else None


def _check_source(source: Mapping[str, Any]) -> None:
    """Refuse unless it says what is asked of every source."""
    if lacking := [name for name in ("path", "format", "task") if name not in source]:
        raise ValueError(f"A source needs path, format and task, and lacks {', '.join(lacking)}.")
    task, assumed = source["task"], source.get("assumed", {})
    if not isinstance(task, Mapping) or not all(isinstance(how, str) for how in task.values()):
        raise ValueError(f"A source needs texts by name as its task, got {shown(task)}.")
    if not isinstance(assumed, Mapping):
        raise ValueError(f"A source needs values by name as its assumed, got {shown(assumed)}.")
    for name in ("logs", "recorded", "unreadable"):
        texts = source.get(name, ())
        if not isinstance(texts, list | tuple | dict) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"A source needs a list of names as its {name}, got {shown(texts)}.")


_record_adapter = pydantic.TypeAdapter(RunRecord)


def record_from_json(value: Any, where: Path | str) -> RunRecord:
    """The record in a whole run.json, whose config is left to `config_from_json`.

    Raises:
        RunError: if it is not of a run, of a newer format, or has fields that are missing, unknown or of the wrong
            type; they are named.
    """
    _check_format(value, where)
    beside = {k: v for k, v in value.items() if k not in ("format", "format_version", "checksum", "config")}
    try:
        return _record_adapter.validate_python(beside)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field, message = (
            ".".join(map(str, first["loc"])),
            first["msg"].removeprefix("Value error, ").rstrip("."),
        )
        if first["type"] == "unexpected_keyword_argument":
            raise RunError(
                f"{where} has the field {field!r}, which this version does not know. Use the version that wrote it, or "
                "a newer one."
            ) from error
        raise RunError(
            f"{where} holds no valid record: {field}{': ' if field else ''}{message}. It was altered: restore it from "
            "a copy."
        ) from error


def _check_format(value: Any, where: Path | str) -> None:
    """Refuse unless this is a run.json of a format that is read here, with what every one has."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise RunError(f"{where} does not describe a grokscope run: its 'format' is not {FORMAT!r}.")
    if value.get("format_version") != FORMAT_VERSION:
        raise RunError(
            f"{where} has format version {value.get('format_version')}, this grokscope reads {FORMAT_VERSION}. "
            "Use the version that wrote it, or a newer one."
        )
    missing = [name for name in ("status", "unit", "config") if name not in value]
    if missing:
        raise RunError(f"{where} lacks {', '.join(missing)}: it was altered. Restore it from a copy.")


def record_to_json(record: RunRecord) -> dict[str, Any]:
    """The record as run.json holds it, beside format and config; what a run does not have is left out."""
    value = json.loads(json.dumps(dataclasses.asdict(record)))
    left_out = {name for name, v in value.items() if v is None}
    if record.source is not None and record.forward_path is not None:
        # Of others' networks that are built here, null says that they have none.
        left_out.discard("history_is")
    if not record.is_own:
        left_out.add("sessions")
    for session in value["sessions"]:
        for name in ("extended_from", "stack"):
            if session[name] is None:
                del session[name]
    return {name: v for name, v in value.items() if name not in left_out}

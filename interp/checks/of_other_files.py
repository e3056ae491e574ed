"""What lies in a run beside its indexed checkpoints: files without an entry, derived ones, leftovers, links."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interp.checks.file_damage import consistent, file_damage, resumed_at
from interp.checks.findings import Report, listed
from interp.ground.whole_files import TEMPORARY_SUFFIX, leftovers
from interp.ground.whole_reading import read_whole
from interp.runs.packed_weights import packed_damage
from interp.runs.run import Run
from interp.runs.saving import read_latest
from interp.runs.seal import is_sealed
from interp.runs.table_files import read_table
from interp.runs.tensor_files import RunError

REPAIRING_SUFFIX = ".repairing"
FOLDERS = ("steps", "optimizer", "packed", "measures")


def checkpoint_files(path: Path) -> list[Path]:
    """The files in steps/ and optimizer/, those of a writer at work or killed left out."""
    found = sorted(file for folder in ("steps", "optimizer") for file in (path / folder).glob("*"))
    return [file for file in found if file.suffix not in (TEMPORARY_SUFFIX, REPAIRING_SUFFIX)]


def check_other_files(
    path: Path, run: Run | None, index: Mapping[int, dict[str, Any]], there: list[Path], report: Report
) -> None:
    """Everything that is wrong beside the checkpoints that the index names.

    Args:
        there: the checkpoint files, as they were listed before the index was read: a trainer writes a file first.
    """
    indexed = {part["file"] for e in index.values() for part in (e, e.get("optimizer", e))}
    for file in there:
        name = file.relative_to(path).as_posix()
        if name not in indexed:
            _say_not_indexed(run, name, file, report)
    _check_latest(path, run, report)
    if run is not None:
        for name, kind, text in packed_damage(path, index):
            report.say("problem" if kind == "altered" else "note", kind, name, text)
        try:
            run.recorded()
            if (run.record.source or {}).get("recorded") and not (path / "recorded.parquet").exists():
                report.say(
                    "problem", "missing", "recorded.parquet", "recorded.parquet is missing: it is lost"
                )
        except RunError as error:
            report.say("problem", "unreadable", "recorded.parquet", str(error))
        try:
            _ = run.huggingface
        except RunError as error:
            report.say("problem", "altered", "huggingface/config.json", str(error))
    for name, text in table_damage(path):
        report.say("problem", "altered", name, text)
    if earlier := unsealed_tables(path):
        text = f"{len(earlier)} of its tables are of an earlier version, without checksums: they are measured anew"
        report.say("note", "unprotected", "measures", f"{text}, and `--repair` removes them")
    _note_links(path, report)
    if run is not None:
        _note_unprotected(run, report)


def _say_not_indexed(run: Run | None, name: str, file: Path, report: Report) -> None:
    schedule = run.config.schedule if run and run.record.is_own and run.record.status != "complete" else None
    found = consistent(file) if schedule else None
    # One before the state to resume from is not saved again.
    is_ahead = found is not None and run is not None and found[0] >= resumed_at(run.path)
    is_due = schedule is not None and found is not None and found[0] in schedule.steps
    if found and is_ahead and is_due and file.name == f"{found[0]:010d}.safetensors":
        text = f"{name} was saved just before training stopped: resume saves it again, with its checksums"
        report.say("note", "not in the index", name, text, found[0])
    else:
        text = f"{name} is not in index.json: nothing vouches for it"
        report.say("problem", "not in the index", name, text)


def _check_latest(path: Path, run: Run | None, report: Report) -> None:
    latest = path / "latest.safetensors"
    if not latest.exists():
        return
    damage = file_damage(latest, None)
    if damage is None and consistent(latest) is None:
        damage = "altered", "does not hold what its own checksums state"
    if damage:
        kind, text = damage
        report.say("problem", kind, latest.name, f"{latest.name}, from which resume continues, {text}")
    elif run is not None:
        try:
            read_latest(run)
        except RunError as error:
            report.say("problem", "altered", latest.name, str(error))


def table_damage(path: Path) -> list[tuple[str, str]]:
    """Kept tables of a run that are not what was measured."""
    out = []
    for file in _tables(path):
        try:
            read_table(file)
        except RunError as error:
            name = f"measures/{file.name}"
            out.append((name, f"{name} is not used and is measured anew: {error.__cause__ or error}"))
    return out


def unsealed_tables(path: Path) -> list[str]:
    """Kept tables that state no checksum, as those of earlier versions: nothing is known to be wrong with them."""
    return [f"measures/{file.name}" for file in _tables(path, sealed=False)]


def _tables(path: Path, *, sealed: bool = True) -> list[Path]:
    """Kept tables with a checksum, or without; one that cannot be read counts as one with."""

    def has_seal(file: Path) -> bool:
        try:
            return is_sealed(read_whole(file))
        except (OSError, ValueError):
            return True

    return [file for file in sorted((path / "measures").glob("*.parquet")) if has_seal(file) == sealed]


def note_leftovers(path: Path, report: Report) -> None:
    """Note what killed processes left; only where no trainer is at work, whose it may be."""
    for file in leftovers(path):
        name = file.relative_to(path).as_posix()
        text = f"{name} was left by a process that was killed; resume and `--repair` remove it"
        report.say("note", "leftover", name, text)
    for file in sorted(path.rglob(f".*{REPAIRING_SUFFIX}")):
        name = file.relative_to(path).as_posix()
        text = f"{name} is of a repair that was stopped: run `interp verify --repair {path}` again"
        report.say("note", "leftover", name, text)


def _note_links(path: Path, report: Report) -> None:
    for name in FOLDERS:
        folder = path / name
        if folder.is_symlink() and not folder.resolve().is_relative_to(path.resolve()):
            text = f"{name} is a link to {folder.resolve()}, outside the run: nothing is written or deleted there"
            report.say("note", "link", name, text)


def _note_unprotected(run: Run, report: Report) -> None:
    names = ["history.parquet", "recorded.parquet", "latest.safetensors"]
    if run.config.task is not None and run.config.task.split == "explicit":
        names.append("task.safetensors")
    if "config_checksum" not in (run.record.source or {}):
        names.append("huggingface/config.json")
    silent = [name for name in names if _states_nothing(run.path / name)]
    if not run.states_checksum:
        silent.insert(0, "run.json")
    if silent:
        text = f"{listed(silent)} state no checksum of their own, as in runs of earlier versions"
        text = f"{text}: a change in them would not be seen"
        report.say("note", "unprotected", ", ".join(silent), text)


def _states_nothing(file: Path) -> bool:
    try:
        return not is_sealed(read_whole(file))
    # Not there, or not readable or damaged, which is said elsewhere.
    except (OSError, ValueError):
        return False

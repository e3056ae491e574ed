"""Which folders of a source are checkpoints of Hugging Face, of which step each is, and the weights in it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from interp.ground.plain_text import listed
from interp.networks.config import Weights
from interp.sources.files import reading, steps
from interp.sources.files.errors import SourceError
from interp.sources.files.places import shards
from interp.sources.files.steps import Position
from interp.sources.files.tensors import check_tensors

_SINGLE = ("model.safetensors", "pytorch_model.bin")


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder is one checkpoint of Hugging Face: a config.json with an architecture, and weights."""
    file = folder / "config.json"
    if not file.is_file():
        return False
    try:
        config = reading.read_json(file)
    except SourceError:
        return False
    return isinstance(config, dict) and isinstance(config.get("model_type"), str) and has_weights(folder)


def has_weights(folder: Path) -> bool:
    """Whether a folder holds the weights of a checkpoint, in one file or in shards."""
    return any((folder / name).is_file() for name in _SINGLE) or any(folder.glob("*.index.json"))


def find_series(source: Path) -> dict[Position, Path] | None:
    """The checkpoint folders of a series by position, ascending, or None where the source is none.

    Raises:
        SourceError: if two folders claim one step, or the units differ.
    """
    return series_and_notes(source)[0]


def series_and_notes(
    source: Path, only: Collection[str] | None = None
) -> tuple[dict[Position, Path] | None, list[str]]:
    """The series, and what was left out or assumed to find it.

    Args:
        only: names of the folders or revisions that are meant; all without.
    """
    if not source.is_dir():
        return None, []
    assumed = "{} does not say of which step it is: it becomes step 0."
    candidates = list(_revisions(source)) or [(f.name, f) for f in source.iterdir() if f.is_dir()]
    if only is not None:
        candidates = [(name, folder) for name, folder in candidates if name in only]
    named = [(name, folder) for name, folder in candidates if is_checkpoint(folder)]
    holes = sorted((name for name, folder in candidates if _is_hole(folder, name)), key=steps.natural)
    found: dict[Position, Path] = {}
    for name, folder in sorted(named, key=lambda pair: steps.natural(pair[0])):
        position = _position(folder, name)
        if position is None:
            continue  # "main", "final": a copy of a step that has a name of its own
        if position in found:
            raise SourceError(
                f"{folder} and {found[position]} both say that they are of {position.unit} {position.step}. Move one "
                "of them away."
            )
        found[position] = folder
    itself = is_checkpoint(source)
    if itself and not found:
        position = _position(source, source.name)
        return {position or Position(0, "step"): source}, [] if position else [assumed.format(source)]
    if not found and len(named) == 1:
        return {Position(0, "step"): named[0][1]}, [assumed.format(named[0][1])]
    if named and not found:
        raise SourceError(
            f"{source} holds {len(named)} checkpoints, none of which says its step: "
            f"{', '.join(sorted(name for name, _ in named)[:4])}. Rename them to checkpoint-<step>."
        )
    if len({position.unit for position in found}) > 1:
        raise SourceError(
            f"{source} holds checkpoints whose numbers count different things. Import them apart."
        )
    notes = (
        [f"The weights in {source} itself are left out: its folders are the checkpoints."] if itself else []
    )
    if holes and found:
        notes.append(f"The series in {source} has holes, folders without weights: {listed(holes)}.")
    return dict(sorted(found.items())) or None, notes


def _is_hole(folder: Path, name: str) -> bool:
    """Whether a folder is named as a step and says of which network it is, and its weights are missing."""
    return (
        steps.from_name(name) is not None and (folder / "config.json").is_file() and not has_weights(folder)
    )


def _revisions(source: Path) -> Iterator[tuple[str, Path]]:
    """Names and snapshots in the hub's cache of a repository."""
    refs, snapshots = source / "refs", source / "snapshots"
    if not (refs.is_dir() and snapshots.is_dir()):
        return
    for file in sorted(refs.rglob("*")):
        if file.is_file() and file.stat().st_size < 200:
            commit = file.read_text("utf-8", errors="replace").strip()
            if commit.isalnum() and (snapshots / commit).is_dir():
                yield file.relative_to(refs).as_posix(), snapshots / commit


def _position(folder: Path, name: str) -> Position | None:
    state = folder / "trainer_state.json"
    if state.is_file():
        content = reading.read_json(state)
        if isinstance(content, Mapping) and (position := steps.from_content(content)):
            return position
    return steps.from_name(name)


def weight_files(folder: Path) -> list[Path]:
    """The file or the shards of one checkpoint.

    Raises:
        SourceError: if a shard that the index names is not there.
    """
    for name in _SINGLE:
        if (folder / name).is_file():
            return [folder / name]
    return shards(folder)


def read_weights(folder: Path) -> Weights:
    """All tensors of one checkpoint, under the names and in the dtype of its files.

    Raises:
        SourceError: if a file is damaged, needs more than tensors, or two shards hold the same name.
    """
    return read_files(weight_files(folder))


def read_files(files: Iterable[Path]) -> Weights:
    """All tensors of the file or the shards of one checkpoint; errors as `read_weights`."""
    weights: Weights = {}
    for file in files:
        content = reading.read(file)
        tensors = content.get("tensors", content) if isinstance(content, Mapping) else {}
        check_tensors(tensors, file, str(file))
        if twice := weights.keys() & tensors.keys():
            raise SourceError(f"{file} holds {sorted(twice)[0]}, which another shard holds too.")
        weights |= tensors
    return weights

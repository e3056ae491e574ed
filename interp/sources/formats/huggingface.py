"""Series of Hugging Face checkpoints: folders of a Trainer, revisions on disk, the hub's cache, the hub itself.

    checkpoint-500/, checkpoint-1000/, ...       a folder a step, each with config.json and weights
    models--org--name/ with refs/ and snapshots/ the hub's cache: refs/step1000 names the snapshot of that revision
    hf://org/name@step0,step1000                 downloaded into the hub's cache first; without @ all step revisions

Weights keep the names and the dtype of Hugging Face. A checkpoint in one safetensors file is linked, not copied, where
the file system can: a series of any size costs its index only, and a source that is changed or moved later is found
out by its checksums. Shards and .bin files are rewritten as safetensors, one checkpoint in memory at a time.
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.ground.progress_bar import counted
from interp.ground.whole_files import write_bytes, write_json
from interp.networks.config import Weights
from interp.runs.record import RunRecord
from interp.runs.run import Run
from interp.runs.saving import write_index
from interp.runs.tensor_files import file_checksum, safetensors_bytes, tensor_checksum
from interp.sources.files import reading, steps
from interp.sources.files.reading import SourceError, SourceWarning
from interp.sources.files.states import Place
from interp.sources.files.steps import Position
from interp.sources.opened import NO_CONFIG, OpenedRun

if TYPE_CHECKING:
    import pandas as pd

_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
_SINGLE = ("model.safetensors", "pytorch_model.bin")
_PASSING = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache", "auto_map")
_PATTERNS = ["config.json", "*.safetensors", "*.safetensors.index.json", "pytorch_model*", *_TOKENIZER]


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder is one checkpoint of Hugging Face: a config.json with an architecture, and weights."""
    file = folder / "config.json"
    if not file.is_file():
        return False
    try:
        config = reading.read_json(file)
    except SourceError:
        return False
    has_weights = any((folder / name).is_file() for name in _SINGLE) or any(folder.glob("*.index.json"))
    return isinstance(config, dict) and isinstance(config.get("model_type"), str) and has_weights


def find_series(source: Path) -> dict[Position, Path] | None:
    """The checkpoint folders of a series by position, ascending, or None where the source is none.

    Raises:
        SourceError: if two folders claim one step, or the units differ.
    """
    return _series_and_notes(source)[0]


def _series_and_notes(source: Path) -> tuple[dict[Position, Path] | None, list[str]]:
    """The series, and what was left out or assumed to find it."""
    if not source.is_dir():
        return None, []
    assumed = "{} does not say of which step it is: it becomes step 0."
    candidates = list(_revisions(source)) or [(f.name, f) for f in source.iterdir() if f.is_dir()]
    named = [(name, folder) for name, folder in candidates if is_checkpoint(folder)]
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
    return dict(sorted(found.items())) or None, notes


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
    index = sorted(folder.glob("*.index.json"))[0]
    content = reading.read_json(index)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not names or not all(isinstance(n, str) for n in names.values()):
        raise SourceError(f"{index} is no index of shards: it has no weight_map of names to files.")
    for name in names.values():
        if Path(name).name != name or not (folder / name).is_file():
            raise SourceError(f"{index} names the shard {name!r}, which is not a file in its folder.")
    return [folder / name for name in sorted(set(names.values()))]


def read_weights(folder: Path) -> Weights:
    """All tensors of one checkpoint, under the names and in the dtype of its files.

    Raises:
        SourceError: if a file is damaged, needs more than tensors, or two shards hold the same name.
    """
    return _read_files(weight_files(folder))


def _read_files(files: Iterable[Path]) -> Weights:
    weights: Weights = {}
    for file in files:
        content = reading.read(file)
        tensors = content.get("tensors", content) if isinstance(content, Mapping) else {}
        reading.check_tensors(tensors, file, str(file))
        if twice := weights.keys() & tensors.keys():
            raise SourceError(f"{file} holds {sorted(twice)[0]}, which another shard holds too.")
        weights |= tensors
    return weights


def open_series(source: Path) -> OpenedRun | None:
    """A series of Hugging Face checkpoints as a run, in place; None where the source is none.

    Its config is empty (there is no modular task, and no `ModelConfig` describes the network), its `run.model(step)` a
    `TransformerBridge`. What the Trainer logged is in `run.recorded()`: a loss there is the mean since the line before,
    not that of a checkpoint.

    Raises:
        SourceError: if two folders claim one step, a shard is missing, or the checkpoints are of different networks.
    """
    series, notes = _series_and_notes(source)
    if series is None:
        return None
    for note in notes:
        warnings.warn(note, SourceWarning, stacklevel=3)
    first = next(iter(series.values()))
    described = _described(first)
    places = {}
    for position, folder in counted(series.items(), len(series), f"look into {source.name}"):
        if (ours := _described(folder)) != described:
            field = next(k for k in sorted({*described, *ours}) if described.get(k) != ours.get(k))
            raise SourceError(
                f"{folder} is another network than {first}: {field} is {ours.get(field)!r} instead of "
                f"{described.get(field)!r}. Different networks are different runs: import them one by one."
            )
        places[position.step] = Place(tuple(weight_files(folder)), folder.name).found(str(folder))
    about = {
        "format": "huggingface",
        "path": str(source),
        "task": {"none": "a language model has no task on residues"},
        "folders": {str(p.step): folder.relative_to(source).as_posix() for p, folder in series.items()},
    }
    record = RunRecord(status="opened in place", unit=next(iter(series)).unit, source=about)
    run = OpenedRun(source, record, NO_CONFIG, places, _read_unchanged, first)
    run.describe(None, None, _logged(list(series.values())))
    return run


def _read_unchanged(place: Place) -> Weights:
    place.check()
    return _read_files(place.files)


def save_series(opened: OpenedRun, run: Run) -> None:
    """Give a new run the checkpoints of a series, linked where a file can be used as it is, and its config."""
    for step, place in counted(opened.places.items(), len(opened.places), f"import {opened.name}"):
        run.index[step] = _save(run.path, step, place)
    write_index(run)
    assert opened.huggingface is not None
    fields = {
        k: v for k, v in reading.read_json(opened.huggingface / "config.json").items() if k != "auto_map"
    }
    write_json(run.path / "huggingface" / "config.json", fields)
    for name in _TOKENIZER:
        if (opened.huggingface / name).is_file():
            write_bytes(run.path / "huggingface" / name, (opened.huggingface / name).read_bytes())


def _described(folder: Path) -> dict[str, Any]:
    """What config.json says of the network."""
    return {k: v for k, v in reading.read_json(folder / "config.json").items() if k not in _PASSING}


def _save(path: Path, step: int, place: Place) -> dict[str, Any]:
    weights = _read_unchanged(place)
    file = path / "steps" / f"{step:010d}.safetensors"
    file.parent.mkdir(exist_ok=True)
    (origin, *others) = place.files
    if others or reading.kind_of(origin) != "safetensors":  # whatever its name
        write_bytes(file, safetensors_bytes({k: t.clone() for k, t in weights.items()}, step))
    else:
        _link(origin.resolve(), file)
    return {
        "file": file.relative_to(path).as_posix(),
        "checksum": file_checksum(file),
        "tensors": {name: tensor_checksum(t) for name, t in weights.items()},
    }


def _link(origin: Path, file: Path) -> None:
    try:
        os.symlink(origin, file)
    except OSError:  # Windows asks for a privilege
        write_bytes(file, origin.read_bytes())


def _logged(folders: list[Path]) -> "pd.DataFrame | None":
    """Numbers that the Trainer logged, by step, from the last checkpoint, whose log holds those before it."""
    import pandas as pd

    file = folders[-1] / "trainer_state.json"
    content = reading.read_json(file) if file.is_file() else {}
    lines = content.get("log_history") if isinstance(content, dict) else None
    rows: dict[int, dict[str, float]] = {}
    for line in lines if isinstance(lines, list) else []:
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            numbers = {
                k: v for k, v in line.items() if isinstance(v, int | float) and not isinstance(v, bool)
            }
            rows.setdefault(line["step"], {}).update(numbers)
    if not rows:
        return None
    table = pd.DataFrame([rows[step] for step in sorted(rows)])
    return table[["step", *sorted(set(table.columns) - {"step"})]]


def download(name: str, cache: Path | None = None) -> Path:
    """The hub's cache of a repository with its step revisions, downloaded where it is not there yet.

    Args:
        name: "org/name", or "org/name@step0,step1000" for some revisions only. All 154 of a Pythia model are hundreds
            of gigabytes for the larger ones.
        cache: the hub's cache; its default place without.

    Raises:
        SourceError: if the hub cannot be reached, or the repository or a revision is not there.
    """
    import huggingface_hub

    repository, _, chosen = _hub_name(name).partition("@")
    revisions: Iterable[str] = [part.strip() for part in chosen.split(",") if part.strip()]
    try:
        if not revisions:
            branches = [ref.name for ref in huggingface_hub.list_repo_refs(repository).branches]
            revisions = sorted((b for b in branches if steps.from_name(b)), key=steps.natural)
        if not revisions:
            raise SourceError(
                f"{repository} has no revisions named after steps on the hub; name some: {repository}@main."
            )
        folder = ""
        for revision in revisions:
            folder = huggingface_hub.snapshot_download(
                repository, revision=revision, allow_patterns=_PATTERNS, cache_dir=cache
            )
    except (OSError, ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
        if isinstance(error, SourceError):
            raise
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SourceError(
            f"{repository} cannot be had from the hub: {first} Without a network, name a folder on disk."
        ) from error
    return Path(folder).parent.parent


def is_hub_name(source: str) -> bool:
    """Whether a source is written as a repository of the hub.

    >>> is_hub_name("hf://EleutherAI/pythia-14m@step0"), is_hub_name("runs/mine")
    (True, False)
    """
    return source.startswith("hf:")


def _hub_name(source: str) -> str:
    # A path made of hf://org/name has one slash less, or backslashes.
    return source.removeprefix("hf:").replace("\\", "/").lstrip("/")

"""A series on the hub as a run, in place: a step's weights are downloaded when they are asked for, one at a time.

What the hub says of each revision (its commit) is known without its weights, so that what was measured is found again
without a download. With `drop_downloads` the weights of a step are deleted once it was measured: of a series of any
length the disk then holds one checkpoint. They are downloaded into a folder of this process, so that nothing in the
hub's cache is deleted; weights that lie there already are read from it.
"""

import warnings
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from interp.ground.plain_text import listed, number_of, shown
from interp.runs.record import RunRecord
from interp.sources.files import steps
from interp.sources.files.places import Place
from interp.sources.files.reading import SourceError, SourceWarning
from interp.sources.files.steps import Position
from interp.sources.formats.huggingface.folders import has_weights, weight_files
from interp.sources.formats.huggingface.hub import (
    LOOSE,
    SAFE,
    TOKENIZER,
    cache_folder,
    hub_errors,
    is_hub_name,
    repository_and_revisions,
    warn_if_relabelled,
)
from interp.sources.formats.huggingface.opened_series import described, open_series, read_unchanged
from interp.sources.formats.huggingface.own_folder import OwnFolder, remove_abandoned
from interp.sources.opened import NO_CONFIG, OpenedRun

_HEX = set("0123456789abcdef")


@dataclass(frozen=True)
class Revision:
    """A revision of a repository: the name that states its step, and the commit, which stands for its content."""

    name: str
    commit: str


class HubRun(OpenedRun):
    """A run whose checkpoints are revisions on the hub. Get one from `interp.open_run("hf://org/name")`.

    Attributes:
        repository: "org/name".
        revisions: by step, ascending.
        drop_downloads: whether weights are downloaded beside the hub's cache, and deleted by `release`.
    """

    def __init__(
        self,
        repository: str,
        revisions: Mapping[int, Revision],
        record: RunRecord,
        cache: Path | None,
        drop_downloads: bool,
    ):
        self.repository, self.revisions = repository, dict(sorted(revisions.items()))
        self.drop_downloads, self._cache = drop_downloads, cache
        self._own: OwnFolder | None = None
        super().__init__(cache_folder(repository, cache), record, NO_CONFIG, {}, read_unchanged)

    @cached_property
    def index(self) -> MutableMapping[int, dict[str, Any]]:
        """By step the commit, which is another one if anything in the revision changes; nothing is downloaded."""
        return {step: {"checksum": r.commit, "tensors": {}} for step, r in self.revisions.items()}

    @cached_property
    def first(self) -> Path:
        """The folder of the first revision, with its config.json and tokenizer and, perhaps, its weights."""
        revision = next(iter(self.revisions.values()))
        folder = self._fetched(revision, ["config.json", *TOKENIZER], self._cache)
        if not (folder / "config.json").is_file():
            raise SourceError(
                f"{self.repository} at revision {revision.name} has no config.json on the hub: it is no model of "
                "Hugging Face's transformers."
            )
        return folder

    @property
    def huggingface(self) -> Path | None:
        return self.first

    def place(self, step: int) -> Place:
        """Where the weights of a step lie, downloaded where they are not there yet.

        Raises:
            RunError: if there is no such step, it cannot be had, has no weights, or is of another network.
        """
        self._check_saved(step)
        revision, where = self.revisions[step], f"{self.repository} at revision {self.revisions[step].name}"
        first = described(self.first)
        folder = self._with_weights(revision)
        if not has_weights(folder):
            raise SourceError(
                f"{where} holds no weights on the hub: the series has a hole at {self.unit} {step}. Leave it out "
                "(--steps, or name the revisions that are meant behind an @); interp measure goes on past it with "
                "--keep-going, as interp analyse language_model does, interp.measure with on_error='skip'."
            )
        files = tuple(weight_files(folder))
        if (ours := described(folder)) != first:
            field = next(k for k in sorted({*first, *ours}) if first.get(k) != ours.get(k))
            raise SourceError(
                f"{where} is another network than the first: {field} is {shown(ours.get(field))} instead of "
                f"{shown(first.get(field))}. Different networks are different runs: name the revisions of one."
            )
        return Place(files, revision.name).found(where)

    def release(self) -> None:
        """Delete what was downloaded to be dropped; nothing of it lies in the hub's cache."""
        if self._own is not None:
            self._own.remove()
            self._own = None

    def __getstate__(self) -> dict[str, Any]:
        # Another process has a folder of its own, and deletes no other's.
        return {**self.__dict__, "_own": None}

    def _with_weights(self, revision: Revision) -> Path:
        """The folder of a revision with its weights, if it has any; of the hub's cache where they lie there."""
        cached = self.path / "snapshots" / revision.commit
        if not self.drop_downloads:
            place = self._cache
        elif _is_whole(cached):
            return cached
        else:
            place = self._own_folder()
        for patterns in (SAFE, LOOSE):
            folder = self._fetched(revision, ["config.json", *patterns], place)
            if _is_whole(folder):
                break
        return folder

    def _own_folder(self) -> Path:
        """A folder of this process alone, on the disk of the hub's cache; those of dead processes are removed first."""
        from huggingface_hub import constants

        if self._own is None:
            root = Path(self._cache or constants.HF_HUB_CACHE)
            remove_abandoned(root)
            self._own = OwnFolder(root)
        return self._own.path

    def _fetched(self, revision: Revision, patterns: list[str], cache: Path | None) -> Path:
        import huggingface_hub

        with hub_errors(self.repository):
            folder = Path(
                huggingface_hub.snapshot_download(
                    self.repository, revision=revision.name, allow_patterns=patterns, cache_dir=cache
                )
            )
        if folder.name != revision.commit:
            # Else tables of the new weights would be kept as those of the old ones.
            raise SourceError(
                f"{self.repository} at revision {revision.name} was changed on the hub since it was opened: it is "
                f"commit {shown(folder.name)} now, and was {revision.commit}. Open it again."
            )
        return folder


def _is_whole(folder: Path) -> bool:
    """Whether all weights of a checkpoint are there, each shard that its index names."""
    try:
        return has_weights(folder) and all(file.is_file() for file in weight_files(folder))
    except SourceError:
        return False


def open_on_hub(name: str, drop_downloads: bool, cache: Path | None = None) -> OpenedRun | None:
    """The run of a repository of the hub; None where the name is none. Of weights nothing is downloaded yet.

    Without a network what the hub's cache holds is opened, if it holds all that is asked for.

    Args:
        name: as `interp.sources.formats.huggingface.hub.download`.

    Raises:
        SourceError: if the hub cannot be reached, or the repository or a revision is not there.
    """
    if not is_hub_name(name):
        return None
    import huggingface_hub

    repository, asked = repository_and_revisions(name)
    try:
        with hub_errors(repository or name):
            refs = huggingface_hub.list_repo_refs(repository)
    except SourceError:
        if (run := _in_cache(cache_folder(repository, cache), asked)) is None:
            raise
        warnings.warn(
            f"{repository} cannot be reached on the hub: what lies in its cache is opened, "
            f"{number_of(len(run.steps), 'checkpoint')} in {run.path}.",
            SourceWarning,
            stacklevel=3,
        )
        return run
    commits = {ref.name: ref.target_commit for ref in [*refs.branches, *getattr(refs, "tags", [])]}
    named = asked or sorted((n for n in commits if steps.from_name(n)), key=steps.natural)
    if not named:
        raise SourceError(
            f"{repository} has no revisions named after steps on the hub; name some: {repository}@main."
        )
    revisions: dict[Position, Revision] = {}
    for revision in named:
        position = steps.from_name(revision)
        commit = commits.get(revision, revision if len(revision) == 40 and set(revision) <= _HEX else None)
        if commit is None:
            raise SourceError(_no_revision(repository, revision, list(commits)))
        if position is None:
            if len(named) > 1:
                raise SourceError(
                    f"{repository} at revision {revision} does not say of which step it is. Name revisions like "
                    "step1000, or it alone."
                )
            warnings.warn(
                f"{repository} at revision {revision} does not say of which step it is: it becomes step 0.",
                SourceWarning,
                stacklevel=3,
            )
            position = Position(0, "step")
        if position in revisions:
            raise SourceError(
                f"{repository} has two revisions of {position.unit} {position.step}, {revisions[position].name} and "
                f"{revision}. Name one of them."
            )
        revisions[position] = Revision(revision, commit)
    if len(units := {position.unit for position in revisions}) > 1:
        raise SourceError(
            f"{repository} has revisions that count different things, {listed(sorted(units))}. Name those of one kind."
        )
    about = {
        "format": "huggingface",
        "path": f"hf://{repository}",
        "task": {"none": "a language model has no task on residues"},
        "revisions": {str(p.step): r.name for p, r in sorted(revisions.items())},
    }
    warn_if_relabelled(repository)
    record = RunRecord(status="opened in place", unit=next(iter(revisions)).unit, source=about)
    return HubRun(repository, {p.step: r for p, r in revisions.items()}, record, cache, drop_downloads)


def _in_cache(folder: Path, asked: list[str]) -> OpenedRun | None:
    """The series in the hub's cache; None where it lacks a revision that is asked for."""
    if not folder.is_dir():
        return None
    try:
        run = open_series(folder, only=asked or None)
    except SourceError:
        return None
    return None if run is None or (asked and len(run.steps) < len(asked)) else run


def _no_revision(repository: str, asked: str, there: list[str]) -> str:
    position = steps.from_name(asked)
    of_steps = {found.step: name for name in there if (found := steps.from_name(name))}
    if position is None or not of_steps:
        near = ", ".join(sorted(there, key=steps.natural)[:6]) or "none"
        return f"{repository} has no revision {asked} on the hub. There are: {near}."
    nearest = sorted(sorted(of_steps, key=lambda s: abs(s - position.step))[:2])
    return (
        f"{repository} has no revision {asked} on the hub: that step was not saved. The nearest of its "
        f"{len(of_steps)} are {' and '.join(of_steps[s] for s in nearest)}."
    )

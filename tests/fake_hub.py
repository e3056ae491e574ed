"""A hub of Hugging Face in folders: what `huggingface_hub` is asked for is copied into a cache like its own."""

import fnmatch
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import huggingface_hub
import xxhash
from huggingface_hub import constants


@dataclass
class FakeHub:
    """A repository whose revisions are folders; and the cache that it fills.

    Attributes:
        repository: the only one that there is.
        folders: by the name of a revision.
        asked: (revision, patterns) of each download.
        largest: bytes of weights that the cache held at most, looked at after each download.
        is_down: whether it answers nothing.
    """

    folders: dict[str, Path]
    cache: Path
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    largest: int = 0
    is_down: bool = False
    repository: str = "org/tiny"

    def install(self, monkeypatch) -> "FakeHub":
        monkeypatch.setattr(huggingface_hub, "list_repo_refs", self.refs)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", self.download)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(self.cache))
        return self

    @property
    def place(self) -> Path:
        return self.cache / f"models--{self.repository.replace('/', '--')}"

    def refs(self, repository):
        self._answer(repository)
        branches = [
            type("Ref", (), {"name": name, "target_commit": commit(folder)})()
            for name, folder in self.folders.items()
        ]
        return type("Refs", (), {"branches": branches, "tags": []})()

    def download(self, repository, *, revision, allow_patterns, cache_dir=None):
        self._answer(repository)
        self.asked.append((revision, tuple(allow_patterns)))
        source, place = self.folders[revision], Path(cache_dir or self.cache) / self.place.name
        snapshot = place / "snapshots" / commit(source)
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            name = file.relative_to(source).as_posix()
            # As the hub's own: a star is any path.
            if any(fnmatch.fnmatch(name, pattern) for pattern in allow_patterns):
                self._link(file, snapshot / name, place / "blobs")
        snapshot.mkdir(parents=True, exist_ok=True)
        (place / "refs").mkdir(exist_ok=True)
        (place / "refs" / revision).write_text(snapshot.name)
        self.largest = max(self.largest, self.weights_on_disk())
        return str(snapshot)

    def weights_on_disk(self) -> int:
        """Bytes of blobs that are as large as weights, in the cache and in folders of processes."""
        sizes = [f.stat().st_size for f in self.cache.rglob("blobs/*")] if self.cache.is_dir() else []
        return sum(size for size in sizes if size > 4000)

    def _link(self, file: Path, target: Path, blobs: Path) -> None:
        blob = blobs / xxhash.xxh3_128(file.read_bytes()).hexdigest()
        for folder in (blob.parent, target.parent):
            folder.mkdir(parents=True, exist_ok=True)
        if not blob.exists():
            shutil.copy(file, blob)
        if not target.is_symlink():
            target.symlink_to(blob)

    def _answer(self, repository):
        if self.is_down:
            raise ConnectionError("We couldn't connect to 'https://huggingface.co'.\nCheck your connection.")
        if repository != self.repository:
            raise ValueError(f"401 Client Error: Repository Not Found for {repository}.")


def commit(folder: Path) -> str:
    """40 hex digits that change with the content of a folder."""
    files = sorted(p for p in folder.iterdir() if p.is_file())
    return xxhash.xxh3_128(b"".join(f.read_bytes() for f in files)).hexdigest() + "0" * 8

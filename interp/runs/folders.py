"""Folders with runs in them."""

from pathlib import Path


def runs_below(folder: Path) -> list[Path]:
    """Runs one or two folders below, as a sweep has them; none of a run itself, or of a file."""
    if not folder.is_dir() or (folder / "run.json").exists():
        return []
    return sorted(file.parent for pattern in ("*/run.json", "*/*/run.json") for file in folder.glob(pattern))

"""The checkpoints of a series in a new run: linked where a file can be used as it is, rewritten where not."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from interp.ground.progress_bar import counted
from interp.ground.whole_files import write_bytes, write_json
from interp.networks.huggingface_config import network_fields
from interp.runs.run import Run
from interp.runs.saving import update_record, write_index
from interp.runs.tensor_files import check_weight_names, file_checksum, safetensors_bytes, tensor_checksum
from interp.sources.files import reading
from interp.sources.files.places import Place
from interp.sources.formats.huggingface.hub import TOKENIZER
from interp.sources.formats.huggingface.opened_series import read_unchanged
from interp.sources.opened import OpenedRun


def save_series(opened: OpenedRun, run: Run) -> None:
    """Give a new run the checkpoints of a series, linked where a file can be used as it is, and its config."""
    for step, place in counted(opened.places.items(), len(opened.places), f"import {opened.name}"):
        run.index[step] = _save(run.path, step, place)
    write_index(run)
    assert opened.huggingface is not None
    fields = network_fields(opened.huggingface / "config.json")
    config = run.path / "huggingface" / "config.json"
    write_json(config, fields)
    source = {**(run.record.source or {}), "config_checksum": file_checksum(config)}
    update_record(run, replace(run.record, source=source))
    for name in TOKENIZER:
        if (opened.huggingface / name).is_file():
            write_bytes(run.path / "huggingface" / name, (opened.huggingface / name).read_bytes())


def _save(path: Path, step: int, place: Place) -> dict[str, Any]:
    weights = read_unchanged(place)
    check_weight_names(weights, place.where)
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

"""What is no file on a disk is not waited for, and a hole of a terabyte is not read: each a sentence at once."""

import os
import sys

import pytest

from interp.checks.of_run import verify_run
from interp.ground import whole_reading
from interp.ground.whole_reading import check_regular, read_whole
from interp.runs.run import open_run
from interp.runs.saving import read_latest
from interp.runs.tensor_files import RunError
from interp.sources import SourceError
from interp.sources.files import reading

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders there")

NO_FILE = "A pipe, socket or device lies where a file is needed: move it away"


def pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def test_files_are_read_and_others_named(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    assert (read_whole(file), check_regular(file)) == (b"abc", 3)
    for path in (pipe(tmp_path / "pipe"), tmp_path / "zeros"):
        if path.name == "zeros":
            path.symlink_to("/dev/zero")
        with pytest.raises(OSError, match=NO_FILE) as caught:
            read_whole(path)
        assert caught.value.filename == str(path)
    with pytest.raises(IsADirectoryError):
        read_whole(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_whole(tmp_path / "nowhere")
    monkeypatch.setattr(whole_reading, "machine_memory", lambda: 2)
    with pytest.raises(OSError, match="The file has 3 bytes, more than fit into memory"):
        read_whole(file)


def test_memory_that_is_not_given_is_a_sentence(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_bytes(b"abc")

    def none_left(path):
        raise MemoryError

    monkeypatch.setattr(type(file), "read_bytes", none_left)
    with pytest.raises(OSError, match="The file has 3 bytes, more than fit into memory"):
        read_whole(file)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("run.json", lambda run: open_run(run.path)),
        ("index.json", lambda run: open_run(run.path).steps),
        ("history.parquet", lambda run: open_run(run.path).history()),
        ("task.safetensors", lambda run: open_run(run.path).task),
        ("latest.safetensors", read_latest),
        ("steps/0000000100.safetensors", lambda run: open_run(run.path).step_weights(100)),
        ("steps/0000000100.safetensors", lambda run: open_run(run.path).tensor(100, "embed.W_E")),
    ],
)
def test_a_pipe_in_place_of_a_file_of_a_run(tiny_run_copy, name, read):
    pipe(tiny_run_copy.path / name)
    with pytest.raises(RunError, match=rf"{name.split('.')[0]}.*{NO_FILE}|{name} is no|holds no {name}"):
        read(tiny_run_copy)


@pytest.mark.parametrize(
    "name",
    [
        "run.json",
        "index.json",
        "history.parquet",
        "task.safetensors",
        "latest.safetensors",
        "steps/0000000100.safetensors",
    ],
)
def test_verify_does_not_wait_for_a_pipe(tiny_run_copy, name):
    pipe(tiny_run_copy.path / name)
    assert any(name in f"{f.where} {f.message}" for f in verify_run(tiny_run_copy.path, losses=0).problems)


def test_pipes_in_place_of_what_is_derived_are_found_and_made_anew(tiny_run_copy):
    whole = tiny_run_copy.weights("W_E").copy()
    for ending in ("npy", "json"):
        pipe(tiny_run_copy.path / "packed" / f"embed.W_E.{ending}")
        verify_run(tiny_run_copy.path, losses=0)
        assert (open_run(tiny_run_copy.path).weights("W_E") == whole).all()


def test_a_pipe_is_no_checkpoint_and_no_json(tmp_path):
    with pytest.raises(SourceError, match=NO_FILE):
        reading.kind_of(pipe(tmp_path / "a.pt"))
    with pytest.raises(SourceError, match=NO_FILE):
        reading.read_json(pipe(tmp_path / "config.json"))


def test_a_checkpoint_longer_than_its_header_says_is_not_read_to_its_end(tiny_run_copy):
    file = tiny_run_copy.path / "steps" / "0000000100.safetensors"
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.truncate(2**40)
    found = [f.message for f in verify_run(tiny_run_copy.path, losses=0).findings]
    assert any(f"has {2**40} bytes where its header says {size}" in message for message in found), found


@pytest.mark.parametrize("name", ["latest.safetensors", "steps/0000000100.safetensors", "task.safetensors"])
def test_a_pipe_is_a_finding(tiny_run_copy, name):
    pipe(tiny_run_copy.path / name)
    assert any(name in f"{f.where} {f.message}" for f in verify_run(tiny_run_copy.path, losses=0).findings)

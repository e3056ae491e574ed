"""Files that are whole or not there, with a disk that really refuses."""

import os
import subprocess
import sys

import pytest

from interp.ground import whole_files


def files(directory):
    return sorted(path.name for path in directory.iterdir())


def test_replaces_a_file_and_makes_its_directory(tmp_path):
    path = tmp_path / "a" / "b.bin"
    for data in (b"one", b"", b"three" * 1000):
        whole_files.write_bytes(path, data)
        assert path.read_bytes() == data
    assert files(path.parent) == ["b.bin"]
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o644


def test_json_round_trip_and_refusal_of_nan(tmp_path):
    path = tmp_path / "x.json"
    whole_files.write_json(path, {"b": [1, 2.5, None], "a": "é"})
    before = path.read_bytes()
    assert before.endswith(b"}\n")
    with pytest.raises(ValueError, match="Out of range float"):
        whole_files.write_json(path, {"loss": float("nan")})
    assert path.read_bytes() == before
    assert files(tmp_path) == ["x.json"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on file sizes")
def test_full_disk_leaves_the_former_file_and_no_litter(tmp_path):
    path = tmp_path / "weights.bin"
    whole_files.write_bytes(path, b"old" * 100)
    script = (
        "import resource, sys; from interp.ground.whole_files import write_bytes;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000));"
        "write_bytes(sys.argv[1], b'new' * 10_000)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"Writing {path} failed: File too large. What was there before is untouched." in done.stderr
    assert "Free some space (or check the permissions) and run the command again" in done.stderr
    assert path.read_bytes() == b"old" * 100
    assert files(tmp_path) == ["weights.bin"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_device_without_space(tmp_path, monkeypatch):
    # /dev/full refuses every byte with ENOSPC, as a full disk does at the end of a write.
    path = tmp_path / "weights.bin"
    whole_files.write_bytes(path, b"old")
    fdopen = os.fdopen

    def full(descriptor, mode):
        os.dup2(os.open("/dev/full", os.O_WRONLY), descriptor)
        return fdopen(descriptor, mode)

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(OSError, match=r"Writing .*weights.bin failed: No space left on device"):
        whole_files.write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert files(tmp_path) == ["weights.bin"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_interruption_at_any_point_leaves_the_former_file(tmp_path, monkeypatch, step):
    path = tmp_path / "weights.bin"
    whole_files.write_bytes(path, b"old")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        whole_files.write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert files(tmp_path) == ["weights.bin"]


def test_target_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"Writing .*file/weights.bin failed: .*check the permissions"):
        whole_files.write_bytes(tmp_path / "file" / "weights.bin", b"new")


def test_data_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    whole_files.write_bytes(tmp_path / "x", b"x")
    assert order == ["fsync", "replace"] + ["fsync"] * (os.name != "nt")


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "steps").mkdir()
    left = [tmp_path / ".run.json.abcd0_12.writing", tmp_path / "steps" / ".0.safetensors.abcd0_12.writing"]
    kept = [tmp_path / "run.json", tmp_path / "notes.writing", tmp_path / ".hidden"]
    for folder in ("measures", "packed"):  # another process may be writing these
        (tmp_path / folder).mkdir()
        kept.append(tmp_path / folder / ".0.npy.abcd0_12.writing")
    for path in left + kept:
        path.write_bytes(b"x")
    assert whole_files.remove_leftovers(tmp_path) == sorted(left)
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in left)

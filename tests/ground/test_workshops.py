"""What a killed process left is removed by the next one, and nothing that is alive or not ours."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from filelock import FileLock

from benchmarks.fault_parts.staged import Killed, killed_at
from interp.ground import workshops
from interp.ground.workshops import remove_abandoned, workshop

# Says that it has begun, then works on.
MAKER = """
import sys, time
from pathlib import Path
from interp.ground.workshops import workshop
with workshop(Path(sys.argv[1])) as folder:
    (folder / "run").mkdir()
    (folder / "run" / "half").write_text("half")
    print("begun", flush=True)
    time.sleep(100)
"""


def started(dest):
    maker = subprocess.Popen([sys.executable, "-c", MAKER, dest], stdout=subprocess.PIPE, text=True)
    assert maker.stdout.readline() == "begun\n"
    return maker


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="killed otherwise on Windows")
def test_the_workshop_of_a_killed_process_goes_and_that_of_a_living_one_stays(tmp_path):
    killed, alive = started(tmp_path / "run"), started(tmp_path / "run")
    try:
        killed.kill()
        killed.communicate()
        assert len(list(tmp_path.iterdir())) == 2
        with workshop(tmp_path / "other") as folder:
            there = [path for path in tmp_path.iterdir() if path != folder]
            assert len(there) == 1 and (there[0] / "run" / "half").exists()
    finally:
        alive.kill()
        alive.communicate()
    assert remove_abandoned(tmp_path) == there and not list(tmp_path.iterdir())


def test_nothing_that_is_not_ours_is_removed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    parent = tmp_path / "parent"
    parent.mkdir()

    def folder(name, *files, lock=True):
        place = parent / name
        place.mkdir()
        for file in files:
            (place / file).write_text("mine")
        if lock:
            (place / workshops._LOCK).touch()
        return place

    kept = [
        folder(".run.abcdefgh.importing", "run", lock=False),
        folder(".run.abcdefg1.importing", "run", "thesis.txt"),
        folder(".run.abcdefg2.importing", "other"),
        folder(".run.ABCDEFGH.importing", "run"),
        folder(".run.importing", "run"),
        folder(".run.abcdefg3.importing"),
    ]
    (parent / ".run.abcdefg4.importing").write_text("a file")
    os.symlink(outside, parent / ".run.abcdefg5.importing")
    linked = folder(".run.abcdefg6.importing", "run", lock=False)
    os.symlink(outside / "mine", linked / workshops._LOCK)
    assert remove_abandoned(parent) == [] and all(place.is_dir() for place in kept)
    assert len(list(parent.iterdir())) == 9 and (outside / "mine").read_text() == "mine"
    # A workshop in which nothing was begun goes once that is long ago.
    empty = folder(".run.abcdefg8.importing", lock=False)
    for place in [*kept, empty]:
        os.utime(place, (time.time() - 7200,) * 2)
    with FileLock(kept[-1] / workshops._LOCK):
        assert remove_abandoned(parent) == [empty]
    assert remove_abandoned(parent) == [kept[-1]]


# The system lists the lock before some of them.
@pytest.mark.parametrize("made", "abcdefgh")
def test_a_kill_during_the_clean_up_leaves_what_the_next_call_removes(made, tmp_path):
    for n in range(1, 20):
        parent = tmp_path / str(n)
        parent.mkdir()
        try:
            with killed_at(n, parent), workshop(parent / made) as folder:
                for name in ("a", "b"):
                    (folder / made / name).mkdir(parents=True)
        except Killed:
            pass
        else:
            break
        for place in parent.iterdir():
            os.utime(place, (time.time() - 7200,) * 2)
        remove_abandoned(parent)
        assert not list(parent.iterdir()), n
    assert 8 < n < 19


def test_links_inside_are_removed_and_not_followed(tmp_path):
    outside, parent = tmp_path / "outside", tmp_path / "parent"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    gone = parent / ".run.abcdefg7.importing"
    (gone / "run").mkdir(parents=True)
    (gone / workshops._LOCK).touch()
    os.symlink(outside, gone / "run" / "packed")
    os.symlink(outside, gone / "packed")
    assert remove_abandoned(parent) == []
    os.remove(gone / "packed")
    assert remove_abandoned(parent) == [gone] and (outside / "mine").exists()


def test_folders_above_go_again_if_nothing_was_made(tmp_path):
    dest = tmp_path / "a" / "b" / "run"
    with suppress(KeyError), workshop(dest) as folder:
        assert folder.parent == dest.parent
        raise KeyError
    assert not list(tmp_path.iterdir())
    with workshop(dest) as folder:
        (folder / "run").mkdir()
        (folder / "run").rename(dest)
    assert [path.name for path in dest.parent.iterdir()] == ["run"]

"""A measuring process that is killed takes its workers with it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from filelock import FileLock

from interp.measurement.cache import remove_leftovers
from interp.measurement.measure import measure

# Sleeps in its workers, so that they are there when the parent is killed, and idle ones too.
MEASURE = """
import sys, time
from interp.measurement.measure import measure
from interp.runs.run import open_run

def slow(snapshot):
    open(sys.argv[2] + "/" + str(snapshot.step), "w").close()
    time.sleep(60)

if __name__ == "__main__":
    measure(open_run(sys.argv[1]), [slow], n_jobs=2, cache=False, progress=False)
"""


@pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="Windows keeps the number of a parent that is gone"
)
def test_workers_end_with_a_killed_parent(tiny_run, tmp_path):
    script, began = tmp_path / "script.py", tmp_path / "began"
    began.mkdir()
    script.write_text(MEASURE)
    parent = subprocess.Popen([sys.executable, script, tiny_run.path, began], cwd=os.getcwd())
    try:
        wait_until(lambda: len(list(began.iterdir())) == 2, seconds=90)
        started = psutil.Process(parent.pid).children(recursive=True)
        assert len(started) >= 2
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_until(lambda: not any(is_alive(process) for process in started), seconds=10)


def is_alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def wait_until(is_so, seconds):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def test_half_written_tables_of_killed_processes_go_and_nothing_else(tiny_run_copy, tmp_path):
    folder = tiny_run_copy.path / "measures"
    folder.mkdir()
    ours = folder / ".weight_norms-0a1b.parquet.abcdefgh.writing"
    others = [
        folder / name for name in (".notes.writing", "x.parquet.abcdefgh.writing", ".x.parquet.writing")
    ]
    for file in (ours, *others):
        file.write_text("half")
    with FileLock(folder / "lock"):
        # Another process is at work, and this may be its file.
        remove_leftovers(folder)
    assert ours.exists()
    measure(tiny_run_copy, ["weight_norms"], [0], progress=False)
    assert not ours.exists() and all(file.exists() for file in others)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ours.name).write_text("half")
    (tmp_path / "a run").mkdir()
    os.symlink(outside, tmp_path / "a run" / "measures")
    remove_leftovers(tmp_path / "a run" / "measures")
    assert (outside / ours.name).exists()

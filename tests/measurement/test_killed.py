"""A measuring process that is killed takes its workers with it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

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

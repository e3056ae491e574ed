"""Several runs at once: order, what fails, what is there already, what was stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interp.runs.run import open_run
from interp.training.branches import branch
from interp.training.several import Job, train_jobs
from interp.training.train import resume, train
from tests.tiny import tiny_config

# Long enough to be stopped on the way: seconds.
LONG = 200


def train_one(path: Path, seed: int, lr: float = 1e-2, n_steps: int = 60) -> None:
    train(tiny_config(n_steps, seed=seed, optimizer={"lr": lr}), path, threads=1)


def branch_one(path: Path, parent: Path) -> None:
    branch(open_run(parent), path, at=0, budget=10, threads=1)


def fail(path: Path) -> None:
    raise ValueError("it cannot be")


def go_on(path: Path) -> None:
    resume(path)


def job(path, **arguments):
    return Job(path=path, train=train_one, arguments=arguments, goes_on=go_on)


@pytest.mark.slow
def test_jobs_are_trained_and_equal_those_trained_alone(tmp_path):
    jobs = [job(tmp_path / str(i), seed=i) for i in range(3)]
    ends = train_jobs(jobs, 2)
    assert sorted(end.job.path.name for end in ends) == ["0", "1", "2"]
    assert {end.ended for end in ends} == {"complete"}
    alone = train(tiny_config(60, seed=1), tmp_path / "alone", threads=1)
    assert open_run(tmp_path / "1").index[60]["tensors"] == alone.index[60]["tensors"]
    # What is done is taken as it is.
    before = (tmp_path / "1" / "run.json").stat().st_mtime_ns
    assert {end.ended for end in train_jobs(jobs, 2)} == {"complete"}
    assert (tmp_path / "1" / "run.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_what_waits_starts_when_the_other_is_done_and_fails_with_it(tmp_path):
    first = job(tmp_path / "first", seed=0)
    after = Job(
        path=tmp_path / "after",
        train=branch_one,
        arguments={"parent": tmp_path / "first"},
        goes_on=go_on,
        after=(tmp_path / "first",),
    )
    bad = Job(path=tmp_path / "bad", train=fail, goes_on=go_on)
    behind = Job(path=tmp_path / "behind", train=fail, goes_on=go_on, after=(tmp_path / "bad",))
    ends = {end.job.path.name: end for end in train_jobs([after, behind, bad, first], 2)}
    assert (ends["first"].ended, ends["after"].ended) == ("complete", "complete")
    assert (ends["bad"].ended, ends["bad"].why) == ("failed", "it cannot be")
    assert ends["behind"].why == "it follows bad, which was not trained to its end"


@pytest.mark.slow
def test_a_run_that_diverges_takes_no_other_with_it_and_is_not_tried_again(tmp_path):
    jobs = [job(tmp_path / "wild", seed=0, lr=1e30), job(tmp_path / "tame", seed=0)]
    ends = {end.job.path.name: end.ended for end in train_jobs(jobs, 2)}
    assert ends == {"wild": "diverged", "tame": "complete"}
    assert {end.job.path.name: end.ended for end in train_jobs(jobs, 2)} == ends


def test_nothing_new_is_begun_when_time_is_over(tmp_path):
    assert train_jobs([job(tmp_path / "a", seed=0)], 1, is_over=lambda: True) == []
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_was_stopped_or_killed_goes_on_where_it_was(tmp_path, number):
    script = (
        "from tests.training.test_several import *\n"
        "if __name__ == '__main__':\n"
        f"    jobs = [job(Path({str(tmp_path)!r}) / str(i), seed=i, n_steps={LONG}) for i in range(2)]\n"
        "    try:\n"
        "        train_jobs(jobs, 2)\n"
        "    except KeyboardInterrupt as stop:\n"
        "        print(stop, flush=True)\n"
    )
    file = tmp_path / "script.py"
    file.write_text(script, encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(file)], env=os.environ | {"PYTHONPATH": os.getcwd()})
    try:
        # One that has no checkpoint yet would begin anew.
        for name in ("history.parquet", "index.json"):
            wait_for(tmp_path / "0" / name)
        process.send_signal(number)
        process.wait(timeout=60)
    finally:
        process.kill()
    assert open_run(tmp_path / "0").record.status == ("interrupted" if number == signal.SIGINT else "running")
    ends = train_jobs([job(tmp_path / str(i), seed=i, n_steps=LONG) for i in range(2)], 2)
    assert {end.ended for end in ends} == {"complete"}
    assert len(open_run(tmp_path / "0").record.sessions) == 2
    alone = train(tiny_config(LONG, seed=0), tmp_path / "alone", threads=1)
    assert open_run(tmp_path / "0").index[LONG]["tensors"] == alone.index[LONG]["tensors"]


def wait_for(path: Path, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.02)

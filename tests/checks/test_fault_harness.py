"""`benchmarks/faults.py`: a sample of its trials, and that a promise which is not kept makes it fail."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.fault_parts import trials
from benchmarks.fault_parts.processes import Ended, Failed, Process, check_sentence, kill_other, value_of
from benchmarks.fault_parts.trials import Trial, sampled, tried

ROOT = Path(__file__).parent.parent.parent
FAULTS = ROOT / "benchmarks" / "faults.py"


@pytest.mark.parametrize(
    "parts",
    [
        # Some take long, and all have tests of their own.
        pytest.param("operations", marks=pytest.mark.slow),
        pytest.param(
            "json,kills,files,arguments,hostile,races,stacks,sweeps,workers,cluster", marks=pytest.mark.slow
        ),
    ],
)
def test_a_sample_of_all_faults_ends_as_promised(tmp_path, parts):
    told = tmp_path / "told.json"
    done = subprocess.run(
        [sys.executable, FAULTS, "--scale", "sample", "--parts", parts, "--json", told],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(told.read_text("utf-8"))
    assert all(row["tried"] > 0 and row["failed"] == {} for row in rows.values())
    # Every part has told something.
    assert len(rows) > (30 if parts.startswith("json") else 5)
    assert sum(row["killed"] for row in rows.values()) > 10


def test_an_unknown_part_is_named():
    done = subprocess.run([sys.executable, FAULTS, "--parts", "kills,luck"], capture_output=True, text=True)
    assert done.returncode == 2 and "got 'luck'" in done.stderr


def passes(folder, draw):
    assert not list(folder.iterdir())


def fails(folder, draw):
    raise Failed("lost step 20")


def crashes(folder, draw):
    raise KeyError("step")


def dies(folder, draw):
    os.kill(os.getpid(), signal.SIGSEGV)


def kills(folder, draw):
    Process(lambda: time.sleep(100)).kill()
    Process(lambda: 0).wait()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert kill_other(child.pid) and child.wait() == -signal.SIGKILL
    # What has ended cannot be killed, and what is of others is left alone.
    assert not kill_other(child.pid) and not kill_other(os.getppid())


def hangs(folder, draw):
    time.sleep(100)


@pytest.mark.parametrize(
    ("act", "problem"),
    [
        (passes, None),
        (fails, "lost step 20"),
        (crashes, "the trial itself: KeyError: 'step'"),
        (dies, "the trial itself: killed by signal 11"),
        (hangs, "did not end within 0.5 seconds"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_a_trial_that_does_not_pass_is_counted(act, problem, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "SECONDS", 0.5 if act is hangs else 60.0)
    told = []
    rows = tried([Trial("a/1", "kind", act)], tmp_path, 0, 2, lambda trial, text: told.append(text))
    assert rows["kind"].tried == 1 and told == [problem or ""]
    assert rows["kind"].failed == ({"a/1": problem} if problem else {})


def test_processes_that_were_really_killed_are_counted(tmp_path):
    rows = tried([Trial("a/1", "kind", kills), Trial("a/2", "kind", kills)], tmp_path, 0, 2, lambda *_: None)
    assert (rows["kind"].tried, rows["kind"].killed, rows["kind"].failed) == (2, 4, {})


def test_a_sample_has_some_of_each_kind_and_the_same_for_one_seed():
    all_of_them = [Trial(f"a/{kind}/{n}", kind, passes) for kind in "xyz" for n in range(30)]
    some = sampled(all_of_them, 4, 7)
    assert [trial.kind for trial in some] == ["x"] * 4 + ["y"] * 4 + ["z"] * 4
    assert some == sampled(iter(all_of_them), 4, 7) != sampled(all_of_them, 4, 8)
    assert sampled(all_of_them, None, 7) == all_of_them


def test_a_number_that_a_process_gives_is_no_exit_code():
    assert value_of(lambda: 70) == 70
    with pytest.raises(Failed, match="ZeroDivisionError"):
        value_of(lambda: 1 // 0)


@pytest.mark.parametrize(
    ("code", "out", "error", "problem"),
    [
        (-11, "", "", "signal 11"),
        (1, "", "Traceback (most recent call last):\n  KeyError: 'a.pt'", "a traceback"),
        (3, "", "a.pt is damaged", "exit code 3"),
        (1, "", "\x1b[31ma.pt is damaged", "raw escape"),
        (1, "", "", "without a word"),
        (1, "", "a file is damaged", "names none of a.pt"),
    ],
)
def test_what_is_no_sentence_is_refused(code, out, error, problem):
    with pytest.raises(Failed, match=problem):
        check_sentence(Ended(code, out, error, None), "a.pt")


@pytest.mark.parametrize(
    ("code", "error"), [(0, ""), (1, "interp: a.pt is damaged"), (2, "--p needs an integer")]
)
def test_a_sentence_is_accepted(code, error):
    check_sentence(Ended(code, "", error, None), "a.pt")

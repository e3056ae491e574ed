"""Sweeps on a store: as those in a folder, whatever is interrupted, fails, is taken over or damaged."""

import json
import os
import signal
import time
import uuid
from pathlib import Path

import pandas as pd
import pytest

import interp
from interp.ground.whole_files import write_bytes
from interp.runs import saving
from interp.runs.tensor_files import RunError
from interp.sweeps import copies, store, working
from interp.sweeps.copies import LAST, Copies
from interp.sweeps.grid import planned_runs
from interp.sweeps.opened import open_sweep
from interp.sweeps.store import Store, alone_at, is_url, store_at
from interp.sweeps.sweep import estimate, sweep
from interp.sweeps.units import Unit
from interp.sweeps.working import Work, worked
from interp.training import member
from interp.training.stacked import MemberEnd
from tests.tiny import tiny_config

BASE = tiny_config(30).recipe()
OVER = {"seed": [0, 1]}
NAMES = ["seed=0", "seed=1"]
HERE = {"n_processes": 1, "stack": 4}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The sweep in a folder."""
    return sweep(tmp_path_factory.mktemp("whole") / "s", BASE, OVER, **HERE)


@pytest.fixture
def url():
    return f"memory://{uuid.uuid4().hex}/s"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(copies, "WAITS", ())
    monkeypatch.setattr(working, "SECONDS_BETWEEN_LOOKS_AT_STORE", 0.0)


def rows(found):
    table = found.runs.drop(columns=["why"]).astype(object)
    return table.where(table.notna(), None).to_dict("records")


def check_equal(found, whole):
    """That both hold the same runs, bit for bit."""
    assert found.names == whole.names
    assert rows(found) == rows(whole)
    for name in whole.names:
        ours, theirs = found.run(name), whole.run(name)
        assert ours.record.status == "complete" and ours.index == theirs.index
        pd.testing.assert_frame_equal(ours.history(), theirs.history(), check_exact=True)
        for step in ours.steps:
            ours.checkpoint(step)


def stop_once(monkeypatch, step=10):
    def save_checkpoint(run, at, *rest):
        saving.save_checkpoint(run, at, *rest)
        if at >= step:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(member, "save_checkpoint", save_checkpoint)


def stopped_at(url, scratch, monkeypatch):
    with monkeypatch.context() as patched:
        stop_once(patched)
        with pytest.raises(KeyboardInterrupt, match=f"goes on with the sweep in {url}"):
            sweep(url, BASE, OVER, scratch=scratch, **HERE)


# The same as in a folder.


def test_it_equals_the_sweep_in_a_folder_and_is_told_of_changes(tmp_path, url, monkeypatch, whole):
    assert estimate(url, BASE, OVER, scratch=tmp_path / "a", **HERE).n_left == 2
    assert not (tmp_path / "a").exists() and not Store(url).listing()
    first = sweep(url, BASE, {"seed": [0]}, scratch=tmp_path / "a", **HERE)
    elsewhere = open_sweep(url, tmp_path / "b")
    assert elsewhere.runs["run"].tolist() == ["seed=0"] and set(elsewhere.histories()["run"]) == {"seed=0"}
    assert not list((tmp_path / "b").rglob("*.safetensors"))
    assert first.place == url and repr(first).startswith("Sweep('s', 1 runs")
    # What was there keeps its name, trains nothing, and is not written anew.
    before = Store(url).listing("runs/seed=0/")
    more = sweep(url, BASE, OVER, scratch=tmp_path / "c", **HERE)
    assert Store(url).listing("runs/seed=0/") == before
    assert elsewhere.runs["run"].tolist() == more.names == NAMES
    assert set(elsewhere.histories()["run"]) == set(NAMES)
    assert more.run("seed=0").index == whole.run("seed=0").index
    assert more.run("seed=1").index == whole.run("seed=1").index
    assert estimate(url, BASE, OVER, **HERE).n_left == 0
    with monkeypatch.context() as patched:
        patched.setattr(Store, "put", fails_at(lambda name: name != "lock"))
        sweep(url, BASE, OVER, scratch=tmp_path / "d", **HERE)
    # No worker leaves a copy, or a sweep its lock.
    assert not list((tmp_path / "c" / "runs").iterdir()) and not Store(url).has("lock")
    with pytest.raises(ValueError, match=f"There is no run at {url}/runs/nonsense"):
        elsewhere.run("nonsense")


@pytest.mark.slow
@pytest.mark.parametrize(("keep", "probes"), [("transitions", ()), ("tables", ("weight_norms",))])
def test_what_is_kept_and_measured_is_that_of_a_folder(tmp_path, url, keep, probes):
    options = {"keep": keep, "probes": probes, **HERE}
    over = {"seed": [0]}
    folder = sweep(tmp_path / "s", BASE, over, **options)
    found = sweep(url, BASE, over, scratch=tmp_path / "a", **options)
    check_equal(found, folder)
    there = {name for name in Store(url).listing() if not name.endswith("/owner")}
    files = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()}
    assert there == {name for name in files if not name.endswith("lock") and "/measures/" not in name}
    if not probes:
        return
    pd.testing.assert_frame_equal(found.measured("weight_norms"), folder.measured("weight_norms"))
    with pytest.raises(ValueError, match="'s' has no table of 'losses'. It measured weight_norms"):
        found.measured("losses")
    with pytest.raises(ValueError, match=f"{url} holds another sweep: it keeps {keep}"):
        sweep(url, BASE, over, scratch=tmp_path / "a", probes=probes, **HERE)


@pytest.mark.slow
def test_two_processes_work_on_a_store_of_files(tmp_path, whole):
    url = (tmp_path / "store").as_uri()
    found = sweep(url, BASE, OVER, scratch=tmp_path / "a", n_processes=2, stack=1)
    check_equal(found, whole)
    assert not list((tmp_path / "a" / "runs").iterdir())


def test_the_command_line(tmp_path, url, capsys):
    from interp.commands.cli import app

    words = ["sweep", url, "--scratch", str(tmp_path / "a"), "--set", "task.p=7", "--set", "model.d_model=16"]
    words += ["--set", "model.d_mlp=16", "--seeds", "1", "--steps", "10", "--jobs", "1", "--stack", "1"]
    app(words, standalone_mode=False)
    said = " ".join(capsys.readouterr().out.split())
    assert f"{url}: 1 complete of 1 runs" in said and f"Next: interp.open_sweep('{url}') in Python" in said
    with pytest.raises(ValueError, match="--scratch .* needs the URL of a store, got the folder"):
        app(["sweep", str(tmp_path / "s"), *words[2:]], standalone_mode=False)


# Stopped, killed, gone on with from elsewhere.


def test_stopped_it_goes_on_from_another_machine(tmp_path, url, monkeypatch, whole):
    stopped_at(url, tmp_path / "a", monkeypatch)
    assert open_sweep(url, tmp_path / "r").runs["status"].tolist() == ["interrupted"] * 2
    found = sweep(url, BASE, OVER, scratch=tmp_path / "b", **HERE)
    check_equal(found, whole)
    assert all(len(found.run(name).record.sessions) == 2 for name in NAMES)


@pytest.mark.parametrize("is_stack", [True, False])
def test_an_object_stop_ends_workers_and_what_they_have_is_there(tmp_path, url, monkeypatch, is_stack):
    monkeypatch.setattr(copies, "SECONDS_BETWEEN_PUSHES", 0.0)
    monkeypatch.setattr(copies, "SAVING", 0.0)
    pushed = Copies.push_when_due

    def stops(self):
        pushed(self)
        if any("/steps/" in name for name in Store(url).listing()):
            Store(url).put("stop", b"")

    monkeypatch.setattr(Copies, "push_when_due", stops)
    plan = planned_runs(tiny_config(100_000).recipe(), OVER)
    work = Work(tmp_path / "of another machine", "all", (), "cpu", 1, Store(url, tmp_path / "a"))
    done = worked(Unit("unit", tuple(plan), is_stack, 0.0), work)
    assert [one.ended for one in done] == ["interrupted"] * 2
    n_states = sum(name.endswith("/latest.safetensors") for name in Store(url).listing())
    assert n_states == (2 if is_stack else 1)


def fails_at(is_at, n=0):
    """A Store.put that refuses some objects after the first n of them."""
    put, seen = Store.put, []

    def refuses(self, name, data):
        if is_at(name):
            seen.append(name)
            if len(seen) > n:
                raise RunError(f"{self.url}/{name} cannot be written: no network.")
        put(self, name, data)

    refuses.seen = seen
    return refuses


def test_every_beginning_of_a_push_is_a_state_to_go_on_from(tmp_path, url, monkeypatch, whole):
    """As of a machine that goes off after so many objects, and is not heard of again."""
    monkeypatch.setattr(copies, "AT_ONCE", 1)
    run = "runs/seed=0"
    stopped_at(url, tmp_path / "s", monkeypatch)
    half = {k.removeprefix(f"{run}/"): data for k, data in Store(url).get_all(Store(url).listing(f"{run}/"))}
    path = whole.run("seed=0").path
    end = {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}
    unit = Unit("unit", tuple(planned_runs(BASE, OVER)[:1]), True, 0.0)
    became = []
    for i, (before, after) in enumerate([({}, half), (half, end)]):
        # A part of the checkpoints, or so many of those that come last.
        for n_last in (None, len(LAST) - 2, len(LAST) - 1) if i == 0 else range(len(LAST)):
            at = Store(f"{url}/{i}-{len(became)}", tmp_path / f"{len(became)}")
            for file, data in before.items():
                at.put(f"{run}/{file}", data)
            dies = Copies(at, ())
            assert dies.take("seed=0")
            for file, data in after.items():
                if file not in ("lock", "owner"):
                    write_bytes(dies.folder / run / file, data)
            n_first = len(dies._files("seed=0")) - len(LAST) + 1
            n = 2 if n_last is None else n_first + n_last
            with monkeypatch.context() as patched:
                patched.setattr(Store, "put", fails_at(lambda name: True, n))
                became.append(dies.pushed(MemberEnd(path=dies.folder / run, ended="interrupted")).ended)
            other = Store(at.url, tmp_path / f"{len(became)}-other")
            done = worked(unit, Work(tmp_path, "all", (), "cpu", 1, other))
            assert [one.ended for one in done] == ["complete"], (i, n, done)
            assert json.loads(at.get(f"{run}/index.json")) == json.loads(end["index.json"]), (i, n)
    assert {"failed", "interrupted"} == set(became)


def test_a_run_that_cannot_be_pushed_fails_alone_and_its_copy_is_gone_on_with(
    tmp_path, url, monkeypatch, whole
):
    with monkeypatch.context() as patched:
        patched.setattr(Store, "put", fails_at(lambda name: name.startswith("runs/seed=1/latest")))
        found = sweep(url, BASE, OVER, scratch=tmp_path / "a", **HERE).runs
    assert found["status"].tolist() == ["complete", "failed"]
    copy = tmp_path / "a" / "runs" / "seed=1"
    assert f"{url}/runs/seed=1/latest.safetensors cannot be written: no network" in found["why"][1]
    assert f"copy on this machine stays: {copy}" in found["why"][1] and (copy / "run.json").exists()
    sessions = interp.open_run(copy).record.sessions
    again = sweep(url, BASE, OVER, scratch=tmp_path / "a", **HERE)
    check_equal(again, whole)
    # It was trained to its end before, and only pushed now.
    assert again.run("seed=1").record.sessions == sessions and not copy.exists()


# Two at once.


def test_a_worker_whose_run_another_has_taken_leaves_it(tmp_path, url, monkeypatch, whole):
    monkeypatch.setattr(copies, "SECONDS_BETWEEN_PUSHES", 0.0)
    monkeypatch.setattr(copies, "SAVING", 0.0)
    pushed, stolen = Copies.push_when_due, []

    def steals(self):
        pushed(self)
        if not stolen and Store(url).has("runs/seed=1/run.json"):
            stolen.append(Copies(Store(url, tmp_path / "thief"), ()).take("seed=1"))
            stolen.append(Store(url).listing("runs/seed=1/"))

    monkeypatch.setattr(Copies, "push_when_due", steals)
    plan = planned_runs(BASE, OVER)
    work = Work(tmp_path, "all", (), "cpu", 1, Store(url, tmp_path / "a"))
    done = worked(Unit("unit", tuple(plan), True, 0.0), work)
    assert [one.ended for one in done] == ["complete", "busy"] and stolen[0]
    assert done[1].why == f"Another worker has taken {url}/runs/seed=1."
    # Not a thing was written over what the other has, and the copy is gone.
    assert Store(url).listing("runs/seed=1/") == stolen[1]
    assert not (tmp_path / "a" / "runs" / "seed=1").exists()
    # All of its runs gone, it ends at once.
    alone = Copies(Store(url, tmp_path / "b"), ())
    alone.take("seed=1")
    Copies(Store(url, tmp_path / "thief"), ()).take("seed=1")
    alone.pushed(MemberEnd(path=tmp_path / "b" / "runs" / "seed=1", ended="interrupted"))
    assert not alone.are_lost(["seed=0"])


def test_a_run_that_another_process_of_this_machine_has_is_busy(tmp_path, url):
    from interp.runs.locks import run_lock

    plan = planned_runs(BASE, OVER)
    work = Work(tmp_path, "all", (), "cpu", 1, Store(url, tmp_path / "a"))
    path = tmp_path / "a" / "runs" / "seed=1"
    path.mkdir(parents=True)
    with run_lock(path):
        done = worked(Unit("unit", tuple(plan), True, 0.0), work)
    assert [one.ended for one in done] == ["complete", "busy"]
    assert not Store(url).listing("runs/seed=1/")


def test_a_second_sweep_is_refused_and_a_dead_one_taken_over(tmp_path, url, monkeypatch):
    with alone_at(Store(url)), pytest.raises(RunError, match=rf"working in {url}: process {os.getpid()} on"):
        sweep(url, BASE, OVER, scratch=tmp_path / "a", **HERE)
    assert not Store(url).listing() and not (tmp_path / "a").exists()
    Store(url).put("lock", json.dumps({"id": "x", "pid": 1, "host": "h", "time": time.time() - 181}).encode())
    assert len(sweep(url, BASE, {"seed": [0]}, scratch=tmp_path / "a", **HERE).runs) == 1
    assert not Store(url).has("lock")
    # Renewed while it works; and one that slept finds that another has come.
    monkeypatch.setattr(store, "SECONDS_BETWEEN_RENEWALS", 0.02)
    with alone_at(Store(url)) as check:
        first = json.loads(Store(url).get("lock"))
        wait_for(lambda: json.loads(Store(url).get("lock"))["time"] > first["time"])
        check()
        Store(url).put("lock", json.dumps({**first, "id": "other", "time": time.time() + 9}).encode())
        wait_for(lambda: raises(check))
        with pytest.raises(RunError, match=f"has taken over {url}"):
            check()
    assert json.loads(Store(url).get("lock"))["id"] == "other"


def wait_for(is_so):
    until = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def raises(function):
    try:
        function()
    except RunError:
        return True
    return False


def test_workers_that_save_something_are_not_given_up(tmp_path, url):
    from interp.sweeps.workers import _state

    unit = Unit("unit", tuple(planned_runs(BASE, OVER)), True, 0.0)
    work = Work(tmp_path, "all", (), "cpu", 1, Store(url, tmp_path / "a"))
    states = [_state(work, [unit])]
    for data in (b"1", b"22"):
        Store(url).put("runs/seed=1/latest.safetensors", data)
        states.append(_state(work, [unit]))
    Store(url).put("runs/seed=2/latest.safetensors", b"another's")
    assert len(set(map(str, states))) == 3 and _state(work, [unit]) == states[-1]


# What is refused.


def test_a_damaged_object_is_said_by_its_name(tmp_path, url, monkeypatch):
    stopped_at(url, tmp_path / "a", monkeypatch)
    name = "runs/seed=1/latest.safetensors"
    Store(url).put(name, Store(url).get(name)[:100])
    found = sweep(url, BASE, OVER, scratch=tmp_path / "b", **HERE)
    assert found.runs["status"].tolist() == ["complete", "failed"]
    assert found.runs["why"][1].startswith(f"{url}/{name}")
    # Restored from a copy, it goes on.
    name = "runs/seed=0/steps/0000000030.safetensors"
    Store(url).put(name, Store(url).get(name)[:100])
    with pytest.raises(RunError, match=r"0000000030.safetensors"):
        found.run("seed=0").checkpoint(30)


def test_urls_that_cannot_be_opened(tmp_path, url, monkeypatch):
    assert not is_url(tmp_path) and store_at("C:/sweeps/decay") is None
    with pytest.raises(ValueError, match="URL of a scheme that fsspec knows, got nonsense://x"):
        sweep("nonsense://x", BASE, OVER)
    with monkeypatch.context() as patched:
        patched.setitem(__import__("sys").modules, "ocifs", None)
        with pytest.raises(ValueError, match=r"needs a driver of oci:// that is not installed.*ocifs"):
            open_sweep("oci://bucket/x")
    with pytest.raises(ValueError, match=f"{url} is no sweep: it has no sweep.json"):
        open_sweep(url, tmp_path / "a")
    Store(url).put("notes.txt", b"mine")
    with pytest.raises(ValueError, match="holds other objects and no sweep.json"):
        sweep(url, BASE, OVER, scratch=tmp_path / "a")
    assert list(Store(url).listing()) == ["notes.txt"]
    with monkeypatch.context() as patched:
        for module in ("fsspec", "fsspec.core", "fsspec.registry"):
            patched.setitem(__import__("sys").modules, module, None)
        with pytest.raises(ValueError, match=r"pip install 'grokscope\[store\]'"):
            open_sweep(url)
    Path(tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(RunError, match="cannot be written: .*the same command goes on"):
        Store((tmp_path / "file").as_uri()).put("x", b"")

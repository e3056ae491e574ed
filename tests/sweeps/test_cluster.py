"""Sweeps on Slurm (submitit's local executor, which is its code without a cluster) and on Dask (two real workers)."""

import os
import signal
import threading
import time

import psutil
import pytest

from interp.runs.run import open_run
from interp.runs.tensor_files import RunError
from interp.sweeps import cluster
from interp.sweeps.cluster import Dask, Slurm
from interp.sweeps.opened import open_sweep
from interp.sweeps.sweep import sweep
from tests.tiny import tiny_config

BASE = tiny_config(200, schedule=tiny_config(60).schedule).recipe()
GRID = {"seed": [0, 1, 2, 3]}
KILL = signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same sweep in this process."""
    return sweep(tmp_path_factory.mktemp("whole") / "s", BASE, GRID, refit=False, n_processes=1, stack=4)


def check_equal(found, whole):
    assert found.runs["status"].tolist() == ["complete"] * 4
    assert found.runs["run"].tolist() == whole.names
    for name in whole.names:
        assert found.run(name).index == whole.run(name).index


def killing(folder, pids):
    """Kill the first of these processes once something was saved; the pids that were killed."""
    killed = []

    def kill():
        while not any((path / "steps").exists() for path in (folder / "runs").glob("*")) or not pids():
            time.sleep(0.01)
        os.kill(pids()[0], KILL)
        killed.append(pids()[0])

    thread = threading.Thread(target=kill)
    thread.start()
    return thread, killed


# Half a minute; a worker that is killed has tests of its own in CI.
@pytest.mark.slow
def test_slurm_jobs_train_it_and_one_that_is_killed_costs_nothing(tmp_path, whole, monkeypatch):
    submitted = Slurm._submitted
    jobs = []

    def watched(self, *arguments):
        found = submitted(self, *arguments)
        jobs.append(list(found))
        return found

    monkeypatch.setattr(Slurm, "_submitted", watched)
    monkeypatch.setattr(cluster, "SECONDS_BETWEEN_LOOKS", 0.1)

    def pids():
        # Of the tasks: each is watched over by a process of submitit's.
        tasks = [psutil.Process(job._process.pid).children() for job in (jobs[0] if jobs else [])]
        return [task[0].pid for task in tasks if task]

    thread, killed = killing(tmp_path / "s", pids)
    where = Slurm(cluster="local", minutes=10)
    found = sweep(tmp_path / "s", BASE, GRID, refit=False, n_processes=2, stack=2, where=where)
    thread.join()
    assert killed and [len(given) for given in jobs] == [2, 1]
    check_equal(found, whole)


@pytest.mark.slow
def test_dask_workers_train_it_and_one_that_is_killed_costs_nothing(tmp_path, whole):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as workers:

        def pids():
            return [nanny.process.pid for nanny in workers.workers.values() if nanny.process]

        thread, killed = killing(tmp_path / "s", pids)
        where = Dask(workers.scheduler_address)
        found = sweep(tmp_path / "s", BASE, GRID, refit=False, n_processes=2, stack=2, where=where)
        thread.join()
    assert killed
    check_equal(found, whole)


@pytest.mark.slow
def test_a_scheduler_that_dies_is_said_and_nothing_is_lost(tmp_path, whole, monkeypatch, capfd):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 2)
    workers = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)

    def close():
        while not list((tmp_path / "s" / "runs").glob("*/steps/*")):
            time.sleep(0.01)
        workers.close()

    thread = threading.Thread(target=close)
    thread.start()
    options = {"refit": False, "n_processes": 1, "stack": 4}
    with pytest.raises(RunError, match="The scheduler at .* is gone. What was saved is kept"):
        sweep(tmp_path / "s", BASE, GRID, where=Dask(workers.scheduler_address), **options)
    thread.join()
    assert "distributed.client - ERROR" not in capfd.readouterr().err
    check_equal(sweep(tmp_path / "s", BASE, GRID, **options), whole)


def test_a_machine_without_slurm_a_scheduler_that_does_not_answer_and_packages_that_lack(
    tmp_path, monkeypatch
):
    with pytest.raises(
        ValueError, match=r"--slurm needs a machine from which Slurm jobs can be submitted.*login node"
    ):
        sweep(tmp_path / "s", BASE, GRID, where=Slurm(), stack=1)
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(RunError, match="there is no scheduler at tcp://127.0.0.1:1"):
        sweep(tmp_path / "s", BASE, GRID, where=Dask("tcp://127.0.0.1:1"), stack=1)
    # Nothing was begun, and the folder can be gone on with.
    assert open_sweep(tmp_path / "s").runs.empty
    with pytest.raises(ValueError, match="--dask needs no_such_package, which is not installed: pip install"):
        cluster._imported("no_such_package", "dask")


def test_the_estimate_for_a_cluster_is_that_of_its_stacks(tmp_path, monkeypatch):
    from interp.sweeps.sweep import estimate
    from interp.training import stack_size

    # Of a machine that holds four members: two workers here share it, a task of a cluster has it to itself.
    room = 4 * stack_size.bytes_of_member(BASE) / stack_size.SHARE
    monkeypatch.setattr(stack_size, "_memory", lambda device: room)
    monkeypatch.setattr(stack_size, "_stacked", lambda recipes, device: 1e-3 / len(recipes))
    options = {"seeds": 8, "n_processes": 2}
    assert estimate(tmp_path / "s", BASE, **options).stacks == (2,)
    assert estimate(tmp_path / "s", BASE, where=Slurm(), **options).stacks == (4,)


def test_tasks_that_are_cut_off_by_a_time_limit_go_on_in_others(tmp_path):
    from interp.sweeps.workers import carried_out, in_worker
    from interp.sweeps.working import STOP, Done, Work

    rounds = []

    def one_round(units, work, _):
        rounds.append(len(units))
        for unit in units:
            if len(rounds) == 1:
                # As a task that was told to end: it saved, and says so.
                (work.folder / "runs" / "x").mkdir(parents=True, exist_ok=True)
                yield unit.name, [Done(run.name, "interrupted") for run in unit.runs]
            else:
                yield in_worker(unit, work)

    from interp.sweeps.grid import planned_runs
    from interp.sweeps.units import units

    plan = planned_runs(tiny_config(20).recipe(), {"seed": [0, 1]})
    work = Work(tmp_path, "all", (), "cpu", 1)
    ends = [one for done in carried_out(units(plan, size=1), work, one_round) for one in done]
    assert rounds == [2, 2]
    assert [one.ended for one in ends] == ["interrupted"] * 2 + ["complete"] * 2
    assert not (tmp_path / STOP).exists()
    assert all(open_run(tmp_path / "runs" / run.name).record.status == "complete" for run in plan)


def test_a_worker_that_finds_the_sweep_stopped_saves_and_ends(tmp_path, monkeypatch):
    from interp.sweeps import working
    from interp.sweeps.grid import planned_runs
    from interp.sweeps.units import units

    monkeypatch.setattr(working, "SECONDS_BETWEEN_LOOKS", 0.0)
    plan = planned_runs(tiny_config(100_000).recipe(), {"seed": [0, 1]})
    work = working.Work(tmp_path, "all", (), "cpu", 1)

    def stop():
        while not list(tmp_path.glob("runs/*/steps/*")):
            time.sleep(0.01)
        (tmp_path / working.STOP).touch()

    thread = threading.Thread(target=stop)
    thread.start()
    done = working.worked(units(plan, size=2)[0], work)
    thread.join()
    assert [one.ended for one in done] == ["interrupted"] * 2 and all(one.row is None for one in done)
    for run in plan:
        left = open_run(tmp_path / "runs" / run.name)
        assert left.record.status == "interrupted" and (left.path / "latest.safetensors").exists()
    # Asked again before the stop is lifted, nothing more is begun.
    assert [one.ended for one in working.worked(units(plan, size=2)[0], work)] == ["interrupted"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["slurm", "dask"])
def test_a_sweep_on_a_store_is_worked_on_by_either(tmp_path, whole, kind):
    url, options = (tmp_path / "store").as_uri(), {"refit": False, "n_processes": 2, "stack": 2}
    options["scratch"] = tmp_path / "scratch"
    if kind == "slurm":
        found = sweep(url, BASE, GRID, where=Slurm(cluster="local", minutes=10), **options)
    else:
        distributed = pytest.importorskip("distributed")
        with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as workers:
            found = sweep(url, BASE, GRID, where=Dask(workers.scheduler_address), **options)
    check_equal(found, whole)
    assert not list((tmp_path / "scratch" / "runs").iterdir())

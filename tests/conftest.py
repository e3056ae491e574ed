"""Set-up for every test: checked shapes, one thread, a tiny trained run that all tests share."""

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import settings

from tests import checked

# Before torch is loaded, and inherited by the subprocesses of tests: with several workers on two cores more threads
# only wait for each other, and golden numbers hold for one thread.
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ.setdefault("MPLBACKEND", "agg")
# Tests write and delete tens of thousands of files, each of which a disk takes milliseconds for: in memory where there
# is room (some 500 MB, removed at the end).
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4e9:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
# Hundreds of subprocesses import the package: without bytecode each would compile all of it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Every annotation in the package is executed in tests; users do not pay for it. Before any import of the package.
checked.install()

# The same examples on every machine: a red test must be red for everyone.
settings.register_profile("grokscope", deadline=None, derandomize=True, database=None)
settings.load_profile("grokscope")


# What the tests of these modules share takes long to make: each goes to one worker.
TOGETHER = {
    "test_battery.py", "test_cluster.py", "test_docs.py", "test_explain.py", "test_explored.py",
    "test_explorer.py", "test_gathered.py", "test_language.py",
    "test_language_model.py", "test_many_runs.py", "test_page.py", "test_sentences.py",
    "test_sweep.py", "test_tried.py", "test_what_if.py",
}  # fmt: skip


# Without xdist nobody asks.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """As `--dist loadgroup`, whose groups xdist 3.8 loses with pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return file if Path(file).name in TOGETHER else nodeid

    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def users_cache(tmp_path_factory):
    """Tables of runs opened in place are kept here, and not where the user's own are."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("cache"))
        for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"):
            patch.setenv(name, folder)
        yield


@pytest.fixture
def annotations_off():
    """A context without shape checks, to see the error that a user sees: the checks are on in tests only."""

    @contextmanager
    def off():
        jaxtyping.config.update("jaxtyping_disable", True)
        try:
            yield
        finally:
            jaxtyping.config.update("jaxtyping_disable", False)

    return off


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A complete run (p=11, 300 steps, every 50th saved, optimizer state at 100 and 200). Read only."""
    from interp.training.train import train
    from tests.tiny import tiny_config

    return train(tiny_config(), tmp_path_factory.mktemp("runs") / "tiny", threads=1)


@pytest.fixture
def tiny_run_copy(tiny_run, tmp_path):
    """A copy of `tiny_run` to damage."""
    from interp.runs.run import open_run

    shutil.copytree(
        tiny_run.path, tmp_path / "tiny", ignore=shutil.ignore_patterns("packed", "measures", "lock")
    )
    return open_run(tmp_path / "tiny")

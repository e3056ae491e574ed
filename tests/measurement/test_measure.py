"""Streaming, keeping and failing: what `measure` promises whatever the probes are."""

import dataclasses
import functools
import gc
import itertools
import os
import re
import shutil
import subprocess
import sys
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.fault_parts.staged import Killed, flipped, killed_at
from interp import probes as probe_files
from interp.measurement import cache, standard
from interp.measurement import measure as measure_module
from interp.measurement.measure import measure
from interp.measurement.steps import select_steps
from interp.measurement.stream import MeasureError
from interp.networks.config import initial_weights
from interp.runs.config import RunConfig
from interp.runs.record import RunRecord
from interp.runs.run import open_run
from interp.runs.saving import create_run, save_checkpoint
from interp.runs.tensor_files import RunError
from interp.snapshots.snapshot import NotApplicable, Snapshot
from tests.hand_built import addition, config_for

VERSION = 1  # of the probes in this file

STEPS = [0, 1, 5, 10, 40, 100]
calls: list[tuple[str, int]] = []


def norms(snapshot: Snapshot, *, power: float = 2.0) -> pd.DataFrame:
    calls.append(("norms", snapshot.step))
    rows = [{"matrix": n, "norm": float(w.norm(p=power))} for n, w in snapshot.weights.items()]
    return pd.DataFrame(rows)


def loss(snapshot: Snapshot) -> pd.DataFrame:
    calls.append(("loss", snapshot.step))
    return pd.DataFrame({"loss": [snapshot.losses.mean().item()]})


def kinds(snapshot: Snapshot) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": ["a", "b"],
            "flag": [True, False],
            "count": pd.array([1, snapshot.step], dtype="int32"),
            "maybe": [np.nan, float(snapshot.step)],
            "level": pd.Categorical(["low", "high"]),
        }
    )


def fails_at_ten(snapshot: Snapshot) -> pd.DataFrame:
    if snapshot.step == 10 and not os.environ.get("MENDED"):
        raise ZeroDivisionError("no such luck")
    return pd.DataFrame({"step_again": [snapshot.step]})


def mixed(snapshot: Snapshot) -> pd.DataFrame:
    return pd.DataFrame({"x": ["zero" if snapshot.step == 0 else 1.0]})


def asks_for_what_is_not_there(snapshot: Snapshot) -> pd.DataFrame:
    return pd.DataFrame({"x": [snapshot.W_EE.norm()]})


def does_not_apply(snapshot: Snapshot) -> pd.DataFrame:
    calls.append(("does_not_apply", snapshot.step))
    raise NotApplicable("There is nothing to see here.")


def applies_late(snapshot: Snapshot) -> pd.DataFrame:
    if snapshot.step < 10:
        raise NotApplicable("Too early.")
    return pd.DataFrame({"value": [1.0]})


def unsendable(snapshot: Snapshot) -> pd.DataFrame:
    error = RuntimeError("with a lambda")
    error.callback = lambda: None
    raise error


def dies(snapshot: Snapshot) -> pd.DataFrame:
    os._exit(9)


@dataclass(frozen=True)
class scaled_loss:
    factor: float

    def __call__(self, snapshot: Snapshot) -> pd.DataFrame:
        return pd.DataFrame({"loss": [self.factor * snapshot.losses.mean().item()]})


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


def write_run(path, steps=STEPS, seed=0):
    task = addition(7)
    model = config_for(task, d_model=8, n_heads=2, d_mlp=8)
    config = RunConfig(
        task=task.config,
        model=model,
        optimizer=None,
        n_steps=None,
        schedule=None,
        seed=0,
        evaluation_interval=None,
    )
    run = create_run(path, config, RunRecord(status="imported", unit="step"), task)
    for step in steps:
        save_checkpoint(run, step, initial_weights(model, seed + step))
    return open_run(path)


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "small")


def read_only(path):
    """Whether the directory refuses writing after this (root may write anywhere)."""
    path.chmod(0o555)
    return not os.access(path, os.W_OK)


# --- what comes back


def test_tables_are_the_probes_own_with_run_and_step_in_front(run):
    tables = measure(run, [norms, loss])
    assert list(tables) == ["norms", "loss"]
    for name, probe in (("norms", norms), ("loss", loss)):
        table = tables[name]
        assert list(table.columns[:2]) == ["run", "step"]
        assert set(table["run"]) == {"small"}
        assert table["step"].drop_duplicates().tolist() == STEPS
        for step, part in table.groupby("step"):
            own = probe(Snapshot.of(run, step))
            pd.testing.assert_frame_equal(part[own.columns].reset_index(drop=True), own)


def test_one_snapshot_serves_all_probes_of_a_step_and_is_freed_before_the_next(run):
    seen: dict[int, list[weakref.ref]] = {}

    def watch(snapshot):
        assert all(ref() is None for step, refs in seen.items() if step != snapshot.step for ref in refs)
        snapshot.logits  # what takes the memory
        seen.setdefault(snapshot.step, []).append(weakref.ref(snapshot))
        return pd.DataFrame({"one": [1]})

    gc.disable()  # freed by reference counts: nothing waits for the collector
    try:
        # Two functions: what is one function is called once a snapshot.
        measure(run, {"first": watch, "second": lambda snapshot: watch(snapshot)})
    finally:
        gc.enable()
    assert sorted(seen) == STEPS
    assert all(len(refs) == 2 for refs in seen.values())


def test_probes_by_name_and_by_mapping(run):
    tables = measure(
        run, {"plain": "weight_norms", "square": norms, "cube": functools.partial(norms, power=3.0)}, [5]
    )
    assert list(tables) == ["plain", "square", "cube"]
    assert (tables["cube"]["norm"] <= tables["square"]["norm"]).all()
    assert (tables["cube"]["norm"] < tables["square"]["norm"]).any()
    assert list(measure(run, ["weight_norms"], [5])) == ["weight_norms"]


def test_a_probe_that_does_not_apply_has_an_empty_table_and_a_reason(run):
    table = measure(run, [does_not_apply, loss])["does_not_apply"]
    assert table.empty
    assert list(table.columns) == ["run", "step"]
    assert table.attrs == {"not_applicable": "There is nothing to see here."}
    calls.clear()
    assert measure(run, [does_not_apply])["does_not_apply"].attrs == table.attrs
    assert not calls  # that is kept too


def test_a_probe_that_applies_at_some_steps(run):
    for _ in range(2):  # fresh, then kept
        table = measure(run, [applies_late])["applies_late"]
        assert table["step"].tolist() == [10, 40, 100]
        assert table.attrs == {"not_applicable": "Too early."}


def test_a_run_without_model_measures_nothing_and_says_why(tmp_path):
    config = RunConfig(
        task=None,
        model=None,
        optimizer=None,
        n_steps=None,
        schedule=None,
        seed=None,
        evaluation_interval=None,
    )
    run = create_run(tmp_path / "foreign", config, RunRecord(status="imported", unit="step"), None)
    save_checkpoint(run, 0, {"w": torch.ones(2)})
    table = measure(open_run(run.path), [loss])["loss"]
    assert table.empty
    assert "has no model config" in table.attrs["not_applicable"]


# --- keeping


def test_a_second_call_computes_nothing_and_returns_the_same(run):
    first = measure(run, [norms, loss, kinds])
    calls.clear()
    second = measure(open_run(run.path), [norms, loss, kinds])
    assert not calls
    for name in first:
        pd.testing.assert_frame_equal(first[name], second[name], check_exact=True)


def test_only_what_is_missing_is_computed(run):
    measure(run, [norms], [1, 40])
    calls.clear()
    table = measure(run, [norms, loss])["norms"]
    assert sorted(calls) == sorted(
        [("loss", step) for step in STEPS] + [("norms", step) for step in (0, 5, 10, 100)]
    )
    pd.testing.assert_frame_equal(table, measure(run, [norms], cache=False)["norms"], check_exact=True)
    calls.clear()
    assert measure(run, [norms], [5, 1])["norms"]["step"].drop_duplicates().tolist() == [1, 5]
    assert not calls


def test_files_do_not_multiply(run):
    for step in STEPS:
        measure(run, [norms, loss], [step])
    assert len(list((run.path / "measures").glob("*.parquet"))) == 2


def test_parameters_have_tables_of_their_own(run):
    square = measure(run, [functools.partial(norms, power=2.0)])["norms"]
    cube = measure(run, [functools.partial(norms, power=3.0)])["norms"]
    assert not np.allclose(square["norm"], cube["norm"])
    one, two = (measure(run, [scaled_loss(factor)])["scaled_loss"] for factor in (1.0, 2.0))
    np.testing.assert_allclose(2 * one["loss"], two["loss"])
    calls.clear()
    measure(run, [functools.partial(norms, power=3.0)])
    assert not calls


def test_a_new_version_of_a_probe_is_measured_anew(run, monkeypatch):
    measure(run, [norms])
    calls.clear()
    monkeypatch.setattr(sys.modules[__name__], "VERSION", 2)
    measure(run, [norms])
    assert len(calls) == len(STEPS)


def test_a_new_version_of_the_package_is_measured_anew(run, monkeypatch):
    measure(run, [norms])
    calls.clear()
    monkeypatch.setattr(cache, "package_version", lambda: "99")
    measure(run, [norms])
    assert len(calls) == len(STEPS)


def test_a_replaced_checkpoint_is_measured_anew_and_only_that(run):
    measure(run, [norms])
    save_checkpoint(run, 10, initial_weights(run.config.model, 12345))
    calls.clear()
    table = measure(open_run(run.path), [norms])["norms"]
    assert calls == [("norms", 10)]
    fresh = measure(open_run(run.path), [norms], cache=False)["norms"]
    pd.testing.assert_frame_equal(table, fresh)


def test_equal_weights_at_two_steps_are_two_measurements(tmp_path):
    run = write_run(tmp_path / "still", steps=[0])
    save_checkpoint(run, 1, run.step_weights(0))
    table = measure(run, [fails_at_ten])["fails_at_ten"]
    assert table["step_again"].tolist() == [0, 1]


def test_a_probe_that_compares_checkpoints_is_measured_anew_when_any_changes(run, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "DEPENDS_ON_RUN", True, raising=False)
    measure(run, [norms])
    calls.clear()
    measure(run, [norms])
    assert not calls
    save_checkpoint(run, 200, initial_weights(run.config.model, 3))
    measure(open_run(run.path), [norms], [0, 1])
    assert calls == [("norms", 0), ("norms", 1)]


def test_probes_that_read_the_run_say_so():
    for name in probe_files.available():
        probe = probe_files.named(name)
        module = sys.modules[probe.__module__]
        source = Path(module.__file__).read_text("utf-8")
        # Comparing checkpoints without saying so would return stale tables.
        if "snapshot.run" in source:
            assert module.DEPENDS_ON_RUN is True, name
        assert isinstance(module.VERSION, int), name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (True, 1),
        ([1], (1,)),
        ({"a": 1}, {"a": 2}),
        (np.array([1, 2]), np.array([[1, 2]])),
        (torch.tensor([1.0]), torch.tensor([2.0])),
        (scaled_loss(1.0), scaled_loss(2.0)),
        ("1", 1),
        (None, "None"),
    ],
)
def test_different_parameters_have_different_keys(run, one, other):
    keys = {
        cache.CacheKey.of(run, "norms", functools.partial(norms, power=value), "cpu").path
        for value in (one, other, one)
    }
    assert len(keys) == 2


def test_probes_without_an_honest_key_are_not_kept(run, monkeypatch):
    state = []

    def inner(snapshot):
        return pd.DataFrame({"n": [len(state)]})

    probes = {
        "lambda": lambda snapshot: inner(snapshot),
        "local": inner,
        "parameter": functools.partial(norms, power=torch.nn.Identity()),
        "bound method": state.append,
        "builtin": print,
    }
    for name, probe in probes.items():
        assert cache.CacheKey.of(run, name, probe, "cpu") is None, name
    assert cache.CacheKey.of(run, "norms", norms, "cpu") is not None
    monkeypatch.delattr(sys.modules[__name__], "VERSION")
    assert cache.CacheKey.of(run, "norms", norms, "cpu") is None


def test_cache_false_neither_reads_nor_writes(run):
    measure(run, [norms], cache=False)
    assert not (run.path / "measures").exists()
    measure(run, [norms])
    calls.clear()
    measure(run, [norms], cache=False)
    assert len(calls) == len(STEPS)


def test_no_altered_value_is_ever_read_back(run):
    """A flipped bit anywhere, in the pages or the footer: the file counts as not there."""
    first = measure(run, [norms])["norms"]
    key = cache.CacheKey.of(run, "norms", norms, "cpu")
    data = key.path.read_bytes()
    assert cache.read(key).table.equals(first.drop(columns="run"))
    for altered in flipped(data, every=5):
        key.path.write_bytes(altered)
        assert not cache.read(key).keys


def test_a_table_under_the_name_of_another_is_not_served(run):
    first = measure(run, [norms, loss])
    one, other = (cache.CacheKey.of(run, probe.__name__, probe, "cpu").path for probe in (norms, loss))
    one.write_bytes(other.read_bytes())
    again = measure(run, [norms, loss])
    pd.testing.assert_frame_equal(again["norms"], first["norms"])


def test_a_measure_killed_at_any_file_operation_leaves_nothing_to_the_next(run, tmp_path):
    first = measure(run, [loss], cache=False)["loss"]
    for n in itertools.count(1):
        path = shutil.copytree(run.path, tmp_path / f"killed {n}")
        try:
            with killed_at(n, path) as done:
                measure(open_run(path), [loss])
            break
        except Killed:
            pass
        pd.testing.assert_frame_equal(
            measure(open_run(path), [loss])["loss"].drop(columns="run"), first.drop(columns="run")
        )
        assert list(path.rglob(".*")) == [], done
        assert len(list((path / "measures").glob("*.parquet"))) == 1
    assert n > 5


def test_packing_killed_at_any_file_operation_leaves_nothing_to_the_next(run, tmp_path):
    want = np.array(run.weights("W_E"))
    shutil.rmtree(run.path / "packed")
    for n in itertools.count(1):
        path = shutil.copytree(run.path, tmp_path / f"killed {n}")
        try:
            with killed_at(n, path) as done:
                open_run(path).weights("W_E")
            break
        except Killed:
            pass
        np.testing.assert_array_equal(open_run(path).weights("W_E"), want)
        open_run(path).weights("W_U")
        assert list(path.rglob(".*")) == [], done
    assert n > 8


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign"])
def test_a_damaged_file_counts_as_not_there(run, damage):
    first = measure(run, [norms])["norms"]
    (file,) = (run.path / "measures").glob("*.parquet")
    data = bytearray(file.read_bytes())
    if damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[20] ^= 0xFF  # within the first page
    elif damage == "empty":
        data = b""
    else:
        pd.DataFrame({"a": [1]}).to_parquet(file)
        data = file.read_bytes()
    file.write_bytes(data)
    calls.clear()
    pd.testing.assert_frame_equal(measure(run, [norms])["norms"], first)
    assert len(calls) == len(STEPS)


def test_a_copy_under_another_name_keeps_its_tables(run, tmp_path):
    measure(run, [norms])
    shutil.copytree(run.path, tmp_path / "other")
    calls.clear()
    table = measure(open_run(tmp_path / "other"), [norms])["norms"]
    assert not calls
    assert set(table["run"]) == {"other"}


def test_a_directory_that_cannot_be_written_measures_with_a_warning(run, monkeypatch):
    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(cache, "write_bytes", refuse)
    with pytest.warns(
        UserWarning, match=r"tables of run 'small' are not kept.*Read-only file system"
    ) as caught:
        tables = measure(run, [norms, loss])
    assert len(caught) == 1  # said once
    assert len(tables["norms"]) == len(STEPS) * len(run.step_weights(0))
    assert tables["loss"]["step"].tolist() == STEPS


def test_a_directory_without_write_permission(run):
    if not read_only(run.path):
        run.path.chmod(0o755)
        pytest.skip("root may write anywhere")
    with pytest.warns(UserWarning, match="not kept"):
        assert len(measure(run, [loss])["loss"]) == len(STEPS)
    run.path.chmod(0o755)


# --- failing


def test_a_failing_probe_names_step_and_probe_and_loses_nothing(run, monkeypatch):
    with pytest.raises(
        MeasureError,
        match=r"Probe 'fails_at_ten' failed at step 10 of run 'small': ZeroDivisionError: no such luck",
    ) as caught:
        measure(run, [norms, fails_at_ten, loss])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert calls == [(name, step) for step in (0, 1, 5, 10) for name in ("norms", "loss")]
    calls.clear()
    monkeypatch.setenv("MENDED", "yes")
    tables = measure(run, [norms, fails_at_ten, loss])
    assert calls == [(name, step) for step in (40, 100) for name in ("norms", "loss")]
    assert tables["fails_at_ten"]["step"].tolist() == STEPS


def test_going_on_past_a_failing_probe(run):
    table = measure(run, [fails_at_ten], on_error="skip")["fails_at_ten"]
    assert table["step"].tolist() == [0, 1, 5, 40, 100]
    assert list(table.attrs["failed"]) == [10]
    assert "ZeroDivisionError" in table.attrs["failed"][10]
    # A failure is not kept: it is tried again.
    assert 10 in measure(run, [fails_at_ten], on_error="skip")["fails_at_ten"].attrs["failed"]


def test_a_damaged_checkpoint_names_its_file_and_loses_nothing(run):
    file = run.path / run.index[10]["file"]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"0000000010\.safetensors is damaged"):
        measure(run, [norms])
    calls.clear()
    tables = measure(run, [norms, loss], on_error="skip")
    assert ("norms", 5) not in calls
    for table in tables.values():
        assert table["step"].drop_duplicates().tolist() == [0, 1, 5, 40, 100]
        assert "0000000010.safetensors is damaged" in table.attrs["failed"][10]


def test_an_interrupt_loses_nothing(run, monkeypatch):
    def interrupt(snapshot):
        if snapshot.step == 10:
            raise KeyboardInterrupt
        return pd.DataFrame({"one": [1]})

    with pytest.raises(KeyboardInterrupt):
        measure(run, [norms, interrupt])
    calls.clear()
    measure(run, [norms])
    assert [step for _, step in calls] == [10, 40, 100]


def test_long_work_is_saved_as_it_goes(run, monkeypatch):
    monkeypatch.setattr(measure_module, "SECONDS_BETWEEN_SAVES", 0.0)
    kept = []

    def look(snapshot):
        kept.append(len(cache.read(cache.CacheKey.of(run, "norms", norms, "cpu")).keys))
        return pd.DataFrame({"one": [1]})

    measure(run, [norms, look])
    assert kept == list(range(len(STEPS)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (pd.DataFrame({"step": [1]}), r"returned columns \['step'\]; measure puts run and step in front"),
        ({"a": 1}, "returned a dict; a probe returns a pandas DataFrame"),
        (
            pd.DataFrame({"x": [torch.ones(3)]}),
            r"Probe 'odd' failed at step 0 .* column 'x' of Tensor; .*\.item\(\)",
        ),
        (
            pd.DataFrame({"x": [torch.tensor(1.0), "a"]}),
            "column 'x' of Tensor and str; a column holds numbers, or",
        ),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "two columns 'x'; a column needs a name of its own"),
    ],
)
def test_a_probe_that_returns_no_tidy_table(run, value, message):
    with pytest.raises(MeasureError, match=message):
        measure(run, {"odd": lambda snapshot: value})


def test_a_column_of_one_kind_at_some_steps_and_of_another_at_others_is_told(run):
    with pytest.raises(
        MeasureError,
        match="Probe 'mixed' returned, over the steps of run 'small', a column 'x' of float and str",
    ):
        measure(run, [mixed, norms])
    calls.clear()
    measure(run, [norms])
    assert not calls


@pytest.mark.slow
def test_a_failure_says_where_in_the_probes_own_file(run):
    """Also where the error is raised deeper, and comes from another process."""
    line = next(
        i for i, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "snapshot.W_EE" in text
    )
    place = rf"'Snapshot' object has no attribute 'W_EE' \({re.escape(__file__)}:{line}\)\. What was"
    for n_jobs in (1, 2):
        with pytest.raises(MeasureError, match=place):
            measure(run, [asks_for_what_is_not_there], n_jobs=n_jobs)


def test_a_probe_that_ends_the_program_is_told(run):
    with pytest.raises(MeasureError, match=r"step 0 of run 'small': RuntimeError: it calls sys.exit\(3\) \("):
        measure(run, {"ends": lambda snapshot: sys.exit(3)})


def test_the_advice_after_a_failure_is_true(run):
    def ends_in_a_full_stop(snapshot):
        raise ValueError("No such luck.")

    def told(**options):
        with pytest.raises(MeasureError) as caught:
            measure(run, {"ends": ends_in_a_full_stop}, **options)
        return str(caught.value)

    kept = "What was measured before is kept: once this is mended, the same call goes on from there."
    assert kept in told() and told().endswith(" To go on past it use on_error='skip'.")
    assert ".." not in told()
    assert kept not in told(cache=False)
    messages = measure(run, {"ends": ends_in_a_full_stop}, on_error="skip")["ends"].attrs["failed"]
    assert len(messages) == len(STEPS) and not any("go on" in m or "is kept" in m for m in messages.values())


def test_what_needs_an_unknown_split_does_not_apply(run):
    assert run.task.is_train is not None
    lost = dataclasses.replace(run.task, is_train=None)
    object.__setattr__(run, "task", lost)
    tables = measure(
        run, {"by_hand": lambda snapshot: pd.DataFrame({"n": [snapshot.task.n_train]})}, cache=False
    )
    assert tables["by_hand"].attrs["not_applicable"].startswith("This needs the train/test split")


def test_wrong_arguments_are_told(run, annotations_off):
    with pytest.raises(ValueError, match="There is no probe 'entropy'"):
        measure(run, ["entropy"])
    with pytest.raises(ValueError, match=r"Two probes are named 'norms'\. Give a mapping"):
        measure(run, [norms, functools.partial(norms, power=3.0)])
    with annotations_off(), pytest.raises(ValueError, match=r"needs a list of probes, got 'losses' alone"):
        measure(run, "losses")
    with annotations_off(), pytest.raises(ValueError, match="on_error='raise' or 'skip', got 'ignore'"):
        measure(run, [norms], on_error="ignore")
    with pytest.raises(ValueError, match="n_jobs of at least 1, or -1 for one a core, got 0"):
        measure(run, [norms], n_jobs=0)


# --- several processes


def test_processes_give_the_same_tables_and_failures(run):
    tables = measure(run, [norms, fails_at_ten, unsendable, does_not_apply], n_jobs=2, on_error="skip")
    pd.testing.assert_frame_equal(tables["norms"], measure(run, [norms], cache=False)["norms"])
    assert list(tables["fails_at_ten"].attrs["failed"]) == [10]
    assert "RuntimeError: RuntimeError: with a lambda" in tables["unsendable"].attrs["failed"][0]
    assert tables["does_not_apply"].attrs["not_applicable"]
    calls.clear()
    measure(run, [norms])
    assert not calls  # what processes measured is kept as well
    with pytest.raises(MeasureError, match="Probe 'fails_at_ten' failed at step 10") as caught:
        measure(run, [fails_at_ten], n_jobs=2, cache=False)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs were given:UserWarning")
def test_a_process_that_dies_is_told(run):
    with pytest.raises(
        MeasureError, match=r"was killed, most likely for want of memory.*fewer than n_jobs=2"
    ):
        measure(run, [dies], n_jobs=2, cache=False)


# --- choosing steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (None, STEPS),
        ("all", STEPS),
        ([100, 5, 5], [5, 100]),
        (np.array([5]), [5]),
        ("40", [40]),
        ("near:12", [10]),
        ("near:1000000", [100]),
        ("1-10", [1, 5, 10]),
        ("every:50", [0, 40, 100]),
        ("every:1000", [0, 100]),
        ("log:3", [0, 1, 10, 100]),
        ("log:1", [0, 1, 100]),
        (" 0 , near:30,", [0, 40]),
    ],
)
def test_steps_are_saved_ones(run, text, steps):
    assert select_steps(run, text) == steps


def test_steps_that_cannot_be(run, tmp_path):
    with pytest.raises(RunError, match=r"no checkpoint at step 7; the nearest is at 5\. Use it, or 'near:7'"):
        measure(run, [norms], [7])
    with pytest.raises(RunError, match="no checkpoint at step 7"):
        select_steps(run, "7")
    with pytest.raises(RunError, match=r"no checkpoint in '50-60'; it has steps 0 to 100"):
        select_steps(run, "50-60")
    for wrong in ("every:0", "log:x", "sometimes", "5-", "-5"):
        with pytest.raises(ValueError, match="Steps are all, every:N"):
            select_steps(run, wrong)
    empty = write_run(tmp_path / "empty", steps=[])
    with pytest.raises(RunError, match="no checkpoints to measure yet"):
        measure(empty, [norms])


def test_steps_that_cannot_be_are_told_before_anything_is_measured(run):
    with pytest.raises(RunError):
        measure(run, [norms], [0, 7])
    assert not calls


# --- the lists of probes


def test_listed_probes_are_there_and_no_probe_is_listed_twice():
    listed = sum((x for n, x in vars(standard).items() if n.isupper()), ())
    listed = sum((x for n, x in vars(standard).items() if n.isupper()), ())
    listed = sum((x for n, x in vars(standard).items() if n.isupper()), ())
    assert len(set(listed)) == len(listed)
    assert set(listed) == set(probe_files.available())
    for name in listed:
        assert probe_files.named(name).__name__ == name


def test_a_table_that_probes_build_on_is_computed_once_a_snapshot(run):
    seen = []

    def counted(snapshot):
        seen.append(snapshot.step)
        return pd.DataFrame({"one": [1]})

    def builds_on_it(snapshot):
        return snapshot.once(counted).assign(two=2)

    measure(run, [counted, builds_on_it], [5])
    assert seen == [5]


@pytest.mark.slow
def test_a_notebook_calls_measure_again_and_again(run):
    """`interp.measure` is the function, however often it is looked up: no module takes its name."""
    code = (
        "import interp\n"
        f"run = interp.open_run({str(run.path)!r})\n"
        "for _ in range(2):\n"
        "    assert len(interp.measure(run, ['weight_norms'], cache=False)['weight_norms'])\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)

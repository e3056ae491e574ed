"""Whole files in the wrong place: of another run, under another's name, or gone though the run says it had them."""

import dataclasses
import json
import shutil

import pandas as pd
import pytest

from interp.checks.of_run import verify_run
from interp.checks.repair import repair_run
from interp.runs import saving
from interp.runs.belonging import belonging
from interp.runs.record import RunRecord
from interp.runs.run import open_run
from interp.runs.saving import (
    create_run,
    read_latest,
    save_history,
    save_recorded,
    update_record,
)
from interp.runs.tensor_files import RunError
from interp.training.train import resume, train
from tests.checks.test_faults import half_done
from tests.tiny import tiny_config

SOURCE = {"path": "/far", "format": "openai-grok", "task": {"none": "no logs"}, "recorded": ["norm"]}


def problems(path):
    return {(f.kind, f.where) for f in verify_run(path, losses=0).problems}


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A run of the same kind with another seed, whose files would fit."""
    config = tiny_config(10, seed=1, schedule=dataclasses.replace(tiny_config(10).schedule, steps=(0, 10)))
    return train(config, tmp_path_factory.mktemp("other") / "other", threads=1)


@pytest.fixture
def imported(tmp_path):
    config = tiny_config()
    record = RunRecord(status="imported", unit="step", history_is="recorded by the source", source=SOURCE)
    run = create_run(tmp_path / "imported", config, record, config.task.task())
    save_history(run, pd.DataFrame({"step": [0, 1], "train_loss": [2.0, 1.0]}))
    save_recorded(run, pd.DataFrame({"step": [0, 1], "norm": [5.0, 6.0]}))
    return run


def test_a_history_of_another_run_is_refused(tiny_run_copy, other):
    shutil.copy(other.path / "history.parquet", tiny_run_copy.path)
    with pytest.raises(
        RunError, match=r"history\.parquet is of another run: it was written with another config"
    ):
        tiny_run_copy.history()
    assert problems(tiny_run_copy.path) == {("unreadable", "history.parquet")}


def test_a_run_json_of_another_run_is_seen_by_what_lies_beside_it(tiny_run_copy, other):
    shutil.copy(other.path / "run.json", tiny_run_copy.path)
    with pytest.raises(RunError, match=r"history\.parquet is of another run"):
        open_run(tiny_run_copy.path).history()
    assert {("unreadable", "history.parquet"), ("altered", "latest.safetensors")} <= problems(
        tiny_run_copy.path
    )


def test_a_state_of_another_run_is_neither_resumed_nor_repaired(tiny_run_copy, other):
    half_done(tiny_run_copy, 200)
    file = tiny_run_copy.path / "latest.safetensors"
    shutil.copy(other.path / "latest.safetensors", file)
    for act in (lambda path: read_latest(open_run(path)), resume):
        with pytest.raises(RunError, match=r"latest\.safetensors is of another run"):
            act(tiny_run_copy.path)
    assert ("altered", "latest.safetensors") in problems(tiny_run_copy.path)
    (repair,) = [r for r in repair_run(tiny_run_copy.path) if r.where == "latest.safetensors"]
    assert not repair.done and "is of another run" in repair.message
    assert file.read_bytes() == (other.path / "latest.safetensors").read_bytes()


def test_a_checkpoint_is_no_state_to_resume_from(tiny_run_copy):
    shutil.copy(
        tiny_run_copy.path / "steps" / "0000000200.safetensors", tiny_run_copy.path / "latest.safetensors"
    )
    with pytest.raises(
        RunError, match=r"latest\.safetensors is damaged: it holds '.*', which is of no state"
    ):
        read_latest(tiny_run_copy)
    assert problems(tiny_run_copy.path) == {("altered", "latest.safetensors")}


def test_two_tables_in_each_others_place(imported):
    path = imported.path
    (path / "history.parquet").rename(path / "aside")
    (path / "recorded.parquet").rename(path / "history.parquet")
    (path / "aside").rename(path / "recorded.parquet")
    for read, name, said in (
        (imported.history, "history.parquet", "recorded.parquet"),
        (imported.recorded, "recorded.parquet", "history.parquet"),
    ):
        with pytest.raises(
            RunError, match=rf"{name} holds another file's content: it says that it is {said}"
        ):
            read()
    assert {("unreadable", "history.parquet"), ("unreadable", "recorded.parquet")} <= problems(path)


def test_a_kept_table_is_no_history(tiny_run_copy):
    from interp.measurement.measure import measure

    measure(tiny_run_copy, ["weight_norms"])
    (table,) = (tiny_run_copy.path / "measures").glob("*.parquet")
    shutil.copy(table, tiny_run_copy.path / "history.parquet")
    with pytest.raises(RunError, match=r"history\.parquet holds another file's content: .* interp\.probes\."):
        tiny_run_copy.history()


@pytest.mark.parametrize("name", ["history.parquet", "recorded.parquet"])
def test_what_an_import_had_recorded_is_missed(imported, name):
    assert problems(imported.path) == set()
    (imported.path / name).unlink()
    assert problems(imported.path) == {("missing", name)}


def test_what_belongs_to_a_run_does_not_depend_on_its_length():
    a, b = tiny_config(), tiny_config(400)
    assert belonging("x", a) == belonging("x", b)
    others = (tiny_config(seed=1), tiny_config(optimizer={"lr": 0.02}), tiny_config(task={"split_seed": 1}))
    assert len({belonging("x", config)["run"] for config in (a, *others)}) == 4


def test_a_config_that_was_changed_and_meant_is_resumed_after_a_kill_too(tiny_run_copy, monkeypatch):
    half_done(tiny_run_copy, 200)
    file = tiny_run_copy.path / "run.json"
    value = json.loads(file.read_text("utf-8"))
    value["config"]["optimizer"]["lr"] = 0.02
    del value["checksum"]
    file.write_text(json.dumps(value), "utf-8")
    run = open_run(tiny_run_copy.path)
    # All that a trainer writes that is killed in its first moment: run.json vouches for the new config.
    update_record(run, dataclasses.replace(run.record, status="running"))
    assert "checksum" in json.loads(file.read_text("utf-8"))
    assert problems(run.path) == set()
    assert resume(run.path, threads=1).record.status == "complete"


def test_a_config_without_a_network_is_said_to_be_of_run_json(tiny_run_copy):
    half_done(tiny_run_copy, 200)
    file = tiny_run_copy.path / "run.json"
    value = json.loads(file.read_text("utf-8"))
    del value["checksum"]
    value["config"]["model"] = None
    file.write_text(json.dumps(value), "utf-8")
    with pytest.raises(RunError, match=r"run\.json does not say all that resume needs\. .* has no model"):
        resume(tiny_run_copy.path)


def test_a_damaged_history_does_not_keep_a_record_from_being_written(tiny_run_copy):
    run = tiny_run_copy
    (run.path / "history.parquet").write_bytes(b"PAR1")
    run.states_checksum = False
    saving.update_record(run, dataclasses.replace(run.record, status="failed"))
    assert open_run(run.path).record.status == "failed"
    assert (run.path / "history.parquet").read_bytes() == b"PAR1"


def test_an_emptied_index_of_a_stopped_run_is_damage(tiny_run_copy):
    half_done(tiny_run_copy, 200)
    (tiny_run_copy.path / "index.json").write_text("{}")
    found = problems(tiny_run_copy.path)
    assert {("not in the index", f"steps/{step:010d}.safetensors") for step in (0, 50, 100, 150)} <= found
    # The last is saved again, with its entry.
    assert ("not in the index", "steps/0000000200.safetensors") not in found


def test_a_folder_in_a_checkpoints_place_is_named(tiny_run_copy):
    file = tiny_run_copy.path / "steps" / "0000000200.safetensors"
    file.unlink()
    file.mkdir()
    with pytest.raises(RunError, match=rf"{file}"):
        tiny_run_copy.tensor(200, "W_E")


def test_a_weights_name_that_leads_out_is_said_to_be_of_the_index(tiny_run_copy):
    file = tiny_run_copy.path / "index.json"
    file.write_text(file.read_text("utf-8").replace("blocks.0.mlp.W_in", "blocks/0.mlp.W_in", 1))
    (found,) = [f for f in verify_run(tiny_run_copy.path, losses=0).problems if f.kind == "index"]
    assert "index.json has a weight named 'blocks/0.mlp.W_in'" in found.message

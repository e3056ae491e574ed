"""One flipped bit anywhere: what is read is what was written, or is refused; and files of earlier versions."""

import json
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.fault_parts.staged import flipped
from interp.checks.of_run import verify_run
from interp.runs.config import config_to_json
from interp.runs.record import RunRecord
from interp.runs.run import open_run
from interp.runs.saving import (
    create_run,
    read_latest,
    save_history,
    save_latest,
    save_recorded,
    update_record,
)
from interp.runs.seal import MARK, is_sealed
from interp.runs.table_files import read_table, table_bytes
from interp.runs.tensor_files import RunError, safetensors_bytes
from tests.tiny import tiny_config

BUNDLED = Path(__file__).parents[2] / "checkpoints" / "mainline"


def never_other(file: Path, read, same, every: int = 1) -> int:
    """Try every flip of a file: what is read is the same, or refused. How often it was refused."""
    whole, n_refused = file.read_bytes(), 0
    for data in flipped(whole, every):
        file.write_bytes(data)
        try:
            found = read()
        except RunError:
            n_refused += 1
        else:
            same(found)
    file.write_bytes(whole)
    same(read())
    return n_refused


def imported(path):
    """A run with a split that was recorded, which no generator makes again."""
    config = tiny_config(task={"split": "explicit"})
    split = torch.arange(121) % 3 == 0
    return create_run(path, config, RunRecord(status="imported", unit="step"), config.task.task(split))


@pytest.mark.parametrize("name", ["history", "recorded"])
def test_a_table_of_the_run(tmp_path, name):
    run = imported(tmp_path / "r")
    table = pd.DataFrame({"step": np.arange(200), "train_loss": np.random.default_rng(0).random(200)})
    {"history": save_history, "recorded": save_recorded}[name](run, table)
    file = run.path / f"{name}.parquet"
    n_refused = never_other(
        file,
        getattr(run, name),
        lambda found: pd.testing.assert_frame_equal(found, table, check_exact=True),
        every=3,
    )
    assert n_refused >= (file.stat().st_size - len(MARK)) // 3
    file.write_bytes(next(flipped(file.read_bytes()[::-1]))[::-1])
    assert {(f.kind, f.where) for f in verify_run(run.path, losses=0).problems} == {("unreadable", file.name)}


def test_the_split_of_an_imported_run(tmp_path):
    run = imported(tmp_path / "r")
    want, file = run.task.is_train, run.path / "task.safetensors"
    n_refused = never_other(
        file,
        lambda: open_run(run.path).task.is_train,
        lambda found: torch.testing.assert_close(found, want),
        every=5,
    )
    assert n_refused >= (file.stat().st_size - len(MARK) - 8) // 5


def test_the_resume_state_and_its_step(tmp_path):
    run = imported(tmp_path / "r")
    save_latest(run, 150, {"a": torch.ones(20)}, {"exp_avg/a": torch.ones(20)})

    def same(found):
        assert found.step == 150 and torch.equal(found.weights["a"], torch.ones(20))

    never_other(run.path / "latest.safetensors", lambda: read_latest(run), same)


def test_what_run_json_says(tiny_run_copy):
    run = tiny_run_copy

    def same(found):
        assert config_to_json(found.config) == config_to_json(run.config) and found.record == run.record

    assert never_other(run.path / "run.json", lambda: open_run(run.path), same, every=3) > 300


def test_the_index_never_gives_one_step_for_another(tiny_run_copy):
    run = tiny_run_copy
    want = {step: run.checkpoint(step).weights for step in run.steps}

    def read():
        opened, found = open_run(run.path), {}
        for step in opened.steps:
            with suppress(RunError):
                found[step] = opened.checkpoint(step).weights
        return found

    def same(found):
        for step, weights in found.items():
            assert all(torch.equal(weights[name], w) for name, w in want[step].items())

    assert never_other(run.path / "index.json", read, same, every=29) > 20


def test_packed_weights(tiny_run_copy):
    run = tiny_run_copy
    want = np.array(run.weights("W_E"))
    for name in ("embed.W_E.npy", "embed.W_E.json"):
        never_other(
            run.path / "packed" / name,
            lambda: open_run(run.path).weights("W_E"),
            lambda found: np.testing.assert_array_equal(found, want),
            every=31,
        )


@pytest.mark.parametrize("name", ["embed.W_E.npy", "embed.W_E.json"])
@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_a_packed_file_that_is_none_is_packed_anew(tiny_run_copy, name, data):
    want = np.array(tiny_run_copy.weights("W_E"))
    (tiny_run_copy.path / "packed" / name).write_bytes(data)
    np.testing.assert_array_equal(tiny_run_copy.weights("W_E"), want)


def test_one_digit_of_the_learning_rate_is_seen_and_can_be_meant(tiny_run_copy):
    file = tiny_run_copy.path / "run.json"
    value = json.loads(file.read_text("utf-8"))
    value["config"]["optimizer"]["lr"] = 0.02
    file.write_text(json.dumps(value), "utf-8")
    with pytest.raises(RunError, match=rf"{file} says something else .* delete its line \"checksum\" too"):
        open_run(tiny_run_copy.path)
    (found,) = verify_run(tiny_run_copy.path, losses=0).problems
    assert (found.kind, found.where) == ("unreadable", "run.json")
    # What the sentence says: the line is deleted, and the run is taken at its word.
    del value["checksum"]
    file.write_text(json.dumps(value), "utf-8")
    run = open_run(tiny_run_copy.path)
    assert run.config.optimizer.lr == 0.02
    (note,) = verify_run(run.path, losses=0).findings
    assert (note.level, note.kind, note.where) == ("note", "unprotected", "run.json")
    # The next writer states one again.
    update_record(run, run.record)
    assert verify_run(run.path, losses=0).findings == []


def test_the_layout_of_run_json_does_not_count(tiny_run_copy):
    file = tiny_run_copy.path / "run.json"
    value = json.loads(file.read_text("utf-8"))
    file.write_text("\r\n" + json.dumps(dict(reversed(value.items()))), "utf-8")
    assert open_run(tiny_run_copy.path).states_checksum


def test_a_run_of_an_earlier_version_opens_and_is_called_unprotected(tiny_run_copy):
    run = tiny_run_copy
    value = json.loads((run.path / "run.json").read_text("utf-8"))
    del value["checksum"]
    (run.path / "run.json").write_text(json.dumps(value), "utf-8")
    history = run.history()
    history.to_parquet(run.path / "history.parquet", index=False)
    opened = open_run(run.path)
    pd.testing.assert_frame_equal(opened.history(), history, check_exact=True)
    report = verify_run(run.path, losses=3)
    assert report.problems == []
    (note,) = report.findings
    assert (note.kind, note.where) == ("unprotected", "run.json, history.parquet")
    assert "a change in them would not be seen" in note.message


def test_the_bundled_run_is_sound_and_says_what_is_unprotected():
    report = verify_run(BUNDLED, losses=1)
    assert report.problems == []
    assert ("unprotected", "run.json, history.parquet") in {(f.kind, f.where) for f in report.findings}


def test_a_table_is_a_parquet_file_for_everyone(tmp_path):
    table = pd.DataFrame({"step": [0, 1], "name": ["a", None], "x": [0.1, float("nan")]})
    (tmp_path / "x.parquet").write_bytes(data := table_bytes(table, {"probe": "losses"}))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), table)
    found, about = read_table(tmp_path / "x.parquet", needs_seal=True)
    pd.testing.assert_frame_equal(found, table)
    assert about == {"probe": "losses"} and is_sealed(data)
    assert table_bytes(table, {"probe": "losses"}) == data


def test_safetensors_that_state_nothing_are_not_sealed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not is_sealed(safetensors_bytes({"a": torch.zeros(3)}, 0))


def test_a_history_that_is_a_folder_or_another_table(tiny_run_copy):
    run, file = tiny_run_copy, tiny_run_copy.path / "history.parquet"
    whole = file.read_bytes()
    file.unlink()
    file.mkdir()
    with pytest.raises(
        RunError, match=r"history.parquet: Is a directory. A folder lies where a file is needed"
    ):
        run.history()
    assert ("unreadable", "history.parquet") in {
        (f.kind, f.where) for f in verify_run(run.path, losses=2).problems
    }
    file.rmdir()
    file.write_bytes(table_bytes(pd.DataFrame({"loss": [1.0]})))
    with pytest.raises(RunError, match=r"history.parquet is not a table of steps: it has no column of them"):
        run.history()
    file.write_bytes(whole)
    assert len(run.history()) == 301

"""The lock: what was predicted cannot be changed unseen, or written over."""

import json
import os

import pytest

from interp.theories import ALL, read_lock, scoreboard, write_lock
from interp.theories.lock import hash_of
from interp.theories.statistic import Region
from tests.theories.test_verdict import LATE, predicted

STATED = {
    "run": {"name": "mainline", "checkpoint": "0f3a"},
    "branch_steps": [2500, 4500],
    "arms": [{"name": "control"}, {"name": "norm", "dose": 1.15}],
    "n_pairs": 3,
    "thresholds": {"test_accuracy": [0.9, 0.95, 0.99], "test_loss": [1.0]},
}
PREDICTIONS = [prediction for theory in ALL for prediction in theory.predictions]


@pytest.fixture
def path(tmp_path):
    write_lock(tmp_path / "predictions.json", **STATED, predictions=PREDICTIONS)
    return tmp_path / "predictions.json"


def edited(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_what_was_written_comes_back(path):
    lock = read_lock(path)
    assert lock.predictions == tuple(PREDICTIONS)
    assert (lock.run, lock.branch_steps, lock.n_pairs) == (STATED["run"], (2500, 4500), 3)
    assert (list(lock.arms), lock.thresholds) == (STATED["arms"], STATED["thresholds"])
    assert lock.primary == tuple(p for p in PREDICTIONS if p.primary)
    written = json.loads(path.read_text())
    assert written["primary"] == [f"{p.theory}: {p.name}" for p in lock.primary] and len(lock.primary) > 5
    assert written["time"].endswith("+00:00") and written["code"] and written["hash"] == lock.hash


def test_the_hash_does_not_hang_on_the_order_of_keys_or_on_spaces(path):
    before = read_lock(path).hash
    value = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(value.items())), indent=7))
    assert read_lock(path).hash == before
    # By hand: keys sorted, no spaces, SHA-256 of the text.
    assert hash_of({"b": [1, 2.5], "a": "é"}) == (
        __import__("hashlib").sha256('{"a":"é","b":[1,2.5]}'.encode()).hexdigest()
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["predictions"][0]["required"].update(low=-1.0),
        lambda value: value.update(n_pairs=8),
        lambda value: value.update(time="2020-01-01T00:00:00+00:00"),
        lambda value: value.update(note="added"),
        lambda value: value.pop("hash"),
        lambda value: value.update(hash="0" * 64),
    ],
)
def test_an_edited_lock_is_refused(path, change):
    edited(path, change)
    with pytest.raises(
        ValueError,
        match=r"predictions.json was edited after it was written: its hash is [0-9a-f]{16}, and it ",
    ):
        read_lock(path)


def test_a_lock_is_never_written_over(path):
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match="predictions.json exists. A lock is never written over, .* Take a new folder, or"
    ):
        write_lock(path, **STATED, predictions=PREDICTIONS)
    assert path.read_bytes() == before


def test_it_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def refuses(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuses)
    with pytest.raises(OSError, match="predictions.json failed: No space left on device"):
        write_lock(tmp_path / "predictions.json", **STATED, predictions=PREDICTIONS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "predictions.json is missing. Write the predictions first: interp predict RUN."),
        ("{", "predictions.json needs to hold JSON, but .* Write the predictions anew in another folder."),
        ("[" * 60 + "]" * 60, "predictions.json needs to hold JSON, but it is nested"),
        (
            "[]",
            "predictions.json needs to be a lock of this version .format 'grokscope predictions', version 1.,",
        ),
        ('{"format": "grokscope predictions", "version": 2}', "needs to be a lock of this version"),
    ],
)
def test_what_is_no_lock_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "predictions.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_lock(tmp_path / "predictions.json")


def test_what_json_does_not_hold_is_refused(tmp_path):
    for run in ({"loss": float("nan")}, {"path": tmp_path}):
        with pytest.raises(
            ValueError, match="A lock needs values that JSON holds, got one that it does not: .* Give texts"
        ):
            write_lock(tmp_path / "predictions.json", **(STATED | {"run": run}), predictions=[])
    assert list(tmp_path.iterdir()) == []


def test_two_predictions_of_one_name_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match="A lock needs predictions of different names, got 'by_hand' of 'hidden_progress' tw"
    ):
        write_lock(tmp_path / "predictions.json", **STATED, predictions=[predicted(), predicted()])


def test_a_lock_of_other_fields_is_refused_with_its_version(path):
    value = json.loads(path.read_text())
    value["predictions"][0]["colour"] = "red"
    value.pop("hash")
    path.write_text(json.dumps({**value, "hash": hash_of(value)}))
    with pytest.raises(
        ValueError, match="A prediction needs the fields that this version writes, got others .*colour"
    ):
        read_lock(path)
    del value["predictions"][0]["colour"]
    value["predictions"][0]["statistic"]["kind"] = "hunch"
    path.write_text(json.dumps({**value, "hash": hash_of(value)}))
    with pytest.raises(ValueError, match="A statistic needs a kind, one of effect_ratio, .*, got 'hunch'"):
        read_lock(path)


def test_what_is_not_in_the_lock_is_exploratory(tmp_path):
    locked = predicted(required=Region(low=1.25))
    other = predicted(required=Region(low=1.25), name="an_afterthought")
    changed = predicted(required=Region(low=1.5))
    lock = write_lock(tmp_path / "predictions.json", **STATED, predictions=[locked])
    board = scoreboard(lock, LATE, None, {}, also=[other, changed, locked])
    assert list(board["prediction"]) == ["by_hand", "an_afterthought", "by_hand"]
    # The same prediction with another region is another one.
    assert list(board["status"]) == ["this recipe", "exploratory", "exploratory"]
    jitter = LATE.assign(kind="jitter")
    assert list(scoreboard(lock, jitter, None, {})["status"]) == ["this run"]
    assert list(scoreboard([locked], LATE, None, {})["status"]) == ["exploratory"]
    assert list(scoreboard(lock, None, None, {})["status"]) == ["not tested"]


def test_a_locked_observation_is_observed(tmp_path):
    seen = next(p for p in PREDICTIONS if p.name == "early_bump")
    lock = write_lock(tmp_path / "predictions.json", **STATED, predictions=[seen])
    assert list(scoreboard(lock, LATE, None, {})["status"]) == ["observed"]


def test_the_lock_names_the_main_branch_step(tmp_path):
    import pandas as pd

    later = LATE.assign(branch_step=4500, before=LATE["before"] * 2, step=LATE["step"] * 2, budget=20_000)
    later.loc[later["arm"] == "arm", ["before", "step"]] = [2000 - 1e-9, 2000]
    both = pd.concat([LATE, later], ignore_index=True)
    wide = predicted(required=Region(low=0.01))
    for steps, value in (([2500, 4500], 2.01375), ([4500, 2500], 1.0)):
        stated = STATED | {"branch_steps": steps}
        lock = write_lock(tmp_path / f"{steps[0]}" / "predictions.json", **stated, predictions=[wide])
        assert scoreboard(lock, both, None, {})["value"][0] == pytest.approx(value, rel=1e-5)

"""A start that fails before the run is one: it blocks nothing, and what the errors advise works."""

import dataclasses
import math
import threading

import pytest
from filelock import FileLock

import interp
from benchmarks.fault_parts.staged import Killed, bytes_of, killed_at
from interp.runs import saving
from interp.runs.locks import run_lock
from interp.runs.record import RunRecord
from interp.runs.saving import create_run, put_in_place
from interp.runs.tensor_files import RunError
from interp.training.train import resume, train
from tests.tiny import tiny_config

ARGUMENTS = ["--p", "11", "--steps", "3", "--d-model", "8", "--heads", "2", "--d-mlp", "8", "--threads", "1"]


def begun(path, n=8):
    """What a start leaves that is killed at its n-th file operation."""
    with killed_at(n, path), pytest.raises(Killed):
        train(tiny_config(3), path, threads=1)
    assert not (path / "run.json").exists()
    return path


@pytest.mark.parametrize("n", [4, 5, 8, 12])
def test_what_a_failed_start_left_is_named_and_started_again(tmp_path, n):
    path = begun(tmp_path / "r", n)
    for action in (interp.open_run, resume):
        with pytest.raises(
            RunError, match=r"only the beginning of a run, .* Start it again with `interp train`"
        ):
            action(path)
    run = train(tiny_config(3), path, threads=1)
    assert run.record.status == "complete" and list(path.rglob(".*")) == []


def test_a_full_disk_at_the_start(tmp_path, monkeypatch):
    def full(path, value):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(saving, "write_json", full)
        with pytest.raises(OSError, match="No space left"):
            train(tiny_config(3), tmp_path / "r", threads=1)
    assert {p.name for p in (tmp_path / "r").iterdir()} == {"lock", "task.safetensors", "index.json"}
    assert train(tiny_config(3), tmp_path / "r", threads=1).record.status == "complete"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", b"mine"),
        ("task.safetensors", b"of another program"),
        ("index.json", b'{"mine": 1}'),
        ("index.json", b"not JSON"),
        (".hidden.writing", b"mine"),
        ("steps", None),
    ],
)
def test_a_beginning_with_anything_else_beside_it_is_left_alone(tmp_path, name, data):
    path = begun(tmp_path / "r", 2)
    (path / name).mkdir() if data is None else (path / name).write_bytes(data)
    before = bytes_of(path)
    with pytest.raises(RunError, match="already holds other files. Name a new or empty one"):
        train(tiny_config(3), path, threads=1)
    assert bytes_of(path) == before


def test_a_start_that_has_not_failed_yet_is_not_taken_over(tmp_path):
    path = begun(tmp_path / "r")
    made = create_run(tmp_path / "made", tiny_config(3), RunRecord(status="imported", unit="step"), None).path
    before = bytes_of(path)
    with FileLock(path / "lock"):
        with pytest.raises(RunError, match="Another trainer is working on"):
            train(tiny_config(3), path, threads=1)
        with pytest.raises(RunError, match=r"A trainer is starting in .* Name another directory"):
            put_in_place(made, path)
    assert bytes_of(path) == before
    put_in_place(made, path)
    assert interp.open_run(path).record.status == "imported"


BAD = [
    ({"optimizer": {"betas": (0.9, 2.0)}}, r"betas of at least 0 and below 1, got \[0.9, 2.0\]"),
    ({"optimizer": {"betas": (math.nan, 0.9)}}, r"betas of at least 0 and below 1, got \[nan, 0.9\]"),
    ({"optimizer": {"eps": math.nan}}, "eps finite and at least 0, got eps=nan"),
    ({"optimizer": {"eps": -1.0}}, "eps finite and at least 0, got eps=-1.0"),
    ({"optimizer": {"momentum": math.inf}}, "momentum finite and at least 0, got momentum=inf"),
    ({"optimizer": {"lr": math.nan}}, "finite lr > 0"),
    ({"model": {"init_scale": math.inf}}, "a finite init_scale, got inf"),
    ({"model": {"attention_rate": math.nan}}, "a finite attention_rate, got nan"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_numbers_that_cannot_be_are_refused_where_they_are_stated(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_config(3, **changes)


def test_a_config_that_json_cannot_hold_makes_nothing(tmp_path):
    config = tiny_config(3)
    object.__setattr__(config.optimizer, "eps", math.nan)
    with pytest.raises(ValueError, match="Out of range float"):
        create_run(tmp_path / "r", config, RunRecord(status="running", unit="step"), config.task.task())
    assert not (tmp_path / "r").exists()
    assert dataclasses.asdict(tiny_config(3).optimizer)["eps"] == 1e-8


@pytest.fixture
def command(monkeypatch, capsys):
    def called(*arguments):
        from interp.commands.cli import main

        monkeypatch.setattr("sys.argv", ["interp", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    return called


@pytest.mark.parametrize(
    "option", [["--beta1", "2"], ["--lr", "nan"], ["--eps", "nan"], ["--init-scale", "inf"]]
)
def test_a_bad_option_of_the_command_leaves_the_place_free(tmp_path, option, command):
    code, told = command("train", tmp_path / "r", *ARGUMENTS, *option)
    assert code == 1 and told.startswith("interp: ") and "Traceback" not in told
    assert not (tmp_path / "r").exists()


def test_what_the_system_refuses_names_the_file(tmp_path, command):
    (tmp_path / "file").write_bytes(b"")
    code, told = command("train", tmp_path / "file" / "run", *ARGUMENTS)
    assert code == 1 and "Traceback" not in told
    assert (
        f"{tmp_path / 'file' / 'run'} cannot be made: " in told
        and "Not a directory. A part of this path" in told
    )
    run = train(tiny_config(3), tmp_path / "run", threads=1)
    (run.path / "lock").unlink()
    (run.path / "lock").mkdir()
    code, told = command("resume", run.path)
    assert code == 1 and told.startswith(
        f"interp: {run.path / 'lock'}: Is a directory. A folder lies where a file"
    )
    code, told = command("verify", tmp_path / "file" / "run")
    assert code == 1 and str(tmp_path / "file" / "run") in told and "Traceback" not in told


def test_a_trainer_that_is_starting_is_no_failed_start(tmp_path):
    path = begun(tmp_path / "r")
    with (
        FileLock(path / "lock"),
        pytest.raises(RunError, match=r"A trainer is starting in .*r: there is no run yet\. Try again"),
    ):
        interp.open_run(path)


def test_one_who_asks_whether_a_run_is_in_use_stops_no_trainer(tmp_path):
    asking = FileLock(tmp_path / "lock", thread_local=False)
    asking.acquire()
    threading.Timer(0.05, asking.release).start()
    with run_lock(tmp_path):
        assert not asking.is_locked


def test_verify_of_a_beginning_says_what_it_is(tmp_path, monkeypatch, capsys):
    from interp.commands.cli import main

    path = begun(tmp_path / "r")
    monkeypatch.setattr("sys.argv", ["interp", "verify", str(path)])
    with FileLock(path / "lock"), pytest.raises(SystemExit):
        main()
    captured = capsys.readouterr()
    assert "A trainer is starting in" in captured.out + captured.err


def test_a_run_that_began_while_its_folder_was_looked_into_is_opened_as_one(tmp_path, monkeypatch):
    """Between looking for run.json and listing the folder a trainer made its first files there."""
    from interp.sources import opening

    path = tmp_path / "run"
    path.mkdir()

    def listed(where, **stated):
        train(tiny_config(2), path, threads=1)
        raise RunError("task.safetensors holds tensors of no known format")

    monkeypatch.setattr(opening, "open_source", listed)
    assert opening.open_run(path).record.status == "complete"
    # What is no run stays someone else's.
    other = tmp_path / "other"
    other.mkdir()

    def refused(where, **stated):
        raise RunError("of no known format")

    monkeypatch.setattr(opening, "open_source", refused)
    with pytest.raises(RunError, match="of no known format"):
        opening.open_run(other)

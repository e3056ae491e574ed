"""The record in run.json: typed where it is read, as it was where it is written, and whatever is wrong is named."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import interp
from interp.checks.of_run import verify_run
from interp.commands.cli import app
from interp.runs.record import (
    FORMAT,
    FORMAT_VERSION,
    Parent,
    RunRecord,
    Session,
    record_from_json,
    record_to_json,
)
from interp.runs.run import open_run
from interp.runs.saving import create_run, save_checkpoint, update_record
from interp.runs.tensor_files import RunError
from interp.training.train import resume
from tests.tiny import tiny_config

BUNDLED = Path(__file__).parents[2] / "checkpoints" / "mainline"

SESSION = {
    "from_step": 0,
    "started": "2026-11-23T21:23:00+00:00",
    "device": "cuda:1",
    "device_name": "x86_64",
    "threads": 2,
    "cpu_capability": "AVX512",
    "platform": "Linux",
    "versions": {"torch": "2.13.0", "numpy": "2.4.6"},
    "commit": None,
}
OWN = {
    "status": "interrupted",
    "unit": "step",
    "created": "2026-11-23T21:23:00+00:00",
    "forward_path": "factorized",
    "sessions": [SESSION, SESSION | {"from_step": 40, "device": "cpu", "threads": 1}],
}
SOURCE = {"path": "/far", "format": "openai-grok", "task": {"none": "no logs"}, "assumed": {}, "logs": ["a"]}
FORMS = {
    "own": OWN,
    "killed before its first session": OWN | {"status": "running", "sessions": []},
    "branch": OWN | {"parent": {"run": "../mainline", "step": 2500, "arm": "no weight decay"}},
    "imported": {
        "status": "imported",
        "unit": "epoch",
        "forward_path": "plain",
        "history_is": "recorded by the source, not recomputed",
        "source": SOURCE,
    },
    "imported without history": {
        "status": "imported",
        "unit": "step",
        "forward_path": "plain",
        "history_is": None,
        "source": SOURCE,
    },
    "imported from Hugging Face": {"status": "imported", "unit": "tokens", "source": SOURCE},
}


def whole(record):
    return {"format": FORMAT, "format_version": FORMAT_VERSION, **record, "config": {}}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_written_as_it_was_read(form):
    record = record_from_json(whole(FORMS[form]), "here")
    assert json.dumps(record_to_json(record)) == json.dumps(FORMS[form])  # the order of fields too


def test_the_bundled_run_saved_again_is_the_same_file(tmp_path):
    shutil.copy(BUNDLED / "run.json", tmp_path / "run.json")
    run = open_run(tmp_path)
    (tmp_path / "run.json").unlink()
    update_record(run, run.record)
    # But for its checksum, which runs of the version that made it do not state.
    lines = (tmp_path / "run.json").read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith('  "checksum": ')] == (
        (BUNDLED / "run.json").read_text("utf-8").splitlines()
    )
    assert sum('"checksum"' in line for line in lines) == 1
    assert open_run(tmp_path).config == run.config


def test_fields_are_typed():
    record = record_from_json(whole(FORMS["branch"]), "here")
    assert record.parent == Parent(run="../mainline", step=2500, arm="no weight decay")
    assert record.sessions[0] == Session(**SESSION)
    assert (record.device, record.threads) == ("cuda:1", 2)  # of the first session, not the last
    imported = record_from_json(whole(FORMS["imported"]), "here")
    assert (imported.sessions, imported.parent, imported.device, imported.threads) == ((), None, None, None)
    assert imported.source["task"] == {"none": "no logs"}


@pytest.mark.parametrize(
    ("status", "n_sessions", "want"),
    [
        ("complete", 1, True),
        ("interrupted", 2, True),
        ("failed", 1, True),
        ("diverged", 1, True),
        ("running", 1, True),
        ("running", 0, True),
        ("complete", 0, False),
        ("imported", 0, False),
        ("opened in place", 0, False),
    ],
)
def test_a_run_is_own_if_it_was_trained_here(status, n_sessions, want):
    record = RunRecord(status=status, unit="step", sessions=(Session(**SESSION),) * n_sessions)
    assert record.is_own == want


def test_a_run_killed_before_its_first_session_is_own_everywhere(tiny_run, tmp_path):
    record = RunRecord(status="running", unit="step", forward_path="factorized")
    run = create_run(tmp_path / "r", tiny_run.config, record, tiny_run.task)
    (note,) = verify_run(run.path, losses=1).findings
    assert (
        note.message
        == f"the run is interrupted: its trainer is gone; `interp resume {run.path}` continues it"
    )
    assert resume(run.path, threads=1).index == tiny_run.index


def test_a_path_that_is_no_text_reads_back(tmp_path):
    # A folder's name is bytes, and Python keeps those that are no UTF-8 as lone surrogates.
    source = SOURCE | {"path": "/home/caf\udce9"}
    record = RunRecord(status="imported", unit="step", source=source)
    run = create_run(tmp_path / "r", tiny_config(), record, None)
    assert open_run(run.path).record.source == source


NO_RECORD, RESTORE = "holds no valid record: ", r"\. It was altered: restore it from a copy\."
NEWER = r", which this version does not know\. Use the version that wrote it, or a newer one\."
WRONG = [
    ({"status": None}, f"{NO_RECORD}status: Input should be 'running', 'complete', .*{RESTORE}"),
    ({"status": "done"}, f"{NO_RECORD}status: Input should be 'running', "),
    ({"unit": 3}, f"{NO_RECORD}unit: Input should be a valid string{RESTORE}"),
    ({"created": 5}, f"{NO_RECORD}created: Input should be a valid string"),
    ({"forward_path": ["plain"]}, f"{NO_RECORD}forward_path: Input should be a valid string"),
    ({"history_is": {}}, f"{NO_RECORD}history_is: Input should be a valid string"),
    ({"sessions": None}, f"{NO_RECORD}sessions: Input should be a valid tuple{RESTORE}"),
    ({"sessions": SESSION}, f"{NO_RECORD}sessions: Input should be a valid tuple"),
    ({"sessions": ["first"]}, f"{NO_RECORD}sessions\\.0: Input should be a dictionary"),
    (
        {"sessions": [SESSION, SESSION | {"threads": "2"}]},
        f"{NO_RECORD}sessions\\.1\\.threads: Input should be a valid integer{RESTORE}",
    ),
    ({"sessions": [SESSION | {"from_step": True}]}, f"{NO_RECORD}sessions\\.0\\.from_step: Input should"),
    (
        {"sessions": [SESSION | {"versions": {"torch": 2}}]},
        f"{NO_RECORD}sessions\\.0\\.versions\\.torch: Inp",
    ),
    (
        {"sessions": [{k: v for k, v in SESSION.items() if k != "device"}]},
        f"{NO_RECORD}sessions\\.0\\.device: Field required{RESTORE}",
    ),
    ({"sessions": [SESSION | {"node": "a"}]}, f"has the field 'sessions\\.0\\.node'{NEWER}"),
    ({"source": ["/far"]}, f"{NO_RECORD}source: Input should be a valid dictionary{RESTORE}"),
    (
        {"source": {"path": "/far"}},
        f"{NO_RECORD}A source needs path, format and task, and lacks format, task\\.",
    ),
    (
        {"source": SOURCE | {"task": ["none"]}},
        f"{NO_RECORD}A source needs texts by name as its task, got \\['none'\\]",
    ),
    ({"source": SOURCE | {"assumed": 1}}, f"{NO_RECORD}A source needs values by name as its assumed, got 1"),
    ({"parent": "mainline"}, f"{NO_RECORD}parent: Input should be a dictionary"),
    ({"parent": {"run": "mainline", "step": 5}}, f"{NO_RECORD}parent\\.arm: Field required"),
    ({"parent": {"run": "mainline", "step": "5", "arm": "a"}}, f"{NO_RECORD}parent\\.step: Input should be"),
    ({"surprise": 1}, f"has the field 'surprise'{NEWER}"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[next(iter(change)) for change, _ in WRONG])
def test_what_is_wrong_is_named_in_one_sentence_and_never_dropped(tiny_run_copy, change, message):
    file = tiny_run_copy.path / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | change), "utf-8")
    before = file.read_bytes()
    for action in (open_run, interp.open_run, resume):
        with pytest.raises(RunError, match=f"^{file} {message}"):
            action(tiny_run_copy.path)
    (found,) = verify_run(tiny_run_copy.path, losses=0).problems
    assert (found.kind, found.where) == ("unreadable", "run.json")
    assert file.read_bytes() == before


def test_a_word_that_no_status_is(annotations_off):
    message = "RunRecord needs status to be one of 'running', .*'opened in place', got 'done'"
    with annotations_off(), pytest.raises(ValueError, match=message):
        RunRecord(status="done", unit="step")


def test_a_record_that_changes_leaves_the_config(tiny_run_copy):
    run, file = tiny_run_copy, tiny_run_copy.path / "run.json"
    before = json.loads(file.read_text("utf-8"))
    update_record(run, dataclasses.replace(run.record, status="interrupted"))
    assert run.record.status == open_run(run.path).record.status == "interrupted"
    after = json.loads(file.read_text("utf-8"))
    assert after.pop("checksum") != before.pop("checksum")
    assert after == before | {"status": "interrupted"}


def test_info_prints_what_run_json_says(tiny_run, tmp_path):
    record = record_from_json(whole(FORMS["imported from Hugging Face"]), "here")
    imported = create_run(tmp_path / "imported", tiny_config(), record, None)
    save_checkpoint(imported, 7, {})
    for run in (tiny_run, imported):
        result = CliRunner().invoke(app, ["info", str(run.path), "--json"])
        on_disk = json.loads((run.path / "run.json").read_text("utf-8"))
        assert json.loads(result.stdout) == on_disk | {
            "steps": run.steps,
            "optimizer_steps": run.optimizer_steps,
        }
    text = CliRunner().invoke(app, ["info", str(tiny_run.path)]).stdout
    assert "cpu (1 threads), torch 2" in text and "factorized" in text
    assert "openai-grok, /far" in CliRunner().invoke(app, ["info", str(imported.path)]).stdout

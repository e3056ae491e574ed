"""run.json and index.json with any field altered in any way: one sentence, never a traceback."""

import contextlib
import copy
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import interp
from interp.checks.of_run import verify_run
from interp.checks.repair import repair_run
from interp.commands.cli import app
from interp.runs.run import open_run
from interp.runs.tensor_files import RunError
from interp.training.train import resume
from tests.checks.test_faults import half_done
from tests.thinned import of_several, thinned

BUNDLED = Path(__file__).parents[2] / "checkpoints" / "mainline"

NESTED: list = []
for _ in range(900):
    NESTED = [NESTED]
ODD = {
    "null": None,
    "text": "x",
    "number": 7,
    "negative": -1,
    "share": 0.5,
    "truth": True,
    "list": [],
    "names": ["a", 3, None],
    "object": {},
    "object in object": {"a": {"b": [{}]}},
    "nested": NESTED,
    "long": "x" * 10_000,
    "escape": "\u001b[2J\u0000\ud800",
}


def places(value, path=()):
    """The path of every field, the schedule's steps but for their first."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from places(inner, (*path, name))
    elif isinstance(value, list) and value:
        yield (*path, 0)
        yield from places(value[0], (*path, 0))


def altered(value, path, new, missing=False):
    changed = copy.deepcopy(value)
    place = changed
    for name in path[:-1]:
        place = place[name]
    if missing:
        del place[path[-1]]
    else:
        place[path[-1]] = new
    return changed


def variants(value):
    for path in places(value):
        yield path, altered(value, path, None, missing=True)
        for new in ODD.values():
            yield path, altered(value, path, new)


SOURCE = {
    "path": "/far", "format": "openai-grok", "task": {"none": "no logs"}, "assumed": {"act_fn": "relu"},
    "logs": ["a"], "unreadable": {"b": "cut"}, "losses_are": "means", "config": {"lr": 1},
}  # fmt: skip


@pytest.fixture
def run(tiny_run_copy):
    half_done(tiny_run_copy, 200)
    return tiny_run_copy


@pytest.mark.parametrize(("kind", "each"), of_several([("own", 7), ("own", 1), ("imported", 1)], 3))
def test_every_alteration_is_refused_in_a_sentence_and_none_opens_as_another_run(run, kind, each):
    file = run.path / "run.json"
    value = json.loads(file.read_text("utf-8"))
    if kind == "imported":
        value |= {"status": "imported", "source": SOURCE, "parent": {"run": "a", "step": 1, "arm": "b"}}
        del value["sessions"]
    n = -1
    for n, (path, changed) in enumerate(variants(value)):
        if path == ("checksum",):
            continue
        file.write_text(json.dumps(changed), "utf-8")
        # As in an earlier version, or with the line deleted: only the fields themselves can be checked.
        by_itself = {name: x for name, x in changed.items() if name != "checksum"}
        if changed != value:
            with pytest.raises(RunError, match="run.json "):
                open_run(run.path)
        file.write_text(json.dumps(by_itself), "utf-8")
        with contextlib.suppress(RunError):
            opened = open_run(run.path)
            assert repr(opened)
            # Everything that prints what it says.
            if n % each:
                continue
            result = CliRunner().invoke(app, ["info", str(run.path)])
            assert result.exception is None or isinstance(result.exception, (RunError, ValueError)), path
    assert n > 500


@pytest.mark.parametrize(
    "path",
    thinned([
        ("status",), ("sessions",), ("source",), ("config", "task"), ("config", "model"), ("config", "optimizer"),
        ("config", "schedule"), ("config", "n_steps"), ("config", "seed"), ("config", "model", "n_heads"),
        ("config", "model", "d_head"), ("config", "evaluation_interval"), ("config", "task", "split"),
    ], 5),
)  # fmt: skip
def test_resume_verify_and_repair_of_what_opens_nevertheless(run, tmp_path, path):
    value = json.loads((run.path / "run.json").read_text("utf-8"))
    del value["checksum"]
    value.setdefault("source", None)
    for i, new in enumerate([*ODD.values(), 3]):
        copied = shutil.copytree(run.path, tmp_path / f"altered {i}")
        (copied / "run.json").write_text(json.dumps(altered(value, path, new)), "utf-8")
        assert verify_run(copied, losses=1).findings
        with contextlib.suppress(ValueError):
            resume(copied, threads=1)
        repair_run(copied)


@pytest.mark.slow
def test_every_alteration_of_the_index_is_a_sentence(run):
    file = run.path / "index.json"
    whole = file.read_bytes()
    index = {step: entry for step, entry in json.loads(whole).items() if step in ("100", "150")}
    for entry in [*index.values(), index["100"]["optimizer"]]:
        entry["tensors"] = dict(list(entry["tensors"].items())[:2])
    checkpoints = {p: p.read_bytes() for p in run.path.rglob("*.safetensors")}
    for _, changed in variants(index):
        file.write_text(json.dumps(changed), "utf-8")
        with contextlib.suppress(RunError):
            opened = open_run(run.path)
            for step in opened.steps:
                opened.checkpoint(step)
        verify_run(run.path, losses=0)
    assert {p: p.read_bytes() for p in run.path.rglob("*.safetensors")} == checkpoints
    file.write_bytes(whole)


def test_text_that_is_no_json(run):
    file = run.path / "run.json"
    deep = '{"a":' * 100_000
    for text in (
        "",
        "[]",
        "null",
        "7",
        '"x"',
        "{",
        deep,
        "[" * 100_000,
        '{"format": ' + "9" * 5000 + "}",
        "\x00",
    ):
        file.write_text(text, "utf-8")
        for action in (open_run, interp.open_run, resume):
            with pytest.raises(RunError, match="run.json "):
                action(run.path)
        (found,) = [f for f in verify_run(run.path, losses=0).problems if f.where == "run.json"]
        assert "interp verify" not in found.message
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="is not readable JSON"):
        open_run(run.path)

"""What strangers wrote is printed so that a terminal shows it and does not obey it."""

import ast
import pickle
import sys
import warnings
from pathlib import Path

import pytest
import torch

from interp.commands.cli import main
from interp.ground.plain_json import DEEPEST, json_value
from interp.ground.plain_text import say, sentence, shown, visible
from interp.ground.plain_warnings import plain_warnings
from interp.runs.tensor_files import RunError
from interp.sources import SourceError
from tests import foreign

ROOT = Path(__file__).parent.parent.parent
CLEAR = "\x1b[2J\x1b]0;title\x07"
OBEYED = "\x1b\x07\x08\r\x9b\u202e\u2066\u200b\x00\udcff"


def test_every_sign_that_is_obeyed_is_shown():
    assert not set(OBEYED) & set(visible(OBEYED))
    assert visible(OBEYED).encode("utf-8") == visible(visible(OBEYED)).encode("utf-8")
    kept = "µ é 漢 → \U0001f600 \\x1b 'W_E'"
    assert visible(kept) == kept
    assert len(sentence("x" * 10**6)) < 2100 and sentence("short") == "short"


def test_errors_of_files_are_visible_in_a_notebook_too():
    for kind in (RunError, SourceError):
        assert str(kind(f"{CLEAR} is damaged")) == "\\x1b[2J\\x1b]0;title\\x07 is damaged"
        assert str(pickle.loads(pickle.dumps(kind("a")))) == "a"


def test_lines_stay_lines(capsys):
    say(f"one {CLEAR}\ntwo", file=sys.stderr)
    assert capsys.readouterr().err == "one \\x1b[2J\\x1b]0;title\\x07\ntwo\n"


def test_values_are_shown_in_a_few_words():
    assert shown({"a": [1, 2, {"b": 3}]}) == "{'a': [1, 2, ...]}"
    assert shown(list(range(100))) == "[0, 1, 2, 3, 4, 5, 6, 7, ... (100 in all)]"
    assert shown((1,)) == "(1,)" and shown(()) == "()" and shown(None) == "None"
    assert shown(torch.ones(3)) == "a Tensor" and shown(torch.float32) == "torch.float32"
    assert shown("\x1b" * 100) == repr("\x1b" * 60) + "..."


def test_json_has_a_depth():
    assert json_value("[" * DEEPEST + "]" * DEEPEST)
    for levels in (DEEPEST + 2, 900, 10**5):
        with pytest.raises(ValueError, match="nested more than 50 levels deep"):
            json_value('{"a":' + "[" * levels + "]" * levels + "}")


def run_command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["interp", *map(str, arguments)])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    code = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            main()
    except SystemExit as end:
        code = end.code or 0
    return code, "".join(capsys.readouterr())


def test_names_of_tensors_files_and_states_on_the_command_line(tmp_path, monkeypatch, capsys):
    source = tmp_path / f"so{CLEAR}urce"
    source.mkdir()
    state = foreign.random_state(foreign.hooked_shapes(8, 3, 8, 2, 4, 16, 1, 7))
    torch.save(state, source / "step_5.pt")
    torch.save(state | {f"blocks.0.{CLEAR}": torch.ones(2)}, source / f"step_6{CLEAR}.pt")
    (source / f"step_7{CLEAR}.pt").write_bytes(b"PK\x03\x04")
    torch.save({"model": state, "config": {CLEAR: CLEAR}}, source / "step_8.pt")
    for command in ("info", "verify"):
        code, text = run_command(monkeypatch, capsys, command, source)
        assert code == 1 and "\x1b" not in text and "\x07" not in text and "\\x1b[2J" in text
    next(source.glob("step_6*")).unlink()
    code, text = run_command(monkeypatch, capsys, "info", source)
    assert code == 0 and "\x1b" not in text and "\\x1b[2J" in text


def test_warnings_are_visible(monkeypatch, capsys):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    plain_warnings("interp")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"left out {CLEAR}", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "interp: warning: left out \\x1b[2J\\x1b]0;title\\x07\n"


def test_commands_print_by_say_alone():
    for file in [*(ROOT / "interp" / "commands").glob("*.py"), ROOT / "interp" / "analyses" / "frame.py"]:
        calls = [
            node.func for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)
        ]
        bare = [call.lineno for call in calls if isinstance(call, ast.Name) and call.id == "print"]
        assert not bare, (
            f"{file}, lines {bare}: use interp.ground.plain_text.say, since names come out of files"
        )


def test_no_memory_is_a_sentence(monkeypatch, capsys):
    from interp.sources import opening

    for error in (
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8000 bytes"),
    ):

        def fails(path, error=error, **options):
            raise error

        monkeypatch.setattr(opening, "open_run", fails)
        code, text = run_command(monkeypatch, capsys, "info", "x")
        assert code == 1 and "interp: this needs more memory than there is" in text

    def other(path, **options):
        raise RuntimeError("another")

    monkeypatch.setattr(opening, "open_run", other)
    with pytest.raises(RuntimeError, match="another"):
        run_command(monkeypatch, capsys, "info", "x")

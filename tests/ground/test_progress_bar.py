"""The bar of long work: on one line whatever the width, in notebooks without anything else, silent in pipes."""

import io
import re
import sys
import types

import pytest

from interp.ground import progress_bar
from interp.ground.progress_bar import bar, counted

FIELDS = {"loss": "loss 1.2e-04 1.2e+01", "accuracy": "acc 0.999 0.012", "speed": "123.4 steps/s"}


class Screen(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


def drawn(monkeypatch, columns, is_terminal=True):
    """The frames that a training bar draws, without control sequences."""
    screen = Screen(is_terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with bar(*FIELDS) as display:
        task = display.add_task("a-run-of-a-rather-long-name", total=250_000, completed=12_345, **FIELDS)
        display.update(task, completed=23_456)
    frames = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()))
    return [frame for frame in frames if frame.strip()]


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_it_stays_on_one_line(monkeypatch, columns):
    frames = drawn(monkeypatch, columns)
    assert frames
    for frame in frames:
        assert len(frame) <= columns
        # Whole, with what matters most.
        assert "/250000" in frame and FIELDS["loss"] in frame and FIELDS["accuracy"] in frame
        assert frame.startswith("a-run-of-a")
    assert (FIELDS["speed"] in frames[-1]) == (columns > 120)


def test_a_notebook_shows_it_as_plain_text(monkeypatch):
    assert drawn(monkeypatch, 80, is_terminal=False) == []
    shell = types.SimpleNamespace(kernel=object())
    frames = []

    def display(shown, **how):
        frames.append(shown["text/plain"])
        return types.SimpleNamespace(update=display)

    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    # Nothing on stderr, whose frames would stand one below the other.
    assert drawn(monkeypatch, 80, is_terminal=False) == []
    assert "23456/250000" in frames[-1] and "\x1b" not in frames[-1] and len(frames[-1].splitlines()) == 1
    with bar() as display:
        first, second = (display.add_task(name, total=2) for name in ("one", "two"))
        display.advance(second)
        display.remove_task(first)
    assert "two" in frames[-1] and "1/2" in frames[-1] and "one" not in frames[-1]
    # The shell in a terminal is no notebook.
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: object()))
    assert not progress_bar.in_notebook()


def test_what_is_counted_comes_through(monkeypatch):
    assert list(counted("abc", 3, "letters")) == ["a", "b", "c"]
    monkeypatch.setattr(progress_bar.time, "monotonic", iter(range(100)).__next__)
    monkeypatch.setattr(sys, "stderr", screen := Screen(True))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress_bar, "bar", lambda: Recorded())
    assert list(counted("abcd", 4, "letters")) == ["a", "b", "c", "d"]
    assert Recorded.calls == ["start", ("letters", 4), 1, 2, 3, 4, "stop"]
    assert screen.getvalue() == ""


class Recorded:
    calls: list = []  # noqa: RUF012

    def start(self):
        self.calls.append("start")

    def add_task(self, text, total):
        self.calls.append((text, total))
        return 0

    def update(self, _, completed):
        self.calls.append(completed)

    def stop(self):
        self.calls.append("stop")

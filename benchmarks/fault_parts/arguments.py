"""Every option and argument of every command with every odd value: done, refused in a sentence, or stoppable.

They are found by walking the parsers, so that a new one is tried by itself; so are the fields that `--set` takes.
"""

import dataclasses
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.fault_parts.material import SHORT, STATED, Material, training
from benchmarks.fault_parts.processes import Ended, Failed, Process, check_sentence, command, last_line
from benchmarks.fault_parts.trials import Trial
from interp.ground.stated_options import STATED_OPTIONS

SECONDS = 30.0
MEMORY = 2 * 2**30
# A trainer that is at work for so long is stopped.
PATIENCE = 6.0
STOPPED = 130

VALUES = {
    "empty": "", "space": " ", "-1": "-1", "0": "0", "1": "1", "2": "2", "half": "0.5", "10e15": str(10**15),
    "10e9": str(10**9), "1e308": "1e308", "nan": "nan", "inf": "inf", "-inf": "-inf", "letter": "a",
    "long": "x" * 100_000, "digits": "1" * 5000, "escapes": "x\x1b[2J\nforged: line", "percent": "%s{0}$HOME",
    "unicode": "\u202e\U0001d7d9\u00e9", "surrogate": "a\udcff", "comma": ",,", "colon": ":", "folder": ".",
    "null": "/dev/null", "below": "file.txt/x", "missing": "nowhere/x/y", "home": "~nobody/x", "hub": "hf://",
    "name": "x" * 300,
}  # fmt: skip
SOME = ("empty", "-1", "10e15", "letter", "escapes")


@dataclass(frozen=True)
class Base:
    """A command line that works, to which one option is added.

    Attributes:
        prepare: makes what it works on.
        words: the command with its arguments, the names of arguments in place of what a trial may replace.
        program: what runs the words; `interp` where there is none.
    """

    prepare: Callable[[Material, Path], object]
    words: tuple[str, ...]
    arguments: dict[str, str]
    program: str = ""


def trials(material: Material) -> Iterator[Trial]:
    stated = {option.name for option in STATED_OPTIONS}
    for name, base in BASES.items():
        for option in _options(base):
            # What states something is read by the same code everywhere.
            is_stated = option.name.replace("-", "_") in stated and name != "import"
            for value in SOME if is_stated else VALUES:
                yield _trial(material, name, base, option, value)
    for field in _fields():
        for value in VALUES:
            act = partial(
                _tried, material, BASES["train"], f"--set {field}", ("--set", f"{field}={VALUES[value]}"), {}
            )
            yield Trial(f"arguments/set/{field}/{value}", "odd values for --set", act)


@dataclass(frozen=True)
class Option:
    """An option or argument, as it is typed; a flag takes no value."""

    name: str
    flags: tuple[str, ...]
    is_argument: bool = False
    is_flag: bool = False


def _trial(material: Material, name: str, base: Base, option: Option, value: str) -> Trial:
    text = VALUES[value]
    if option.is_argument:
        words, replaced = (), {option.name: text}
    elif option.is_flag:
        # With a value it is refused; alone, it is tried where that would be nothing.
        words, replaced = (option.flags[-1] if value == "empty" else f"{option.flags[0]}={text}",), {}
    else:
        # In one word, as values that begin with a hyphen need.
        words, replaced = (f"{option.flags[0]}={text}",), {}
    act = partial(_tried, material, base, " ".join(option.flags), words, replaced)
    return Trial(f"arguments/{name}/{option.name}/{value}", f"odd values for {_kind(base)}", act)


def _kind(base: Base) -> str:
    return f"python analyses/{base.program}.py" if base.program else f"interp {base.words[0]}"


# Parsers.


def _options(base: Base) -> list[Option]:
    return _of_script(base.program) if base.program else _of_command(base.words[0])


def _of_command(name: str) -> list[Option]:
    import typer

    from interp.commands.cli import app

    found = []
    for parameter in typer.main.get_command(app).commands[name].params:  # type: ignore[attr-defined]
        if parameter.param_type_name == "argument":
            label = (parameter.metavar or parameter.name or "").upper()
            found.append(Option(parameter.name or "", (label,), is_argument=True))
        else:
            flags = (*parameter.opts, *parameter.secondary_opts)
            found.append(Option(parameter.opts[0].lstrip("-"), flags, is_flag=bool(parameter.is_flag)))
    return found


def _of_script(name: str) -> list[Option]:
    from interp.analyses.frame import BUNDLED_RUN
    from interp.analyses.script_options import parser

    return [
        Option(action.option_strings[0].lstrip("-"), tuple(action.option_strings), is_flag=action.nargs == 0)
        for action in parser(name, None, BUNDLED_RUN, is_of_many=False)._actions
        if action.dest != "help"
    ]


def _fields() -> list[str]:
    """Every field that a config has, as --set names it."""
    from interp.runs.presets import named

    return list(_paths(dataclasses.asdict(named("mainline", None, 6))))


def _paths(value: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, part in value.items():
        if isinstance(part, dict):
            yield from _paths(part, f"{prefix}{name}.")
        yield f"{prefix}{name}"


# What is done and what must come of it.


def _tried(
    material: Material,
    base: Base,
    flag: str,
    words: tuple[str, ...],
    replaced: dict[str, str],
    folder: Path,
    draw: random.Random,
) -> None:
    base.prepare(material, folder)
    (folder / "file.txt").write_text("mine")
    typed = {**base.arguments, **replaced}
    line = [*(typed.get(word, word) for word in base.words), *words]
    ended = _ended(base, line)
    names = _names(flag, (*words, *replaced.values())[-1], folder)
    # What does not go together may be said of the other, and a number that is no fault may make training diverge.
    names += [f"'{word}'" for word in base.words[2:]] + ["The loss of run", "No such option: -"]
    check_sentence(ended, *names)
    if ended.code == 2 and not any(name in ended.error for name in names):
        raise Failed(f"names none of {', '.join(names)}: {last_line(ended)}")
    if (folder / "file.txt").read_text() != "mine":
        raise Failed("wrote to a file that is no run's")


def _ended(base: Base, line: list[str]) -> Ended:
    """How it ended; a trainer that goes on and on must end at Ctrl-C, with a sentence and everything saved."""
    process = Process(partial(_act, base, line), memory=MEMORY)
    is_trainer = base.words[0] in ("train", "resume")
    end = time.monotonic() + PATIENCE
    while is_trainer and not process.ended() and time.monotonic() < end:
        time.sleep(0.01)
    if not is_trainer or process.ended():
        return process.wait(SECONDS)
    os.kill(process.pid, signal.SIGINT)
    ended = process.wait(SECONDS)
    if ended.code != STOPPED or "interp resume" not in ended.error:
        raise Failed(f"stopped by Ctrl-C with exit code {ended.code}: {last_line(ended)}")
    return Ended(0, ended.out, ended.error, ended.value)


def _act(base: Base, line: list[str]) -> int:
    # Started in the background, a process would ignore it, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return _script(base.program, line) if base.program else command(*line)()


def _script(name: str, line: list[str]) -> int:
    import sys
    from importlib import import_module

    from interp.analyses.frame import main

    module = import_module(f"interp.analyses.{name}")
    sys.argv = [f"{name}.py", *line]
    try:
        main(name, module.__doc__, module.compute, module.draw, module.summarize)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    return 0


def _names(flag: str, value: str, folder: Path) -> list[str]:
    """What may stand for the value in a sentence: the option, the field, the value where it can be told from words."""
    from interp.ground.plain_text import visible

    text = value.partition("=")[2] if value.startswith("--") else value
    *_, field = flag.split(".")
    long = [part[:40] for part in (text, visible(text)) if len(part) > 3]
    places = (folder / text, f"{Path(text)} ", os.path.dirname(text), os.path.expanduser(text))
    at = map(str, places) if len(text) < 1000 else ()
    field = field if len(field) > 3 else f"{field}="
    # Errors of what states something may name the argument in Python, which is the same for scripts.
    field = next(
        (option.field.rpartition(".")[2] for option in STATED_OPTIONS if option.flag in flag.split()), field
    )
    return [
        *flag.split(" "),
        field,
        repr(text)[:40],
        *long,
        f"step {text[:40]}",
        *(visible(place) for place in at if len(place) > 3),
    ]


def _source(material: Material, folder: Path) -> None:
    import shutil

    (folder / "source").mkdir()
    first = sorted(material.run("foreign").glob("*.pt"))[:2]
    for file in first:
        shutil.copy(file, folder / "source")


def _run(material: Material, folder: Path) -> Path:
    return material.copy("short", folder / "run")


MEASURE = ("--probes", "losses", "--out", "tables")
TRAIN = tuple(training(Path("run"), 6, "mini-batches", SHORT))
BASES = {
    "train": Base(lambda m, f: None, ("train", "run", *TRAIN[2:]), {"run": "run"}),
    "resume": Base(lambda m, f: m.copy("short-interrupted", f / "run"), ("resume", "run"), {"run": "run"}),
    "resume-longer": Base(_run, ("resume", "run", "--steps", "8"), {"run": "run"}),
    "info": Base(_run, ("info", "run"), {"run": "run"}),
    "info-source": Base(_source, ("info", "run", *STATED), {"run": "source"}),
    "verify": Base(_run, ("verify", "path"), {"path": "run"}),
    "verify-source": Base(_source, ("verify", "path", *STATED), {"path": "source"}),
    "import": Base(_source, ("import", "source", "dest", *STATED), {"source": "source", "dest": "dest"}),
    "measure": Base(_run, ("measure", "run", *MEASURE), {"run": "run"}),
    "measure-source": Base(_source, ("measure", "run", *MEASURE, *STATED), {"run": "source"}),
    "analyse": Base(_run, ("analyse", "name", "run", "--out", "tables"), {"name": "weight_norms", "run": "run"}),
    "script": Base(_run, ("--run=run", "--out=tables"), {}, program="weight_norms"),
}  # fmt: skip

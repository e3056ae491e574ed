"""Probes of the user's own from files, as the command line names them: `my_file.py:my_probe`.

The file is executed, because the user named it.
"""

import inspect
import sys
import traceback
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from interp.measurement.stream import Probe, told_exit


def probes_of_files(texts: list[str]) -> dict[str, Probe]:
    """The probes that these texts name, by their names.

    Raises:
        ValueError: if a text is no FILE.py:FUNCTION, the file is missing or fails, or holds no such probe; if two have
            one name.
    """
    files: dict[str, ModuleType] = {}
    found: dict[str, Probe] = {}
    for text in texts:
        path, colon, name = text.rpartition(":")
        if not colon or not name.isidentifier() or not path.endswith(".py"):
            raise ValueError(f"--probe needs FILE.py:FUNCTION, as my_probes.py:largest_share, got {text!r}.")
        if path not in files:
            files[path] = _executed(Path(path))
        if name in found:
            raise ValueError(f"--probe needs probes of different names, got {name!r} twice. Rename one.")
        found[name] = _probe(files[path], path, name)
    return found


def _executed(path: Path) -> ModuleType:
    """The module in a file. It is not put among the loaded ones: a probe of it is known by its source."""
    if not path.is_file():
        raise ValueError(f"--probe needs a file of Python, and there is none at {path}.")
    # What lies beside the file can be imported from it, as when it is run, in the processes of --jobs too.
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)
    # A name of its own, so that a file called as a module of Python's is not taken for it.
    spec = spec_from_file_location(f"own_probes_in_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
        what = told_exit(error) if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{path} could not be run{f', at line {line}' if line else ''}: {what}. --probe "
            "runs the whole file to get at its probe."
        ) from error
    return module


def _probe(module: ModuleType, path: str, name: str) -> Callable:
    own = {
        key: value
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and _takes_a_snapshot(value)
    }
    value = getattr(module, name, None)
    if callable(value) and not isinstance(value, type) and _takes_a_snapshot(value):
        return value
    if not hasattr(module, name):
        got = f"and {path} has none of the name {name!r}"
    else:
        got = f"and {name!r} in {path} is {_what_it_is(value)}"
    there = f" Its probes could be {', '.join(own)}." if own else ""
    raise ValueError(f"--probe needs a function of one snapshot, {got}.{there}")


def _what_it_is(value: object) -> str:
    """A value that is no probe, in words."""
    if isinstance(value, type):
        return "a class"
    if not callable(value):
        return f"of type {type(value).__name__}"
    try:
        return f"called with {inspect.signature(value)}"
    # A function of C has no signature.
    except (TypeError, ValueError):
        return "called in a way that it does not tell"


def _takes_a_snapshot(value: Callable) -> bool:
    try:
        inspect.signature(value).bind("a snapshot")
    # A class of C has no signature.
    except (TypeError, ValueError):
        return False
    return True

"""The key of a probe of the user's own, which states no VERSION: what its code says, and all that the code names.

A function is what its source and its bytecode say (the source of a file that was edited after it was loaded is not that
of the function in memory), with its defaults, and the values of the globals and of the variables around it that it
names: other functions, theirs included, and plain values. What is installed stands by its name and version. Where one
of the names holds anything else, as a list that somebody may append to, or a class, no key is honest and there is none.

What a probe takes from elsewhere (files, the time, random numbers without a seed) no key can know of.
"""

import builtins
import dataclasses
import dis
import inspect
import json
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch

from interp.measurement.plain_values import hashed, plain

# Values that nothing changes in passing, as a list would be.
FIXED = (type(None), bool, int, float, str, tuple, frozenset, np.ndarray, np.generic, torch.Tensor)


@dataclass(frozen=True)
class ProbeCode:
    """What the tables of a probe depend on beside parameters and checkpoints.

    Attributes:
        name: of the function.
        version: what its module states, or a hash of its source and of all that it names.
        depends_on_run: whether it may compare checkpoints.
    """

    name: str
    version: Any
    depends_on_run: bool


def own_code(function: Callable) -> ProbeCode | None:
    """The code of a function that states no VERSION, or None where no honest key can be made of it."""
    if not isinstance(function, FunctionType):
        return None
    seen: dict[FunctionType, int] = {}
    named: list[Any] = []
    try:
        about = _function(function, seen, named)
    except (TypeError, OSError):
        return None
    reads_run = any("run" in code.co_names for f in seen for code in _codes(f.__code__))
    return ProbeCode(
        function.__qualname__, hashed(about), reads_run or any(map(_compares_checkpoints, named))
    )


def _function(function: FunctionType, seen: dict[FunctionType, int], named: list[Any]) -> Any:
    if function in seen:
        return ["function", seen[function]]
    seen[function] = len(seen)
    return {
        "source": inspect.getsource(function.__code__),
        "code": [_instructions(code) for code in _codes(function.__code__)],
        "defaults": plain([function.__defaults__, function.__kwdefaults__]),
        "names": {name: _value(value, seen, named) for name, value in sorted(_names(function).items())},
    }


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _instructions(code: CodeType) -> list[Any]:
    names = [list(x) for x in (code.co_names, code.co_varnames, code.co_freevars)]
    return [code.co_code.hex(), code.co_exceptiontable.hex(), names, _constant(code.co_consts)]


def _constant(constant: Any) -> Any:
    """A constant of code as JSON; code inside code is listed by `_codes`."""
    if isinstance(constant, tuple):
        return [_constant(x) for x in constant]
    if isinstance(constant, frozenset):
        return ["set", *sorted(json.dumps(_constant(x)) for x in constant)]
    return "code" if isinstance(constant, CodeType) else [type(constant).__name__, repr(constant)]


def _names(function: FunctionType) -> dict[str, Any]:
    """The values of the globals and of the variables around it that a function names, and the modules it imports.

    Raises:
        TypeError: if one has no value yet, or the function sets it.
    """
    found: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError as error:
            raise TypeError(f"{name} has no value yet.") from error
    for code in _codes(function.__code__):
        for step in dis.get_instructions(code):
            if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                raise TypeError(f"The function sets the global {step.argval}.")
            if step.opname == "IMPORT_NAME":
                found[f"import {step.argval}"] = _imported(step.argval)
            elif step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                if step.argval in function.__globals__:
                    found[step.argval] = function.__globals__[step.argval]
                elif not hasattr(builtins, step.argval):
                    raise TypeError(f"{step.argval} has no value yet.")
    return found


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except (ImportError, ValueError) as error:
        raise TypeError(f"{name} cannot be imported.") from error


def _value(value: Any, seen: dict[FunctionType, int], named: list[Any]) -> Any:
    """A named value as JSON that is equal for equal values only.

    Raises:
        TypeError: if that cannot be promised.
    """
    if isinstance(value, FIXED) or _is_record(value):
        return plain(value)
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    installed = _installed(module)
    if installed is not None:
        named.append(value)
        return ["installed", module, getattr(value, "__qualname__", ""), installed]
    if isinstance(value, FunctionType):
        return _function(value, seen, named)
    raise TypeError(f"A {type(value).__name__} has no stable key.")


def _is_record(value: Any) -> bool:
    """Whether it is an instance of a dataclass that has fields and no methods of its own."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return False
    if _installed(type(value).__module__) is not None:
        return True
    parts = [x for parent in type(value).__mro__ if parent is not object for x in vars(parent).values()]
    # What the decorator writes has no file.
    return not any(isinstance(x, (property, classmethod, staticmethod)) or _is_written(x) for x in parts)


def _is_written(x: Any) -> bool:
    if not isinstance(x, FunctionType) or x.__code__.co_filename == "<string>":
        return False
    return _installed(x.__globals__.get("__name__")) is None


def _installed(module: str | None) -> Any:
    """What stands for the state of a module that nobody edits: a version; None for one that may change."""
    top = (module or "").split(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return sys.version_info[:2]
    # The version of this package is a part of every key; a probe of it has one of its own.
    if top == "interp":
        return getattr(sys.modules.get(module or ""), "VERSION", 0)
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    if not file.startswith((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))):
        return None
    try:
        return version(top)
    except PackageNotFoundError:
        return str(getattr(sys.modules[top], "__version__", None) or None)


def _compares_checkpoints(value: Any) -> bool:
    """Whether a named module or object of this package may read more than one checkpoint."""
    if isinstance(value, ModuleType):
        return value.__name__ == "interp" or value.__name__.startswith("interp.probes")
    module = getattr(value, "__module__", None) or ""
    return module == "interp.probes" or bool(getattr(sys.modules.get(module), "DEPENDS_ON_RUN", False))

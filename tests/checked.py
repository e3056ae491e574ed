"""What executes the annotations of the package in tests: jaxtyping where there are shapes, elsewhere beartype alone.

jaxtyping's wrapper costs some 20 µs a call, whatever is annotated; half the time of some tests was that.
"""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

# Of each function in a process: inner loops call some a million times, and with what they were given before.
MOST_CALLS = 1000

_jaxtyped = jaxtyping.jaxtyped
_CONF = BeartypeConf(violation_type=jaxtyping.TypeCheckError)


def install() -> None:
    """Check every call in the package from here on. Before any import of it."""
    jaxtyping.install_import_hook("interp", "beartype.beartype")
    # The hook decorates by this name.
    jaxtyping.jaxtyped = _checked


def _checked(*, typechecker: Callable) -> Callable:
    return functools.partial(_decorated, typechecker=typechecker)


def _decorated(fn: Any, typechecker: Callable) -> Any:
    if dataclasses.is_dataclass(fn) and "__init__" in vars(fn):
        fn.__init__ = _decorated(fn.__init__, typechecker)
        return fn
    if not inspect.isfunction(fn):
        return _jaxtyped(fn, typechecker=typechecker)

    # At the first call: of 4,000 functions a worker calls a part.
    @functools.cache
    def typed() -> Callable:
        hints = {name: _resolved(hint, fn) for name, hint in fn.__annotations__.items()}
        if any(_has_shape(hint) for hint in hints.values()):
            return _jaxtyped(fn, typechecker=typechecker)
        written, fn.__annotations__ = fn.__annotations__, hints
        try:
            return beartype(fn, conf=_CONF)
        finally:
            fn.__annotations__ = written

    left = MOST_CALLS

    @functools.wraps(fn)
    def checked(*args: Any, **options: Any) -> Any:
        nonlocal left
        if not left or jaxtyping.config.jaxtyping_disable:
            return fn(*args, **options)
        left -= 1
        return typed()(*args, **options)

    return checked


def _resolved(hint: Any, fn: Callable) -> Any:
    """What an annotation stands for; anything where it is a name that is imported for type checkers alone."""

    def of(value: hint): ...

    try:
        return typing.get_type_hints(of, fn.__globals__, include_extras=True)["value"]
    except Exception:
        return Any


def _has_shape(hint: Any) -> bool:
    is_one = inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray)
    # The arguments of a Callable are a list.
    parts = hint if isinstance(hint, list) else typing.get_args(hint)
    return is_one or any(_has_shape(part) for part in parts)

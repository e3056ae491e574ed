"""The options that state what a source does not say, for every command that takes a source."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_type_hints

from typer import Option

from interp.ground.stated_options import STATED_OPTIONS, StatedOption

_ABOUT = "Options from --task on state what someone else's checkpoints do not say; a run says it all itself."


def takes_statements(command: Callable[..., None]) -> Callable[..., None]:
    """The command with all of `STATED_OPTIONS` in place of its argument `stated`, which gets those that were typed."""
    own = inspect.signature(command)
    options = {option.name: _parameter(option) for option in STATED_OPTIONS}
    hints = get_type_hints(command, include_extras=True)
    kept = [p.replace(annotation=hints[p.name]) for p in own.parameters.values() if p.name != "stated"]

    @functools.wraps(command)
    def with_options(*args: Any, **given: Any) -> None:
        stated = {name: value for name in options if (value := given.pop(name, None)) is not None}
        command(*args, **given, stated=stated)

    with_options.__doc__ = f"{command.__doc__}\n    {_ABOUT}"
    parameters = [*kept, *options.values()]
    # What typer reads a command's options from.
    with_options.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    return with_options


def _parameter(option: StatedOption) -> inspect.Parameter:
    kind: Any = Literal[option.choices] if option.choices else option.kind
    names = [f"{option.flag}/{option.flag.replace('--', '--no-', 1)}" if option.kind is bool else option.flag]
    annotation = Annotated[kind | None, Option(*names, help=option.help)]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)

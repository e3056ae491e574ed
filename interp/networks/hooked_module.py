"""A user's own `nn.Module`, hooked without rewriting it.

Every submodule gets two hooks under its own name, `<name>.hook_in` (its first argument) and `<name>.hook_out` (its
output). Activations that no submodule returns are found where they go in: the hidden layer of `fc2(relu(fc1(x)))` is
`fc2.hook_in`.
"""

from typing import Any

from torch import Tensor, nn

from interp.networks.hooked import HookedRootModule, HookPoint


class HookedModule(HookedRootModule):
    """A module with hooks: run_with_cache, run_with_hooks, add_hook and hook_dict as on every hooked model here.

    The module stays the user's: no attribute, parameter or name of it changes, and it gives the same outputs with the
    hooks as without. Its weights are `hooked.module.state_dict()`; load those of another step there.

    A submodule that is called several times in one pass shows its last call in a cache. Of arguments and outputs that
    are tuples only the first tensor is hooked. What is called past `module(...)` (a compiled graph, a submodule's
    `.forward`) is not seen.

    Attributes:
        module: the user's module.

    Raises:
        ValueError: if a submodule has a name that hooked models use themselves.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        # Not registered as a submodule: setup() below writes a `name` onto every module that is.
        object.__setattr__(self, "module", module)
        self._handles: list[Any] = []
        for name, part in module.named_modules():
            if name:
                points = self._points(name)
                self._handles += [_hook_input(part, points.hook_in), _hook_output(part, points.hook_out)]
        self.setup()

    def _points(self, name: str) -> Any:
        place: nn.Module = self
        for part in name.split("."):
            if part not in place._modules:
                if hasattr(place, part):
                    raise ValueError(
                        f"A module to hook needs submodules whose names are free here, but {part!r} of {name!r} is a "
                        "name that hooked models use themselves. Rename it, or hook its parts one by one."
                    )
                place.add_module(part, nn.Module())
            place = place._modules[part]  # type: ignore[assignment]
        place.add_module("hook_in", HookPoint())
        place.add_module("hook_out", HookPoint())
        return place

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """What the module returns."""
        return self.module(*arguments, **named)

    def unhook(self) -> None:
        """Take all hooks off the user's module."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _hook_input(part: nn.Module, point: HookPoint) -> Any:
    def hook(_: nn.Module, arguments: tuple) -> tuple | None:
        if arguments and isinstance(arguments[0], Tensor):
            return (point(arguments[0]), *arguments[1:])
        return None

    return part.register_forward_pre_hook(hook)


def _hook_output(part: nn.Module, point: HookPoint) -> Any:
    def hook(_: nn.Module, arguments: tuple, output: Any) -> Any:
        if isinstance(output, Tensor):
            return point(output)
        if type(output) is tuple and output and isinstance(output[0], Tensor):
            return (point(output[0]), *output[1:])
        return None

    return part.register_forward_hook(hook)

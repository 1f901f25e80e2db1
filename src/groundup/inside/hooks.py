# Extracted from book/3_training/6_inside.py; edit it there.
"""Hooks on many modules that come off together."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from groundup.nn.module import Handle, Module


class Handles:
    """Hooks that are removed together: `remove` them, or use `with`."""

    def __init__(self, handles: Iterable[Handle]):
        self.handles: list[Handle] = []
        try:
            for handle in handles:  # a generator registers them one by one
                self.handles.append(handle)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Take every hook off; a second time does nothing."""
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> "Handles":
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def leaf_modules(model: Module) -> dict[str, Module]:
    """The modules that hold no other module, by dotted name."""
    named = model.named_modules()
    return {name: each for name, each in named if not list(each.children())}


def watch_outputs(
    modules: Mapping[str, Module], see: Callable[[str, Tensor], Any]
) -> Handles:
    """Call `see(name, output)` whenever one of the modules was called."""

    def hook(name: str, module: Module, args: tuple, output: Any) -> None:
        if not isinstance(output, Tensor):
            kind = type(output).__name__
            raise TypeError(f"{name} returns a {kind}: watch a tensor")
        see(name, output.detach())

    return Handles(
        module.register_forward_hook(partial(hook, name))
        for name, module in modules.items()
    )


class _Tell(torch.autograd.Function):
    """The identity; tells `see` the gradient that comes back."""

    @staticmethod
    def forward(ctx: Any, see: Callable, output: Tensor) -> Tensor:
        ctx.see = see
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        ctx.see(grad.detach())
        return None, grad


def watch_gradients(
    modules: Mapping[str, Module], see: Callable[[str, Tensor], Any]
) -> Handles:
    """Call `see(name, grad)` when the gradient of an output is known.

    Of a tuple, the first is watched. What comes after a module may not change
    its output in place.
    """

    def hook(name: str, module: Module, args: tuple, output: Any) -> Any:
        first, *rest = output if isinstance(output, tuple) else (output,)
        if not isinstance(first, Tensor):
            kind = type(output).__name__
            raise TypeError(f"{name} returns a {kind}: watch a tensor")
        told = _Tell.apply(partial(see, name), first)
        return (told, *rest) if isinstance(output, tuple) else told

    return Handles(
        module.register_forward_hook(partial(hook, name), prepend=True)
        for name, module in modules.items()
    )

# Extracted from book/3_training/13_inside.py; edit it there.
"""Hooks on the gradients of modules that take and return anything."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from groundup.inside.hooks import Handles
from groundup.nn.module import Handle, Module


class _Tell(torch.autograd.Function):
    """The identity of all that a call took or gave; tells `hook` the gradients.

    A gradient that nobody has is None, or zeros if `fill`.
    """

    @staticmethod
    def forward(ctx: Any, hook: Callable, fill: bool, *items: Any) -> tuple:
        ctx.hook = hook
        ctx.are_tensors = [isinstance(each, Tensor) for each in items]
        ctx.set_materialize_grads(fill)
        tensors = [each for each in items if isinstance(each, Tensor)]
        constant = [each for each in tensors if not each.requires_grad]
        ctx.mark_non_differentiable(*constant)
        return items

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple:
        changed = ctx.hook(grads)
        if changed is None:
            return None, None, *grads
        changed = changed if isinstance(changed, tuple) else (changed,)
        if len(changed) != len(grads):
            message = f"the hook returned {len(changed)} gradients"
            raise RuntimeError(f"{message}, expected {len(grads)}")
        pairs = zip(changed, ctx.are_tensors, strict=True)
        return None, None, *(g if known else None for g, known in pairs)


def _tell(hook: Callable, items: Any, fill: bool = False) -> Any:
    """Send a tensor, or a tuple of things, through `_Tell`."""
    if isinstance(items, Tensor):
        return _Tell.apply(hook, fill, items)[0]
    if not isinstance(items, tuple):
        kind = type(items).__name__
        raise TypeError(f"expected a tensor or a tuple of them, got a {kind}")
    return _Tell.apply(hook, fill, *items)


def register_full_backward_pre_hook(module: Module, hook: Callable) -> Handle:
    """Call `hook(module, grad_output)` first; it may replace the gradients."""

    def leave(module: Module, args: tuple, output: Any) -> Any:
        return _tell(partial(hook, module), output)

    return module.register_forward_hook(leave, prepend=True)


class _Call:
    """One call of a module: where its two gradients meet."""

    def __init__(self, module: Module, hook: Callable, args: tuple):
        self.hook = partial(hook, module)
        self.nothing = (None,) * len(args)
        self.grad_output: tuple | None = None
        self.inside = torch.is_grad_enabled() and any(
            isinstance(arg, Tensor) and arg.requires_grad for arg in args
        )

    def at_output(self, grads: tuple) -> None:
        """Keep the gradient, or tell it if no input's will follow."""
        self.grad_output = grads
        if not self.inside:
            self.hook(self.nothing, grads)

    def at_input(self, grads: tuple) -> Any:
        """Tell both; a gradient that did not come through is not told."""
        grad_output, self.grad_output = self.grad_output, None
        return None if grad_output is None else self.hook(grads, grad_output)


def register_full_backward_hook(module: Module, hook: Callable) -> Handles:
    """Call `hook(module, grad_input, grad_output)`; it may replace the first.

    Both are tuples, with None for what is no tensor; as torch has it, what
    has no gradient is None in the second and zeros in the first. A pre-hook
    of the same module has to be registered before.
    """
    calls: list[_Call] = []  # those under way: a module may call itself

    def enter(module: Module, args: tuple) -> tuple:
        calls.append(_Call(module, hook, args))
        call = calls[-1]
        return _tell(call.at_input, args, fill=True) if call.inside else args

    def leave(module: Module, args: tuple, output: Any) -> Any:
        return _tell(calls.pop().at_output, output)

    first = {"prepend": True}  # so that hooks run in the order they came
    return Handles(
        [
            module.register_forward_pre_hook(enter, **first),
            module.register_forward_hook(leave, **first),
        ]
    )

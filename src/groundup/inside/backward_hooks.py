# Extracted from book/3_training/5_inside.py; edit it there.
"""Hooks on gradients, out of the identity."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from groundup.inside.hooks import Handles
from groundup.nn.module import Handle, Module


class _Tell(torch.autograd.Function):
    """The identity; its backward pass sends the gradients through `tell`."""

    @staticmethod
    def forward(
        ctx: Any, tell: Callable, fill: bool, *tensors: Tensor
    ) -> tuple:
        ctx.tell = tell
        ctx.set_materialize_grads(fill)
        constant = [each for each in tensors if not each.requires_grad]
        ctx.mark_non_differentiable(*constant)
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple:
        return None, None, *ctx.tell(grads)


def _tell(hook: Callable, items: Any, fill: bool = False) -> Any:
    """Send a tensor, or those of a tuple, through `_Tell`; `hook(grads)`.

    A gradient that nobody has is None, or zeros if `fill`.
    """
    alone = isinstance(items, Tensor)
    items = (items,) if alone else items
    if not isinstance(items, tuple):
        kind = type(items).__name__
        raise TypeError(f"expected a tensor or a tuple of them, got a {kind}")
    places = [i for i, item in enumerate(items) if isinstance(item, Tensor)]

    def tell(grads: tuple) -> Iterable[Tensor | None]:
        given = dict(zip(places, grads, strict=True))
        changed = hook(tuple(given.get(i) for i in range(len(items))))
        if changed is None:
            return grads
        changed = changed if isinstance(changed, tuple) else (changed,)
        if len(changed) != len(items):
            message = f"the hook returned {len(changed)} gradients"
            raise RuntimeError(f"{message}, expected {len(items)}")
        return [changed[i] for i in places]

    tensors = [items[i] for i in places]
    told = _Tell.apply(tell, fill, *tensors) if places else ()
    passed = dict(zip(places, told, strict=True))
    items = tuple(passed.get(i, item) for i, item in enumerate(items))
    return items[0] if alone else items


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


def register_full_backward_pre_hook(module: Module, hook: Callable) -> Handle:
    """Call `hook(module, grad_output)` first; it may replace the gradients."""

    def leave(module: Module, args: tuple, output: Any) -> Any:
        return _tell(partial(hook, module), output)

    return module.register_forward_hook(leave, prepend=True)


def watch_gradients(
    modules: Mapping[str, Module], see: Callable[[str, Tensor], Any]
) -> Handles:
    """Call `see(name, grad_output)` when a gradient reaches a module.

    What comes after a module may not change its output in place.
    """

    def hook(name: str, module: Module, grads: tuple) -> None:
        if grads[0] is not None:
            see(name, grads[0].detach())

    return Handles(
        register_full_backward_pre_hook(module, partial(hook, name))
        for name, module in modules.items()
    )

# Extracted from book/3_training/6_inside.py; edit it there.
"""Checks of a training step: a sentence about what is wrong, or None."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from groundup.nn.module import Module


def _reached(loss: Tensor) -> list[Tensor]:
    """The tensors that the graph of a loss ends in: they want a gradient."""
    pending, seen, leaves = [loss.grad_fn], {None}, []
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if type(node).__name__ == "AccumulateGrad":
            leaves.append(node.variable)
        pending.extend(before for before, _ in node.next_functions)
    return leaves


def check_parameters(loss: Tensor, parameters: Iterable[Tensor]) -> str | None:
    """Is everything trained that the loss depends on?"""
    wanted, given = _reached(loss), set(parameters)
    missed = [each for each in wanted if each not in given]
    if not missed:
        return None
    shapes = ", ".join(str(tuple(each.shape)) for each in missed)
    share = f"{len(missed)} of {len(wanted)}"
    return f"{share} tensors that want a gradient are not trained: {shapes}"


def check_gradients(named: Iterable[tuple[str, Tensor]]) -> str | None:
    """After a backward pass, has each parameter a gradient, not all zero?"""
    named = list(named)
    if any(isinstance(each, Tensor) for each in named):
        raise TypeError("got no names: pass `model.named_parameters()`")
    missed = [
        name
        for name, param in named
        if param.requires_grad and (param.grad is None or not param.grad.any())
    ]
    return f"no gradient reaches {', '.join(missed)}" if missed else None


def check_step_size(
    model: Module,
    step: Callable[[], Any],
    low: float = 1e-4,
    high: float = 0.3,
) -> str | None:
    """Is a step between `low` and `high` of the weights' length?"""
    params = [p for p in model.parameters() if p.requires_grad]
    before = [param.detach().clone() for param in params]
    step()
    moved = size = 0.0
    with torch.no_grad():
        for param, old in zip(params, before, strict=True):
            moved += (param - old).float().square().sum().item()
            size += old.float().square().sum().item()
            param.copy_(old)
    ratio = math.sqrt(moved / size) if size else math.inf
    if low <= ratio <= high:
        return None
    return f"a step moves the weights by {ratio:.2g} of their length"

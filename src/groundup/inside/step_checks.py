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
    missed = [
        name
        for name, param in named
        if param.requires_grad and (param.grad is None or not param.grad.any())
    ]
    return f"no gradient reaches {', '.join(missed)}" if missed else None


def check_fresh(model: Module, step: Callable[[], Any]) -> str | None:
    """Does the same step from the same weights find the same gradient?

    `step()` trains on one batch, always the same one. The weights are put
    back; what an optimizer remembers is not.
    """
    first, second = _gradient(model, step), _gradient(model, step)
    gap, size, again = map(_length, (second - first, first, second))
    if gap <= 1e-3 * size:
        return None
    return (
        f"the same step again has a gradient of length {again:.3g}, "
        f"at first {size:.3g}: is it cleared?"
    )


def _length(tensor: Tensor) -> float:
    return tensor.square().sum().sqrt().item()


def _gradient(model: Module, step: Callable[[], Any]) -> Tensor:
    """All gradients after a step, in a row; the weights are put back."""
    before = {name: t.clone() for name, t in model.state_dict().items()}
    with torch.random.fork_rng():  # a second step draws the same numbers
        step()
    model.load_state_dict(before)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return torch.cat([torch.zeros(1)] + [g.flatten().cpu() for g in grads])


def check_step_size(
    model: Module,
    step: Callable[[], Any],
    low: float = 1e-4,
    high: float = 1e-1,
) -> str | None:
    """Is a step between `low` and `high` of the weights' length?"""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    step()
    moved = size = 0.0
    with torch.no_grad():
        for name, param in model.named_parameters():
            moved += (param - before[name]).square().sum().item()
            size += before[name].square().sum().item()
            param.copy_(before[name])
    ratio = math.sqrt(moved / size) if size else math.inf
    if low <= ratio <= high:
        return None
    return f"a step moves the weights by {ratio:.2g} of their length"

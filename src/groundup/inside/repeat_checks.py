# Extracted from book/3_training/13_inside.py; edit it there.
"""Checks that ask again: is the same question answered the same?"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from groundup.data.collate import map_batch
from groundup.nn.module import Module


@torch.no_grad()
def check_rows(predict: Callable[[Any], Tensor], input: Any) -> str | None:
    """Is the answer for a row the same when it comes alone?"""
    together, alone = predict(input)[:1], predict(first_rows(input))
    if together.shape != alone.shape:
        shapes = f"{tuple(alone.shape)}, not {tuple(together.shape)}"
        return f"a batch of one row gives {shapes}"
    if _is_near(together, alone):
        return None
    gap = _gap(together, alone)
    return f"a row alone is answered differently, by up to {gap:.2g}"


@torch.no_grad()
def check_repeats(predict: Callable[[Any], Tensor], input: Any) -> str | None:
    """Is the answer the same when asked twice?"""
    first, second = predict(input), predict(input)
    if _is_near(first, second):
        return None
    return (
        f"asked twice, the answers differ by up to {_gap(first, second):.2g}: "
        "evaluate in evaluation mode"
    )


def _gap(first: Tensor, second: Tensor) -> float:
    return (first - second).abs().max().item()


def _is_near(first: Tensor, second: Tensor) -> bool:
    """Up to what rounding does: 1e-4, or more in half precision."""
    small = max(1e-4, 8 * torch.finfo(first.dtype).eps)
    return _gap(first, second) <= small * (1 + first.abs().max().item())


def first_rows(batch: Any, n: int = 1, start: int = 0) -> Any:
    """Some rows of every tensor in a batch, however they are nested."""
    rows = slice(start, start + n)
    return map_batch(lambda t: t[rows] if isinstance(t, Tensor) else t, batch)


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

# Extracted from book/4_convnets/3_starts.py; edit it there.
"""Weights scaled by what a batch of data makes of them."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor


class _Known(Exception):
    """What was to be measured is known."""


def _measured(
    model: Any, input: Tensor, layer: Any, behind: Any
) -> tuple[float, float]:
    """Mean and deviation behind a module that follows the layer."""
    called: list[Any] = []

    def stop(module: Any, args: tuple, output: Tensor) -> None:
        called.append(output)
        raise _Known

    hooks = [
        layer.register_forward_hook(lambda *call: called.append(layer)),
        behind.register_forward_hook(stop),
    ]
    try:
        model(input)
    except _Known:
        if called[0] is layer:
            return called[-1].mean().item(), called[-1].std().item()
    finally:
        for hook in hooks:
            hook.remove()
    raise ValueError(f"the model does not call {layer} and then {behind}")


def _scale(
    number: int,
    layer: Any,
    measure: Callable[[], tuple[float, float]],
    tolerance: float,
    max_rounds: int,
) -> None:
    """Scale and shift until the measured mean is 0, the deviation 1."""
    for left in reversed(range(max_rounds + 1)):
        mean, deviation = measure()
        if max(abs(mean), abs(deviation - 1)) <= tolerance:
            return
        if not left or not deviation > 0:
            text = f"mean {mean:.3g}, deviation {deviation:.3g}"
            raise ValueError(f"layer {number} cannot leave {text}")
        layer.weight /= deviation
        if layer.bias is not None:
            layer.bias -= mean


@torch.no_grad()
def lsuv_(
    model: Any,
    input: Tensor,
    layers: Iterable[tuple[Any, Any]],
    tolerance: float = 1e-3,
    max_rounds: int = 100,
) -> None:
    """Scale layers so that what a batch makes of them has mean 0, deviation 1.

    `layers` are pairs of modules, first those that are called first: whose
    weight and bias are changed, and behind which it is measured. A ValueError
    if that is not reached after `max_rounds`; whatever ends it, all weights
    are then as they were.
    """
    before = {name: each.clone() for name, each in model.state_dict().items()}
    try:
        for number, (layer, behind) in enumerate(layers):
            measure = partial(_measured, model, input, layer, behind)
            _scale(number, layer, measure, tolerance, max_rounds)
    except BaseException:  # Ctrl-C too
        model.load_state_dict(before)
        raise

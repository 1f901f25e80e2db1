# Extracted from book/4_convnets/3_starts.py; edit it there.
"""Weights scaled by what a batch of data makes of them."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def lsuv_(
    model: Any,
    input: Tensor,
    layers: Iterable[tuple[Any, Any]],
    tolerance: float = 1e-3,
    max_rounds: int = 100,
) -> None:
    """Scale layers so that what a batch makes of them has mean 0, deviation 1.

    `layers` are pairs of modules: whose weight and bias are changed, and behind
    which it is measured. A ValueError, with all weights as they were, if that
    is not reached after `max_rounds`.
    """
    before = {name: each.clone() for name, each in model.state_dict().items()}
    for number, (layer, behind) in enumerate(layers):
        for left in reversed(range(max_rounds + 1)):
            mean, deviation = _measured(model, input, behind)
            if max(abs(mean), abs(deviation - 1)) <= tolerance:
                break
            if not left or not deviation > 0:
                model.load_state_dict(before)
                text = f"mean {mean:.3g}, deviation {deviation:.3g}"
                raise ValueError(f"layer {number} cannot leave {text}")
            layer.weight /= deviation
            if layer.bias is not None:
                layer.bias -= mean


def _measured(model: Any, input: Tensor, behind: Any) -> tuple[float, float]:
    """Mean and deviation of what a module inside the model gives."""
    seen: list[Tensor] = []
    hook = behind.register_forward_hook(lambda *call: seen.append(call[-1]))
    try:
        model(input)
    finally:
        hook.remove()
    if not seen:
        raise ValueError(f"the model does not call {behind}")
    return seen[-1].mean().item(), seen[-1].std().item()

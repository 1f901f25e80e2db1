# Extracted from book/2_backward/8_optimizer.py; edit it there.
"""What the steps of optimizers share: how a state begins, and small sums."""

import copy
from typing import Any

import torch
from torch import Tensor

from groundup.optim.fused import wants_kernel


def new_counter(param: Tensor, group: dict) -> Tensor:
    """A count of steps, as torch keeps it: a float32 tensor of shape ().

    It lies on the CPU, where reading it is free, unless the step happens
    without Python: in a fused kernel or a captured graph.
    """
    there = wants_kernel(group) or group.get("capturable")
    device = param.device if there else "cpu"
    return torch.zeros((), dtype=torch.float32, device=device)


def new_state(param: Tensor, group: dict, *names: str) -> dict[str, Tensor]:
    """A count of steps, and zeros like the parameter under each name."""
    zeros = {name: torch.zeros_like(param) for name in names}
    return {"step": new_counter(param, group), **zeros}


def loaded(param: Tensor, key: str, value: Any, group: dict) -> Any:
    """A saved value of a parameter's state: a copy, stored like it."""
    if key == "step":
        return new_counter(param, group).copy_(torch.as_tensor(value))
    if not isinstance(value, Tensor):
        return copy.deepcopy(value)
    if value.shape == param.shape:
        return torch.empty_like(param, requires_grad=False).copy_(value)
    if value.ndim:
        shapes = f"{tuple(value.shape)}, its parameter {tuple(param.shape)}"
        raise ValueError(f"loaded {key} has the shape {shapes}")
    return value.clone()


def add_l2(grad: Tensor, param: Tensor, weight_decay: float) -> Tensor:
    """The gradient of the loss plus weight_decay / 2 * |param|^2."""
    return grad.add(param, alpha=weight_decay) if weight_decay else grad


def real_views(*tensors: Tensor) -> list[Tensor]:
    """The same memory as real numbers: complex (*) -> (*, 2)."""
    return [torch.view_as_real(x) if x.is_complex() else x for x in tensors]


def root_plus(square: Tensor, eps: float) -> Tensor:
    """sqrt(square) + eps, in one new tensor unless autograd needs two."""
    root = square.sqrt()
    return root + eps if root.requires_grad else root.add_(eps)

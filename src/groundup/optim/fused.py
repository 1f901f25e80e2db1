# Extracted from book/2_backward/8_optimizer.py; edit it there.
"""Which parameters may be stepped by a fused kernel."""

from collections.abc import Iterable
from functools import cache

import torch
from torch import Tensor


def wants_kernel(group: dict) -> bool:
    """Whether the options leave the step to a fused kernel, if there is one."""
    if "fused" not in group or group.get("differentiable"):
        return False
    if group["fused"] is None:
        return group.get("foreach") is not False
    return bool(group["fused"])


def lie_alike(param: Tensor, others: Iterable[Tensor]) -> bool:
    """Whether a walk through memory meets the elements in the same order."""
    dense = param.is_contiguous() or (
        param.ndim == 4
        and param.is_contiguous(memory_format=torch.channels_last)
    )
    kind = param.stride(), param.dtype, param.device
    return dense and all(
        (other.stride(), other.dtype, other.device) == kind for other in others
    )


def fits_kernel(param: Tensor, state: dict, group: dict) -> bool:
    """Whether a kernel is wanted, and can step this parameter."""
    known = param.device.type in ("cpu", "cuda")
    if not (wants_kernel(group) and known and param.is_floating_point()):
        return False
    others = [value for key, value in state.items() if key != "step"]
    return lie_alike(param, [param.grad, *others])


@cache
def has_kernel(kind: type) -> bool:
    """Whether a class's `fused_update` is as new as its `update`."""
    kernel, step = (
        next(base for base in kind.__mro__ if name in vars(base))
        for name in ("fused_update", "update")
    )
    return issubclass(kernel, step)

# Extracted from book/3_training/6_optim.py; edit it there.
"""Steps by one kernel call for many parameters."""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

from groundup.optim.optimizer import Optimizer
from groundup.optim.saving import wants_kernel


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


class FusedOptimizer(Optimizer):
    """An optimizer with a kernel; fill in `fused_update` as well."""

    def fused_update(
        self, params: list[Tensor], states: list[dict], group: dict
    ) -> None:
        """Step parameters of one type on one device, all in one call."""
        raise NotImplementedError

    def fits(self, param: Tensor, state: dict, group: dict) -> bool:
        """Whether the kernel can step this parameter."""
        others = [value for key, value in state.items() if key != "step"]
        known = param.device.type in ("cpu", "cuda")
        return known and bool(state) and lie_alike(param, [param.grad, *others])

    def update_group(self, params: list[Tensor], group: dict) -> None:
        """Step by kernel what the kernel takes, the rest one by one."""
        if not wants_kernel(group):
            return super().update_group(params, group)
        rest, kinds = [], defaultdict(list)
        for param in params:
            if not param.is_floating_point():
                if group["fused"]:
                    raise RuntimeError(
                        "`fused=True` requires all the params to be floating "
                        f"point Tensors, got {param.dtype}"
                    )
                rest.append(param)
            elif self.fits(param, self.started(param, group), group):
                kinds[param.dtype, param.device].append(param)
            else:
                rest.append(param)
        for alike in kinds.values():
            states = [self.state[param] for param in alike]
            self.fused_update(alike, states, group)
        super().update_group(rest, group)

# Extracted from book/3_training/8_optimizers.py; edit it there.
"""LAMB: Adam's direction, at a length that suits the layer."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from groundup.optim.groups import require_betas, require_nonnegative
from groundup.optim.optimizer import Optimizer
from groundup.optim.steps import new_state, real_views, root_plus


def trust_ratio(x: Tensor, update: Tensor) -> Tensor:
    """|x| / |update|, a tensor of shape (); 1 where either norm is 0.

    The squares are summed in float32 at least: in float16 that of 300 is inf.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    norms = [each.to(wide).square().sum().sqrt() for each in (x, update)]
    known = (norms[0] > 0) & (norms[1] > 0)
    return torch.where(known, norms[0] / norms[1], 1.0)


def lamb_step(
    x: Tensor,
    g: Tensor,
    state: dict,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
    weight_decay: float = 0.0,
) -> None:
    """One step as long as lr times the layer's weights (You et al., 2020)."""
    state["step"] += 1
    t = state["step"].item()
    beta1, beta2 = betas
    x, g, m, v = real_views(x, g, state["exp_avg"], state["exp_avg_sq"])
    m.lerp_(g, 1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    correction = math.sqrt(1 - beta2**t)
    r = m / root_plus(v, correction * eps) * (correction / (1 - beta1**t))
    update = r.add(x, alpha=weight_decay)
    x.sub_(update * (lr * trust_ratio(x, update)))


class LAMB(Optimizer):
    """Adam at a length that suits each layer, for very large batches."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        *,
        maximize: bool = False,
    ):
        options = {"lr": lr, "betas": betas, "eps": eps}
        options |= {"weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense."""
        super().check(group)
        require_nonnegative(group, "eps")
        require_betas(group)

    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """Both running means at zero."""
        return new_state(param, group, "exp_avg", "exp_avg_sq")

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """One step of `lamb_step`."""
        names = "betas", "eps", "weight_decay"
        options = {name: group[name] for name in names}
        lamb_step(param, grad, state, float(group["lr"]), **options)

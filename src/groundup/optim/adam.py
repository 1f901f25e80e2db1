# Extracted from book/3_training/3_optim.py; edit it there.
"""Adam and AdamW: momentum over the root mean square."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from groundup.optim.groups import require_betas, require_nonnegative
from groundup.optim.optimizer import Optimizer
from groundup.optim.steps import add_l2, new_state, real_views, root_plus


def adam_step(
    param: Tensor,
    grad: Tensor,
    state: dict,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> None:
    """One step: the mean gradient over the root of the mean square.

    With a "max_exp_avg_sq" in the state, of the largest mean square so far.
    """
    state["step"] += 1
    t = state["step"].item()
    beta1, beta2 = betas
    param, grad, mean, square = real_views(
        param, grad, state["exp_avg"], state["exp_avg_sq"]
    )
    mean.lerp_(grad, 1 - beta1)
    square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    if "max_exp_avg_sq" in state:
        (largest,) = real_views(state["max_exp_avg_sq"])
        square = largest.clamp_(min=square)
    correction = math.sqrt(1 - beta2**t)
    scale = root_plus(square, correction * eps)
    param.addcdiv_(mean, scale, value=-lr * correction / (1 - beta1**t))


class Adam(Optimizer):
    """The mean gradient over its root mean square; weight decay is L2."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):
        options = {"lr": lr, "betas": betas, "eps": eps, "amsgrad": amsgrad}
        options |= {"weight_decay": weight_decay, "maximize": maximize}
        options |= {"decoupled_weight_decay": decoupled_weight_decay}
        options |= {"capturable": capturable, "differentiable": differentiable}
        options |= {"foreach": foreach, "fused": fused}
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense."""
        super().check(group)
        require_nonnegative(group, "eps")
        require_betas(group)

    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """Both running means at zero, and AMSGrad's maximum."""
        names = ["exp_avg", "exp_avg_sq"]
        names += ["max_exp_avg_sq"] * group["amsgrad"]
        return new_state(param, group, *names)

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """One step of `adam_step` after the weight decay of either kind."""
        lr, weight_decay = float(group["lr"]), group["weight_decay"]
        if group["decoupled_weight_decay"]:
            param.mul_(1 - lr * weight_decay)
        else:
            grad = add_l2(grad, param, weight_decay)
        beta1, beta2 = map(float, group["betas"])
        adam_step(param, grad, state, lr, (beta1, beta2), group["eps"])

    def fused_update(
        self, params: list[Tensor], states: list[dict], group: dict
    ) -> None:
        """The same by torch's kernel."""
        for state in states:
            state["step"] += 1
        decoupled = group["decoupled_weight_decay"]
        kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        beta1, beta2 = map(float, group["betas"])
        kernel(
            params,
            [param.grad for param in params],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["max_exp_avg_sq"] for state in states if group["amsgrad"]],
            [state["step"] for state in states],
            lr=group["lr"] if group["capturable"] else float(group["lr"]),
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=group["amsgrad"],
            maximize=group["maximize"],
        )


class AdamW(Adam):
    """Adam with weight decay that is decoupled from the gradient."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        **options: Any,
    ):
        fixed = {"decoupled_weight_decay": True}
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, **fixed, **options
        )

    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense, and stay decoupled."""
        super().check(group)
        group["decoupled_weight_decay"] = True  # whatever was loaded

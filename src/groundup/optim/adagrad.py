# Extracted from book/3_training/8_optimizers.py; edit it there.
"""Adagrad: a rate for every parameter, from all gradients so far."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from groundup.optim.groups import require_nonnegative
from groundup.optim.optimizer import Optimizer
from groundup.optim.steps import add_l2, new_counter, real_views, root_plus


def adagrad_step(
    param: Tensor,
    grad: Tensor,
    state: dict,
    lr: float,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
) -> None:
    """One step, divided by the root of the sum of all squared gradients."""
    state["step"] += 1
    rate = lr / (1 + (state["step"].item() - 1) * lr_decay)
    param, grad, total = real_views(param, grad, state["sum"])
    total.addcmul_(grad, grad)
    param.addcdiv_(grad, root_plus(total, eps), value=-rate)


class Adagrad(Optimizer):
    """Divides each gradient by the root of the sum of all squares so far."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        options = {"lr": lr, "lr_decay": lr_decay, "eps": eps}
        options |= {"initial_accumulator_value": initial_accumulator_value}
        options |= {"weight_decay": weight_decay, "maximize": maximize}
        options |= {"differentiable": differentiable}
        options |= {"foreach": foreach, "fused": fused}
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense."""
        super().check(group)
        names = "lr_decay", "initial_accumulator_value", "eps"
        require_nonnegative(group, *names)

    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """The sum, at its initial value in the real and imaginary part."""
        total = torch.empty_like(param, requires_grad=False)
        (parts,) = real_views(total)
        parts.fill_(group["initial_accumulator_value"])
        return {"step": new_counter(param, group), "sum": total}

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """One step of `adagrad_step`, the weight decay as L2."""
        grad = add_l2(grad, param, group["weight_decay"])
        lr, lr_decay, eps = group["lr"], group["lr_decay"], group["eps"]
        adagrad_step(param, grad, state, float(lr), lr_decay, eps)

    def fused_update(
        self, params: list[Tensor], states: list[dict], group: dict
    ) -> None:
        """The same by torch's kernel."""
        for state in states:
            state["step"] += 1
        torch._fused_adagrad_(
            params,
            [param.grad for param in params],
            [state["sum"] for state in states],
            [state["step"] for state in states],
            lr=float(group["lr"]),
            lr_decay=group["lr_decay"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=group["maximize"],
        )

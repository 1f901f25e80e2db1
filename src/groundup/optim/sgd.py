# Extracted from book/3_training/3_optim.py; edit it there.
"""Gradient descent with momentum."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from groundup.optim.groups import require_nonnegative
from groundup.optim.optimizer import Optimizer
from groundup.optim.steps import add_l2


def sgd_step(
    param: Tensor,
    grad: Tensor,
    state: dict,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
) -> None:
    """One step against the gradient, or against a running sum of gradients."""
    if momentum:
        if (buffer := state.get("momentum_buffer")) is None:
            buffer = state["momentum_buffer"] = grad.clone()
        else:
            buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
        grad = grad.add(buffer, alpha=momentum) if nesterov else buffer
    param.add_(grad, alpha=-lr)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum, dampening or Nesterov's."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        options = {"lr": lr, "momentum": momentum, "dampening": dampening}
        options |= {"weight_decay": weight_decay, "nesterov": nesterov}
        options |= {"maximize": maximize, "differentiable": differentiable}
        options |= {"foreach": foreach, "fused": fused}
        super().__init__(params, options)

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """One step of `sgd_step`, the weight decay as L2."""
        sgd_step(
            param,
            add_l2(grad, param, group["weight_decay"]),
            state,
            float(group["lr"]),
            group["momentum"],
            group["dampening"],
            group["nesterov"],
        )

    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense."""
        super().check(group)
        require_nonnegative(group, "momentum")
        if group["nesterov"] and not (
            group["momentum"] > 0 and group["dampening"] == 0
        ):
            raise ValueError(
                "Nesterov momentum requires a momentum and zero dampening"
            )

    def fits(self, param: Tensor, state: dict, group: dict) -> bool:
        """With momentum, from the second step on; on a CPU from 32 bits on."""
        if not group["momentum"] or state.get("momentum_buffer") is None:
            return False
        stored = param.is_cuda or param.itemsize >= 4  # pytorch issue 191763
        return stored and super().fits(param, state, group)

    def fused_update(
        self, params: list[Tensor], states: list[dict], group: dict
    ) -> None:
        """The same by torch's kernel."""
        torch._fused_sgd_(
            params,
            [param.grad for param in params],
            [state["momentum_buffer"] for state in states],
            lr=float(group["lr"]),
            momentum=group["momentum"],
            dampening=group["dampening"],
            weight_decay=float(group["weight_decay"]),
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            is_first_step=False,
        )

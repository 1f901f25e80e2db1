# Extracted from book/3_training/6_optim.py; edit it there.
"""What all optimizers share: the loop over the parameters."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from groundup.optim.saving import SavedGroups


class Optimizer(SavedGroups):
    """Steps parameters against their gradients; fill in `start` and `update`.

    A parameter without a gradient stays as it is, and so does its state.
    """

    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """The state of a parameter before its first step."""
        return {}

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """Step one parameter: change it and its state in place."""
        raise NotImplementedError

    def step(self, closure: Callable | None = None) -> Any:
        """Step every parameter; the closure's loss if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.set_grad_enabled(self.defaults.get("differentiable", False)):
            for group in self.param_groups:
                params = [p for p in group["params"] if p.grad is not None]
                if any(p.grad.layout != torch.strided for p in params):
                    name = type(self).__name__
                    raise RuntimeError(
                        f"{name} does not support sparse gradients"
                    )
                self.update_group(params, group)
        return loss

    def update_group(self, params: list[Tensor], group: dict) -> None:
        """Step the parameters of a group, one after the other."""
        for param in params:
            state = self.started(param, group)
            if group.get("differentiable"):  # keep what autograd has seen
                state.update({k: v.clone() for k, v in state.items()})
            grad = -param.grad if group.get("maximize") else param.grad
            self.update(param, grad, state, group)

    def started(self, param: Tensor, group: dict) -> dict[str, Any]:
        """The state of a parameter, begun if it is empty."""
        state = self.state[param]
        if not state:
            state.update(self.start(param, group))
        return state


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

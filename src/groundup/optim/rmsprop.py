# Extracted from book/3_training/8_optimizers.py; edit it there.
"""RMSprop: a rate for every parameter, from recent gradients."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from groundup.optim.groups import require_nonnegative
from groundup.optim.optimizer import Optimizer
from groundup.optim.steps import add_l2, new_state, real_views, root_plus


def rmsprop_step(
    param: Tensor,
    grad: Tensor,
    state: dict,
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
) -> None:
    """One step, divided by the root of the mean square of recent gradients.

    With a "grad_avg" in the state, by their deviation.
    """
    state["step"] += 1
    param, grad, square = real_views(param, grad, state["square_avg"])
    square.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
    if "grad_avg" in state:
        (mean,) = real_views(state["grad_avg"])
        mean.lerp_(grad, 1 - alpha)
        square = square.addcmul(mean, mean, value=-1)
    scale = root_plus(square, eps)
    if momentum:
        (buffer,) = real_views(state["momentum_buffer"])
        buffer.mul_(momentum).addcdiv_(grad, scale)
        param.add_(buffer, alpha=-lr)
    else:
        param.addcdiv_(grad, scale, value=-lr)


class RMSprop(Optimizer):
    """Divides each gradient by the root of the mean of recent squares."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        options = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps}
        options |= {"centered": centered, "weight_decay": weight_decay}
        options |= {"capturable": capturable, "foreach": foreach}
        options |= {"maximize": maximize, "differentiable": differentiable}
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense."""
        super().check(group)
        require_nonnegative(group, "alpha", "eps", "momentum")

    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """The mean square, and what momentum and centering need."""
        names = ["square_avg"]
        names += ["momentum_buffer"] * (group["momentum"] > 0)
        names += ["grad_avg"] * group["centered"]
        return new_state(param, group, *names)

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """One step of `rmsprop_step`, the weight decay as L2."""
        grad = add_l2(grad, param, group["weight_decay"])
        names = "alpha", "eps", "momentum"
        options = {name: group[name] for name in names}
        rmsprop_step(param, grad, state, float(group["lr"]), **options)

# Extracted from book/3_training/8_optimizers.py; edit it there.
"""Muon: momentum whose matrices are made orthogonal."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from groundup.optim.groups import require_nonnegative
from groundup.optim.optimizer import Optimizer


def add_product(
    input: Tensor, mat1: Tensor, mat2: Tensor, beta: float, alpha: float
) -> Tensor:
    """beta input + alpha mat1 mat2: (n, m), (n, k), (k, m) -> (n, m)."""
    wide = torch.promote_types(input.dtype, torch.float32)
    product = mat1.to(wide) @ mat2.to(wide)
    return (beta * input.to(wide) + alpha * product).to(input.dtype)


@cache
def multiplies_bfloat16(kind: str) -> bool:
    """Whether a kind of device has units for products of bfloat16."""
    if kind != "cpu":
        return kind == "cuda"
    known = getattr(torch.cpu, "get_capabilities", dict)  # not in old torch
    return bool(known().get("amx_bf16"))


def newton_schulz(
    matrix: Tensor,
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    steps: int = 5,
    eps: float = 1e-7,
) -> Tensor:
    """U V^T of a matrix U S V^T, roughly: (n, m) -> (n, m) in bfloat16."""
    if matrix.ndim != 2:
        shape = tuple(matrix.shape)
        raise ValueError(f"expected a matrix, got the shape {shape}")
    a, b, c = coefficients
    fast = multiplies_bfloat16(matrix.device.type)
    multiply = torch.addmm if fast else add_product
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.to(torch.bfloat16)
    x = x.T if tall else x  # so that x x^T is the small product
    x = x / x.float().square().sum().sqrt().to(x.dtype).clamp(min=eps)
    zero = x.new_zeros(len(x), len(x))
    for _ in range(steps):
        gram = multiply(zero, x, x.T, beta=0, alpha=1)
        poly = multiply(gram, gram, gram, beta=b, alpha=c)
        x = multiply(x, poly, x, beta=a, alpha=1)
    return x.T if tall else x


def muon_step(
    param: Tensor,
    grad: Tensor,
    state: dict,
    lr: float,
    momentum: float = 0.95,
    nesterov: bool = True,
    orthogonal: Callable[[Tensor], Tensor] = newton_schulz,
) -> None:
    """One step along the momentum, made orthogonal: all (n, m)."""
    buffer = state["momentum_buffer"]
    buffer.lerp_(grad, 1 - momentum)
    update = grad.lerp(buffer, momentum) if nesterov else buffer
    param.add_(orthogonal(update), alpha=-lr)


def adjusted_lr(lr: float, shape: Sequence[int], rule: str | None) -> float:
    """The rate for a matrix of this shape, by Jordan's or Moonshot's rule."""
    n, m = shape
    if rule == "match_rms_adamw":
        return lr * 0.2 * math.sqrt(max(n, m))
    return lr * math.sqrt(max(1, n / m))


class Muon(Optimizer):
    """Momentum made orthogonal, for the matrices inside a network."""

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):
        options = {"lr": lr, "weight_decay": weight_decay}
        options |= {"momentum": momentum, "nesterov": nesterov}
        options |= {"ns_coefficients": ns_coefficients, "eps": eps}
        options |= {"ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn}
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        """Raise for options that make no sense, and for what is no matrix."""
        super().check(group)
        require_nonnegative(group, "momentum", "eps")
        rule = group["adjust_lr_fn"]
        if rule not in (None, "original", "match_rms_adamw"):
            message = f"Adjust learning rate function {rule} is not supported"
            raise ValueError(message)
        for param in group["params"]:
            if param.ndim != 2:
                raise ValueError(
                    "Muon only supports 2D parameters whereas we found a "
                    f"parameter with size: {tuple(param.shape)}"
                )

    def start(self, param: Tensor, group: dict) -> dict[str, Any]:
        """The momentum at zero."""
        if param.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        return {"momentum_buffer": torch.zeros_like(param)}

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """Decay, then one step of `muon_step`."""
        lr = float(group["lr"])
        names = "ns_coefficients", "ns_steps", "eps"
        options = [group[name] for name in names]
        param.mul_(1 - lr * group["weight_decay"])
        muon_step(
            param,
            grad,
            state,
            adjusted_lr(lr, param.shape, group["adjust_lr_fn"]),
            group["momentum"],
            group["nesterov"],
            lambda update: newton_schulz(update, *options),
        )

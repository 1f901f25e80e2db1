# Extracted from book/2_backward/3_backward.py; edit it there.
"""The gradients of a small network, by hand and by trying."""

from collections.abc import Callable

import torch
from torch import Tensor


def residuals(out: Tensor, target: Tensor) -> Tensor:
    """Each prediction minus its target: (n, 1), (n,) -> (n,)."""
    if out.shape != (*target.shape, 1):
        shapes = f"{tuple(out.shape)} and {tuple(target.shape)}"
        raise ValueError(f"expected shapes (n, 1) and (n,), got {shapes}")
    return out.squeeze(-1) - target


def numerical_gradient(
    function: Callable[[Tensor], Tensor], x: Tensor, eps: float | None = None
) -> Tensor:
    """The gradient of a number by x, by central differences; shaped as x."""
    if not x.is_floating_point():
        raise TypeError(f"{x.dtype} has no small steps")
    eps = torch.finfo(x.dtype).eps ** (1 / 3) if eps is None else eps
    flat = x.flatten()
    grad = torch.zeros_like(flat)
    for i, value in enumerate(flat.tolist()):
        ends = flat.repeat(2, 1)
        ends[0, i] += eps * max(1, abs(value))
        ends[1, i] -= eps * max(1, abs(value))
        high, low = (function(end.reshape(x.shape)) for end in ends)
        grad[i] = (high - low) / (ends[0, i] - ends[1, i])  # as rounded
    return grad.reshape(x.shape)


def mse_gradient(out: Tensor, target: Tensor) -> Tensor:
    """Gradient of the mean squared error: (n, 1), (n,) -> (n, 1)."""
    return 2 * residuals(out, target).unsqueeze(-1) / len(out)


def _refuse_unless(fits: bool, **values: Tensor) -> None:
    """Raise an error that shows all shapes."""
    if not fits:
        shapes = [f"{name} {tuple(t.shape)}" for name, t in values.items()]
        raise ValueError("shapes do not fit: " + ", ".join(shapes))


def relu_gradient(x: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of ReLU's input, which has any shape, from its result's."""
    _refuse_unless(x.shape == grad_y.shape, x=x, grad_y=grad_y)
    return torch.where(x <= 0, 0, grad_y)


def linear_bias_gradient(grad_y: Tensor) -> Tensor:
    """Gradient of the bias: (n, d_out) -> (d_out,)."""
    return grad_y.sum(0)


def linear_input_gradient(w: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of the input: (d_out, d_in), (n, d_out) -> (n, d_in)."""
    fits = w.ndim == grad_y.ndim == 2 and len(w) == grad_y.shape[1]
    _refuse_unless(fits, w=w, grad_y=grad_y)
    return grad_y @ w


def linear_weight_gradient(x: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of the weights: (n, d_in), (n, d_out) -> (d_out, d_in)."""
    fits = x.ndim == grad_y.ndim == 2 and len(x) == len(grad_y)
    _refuse_unless(fits, x=x, grad_y=grad_y)
    return grad_y.T @ x

# Extracted from book/2_backward/3_backward.py; edit it there.
"""The gradients of a small network, by hand and by trying."""

from collections.abc import Callable

import torch
from torch import Tensor


def numerical_gradient(
    function: Callable[[Tensor], Tensor], x: Tensor, eps: float = 1e-6
) -> Tensor:
    """The gradient of a number by x, by central differences; shaped as x."""
    grad = torch.zeros_like(x).flatten()
    for i in range(x.numel()):
        step = torch.zeros_like(x).flatten()
        step[i] = eps
        step = step.reshape(x.shape)
        grad[i] = (function(x + step) - function(x - step)) / (2 * eps)
    return grad.reshape(x.shape)


def mse_gradient(out: Tensor, target: Tensor) -> Tensor:
    """Gradient of the mean squared error: (n, 1), (n,) -> (n, 1)."""
    return 2 * (out.squeeze(-1) - target).unsqueeze(-1) / out.shape[0]


def relu_gradient(x: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of ReLU's input, which has any shape, from its result's."""
    return grad_y * (x > 0)


def linear_bias_gradient(grad_y: Tensor) -> Tensor:
    """Gradient of the bias: (n, d_out) -> (d_out,)."""
    return grad_y.sum(0)


def linear_input_gradient(w: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of the input: (d_in, d_out), (n, d_out) -> (n, d_in)."""
    return grad_y @ w.T


def linear_weight_gradient(x: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of the weights: (n, d_in), (n, d_out) -> (d_in, d_out)."""
    return x.T @ grad_y

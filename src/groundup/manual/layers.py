# Extracted from book/2_backward/4_layers.py; edit it there.
"""Layers that hold their function and its gradient, written by hand."""

import torch
from torch import Tensor
from torch.nn.functional import linear, relu

from groundup.manual.gradients import (
    linear_bias_gradient,
    linear_input_gradient,
    linear_weight_gradient,
    residuals,
)


class Layer:
    """A function that remembers its last call, for its gradients: a base."""

    def __call__(self, *args: Tensor) -> Tensor:
        self.args = args
        self.out = self.forward(*args)
        return self.out

    def forward(self, *args: Tensor) -> Tensor:
        """The result of the layer, to be filled in."""
        raise NotImplementedError

    def learn(self, grad_y: Tensor) -> None:
        """Store the gradients of the parameters; by default there are none."""

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        """Gradient of the first argument, to be filled in; shaped as it."""
        raise NotImplementedError

    def backward(self, grad_y: Tensor | float) -> Tensor:
        """Learn, and return the gradient of the first argument."""
        self.learn(grad_y)
        return self.input_gradient(grad_y)


class Model:
    """Layers, each called on the result of the one before, and a loss."""

    def __init__(self, layers: list[Layer], loss: Layer):
        self.layers, self.loss = layers, loss

    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.loss(x, target)

    def backward(self) -> None:
        """Store the gradients of all parameters, and leave out the data's."""
        first, *others = self.layers
        grad = self.loss.backward(1.0)
        for layer in reversed(others):
            grad = layer.backward(grad)
        first.learn(grad)


class LinearLayer(Layer):
    """An affine map of features: (n, d_in) -> (n, d_out)."""

    def __init__(self, weight: Tensor, bias: Tensor):
        self.weight, self.bias = weight, bias  # (d_out, d_in), (d_out,)

    def forward(self, x: Tensor) -> Tensor:
        """x @ weight.T + bias."""
        return linear(x, self.weight, self.bias)

    def learn(self, grad_y: Tensor) -> None:
        """Store weight.grad and bias.grad, in place of older ones."""
        (x,) = self.args
        self.weight.grad = linear_weight_gradient(x, grad_y)
        self.bias.grad = linear_bias_gradient(grad_y)

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        """Gradient of the input: (n, d_out) -> (n, d_in)."""
        return linear_input_gradient(self.weight, grad_y)


class MSELayer(Layer):
    """Mean squared error: (n, 1), (n,) -> ()."""

    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        """The mean of (out - target) ** 2."""
        self.residuals = residuals(out, target)
        return (self.residuals * self.residuals).mean()

    def input_gradient(self, grad_y: Tensor | float) -> Tensor:
        """Gradient of the predictions: () -> (n, 1)."""
        factor = 2 * grad_y / max(len(self.residuals), 1)
        return (factor * self.residuals).unsqueeze(-1)


class ReLULayer(Layer):
    """Negative elements become zero: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        """max(x, 0)."""
        return relu(x)

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        """grad_y where the result is positive, else 0: `relu_gradient`."""
        return torch.ops.aten.threshold_backward(grad_y, self.out, 0)

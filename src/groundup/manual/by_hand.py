# Extracted from book/3_training/11_learner.py; edit it there.
"""Networks that train by the gradients of part 2, without autograd."""

import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.manual.layers import Layer, LinearLayer, Model, ReLULayer
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.linear import Linear
from groundup.nn.module import Module


class CrossEntropyLayer(Layer):
    """How badly scores predict labels: (n, k), (n,) -> ()."""

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Minus the labels' mean log-probability."""
        self.log_p = torch.log_softmax(scores, 1)
        return F.nll_loss(self.log_p, labels)

    def input_gradient(self, grad_y: Tensor | float) -> Tensor:
        """(p - t) / n, with t the labels as rows of 0 and 1: () -> (n, k)."""
        p, (_, labels) = self.log_p.exp(), self.args
        t = torch.zeros_like(p).scatter_(1, labels[:, None], 1)
        return (p - t) * (grad_y / len(labels))


class ByHand(Module):
    """A `Sequential` of linear layers and ReLUs that needs no autograd.

    A learner takes its `loss` and `backward` as well as the model itself.
    """

    def __init__(self, net: Sequential):
        self.net = net
        self.manual = Model(
            [_by_hand(layer) for layer in net], CrossEntropyLayer()
        )

    def forward(self, input: Tensor) -> Tensor:
        """The scores: (n, d) -> (n, k)."""
        with torch.no_grad():
            for layer in self.manual.layers:
                input = layer(input)
        return input

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy: (n, k), (n,) -> ()."""
        return self.manual.loss(scores, labels)

    def backward(self, loss: Tensor) -> None:
        """Store the gradients of the last loss, in place of older ones."""
        if loss is not self.manual.loss.out:
            raise ValueError("not the last loss; did a callback change it?")
        with torch.no_grad():
            self.manual.backward()


def _by_hand(layer: Module) -> Layer:
    match layer:
        case Linear(weight=weight, bias=Tensor() as bias):
            return LinearLayer(weight, bias)
        case ReLU():
            return ReLULayer()
    raise TypeError(f"no gradient by hand for {layer}")

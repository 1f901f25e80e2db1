# Extracted from book/2_backward/7_module.py; edit it there.
"""The linear layer."""

from math import sqrt

import torch
from torch import Tensor
from torch.nn.functional import linear

from groundup.nn import init
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter


class Linear(Module):
    """An affine map of the last axis: (*, in_features) -> (*, out_features).

    Initialised as torch does it: weight and bias uniform between plus and
    minus 1 / sqrt(in_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        like = {"device": device, "dtype": dtype}
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(torch.empty(out_features, in_features, **like))
        self.register_parameter(
            "bias",
            Parameter(torch.empty(out_features, **like)) if bias else None,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            bound = 1 / sqrt(self.in_features) if self.in_features else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """The weighted sums of the features, plus the bias."""
        if input.shape[-1:] != (self.in_features,):
            given, own = tuple(input.shape), tuple(self.weight.shape)
            raise RuntimeError(
                f"expected {self.in_features} features in the last axis: "
                f"input {given}, weight {own}"
            )
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        n, m = self.in_features, self.out_features
        bias = self.bias is not None
        return f"in_features={n}, out_features={m}, bias={bias}"

# Extracted from book/4_convnets/10_normalizations.py; edit it there.
"""Layers that normalise each example by itself."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.nn import init
from groundup.nn.functional.norm import check_channels
from groundup.nn.functional.normalization import _check_groups
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter


class _ByShape(Module):
    """What norms of the last axes hold: their shape, a weight, a bias."""

    def _hold(
        self, shape: int | Sequence[int], like: dict, **held: bool
    ) -> None:
        """Keep the shape, and a parameter of it under each name, or None."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.normalized_shape = shape
        for name, wanted in held.items():
            param = Parameter(torch.empty(shape, **like)) if wanted else None
            self.register_parameter(name, param)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale by 1, and shift by 0."""
        for name, param in self.named_parameters(recurse=False):
            (init.ones_ if name == "weight" else init.zeros_)(param)


class LayerNorm(_ByShape):
    """Each example by its mean and deviation over the last axes: (*, *d)."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.eps, self.elementwise_affine = eps, elementwise_affine
        like, affine = {"device": device, "dtype": dtype}, elementwise_affine
        held = {"weight": affine, "bias": affine and bias}
        self._hold(normalized_shape, like, **held)

    def forward(self, input: Tensor) -> Tensor:
        """Normalised, scaled and shifted."""
        shape, held = self.normalized_shape, (self.weight, self.bias)
        return F.layer_norm(input, shape, *held, self.eps)

    def extra_repr(self) -> str:
        """The settings, as torch prints them."""
        affine, bias = self.elementwise_affine, self.bias is not None
        shape = f"{self.normalized_shape}, eps={self.eps}"
        return f"{shape}, elementwise_affine={affine}, bias={bias}"


class RMSNorm(_ByShape):
    """Each example by its root mean square over the last axes: (*, *d)."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.eps, self.elementwise_affine = eps, elementwise_affine
        like = {"device": device, "dtype": dtype}
        self._hold(normalized_shape, like, weight=elementwise_affine)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised and scaled."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The settings, as torch prints them."""
        affine = f"elementwise_affine={self.elementwise_affine}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}"


class GroupNorm(Module):
    """Groups of channels of each example by themselves: (n, c, ...)."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ):
        if num_channels % num_groups:
            given = f"{num_channels} channels and {num_groups} groups"
            raise ValueError(f"the channels cannot be divided: {given}")
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        like = {"device": device, "dtype": dtype}
        for name, held in {"weight": affine, "bias": affine and bias}.items():
            values = torch.empty(num_channels, **like) if held else None
            param = None if values is None else Parameter(values)
            self.register_parameter(name, param)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale by 1, and shift by 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Normalised, scaled and shifted."""
        _check_groups(input, self.num_groups)
        check_channels(input, weight=self.weight, bias=self.bias)
        held = self.weight, self.bias
        return F.group_norm(input, self.num_groups, *held, self.eps)

    def extra_repr(self) -> str:
        """The settings, as torch prints them."""
        sizes = f"{self.num_groups}, {self.num_channels}, eps={self.eps}"
        return f"{sizes}, affine={self.affine}, bias={self.bias is not None}"

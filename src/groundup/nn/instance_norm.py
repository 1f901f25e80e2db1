# Extracted from book/4_convnets/10_normalizations.py; edit it there.
"""Layers that normalise each channel of each example by itself."""

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.nn.functional.norm import check_channels
from groundup.nn.norm import NormBase


class _InstanceNorm(NormBase):
    """Normalises each channel of each example over its places."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ):
        settings = (eps, momentum, affine, track_running_stats, device, dtype)
        super().__init__(num_features, *settings, bias=bias)

    def check_input(self, input: Tensor) -> None:
        """Raise unless axes and channels are as they should be."""
        super().check_input(input)
        axis = input.ndim - min(self.ranks)
        if input.shape[axis] == self.num_features:
            return
        message = f"expected {self.num_features} channels in axis {axis}, "
        message += f"got input {(*input.shape,)}"
        if self.affine:
            raise ValueError(message)
        warnings.warn(message, stacklevel=3)

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, ...) or (c, ...), normalised."""
        self.check_input(input)
        single = input.ndim == min(self.ranks)
        x = input.unsqueeze(0) if single else input
        mean, var = self.running_mean, self.running_var
        check_channels(x, running_mean=mean, running_var=var)
        y = F.instance_norm(
            x,
            mean,
            var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )
        return y.squeeze(0) if single else y


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of sequences: (n, c, l) or (c, l)."""

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of images: (n, c, h, w) or (c, h, w)."""

    ranks = (3, 4)

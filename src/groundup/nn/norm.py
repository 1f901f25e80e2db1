# Extracted from book/4_convnets/4_norms.py; edit it there.
"""Layers that normalise by the statistics of a batch."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.nn import init
from groundup.nn.functional.norm import (
    check_batch,
    check_channels,
    check_running,
)
from groundup.nn.module import Module
from groundup.nn.parameter import Parameter


class NormBase(Module):
    """What layers with statistics hold; each says how many axes it takes."""

    ranks: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ):
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        like = {"device": device, "dtype": dtype}
        for name, held in {"weight": affine, "bias": affine and bias}.items():
            values = torch.empty(num_features, **like) if held else None
            param = None if values is None else Parameter(values)
            self.register_parameter(name, param)
        self._register_statistics(like)
        self.reset_parameters()

    def _register_statistics(self, like: dict) -> None:
        tracked = self.track_running_stats
        for name in ("running_mean", "running_var"):
            values = torch.empty(self.num_features, **like) if tracked else None
            self.register_buffer(name, values)
        count = torch.tensor(0, device=like["device"]) if tracked else None
        self.register_buffer("num_batches_tracked", count)

    def reset_running_stats(self) -> None:
        """Forget the batches seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Start anew: no batch seen, scale 1, shift 0."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def check_input(self, input: Tensor) -> None:
        """Raise unless the input has as many axes and channels as it should."""
        if input.ndim not in self.ranks:
            axes = " or ".join(f"{rank}D" for rank in self.ranks)
            given = f"got {input.ndim}D input {(*input.shape,)}"
            raise ValueError(f"expected {axes} input, {given}")

    def extra_repr(self) -> str:
        """The settings, as torch prints them."""
        settings = {"eps": self.eps, "momentum": self.momentum}
        settings |= {"affine": self.affine, "bias": self.bias is not None}
        settings |= {"track_running_stats": self.track_running_stats}
        words = [f"{name}={value}" for name, value in settings.items()]
        return ", ".join([f"{self.num_features}", *words])


class _BatchNorm(NormBase):
    """Normalises each channel over the batch; by running averages in `eval`."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, ...), normalised."""
        self.check_input(input)
        mean, var = self.running_mean, self.running_var
        own = self.training or (mean is None and var is None)
        if self.training and not self.track_running_stats:
            mean = var = None
        held = {"weight": self.weight, "bias": self.bias}
        check_channels(input, running_mean=mean, running_var=var, **held)
        check_running(mean, var, own)
        check_batch(input, own, self.eps)
        return F.batch_norm(
            input, mean, var, **held, **self._mode(own), eps=self.eps
        )

    def _mode(self, training: bool) -> dict[str, Any]:
        """How the averages move; a batch that moves them is counted."""
        momentum = self.momentum
        if self.training and self.track_running_stats:
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1 / self.num_batches_tracked.item()
        return {"training": training, "momentum": momentum or 0.0}


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of features, (n, c), or of sequences, (n, c, l)."""

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images: (n, c, h, w)."""

    ranks = (4,)

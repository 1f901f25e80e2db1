# Extracted from book/3_training/12_losses.py; edit it there.
"""Losses as modules, which hold their settings."""

import torch.nn.functional as F
from torch import Tensor

from groundup.nn.functional.loss import cross_entropy
from groundup.nn.functional.reduction import class_axis, reduction_of
from groundup.nn.functional.shapes import check_shapes
from groundup.nn.module import Module


class _Loss(Module):
    """What every loss holds: how it is reduced."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        self.reduction = reduction_of(size_average, reduce, reduction)


class MSELoss(_Loss):
    """The mean squared error, as a module."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Two of one shape -> ()."""
        check_shapes(input, target)
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The mean absolute error, as a module."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Two of one shape -> ()."""
        check_shapes(input, target)
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Squared within `beta`, absolute beyond, as a module."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Two of one shape -> ()."""
        check_shapes(input, target)
        options = {"reduction": self.reduction, "beta": self.beta}
        return F.smooth_l1_loss(input, target, **options)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy from scores, as a module."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Two of one shape -> ()."""
        options = {"reduction": self.reduction, "pos_weight": self.pos_weight}
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, **options
        )


class NLLLoss(_Loss):
    """Negative log-likelihood of log-probabilities, as a module."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """(n, k, ...), (n, ...) -> ()."""
        class_axis(input, target)
        return F.nll_loss(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class CrossEntropyLoss(_Loss):
    """Cross-entropy of scores, as a module."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """(n, k, ...), (n, ...) or probabilities -> ()."""
        return cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

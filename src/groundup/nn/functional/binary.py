# Extracted from book/3_training/12_losses.py; edit it there.
"""A question of yes or no: its probability, and how badly it is answered."""

import torch.nn.functional as F
from torch import Tensor

from groundup.nn.functional.reduction import reduce_losses, reduction_of
from groundup.nn.functional.shapes import check_shapes


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-input))), whatever the shape and size."""
    smaller = input / 2 - input.abs() / 2  # min(input, 0), slope 1/2 at 0
    return smaller - (-input.abs()).exp().log1p()


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of yes or no, from one score each: any shape -> ()."""
    check_shapes(input, target)
    log_p = F.logsigmoid(input)
    if pos_weight is not None:
        log_p = log_p * (1 + (pos_weight - 1) * target)
    losses = (1 - target) * input - log_p
    losses = losses if weight is None else losses * weight
    return reduce_losses(losses, reduction_of(size_average, reduce, reduction))

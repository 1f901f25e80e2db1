# Extracted from book/5_applications/1_detection.py; edit it there.
"""A loss for answers that are nearly all the same."""

import torch.nn.functional as F
from torch import Tensor

from groundup.nn.functional.reduction import reduce_losses


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: str = "none",
) -> Tensor:
    """Binary cross-entropy of logits, less where they are right: (...).

    An `alpha` of -1 weights both answers alike.
    """
    if not 0 <= alpha <= 1 and alpha != -1:
        raise ValueError(f"alpha is within 0 and 1, or -1, got {alpha}")
    losses = F.binary_cross_entropy_with_logits(
        inputs, targets, reduction="none"
    )
    p = F.logsigmoid(inputs).exp()
    wrong = p + targets - 2 * p * targets  # 1 - p of the right answer
    losses = losses * wrong**gamma
    if alpha != -1:
        losses = losses * (1 - alpha + (2 * alpha - 1) * targets)
    return reduce_losses(losses, reduction)

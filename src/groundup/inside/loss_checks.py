# Extracted from book/3_training/13_inside.py; edit it there.
"""Checks of a loss and its input: a sentence about what is wrong, or None."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from groundup.inside.repeat_checks import first_rows


def check_scores(output: Tensor) -> str | None:
    """Are scores for a cross-entropy (n, k) not yet probabilities?"""
    sums = output.sum(-1)
    if (output < 0).any() or ((sums - 1).abs() > 1e-3).any():
        return None
    return (
        "the scores are positive and each row sums to 1: cross-entropy "
        "applies softmax itself"
    )


def check_loss(
    loss: Callable[[Any, Any], Any],
    output: Tensor,
    target: Any,
    count: Callable[[Any], Any] = len,
) -> str | None:
    """Is the mean loss of a batch the mean of its rows' losses?

    `count` says what a row weighs: how many items its loss is the mean of.
    """
    total = weights = 0.0
    for i in range(len(output)):
        row, own = (first_rows(each, 1, i) for each in (output, target))
        weight = float(count(own))
        if weight:
            total += weight * _value(loss(row, own))
            weights += weight
    apart, together = total / (weights or 1), _value(loss(output, target))
    small = max(1e-3, 8 * torch.finfo(output.dtype).eps)  # in half precision
    if abs(together - apart) <= small * abs(apart) + 1e-6:
        return None
    return f"the batch's loss is {together:.4g}, its rows' mean is {apart:.4g}"


def _value(loss: Any) -> float:
    return (loss[0] if isinstance(loss, tuple) else loss).item()

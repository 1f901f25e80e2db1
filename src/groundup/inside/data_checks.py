# Extracted from book/3_training/6_inside.py; edit it there.
"""Checks of the data: a sentence about what is wrong, or None."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def check_shuffled(labels: Iterable[Tensor]) -> str | None:
    """Does each batch of labels hold the classes in the shares of all?"""
    batches = list(labels)
    n_classes = int(max(batch.max() for batch in batches)) + 1
    counts = torch.stack([b.bincount(minlength=n_classes) for b in batches])
    counts = counts[:, counts.sum(0) > 0].double()  # (batches, classes)
    shares = counts.sum(0) / counts.sum()
    expected = counts.sum(1, keepdim=True) * shares
    chi2 = ((counts - expected) ** 2 / expected).sum().item()
    freedom = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    if chi2 <= freedom + 6 * math.sqrt(2 * freedom + 1):
        return None
    return (
        f"the classes are unevenly spread over the batches: chi² is "
        f"{chi2:.0f}, for shuffled ones about {freedom}"
    )


def check_labels(input: Tensor, target: Tensor) -> str | None:
    """Do inputs (n, ...) tell anything of their labels (n,)?

    Compares with the means of the classes, so a task in which classes differ
    in no mean is reported too.
    """
    x, y = input.flatten(1).float(), target
    classes = y[::2].unique()
    means = torch.stack([x[::2][y[::2] == each].mean(0) for each in classes])
    # |x - m|² without |x|², which is the same for every m
    distances = means.square().sum(1) - 2 * x[1::2] @ means.T
    nearest = classes[distances.argmin(1)]
    right = (nearest == y[1::2]).double().mean().item()
    chance = (y.bincount().max() / len(y)).item()
    spread = math.sqrt(chance * (1 - chance) / len(nearest))
    if right > chance + 5 * spread:
        return None
    return (
        f"the nearest class mean is right for {right:.1%} of the examples, "
        f"the commonest class for {chance:.1%}: do labels belong to inputs?"
    )


def check_leak(
    prepare: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    train: Tensor,
    valid: Tensor,
) -> str | None:
    """Does `prepare(train, valid)` let anything see the validation rows?

    Blanks all of them but the first: nothing else may change.
    """
    blank = torch.zeros_like(valid)
    blank[0] = valid[0]
    before, after = prepare(train, valid), prepare(train, blank)
    shift = (before[0] - after[0]).abs().max().item()
    own = (before[1][0] - after[1][0]).abs().max().item()
    if shift == 0 and own == 0:
        return None
    return (
        "without the other validation rows, the training inputs change by up "
        f"to {shift:.2g} and the first validation row by {own:.2g}"
    )


def check_overlap(
    train: Tensor, valid: Tensor, allowed: float = 0.01
) -> str | None:
    """Is more than a share `allowed` of validation rows in training, too?"""
    rows = {row.numpy().tobytes() for row in train.cpu()}
    same = sum(row.numpy().tobytes() in rows for row in valid.cpu())
    if same <= allowed * len(valid):
        return None
    return f"{same} of {len(valid)} validation rows are training rows"


def check_scale(train: Tensor, valid: Tensor) -> str | None:
    """Are means and deviations of the two sets of inputs alike?"""
    mean, std = train.mean().item(), train.std().item()
    valid_mean, valid_std = valid.mean().item(), valid.std().item()
    near = abs(valid_mean - mean) <= 0.2 * std
    if near and 0.8 * std <= valid_std <= 1.25 * std:
        return None
    return (
        f"validation inputs are {valid_mean:.3g} ± {valid_std:.3g}, "
        f"training inputs {mean:.3g} ± {std:.3g}"
    )

# Extracted from book/3_training/13_inside.py; edit it there.
"""Checks of the data: a sentence about what is wrong, or None."""

import math
from collections import Counter
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

    By the nearest class mean, or by the nearest of up to 2,000 examples; each
    class counts the same, however rare.
    """
    x, y = input.flatten(1).float(), target
    x = (x - x.mean(0)) / x.std(0).where(x.std(0) > 0, 1.0)
    known, asked, few = y[::2], y[1::2], slice(2000)
    classes = known.unique()
    means = torch.stack([x[::2][known == each].mean(0) for each in classes])
    by_mean = classes[_nearest(x[1::2], means)]
    by_example = known[few][_nearest(x[1::2][few], x[::2][few])]
    surest = max(
        _beyond_chance(by_mean, asked), _beyond_chance(by_example, asked[few])
    )
    if surest > 4:
        return None
    return (
        "class means and neighbours say no more of the labels than chance "
        f"({surest:.1f} deviations from it): do labels belong to inputs?"
    )


def _nearest(x: Tensor, places: Tensor) -> Tensor:
    """The place nearest to each row: (n, d), (k, d) -> (n,)"""
    # |x - p|² without |x|², which is the same for every p
    return (places.square().sum(1) - 2 * x @ places.T).argmin(1)


def _beyond_chance(guess: Tensor, truth: Tensor) -> float:
    """Mean share of each class that is found, in deviations from chance."""
    found, var, classes = 0.0, 0.0, truth.unique()
    for each in classes:
        said = (guess == each).double()
        by_chance, n = said.mean().item(), (truth == each).sum().item()
        found += said[truth == each].mean().item() - by_chance
        var += max(by_chance * (1 - by_chance), 1 / len(guess)) / n
    return found / math.sqrt(var)


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
    """Is more than a share `allowed` of validation rows in training, too?

    Beyond the share of training rows that have a twin in training.
    """
    rows = Counter(row.numpy().tobytes() for row in train.cpu())
    same = sum(row.numpy().tobytes() in rows for row in valid.cpu())
    twins = sum(n for n in rows.values() if n > 1) / max(1, len(train))
    spread = math.sqrt(twins * (1 - twins) / max(1, len(valid)))
    if same <= (allowed + twins + 4 * spread) * len(valid):
        return None
    return f"{same} of {len(valid)} validation rows are training rows"


def check_scale(train: Tensor, valid: Tensor) -> str | None:
    """Are means and deviations of the two sets of inputs alike?

    Up to a fifth, and four standard errors.
    """
    mean, std = train.double().mean().item(), _spread(train.double())
    valid_mean, valid_std = (
        valid.double().mean().item(),
        _spread(valid.double()),
    )
    rows = (train.double() - mean).flatten(1)
    scarce = 4 * math.sqrt(1 / max(1, len(train)) + 1 / max(1, len(valid)))
    error = scarce * _spread(rows.mean(1))
    std_error = scarce * _spread(rows.square().mean(1)) / (2 * std or 1)
    near = abs(valid_mean - mean) <= 0.2 * std + error
    if near and abs(valid_std - std) <= 0.2 * std + std_error:
        return None
    return (
        f"validation inputs are {valid_mean:.3g} ± {valid_std:.3g}, "
        f"training inputs {mean:.3g} ± {std:.3g}"
    )


def _spread(x: Tensor) -> float:
    return x.std(correction=0).item()

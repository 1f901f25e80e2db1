# Extracted from book/2_backward/10_einsum.py; edit it there.
"""Sums of products over named axes, compiled to products of matrices."""

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache

from torch import Tensor

from groundup.linalg.products import matmul

Label = str | int  # a letter, or the place of an axis under an ellipsis
Labels = tuple[Label, ...]


def _axis_labels(term: str, n_axes: int) -> Labels:
    before, dots, after = term.partition("...")
    n_hidden = n_axes - len(before + after)
    if not re.fullmatch("[a-zA-Z]*", before + after):
        raise ValueError(f"{term!r} has more than letters and one ellipsis")
    if n_hidden < 0 or (n_hidden > 0 and not dots):
        raise ValueError(f"{term!r} does not fit a tensor of {n_axes} axes")
    return (*before, *range(-n_hidden, 0), *after)


@lru_cache
def parse_equation(
    equation: str, n_axes: tuple[int, ...]
) -> tuple[tuple[Labels, ...], Labels]:
    """Axis labels of each operand of an einsum, and of its output."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(n_axes):
        found = f"{len(terms)} terms for {len(n_axes)} tensors"
        raise ValueError(f"{equation!r} has {found}")
    inputs = tuple(map(_axis_labels, terms, n_axes))
    counts = Counter(label for labels in inputs for label in labels)
    hidden = sorted(label for label in counts if isinstance(label, int))
    if not arrow:
        letters = counts.keys() - set(hidden)
        once = [letter for letter in letters if counts[letter] == 1]
        return inputs, (*hidden, *sorted(once))
    n_letters = len(right.replace("...", ""))
    n_hidden = len(hidden) if "..." in right else 0
    output = _axis_labels(right, n_letters + n_hidden)
    for label in output:
        if label not in counts or output.count(label) > 1:
            raise ValueError(
                f"output {label!r} of {equation!r} is new or repeated"
            )
    return inputs, output


def _align(x: Tensor, labels: Labels, order: Labels) -> Tensor:
    """Permute to ``order``, with an axis of size 1 for each label it lacks."""
    x = x.permute([labels.index(label) for label in order if label in labels])
    for axis, label in enumerate(order):
        x = x if label in labels else x.unsqueeze(axis)
    return x


def _sum_to(x: Tensor, labels: Labels, order: Labels) -> Tensor:
    """Permute to ``order`` and sum over the axes that it leaves out."""
    rest = tuple(label for label in labels if label not in order)
    x = _align(x, labels, order + rest)
    return x.flatten(len(order)).sum(-1) if rest else x


def _contract(
    a: tuple[Tensor, Labels],
    b: tuple[Tensor, Labels],
    needed: Collection[Label],
    sizes: dict[Label, int],
) -> tuple[Tensor, Labels]:
    """Multiply and sum the labels not needed, as one batch of products."""
    shared = [label for label in a[1] if label in b[1]]
    summed = tuple(label for label in shared if label not in needed)
    batch = tuple(label for label in shared if label in needed)
    rows, columns = (
        tuple(each for each in labels if each in needed and each not in shared)
        for labels in (a[1], b[1])
    )
    result = batch + rows + columns
    x = _sum_to(*a, batch + rows + summed)
    y = _sum_to(*b, batch + summed + columns)
    if not summed:
        x = _align(x, batch + rows, result)
        return x * _align(y, batch + columns, result), result
    x = _fold(x, sizes, batch, rows, summed)
    y = _fold(y, sizes, batch, summed, columns)
    return matmul(x, y).reshape([sizes[label] for label in result]), result


def _fold(
    x: Tensor, sizes: dict[Label, int], batch: Labels, *pair: Labels
) -> Tensor:
    """Make one axis of each group of labels; axes of size 1 are stretched."""
    groups = [[sizes[label] for label in group] for group in (batch, *pair)]
    x = x.expand([size for group in groups for size in group])
    return x.reshape([math.prod(group) for group in groups if group or batch])


def _axis_sizes(
    operands: Sequence[Tensor], inputs: Sequence[Labels]
) -> dict[Label, int]:
    sizes: dict[Label, int] = {}
    for operand, labels in zip(operands, inputs, strict=True):
        for label, size in zip(labels, operand.shape, strict=True):
            known = sizes.setdefault(label, size)
            if size != known and 1 not in (size, known):
                raise ValueError(f"axis {label!r} has sizes {known} and {size}")
            sizes[label] = size if known == 1 else known
    return sizes


def _diagonal(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """Keep one axis of each label that the tensor repeats."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            if x.shape[i] != x.shape[j]:
                sizes = f"{x.shape[i]} and {x.shape[j]}"
                raise ValueError(f"repeated axis {label!r} has sizes {sizes}")
            x = x.diagonal(0, i, j)  # becomes the last axis
            labels = labels[:i] + labels[i + 1 : j] + labels[j + 1 :] + (label,)
    return x, labels


def einsum(equation: str, *operands: Tensor | Sequence[Tensor]) -> Tensor:
    """Sum of products over named axes: ``einsum("ik,kj->ij", a, b)``.

    The operands may come as one list; they are contracted from left to right.
    """
    if len(operands) == 1 and not isinstance(operands[0], Tensor):
        operands = tuple(operands[0])
    inputs, output = parse_equation(equation, tuple(x.ndim for x in operands))
    sizes = _axis_sizes(operands, inputs)
    result, *rest = map(_diagonal, operands, inputs)
    for done, operand in enumerate(rest, 1):
        later = (label for _, labels in rest[done:] for label in labels)
        result = _contract(result, operand, {*output, *later}, sizes)
    return _sum_to(*result, output)

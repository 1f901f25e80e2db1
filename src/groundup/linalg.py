# Extracted from book/2_backward/1_matmul.py; edit it there.
"""Matrix products and named sums, from their definitions to fast kernels."""

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import zip_longest

import torch
from torch import Tensor


def broadcast_shapes(*shapes: int | Sequence[int]) -> torch.Size:
    """Shape that all the shapes broadcast to: (n, 1), (m,) -> (n, m)."""
    aligned = [
        (each,) if isinstance(each, int) else tuple(each) for each in shapes
    ]
    result = []
    for sizes in zip_longest(*map(reversed, aligned), fillvalue=1):
        stretched = {size for size in sizes if size != 1}
        if len(stretched) > 1 or min(sizes) < 0:
            names = ", ".join(map(str, aligned))
            raise ValueError(f"shapes {names} do not broadcast")
        result.append(stretched.pop() if stretched else 1)
    return torch.Size(reversed(result))


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """View of the given shape, without a copy: stretched axes have stride 0."""
    n_new = len(size) - input.ndim
    if n_new < 0 or any(
        length not in (1, new)
        for length, new in zip(input.shape, size[n_new:], strict=True)
    ):
        shape = tuple(input.shape)
        raise ValueError(f"shape {shape} does not broadcast to {tuple(size)}")
    old = zip(input.shape, input.stride(), strict=True)
    strides = [0 if length == 1 else stride for length, stride in old]
    return input.as_strided(size, [0] * n_new + strides)


def broadcast_matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product by definition: (..., n, k), (..., k, m) -> (..., n, m).

    It holds all n * k * m products in memory at once.
    """
    if input.shape[-1] != other.shape[-2]:
        raise ValueError(_mismatch(input, other))
    products = input.unsqueeze(-1) * other.unsqueeze(-3)  # (..., n, k, m)
    return products.sum(-2, dtype=products.dtype)


def _mismatch(input: Tensor, other: Tensor) -> str:
    return f"cannot multiply {tuple(input.shape)} by {tuple(other.shape)}"


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


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product, as ``@``: (..., n, k), (..., k, m) -> (..., n, m).

    A vector is a row at the left and a column at the right.
    """
    a = input.unsqueeze(0) if input.ndim == 1 else input
    b = other.unsqueeze(1) if other.ndim == 1 else other
    if min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(_mismatch(input, other))
    out = _fold_rows(a, b) if b.ndim == 2 else _pair_batches(a, b)
    if input.ndim == 1:
        out = out.squeeze(-2)
    return out.squeeze(-1) if other.ndim == 1 else out


def _fold_rows(a: Tensor, b: Tensor) -> Tensor:
    *leading, k = a.shape
    rows = a.reshape(math.prod(leading), k)
    return torch.mm(rows, b).reshape(*leading, b.shape[1])


def _pair_batches(a: Tensor, b: Tensor) -> Tensor:
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (x.expand(*batch, *x.shape[-2:]) for x in (a, b))
    folded = [x.reshape(batch.numel(), *x.shape[-2:]) for x in (a, b)]
    return torch.bmm(*folded).reshape(*batch, a.shape[-2], b.shape[-1])


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


def einsum(equation: str, *operands: Tensor) -> Tensor:
    """Sum of products over named axes: ``einsum("ik,kj->ij", a, b)``.

    Operands are contracted from left to right.
    """
    inputs, output = parse_equation(equation, tuple(x.ndim for x in operands))
    sizes = _axis_sizes(operands, inputs)
    result, *rest = map(_diagonal, operands, inputs)
    for done, operand in enumerate(rest, 1):
        later = (label for _, labels in rest[done:] for label in labels)
        result = _contract(result, operand, {*output, *later}, sizes)
    return _sum_to(*result, output)

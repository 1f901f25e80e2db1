# %% [markdown] module="linalg.named_axes" starred=true
r"""
# Einsum, finished

This chapter finishes what {doc}`/2_backward/1_matmul` began with a dozen lines:
Einstein summation with all that torch's reads. You may go on without it; what
later chapters use of it stands there.

**How does a string of letters become fast products of matrices?** It is a small
language, and this is its compiler: a parser, a meaning, and a translation to
the one kernel that every processor has.

| name | meaning |
| --- | --- |
| label | a letter, or the place of an axis under an ellipsis |
| `inputs`, `output` | labels of each operand, and of the result |
| batch, rows, columns, summed | what becomes of a label in a product of two |
"""

# %% Imports tags=["hide-input"]
import timeit
from time import process_time

import matplotlib.pyplot as plt

from groundup.linalg.products import matmul
from groundup.testing import assert_close, assert_equal

# %% tags=["export"]
"""Sums of products over named axes, compiled to products of matrices."""

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache

import torch
from torch import Tensor

# %% [markdown]
r"""
## From an equation to labels

The story read equations such as `ik,kj->ij`. There is more to the language:

| equation | means |
| --- | --- |
| `ii->i` | diagonal: an operand may repeat a letter |
| `...ij->...ji` | an ellipsis stands for any further axes |
| `ik,kj` | without an arrow: the letters that occur once, in order |

First a term such as `b...ij` and
the number of its tensor's axes become a list of labels, one an axis. Those
under the ellipsis have no letter. We count them from the right, as broadcasting
does: ..., -2, -1.
"""

# %% A label for each axis tags=["export"]
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


# %%
assert_equal(_axis_labels("ik", 2), ("i", "k"))
_axis_labels("b...ij", 5)

# %% [markdown]
r"""
Then the equation is split at the arrow and the commas. Without an arrow the
output is implied: first the axes under the ellipsis, then the letters that
occur once, in alphabetical order. A training loop calls the same few equations
over and over, so the answers are kept.
"""


# %% From the equation to labels tags=["export"]
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


# %%
assert_equal(parse_equation("ik,kj", (2, 2))[1], ("i", "j"))
parse_equation("...ik, ...kj -> ...ij", (3, 4))

# %% [markdown]
r"""
Now the meaning. To {term}`broadcast <broadcasting>` over *named* axes, bring
every operand to one order of axes, with size 1 where it has none. Then multiply
and sum. That is what we did by hand with `unsqueeze`.
"""


# %% Axes in a given order tags=["export"]
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


# %%
def einsum(equation: str, *operands: Tensor) -> Tensor:
    inputs, output = parse_equation(equation, tuple(x.ndim for x in operands))
    labels = tuple(dict.fromkeys(label for each in inputs for label in each))
    aligned = [_align(*each, labels) for each in zip(operands, inputs)]
    return _sum_to(math.prod(aligned), labels, output)


einsum("ij->ji", torch.tensor([[1.0, 2, 3], [4, 5, 6]]))

# %% [markdown]
r"""
## On the kernel

This `einsum` writes all products to memory. But any product of *two*
labelled tensors is a batch of matrix products in disguise. Sort the labels by
what becomes of them:

| labels | found in | in the result | part in the product |
| --- | --- | --- | --- |
| `batch` | both | kept | the batch |
| `rows` | the first | kept | rows |
| `columns` | the second | kept | columns |
| `summed` | both | dropped | the inner size |

Permute each group together, reshape each group into one axis, multiply, and
unfold. A label that only one tensor has and nobody needs is summed before. If
there is nothing to sum, a broadcast product is all there is to do.
"""


# %% A product of two labelled tensors tags=["export"]
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


# %% One axis for each group tags=["export"]
def _fold(
    x: Tensor, sizes: dict[Label, int], batch: Labels, *pair: Labels
) -> Tensor:
    """Make one axis of each group of labels; axes of size 1 are stretched."""
    groups = [[sizes[label] for label in group] for group in (batch, *pair)]
    x = x.expand([size for group in groups for size in group])
    return x.reshape([math.prod(group) for group in groups if group or batch])


# %%
left, right = torch.randn(6, 2, 3), torch.randn(6, 3, 4)
sizes = {"b": 6, "i": 2, "k": 3, "j": 4}
product, labels = _contract(
    (left, tuple("bik")), (right, tuple("bkj")), "bij", sizes
)
assert_close(product, left @ right)
labels

# %% [markdown]
r"""
Two things are left: the size of each label, where 1 goes with any other size,
and a label that one operand repeats, as in `ii->i`. The diagonal of a matrix is
one more view: a step down and a step right at once, so its stride is the sum of
the two.
"""


# %% Sizes and repeated labels tags=["export"]
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


# %% [markdown]
r"""
With more than two operands we go from left to right, and keep at each step the
labels that the output or a later operand needs.
"""


# %% Einstein summation tags=["export"] earns="torch.einsum"
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


# %%
def check_equation(equation, *shapes):
    tensors = [torch.randn(shape) for shape in shapes]
    assert_close(einsum(equation, *tensors), torch.einsum(equation, *tensors))


check_equation("bik,bkj->bij", (2, 3, 4), (2, 4, 5))
check_equation("...ii,ji,j", (6, 3, 3), (2, 3), (2,))
check_equation("i,j->ij", (3,), (4,))
assert_close(einsum("ik,kj", [left[0], right[0]]), left[0] @ right[0])

# %% [markdown]
r"""
The last line hands over its operands as one list, as torch allows.

## What it is worth

The same product by broadcasting, by our `einsum` and by the operator alone.
"""


# %%
def seconds(call) -> float:
    timer = timeit.Timer(call, timer=process_time)
    n_calls = 1 + int(0.01 / timer.timeit(1))
    return min(timer.repeat(5, n_calls)) / n_calls


def broadcasting(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, :, None] * b).sum(1)


torch.set_num_threads(1)
sizes, times = (8, 32, 128, 256), {}
for n in sizes:
    a, b = torch.randn(n, n), torch.randn(n, n)
    ways = {
        "by broadcasting": lambda: broadcasting(a, b),  # noqa: B023
        "our einsum": lambda: einsum("ik,kj->ij", a, b),  # noqa: B023
        "@": lambda: a @ b,  # noqa: B023
    }
    for name, call in ways.items():
        times.setdefault(name, []).append(seconds(call))

# %% Time of a square product alt="Time of a product of two square matrices against their size, both axes logarithmic. Broadcasting is below our einsum at size 8 and far above it from 128 on; our einsum takes some tens of microseconds for the smallest and meets the operator @ at size 256." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(5.2, 3))
for name, values in times.items():
    ax.plot(sizes, [1e6 * each for each in values], "o-", label=name)
ax.set(xscale="log", yscale="log", xlabel="size", ylabel="microseconds")
ax.set_xticks(sizes, sizes)
ax.legend()
plt.show()

# %%
price = times["our einsum"][0] - times["@"][0]
assert times["by broadcasting"][-1] > 5 * times["our einsum"][-1]
assert times["our einsum"][0] > 2 * times["@"][0]
round(1e6 * price), times["our einsum"][-1] / times["@"][-1]

# %% [markdown]
r"""
So the compiler has a price, in microseconds above, for reading and folding in
Python. It pays from large products on.

## What we built

| name | in `groundup.linalg` |
| --- | --- |
| `parse_equation` | the labels in an einsum's equation |
| `einsum` | sums of products over named axes, on BLAS |

## Questions

:::{dropdown} Why are axes under an ellipsis counted from the right?
Because broadcasting aligns shapes there: the last hidden axis of one operand
meets the last of another.
:::

:::{dropdown} Which labels of two operands become the batch of a product?
Those that both have and that are kept, in the output or for a later operand.
:::

:::{dropdown} Why does `ii->i` need no loop and no copy?
The diagonal is a view: its stride is the sum of the two axes' strides.
:::

:::{dropdown} When is a sum left to right a bad order?
When an early product is large and a later one would have made it small.
:::

## Exercises

**1. A trace.** Write with `einsum` the trace of a matrix, and for a batch of
matrices all their traces.
"""

# %% tags=["solution"]
square, batch = torch.randn(3, 3), torch.randn(5, 3, 3)
assert_close(einsum("ii", square), square.diagonal().sum())
assert_close(einsum("bii->b", batch), batch.diagonal(0, 1, 2).sum(-1))

# %% [markdown]
r"""
**2. The order of three.** $ABC$ may be computed as $(AB)C$ or as $A(BC)$. Count
the operations of both for shapes (2, 500), (500, 500), (500, 500) and for (500,
2), (2, 500), (500, 2). Our `einsum` always goes from left to right. For which
of the two should its operands change places?
"""


# %% tags=["solution"]
def costs(n: int, k: int, m: int, p: int) -> tuple[int, int]:
    """Operations of (AB)C and of A(BC)."""
    return 2 * n * k * m + 2 * n * m * p, 2 * k * m * p + 2 * n * k * p


assert_equal(costs(2, 500, 500, 500), (2_000_000, 251_000_000))
assert_equal(costs(500, 2, 500, 2), (2_000_000, 8_000))
a, b, c = torch.randn(500, 2), torch.randn(2, 500), torch.randn(500, 2)
slow = seconds(lambda: einsum("ij,jk,kl->il", a, b, c))
fast = seconds(lambda: einsum("jk,kl,ij->il", b, c, a))
assert fast < slow
round(slow / fast, 1)

# %% [markdown]
r"""
**3. Attention.** For queries (b, h, t, d) and keys (b, h, s, d) write the scores
(b, h, t, s) with `einsum`. Which labels are batch, rows, columns, summed?
"""

# %% tags=["solution"]
queries, keys = torch.randn(2, 4, 5, 8), torch.randn(2, 4, 6, 8)
# batch b h, rows t, columns s, summed d
scores = einsum("bhtd,bhsd->bhts", queries, keys)
assert_close(scores, matmul(queries, keys.transpose(-1, -2)))

# %% [markdown]
r"""
What a string says, a kernel does. The networks of the next parts name axes too,
wherever more than two meet.
"""

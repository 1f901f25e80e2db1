# %% [markdown] module="linalg.products"
r"""
# Matrix multiplication

What does a network spend its time on, and how fast can it be?

Almost all of it goes into one operation. A layer with weights $W$ turns a batch
of inputs $X$ into $XW$: a matrix product. We write it from its definition,
with three loops, and then make it tens of thousands of times faster without
changing what it computes. Every step keeps the name `matmul` and passes the
same check.

| name | shape | means |
| --- | --- | --- |
| `x` | (5, 784) | five images of handwritten digits, one a row |
| `w` | (784, 10) | random weights: one column for each digit |
| `a`, `b` | (n, k), (k, m) | the factors of a product |
| `out` | (n, m) | the product |

The inner size $k$ is shared and disappears. The outer sizes $n$ and $m$ stay.
"""

# %% Imports tags=["hide-input"]
import operator
import timeit
from time import process_time

import matplotlib.pyplot as plt
from IPython.display import Markdown
from matplotlib.patches import Rectangle

from groundup.datasets import mnist
from groundup.testing import assert_close, assert_equal

# %% tags=["export"]
"""Matrix products, from their definition to fast kernels."""

import math
from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import Tensor

# %% [markdown]
r"""
## Five images and a matrix

The images are the first five of our validation set: the last 10,000 of MNIST's
60,000 training images. Each becomes a row of 784 numbers between 0 and 1.
"""

# %%
images, labels = mnist()
x = images[50_000:50_005].flatten(1) / 255
torch.manual_seed(0)
w = torch.randn(784, 10)
x.shape, w.shape, labels[50_000:50_005]

# %% [markdown]
r"""
Entry $(i, j)$ of a product is row $i$ of the first factor times column $j$ of
the second, element by element, summed:

$$
c_{ij} = \sum_{k} a_{ik} \, b_{kj}.
$$
"""


# %% tags=["hide-input"] alt="Three grids: a row of the first factor and a column of the second are marked, and so is the one entry of the product where they meet."
def draw_grid(ax, corner, shape, name, marked):
    """Draw a matrix as cells, some of them filled."""
    (left, top), (n_rows, n_columns) = corner, shape
    for row in range(n_rows):
        for column in range(n_columns):
            color = "C1" if marked(row, column) else "none"
            place = left + column, top - row
            cell = Rectangle(place, 1, 1, fc=color, ec="0.5", lw=0.8)
            ax.add_patch(cell)
    middle = left + n_columns / 2
    ax.text(middle, top + 1.4, f"{name} {shape}", ha="center", color="0.5")


fig, ax = plt.subplots(figsize=(5.4, 2.8))
draw_grid(ax, (0, 6), (5, 8), "a", lambda row, column: row == 1)
draw_grid(ax, (10.5, 7.5), (8, 3), "b", lambda row, column: column == 2)
draw_grid(
    ax, (16, 6), (5, 3), "out", lambda row, column: (row, column) == (1, 2)
)
ax.text(9.25, 4.4, "×", ha="center", va="center", size=18, color="0.5")
ax.text(14.75, 4.4, "=", ha="center", va="center", size=18, color="0.5")
ax.set(xlim=(-0.5, 19.5), ylim=(-0.2, 10), aspect="equal")
ax.axis("off")
plt.show()

# %% [markdown]
r"""
## Three loops

The formula has three indices, so the code has three loops.
"""


# %%
def matmul(a: Tensor, b: Tensor) -> Tensor:
    out = torch.zeros(a.shape[0], b.shape[1])
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                out[i, j] += a[i, k] * b[k, j]
    return out


matmul(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]))

# %% [markdown]
r"""
One times three plus two times four is eleven. For the real sizes we compare
with torch's own product, which serves here as the judge and nothing else.
"""

# %% tags=["reference"]
expected = x @ w

# %%
assert_close(matmul(x, w), expected)

# %% [markdown]
r"""
We compare with a tolerance, not for equality. Floating-point sums depend on
their order, and each version below adds in another one.

How long does it take? We count the seconds in which the processor works for us,
not those of the clock, and keep the best of three rounds, since whatever
disturbs a measurement makes it slower. And we use one core throughout: Python's
loops could not use a second.
"""

# %%
torch.set_num_threads(1)


def seconds(call, n_rounds: int = 3) -> float:
    """Best time of one call, over rounds of at least ten milliseconds."""
    timer = timeit.Timer(call, timer=process_time)
    timer.timeit(1)  # the first call is slower than the rest
    n_calls = 1 + int(0.01 / timer.timeit(1))
    return min(timer.repeat(n_rounds, n_calls)) / n_calls


rungs = {"three loops, tensors": matmul}
with_tensors = seconds(lambda: matmul(x, w))
Markdown(f"{with_tensors * 1e3:.0f} ms")

# %% [markdown]
r"""
That is for $5 \cdot 784 \cdot 10 = 39{,}200$ multiplications and as many
additions. A processor does several billion of them in a second. What is so
slow?

## The same loops over lists

The usual answer is "Python". Let us test it. The same three loops, in the same
language, over plain lists of numbers:
"""


# %%
def matmul(a: Tensor, b: Tensor) -> Tensor:
    rows, columns = a.tolist(), b.T.tolist()
    out = [[0.0] * len(columns) for _ in rows]
    for i in range(len(rows)):
        for j in range(len(columns)):
            for k in range(a.shape[1]):
                out[i][j] += rows[i][k] * columns[j][k]
    return torch.tensor(out)


assert_close(matmul(x, w), expected)
rungs["three loops, lists"] = matmul
with_lists = seconds(lambda: matmul(x, w))

# %% tags=["remove-input"]
list_gain = with_tensors / with_lists
assert list_gain > 10
Markdown(
    f"{with_lists * 1e3:.1f} ms: the lists are "
    f"**{list_gain:.0f} times** faster, conversions included. "
    "Python is not the main culprit."
)

# %% [markdown]
r"""
The inner line of the first version indexes tensors four times: it reads `a`,
`b` and `out`, and writes `out`. Each index makes a new tensor object with a
shape, strides and a place in memory, to hold one number. How much of the time
is that? We time one step as it was, and once with the numbers already taken
out.
"""

# %%
out, entry, p, q = torch.zeros(5, 10), torch.zeros(()), x[2, 300], w[300, 3]


def step() -> None:
    """One step of the inner loop."""
    out[2, 3] += x[2, 300] * w[300, 3]


with_indices = seconds(step, n_rounds=7)
without = seconds(lambda: entry.add_(p * q), n_rounds=7)

# %% tags=["remove-input"]
indexing = 1 - without / with_indices
Markdown(
    f"{with_indices * 1e9:,.0f} ns against {without * 1e9:,.0f} ns: "
    f"**{indexing:.0%}** of a step is indexing. The rest, a multiplication "
    "and an addition, makes a tensor as well."
)

# %% [markdown]
r"""
So the lesson is not to avoid Python. It is to avoid crossing from Python into
the tensor library *once per number*. A tensor pays off when one call does the
work of many.

## Row times column

Arithmetic between tensors is element by element, and so are comparisons. A
reduction turns the result into fewer numbers.
"""

# %%
a, b = torch.tensor([10.0, 6, -4]), torch.tensor([2.0, 8, 7])
a + b, a < b, (a < b).float().mean()

# %% [markdown]
r"""
Multiplying element by element and summing is all that the innermost loop did.
One line takes its place: 784 steps become two calls.
"""


# %%
def matmul(a: Tensor, b: Tensor) -> Tensor:
    out = torch.zeros(a.shape[0], b.shape[1])
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            out[i, j] = (a[i] * b[:, j]).sum()
    return out


assert_close(matmul(x, w), expected)
rungs["row times column"] = matmul

# %% [markdown]
r"""
By how much do two products differ? A matrix has a length, as a vector has: the
root of the sum of its squared entries, called the {term}`Frobenius norm`.

$$
\lVert A \rVert_F = \sqrt{\textstyle\sum_{ij} a_{ij}^2}
$$
"""

# %%
m = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
(m * m).sum().sqrt()

# %% [markdown]
r"""
Squares leave the range of numbers sooner than numbers do. Half precision ends
at 65,504, and the square of 300 is beyond. Sum squares in single precision:
"""

# %%
half = torch.full((4,), 300.0, dtype=torch.float16)
wide = half.float()
assert (half * half).sum().isinf() and (wide * wide).sum().sqrt() == 600
torch.finfo(torch.float16).max, (half * half).sum(), (wide * wide).sum().sqrt()

# %% [markdown]
r"""
The norm gives our error a size that does not depend on the units: the length of the
difference over the length of the result. Single precision carries about seven
digits, and that is what we see.
"""

# %%
gap = matmul(x, w) - expected
error = (gap * gap).sum().sqrt() / (expected * expected).sum().sqrt()
assert error < 1e-6
error

# %% [markdown]
r"""
## Broadcasting

Two loops are left. To remove one, a whole row of `a` must meet all columns of
`b` at once: a tensor of shape (784,) times one of shape (784, 10). Their shapes
differ. {term}`Broadcasting` says when that is allowed and what it means. In its
smallest form it needs no rule. A number meets every entry of a tensor:
"""

# %%
a = torch.tensor([10.0, 6, -4])
a > 0, 2 * a, (a - a.mean()) / a.std()

# %% [markdown]
r"""
A row meets every row of a matrix, a column every column. And a column with a
row makes a table of all their pairs, here a piece of the one that is learned by
heart:
"""

# %%
row = torch.tensor([1, 2, 3, 4])
column = torch.tensor([[10], [20], [30]])
column.shape, row.shape, column * row

# %% [markdown]
r"""
Nothing was written in a loop, and nothing was said of the result's shape. These
are the rules that give it. Write the shapes under each other, *aligned at the right*. Go through the
axes from the last to the first:

1. Sizes that are equal agree.
2. A size of **1** is stretched to the other size.
3. An axis that one shape lacks counts as size 1.
4. Anything else is an error.

Rules 2 and 3 are easily confused. A missing axis may only be missing at the
*left*; an axis of size 1 may stand anywhere. Written as code, the rules are
shorter than in words.
"""


# %% The shape of a broadcast tags=["export"] earns="torch.broadcast_shapes"
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


# %%
assert_equal(broadcast_shapes((256, 256, 3), (3,)), torch.Size([256, 256, 3]))
assert_equal(broadcast_shapes((784, 1), (10,)), torch.Size([784, 10]))
broadcast_shapes((5, 1, 784), (10, 1))

# %% [markdown]
r"""
The first line scales the three colours of a 256 by 256 image, each by a number
of its own. The second is the one that we need. And our opening pair does *not*
agree:
"""

# %%
try:
    broadcast_shapes((784,), (784, 10))
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
Aligned at the right, 784 stands over 10. The row must first become a column:
(784,) must become (784, 1). `unsqueeze` inserts an axis of size 1 at a given
place, and indexing with `None` does the same.
"""

# %%
c = torch.tensor([10.0, 20, 30])
assert_equal(c.unsqueeze(0), c[None, :])
assert_equal(c.unsqueeze(-1), c[:, None])
c.shape, c[None, :].shape, c[:, None].shape

# %% [markdown]
r"""
### Nothing is copied

A tensor is a flat piece of memory and a rule for walking through it. The
{term}`stride` of an axis is the number of elements to move in memory for one
step along that axis.
"""

# %%
m.shape, m.stride(), m.T.stride()

# %% [markdown]
r"""
A row further down is three elements away, a column further right is one. The
transpose swaps the strides and touches no number. So what is the stride of an
axis that is stretched? To meet the same element again, one must not move:
**stride 0**. That is all broadcasting does, and we can do it ourselves.
"""


# %% Stretching without copying tags=["export"] earns="torch.broadcast_to"
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


# %%
column = broadcast_to(c[:, None], (3, 4))
assert_equal(column, torch.stack([c, c, c, c], 1))
column.stride(), column.untyped_storage().nbytes() // 4

# %% [markdown]
r"""
Twelve entries, three numbers in memory. Torch's `expand` returns the same view,
and arithmetic between tensors does it without being asked.
"""


# %% tags=["hide-input"] alt="Two grids of three by four cells over a memory of three and of four numbers. The column's grid repeats each number along a row, with strides 1 and 0. The row's grid repeats each number along a column, with strides 0 and 1."
def draw_cell(ax, place, number, color, alpha):
    """Draw one number in a filled cell."""
    ax.add_patch(
        Rectangle(place, 1, 1, fc=color, ec="0.5", alpha=alpha, lw=0.8)
    )
    ax.text(place[0] + 0.5, place[1] + 0.5, number, ha="center", va="center")


def draw_view(ax, numbers, name, strides):
    """Draw a (3, 4) view above the memory that it walks through."""
    for row in range(3):
        for col in range(4):
            k = row * strides[0] + col * strides[1]
            alpha = 0.9 if k == row + col else 0.3
            draw_cell(ax, (col, 2 - row), numbers[k], f"C{k}", alpha)
    for k, number in enumerate(numbers):
        draw_cell(ax, (k, -1.7), number, f"C{k}", 0.9)
    ax.text(-0.25, -1.2, "memory", ha="right", va="center", color="0.5")
    ax.text(-0.25, 1.5, "view", ha="right", va="center", color="0.5")
    ax.text(2, 3.3, f"{name}, strides {strides}", ha="center", color="0.5")
    ax.set(xlim=(-1.8, 4.1), ylim=(-1.9, 3.8), aspect="equal")
    ax.axis("off")


fig, (left, right) = plt.subplots(2, 1, figsize=(4.4, 5))
draw_view(left, [10, 20, 30], "(3, 1) to (3, 4)", (1, 0))
draw_view(right, [1, 2, 3, 4], "(4,) to (3, 4)", (0, 1))
plt.show()

# %% [markdown]
r"""
### One row at a time

Row `a[i]` becomes a column (k, 1), is stretched over the columns of `b`, and
the products are summed down axis 0. One loop is left.
"""


# %%
def matmul(a: Tensor, b: Tensor) -> Tensor:
    out = torch.zeros(a.shape[0], b.shape[1])
    for i in range(a.shape[0]):
        out[i] = (a[i].unsqueeze(-1) * b).sum(0)
    return out


assert_close(matmul(x, w), expected)
rungs["broadcasting, a row at a time"] = matmul

# %% [markdown]
r"""
### Everything at once

With shapes (n, k, 1) and (1, k, m) no loop is left. The product has shape
(n, k, m), and the middle axis is summed. This line *is* the definition: three
indices, one of them summed. Negative axes leave room for a batch of matrices
at the left, and then it needs no change at all.

It has one trap. If one inner size is 1, rule 2 stretches it, and a wrong call
passes in silence. So we check.
"""


# %% The definition in one line tags=["export"] earns="torch.mm torch.bmm"
def broadcast_matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product by definition: (..., n, k), (..., k, m) -> (..., n, m).

    It holds all n * k * m products in memory at once.
    """
    if input.shape[-1] != other.shape[-2]:
        raise ValueError(_mismatch(input, other))
    a, b = (_single(x) for x in (input, other))
    products = a.unsqueeze(-1) * b.unsqueeze(-3)  # (..., n, k, m)
    dtype = torch.promote_types(input.dtype, other.dtype)
    return products.sum(-2, dtype=products.dtype).to(dtype)


def _single(x: Tensor) -> Tensor:
    """Half precision is added in single precision, as a kernel does."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _mismatch(input: Tensor, other: Tensor) -> str:
    return f"cannot multiply {tuple(input.shape)} by {tuple(other.shape)}"


# %%
matmul = broadcast_matmul
assert_close(matmul(x, w), expected)
rungs["broadcasting, everything"] = matmul
assert 0.3e9 < 4 * 10_000 * w.numel() < 0.35e9  # bytes of all products

# %% [markdown]
r"""
This version keeps a name of its own. It stays in the library as the plain
statement of what a matrix product is, and every faster one is tested against
it. It is not one to use: for all 10,000 validation images, `products` would
fill a third of a gigabyte, only to be summed away.

### Two traps

Broadcasting never asks whether we meant it. Take predictions of shape (n, 1)
and targets of shape (n,). Their difference should have n entries:
"""

# %%
predictions, targets = torch.ones(4, 1), torch.ones(4)
(predictions - targets).shape

# %% [markdown]
r"""
Rule 3 made the targets a row, rule 2 stretched both, and a mean over the
sixteen differences looks perfectly healthy. The cure is to drop the trailing
axis with `squeeze`. But without an argument `squeeze` drops *every* axis of
size 1, and at a batch of one example there are two:
"""

# %%
batch_of_one = torch.ones(1, 1)
batch_of_one.squeeze().shape, batch_of_one.squeeze(-1).shape

# %% [markdown]
r"""
The first has lost its batch axis, and code that ran for weeks fails on the last
batch of an epoch. Always name the axis: `squeeze(-1)`.

## Einstein summation

Look at the core of the first version once more:

```
out[i, j] += a[i, k] * b[k, j]
```

Drop the names and brackets, put the target to the right, and `ik,kj->ij` is
left. That is the whole program. In {term}`Einstein summation` each tensor's
axes get letters. Letters on the right stay, letters missing there are summed,
and equal letters walk together.

| equation | means |
| --- | --- |
| `ik,kj->ij` | matrix product |
| `bik,bkj->bij` | a product for each example in a batch |
| `i,j->ij` | outer product: no letter is summed |
| `ij->ji` | transpose |
| `ii->i` | diagonal: an operand may repeat a letter |
| `ij->` | sum of all entries |

To run it, bring every operand to one order of letters, with size 1 where it has
none. Then multiply and sum: it is what we did by hand with `unsqueeze`.
"""


# %%
def einsum(equation: str, *operands: Tensor) -> Tensor:
    """Of operands that repeat no letter, with the arrow written out."""
    inputs, output = equation.split("->")
    letters = [*output, *sorted({*inputs} - {*output, ","})]
    aligned = []
    for x, labels in zip(operands, inputs.split(","), strict=True):
        x = x.permute([labels.index(a) for a in letters if a in labels])
        for axis, letter in enumerate(letters):
            x = x if letter in labels else x.unsqueeze(axis)
        aligned.append(x)
    summed = tuple(range(len(output), len(letters)))
    return math.prod(aligned).sum(summed) if summed else math.prod(aligned)


einsum("i,j->ij", row, row)

# %% [markdown]
r"""
One equation replaces the body of our function.
"""


# %%
def matmul(a: Tensor, b: Tensor) -> Tensor:
    return einsum("ik,kj->ij", a, b)


assert_close(matmul(x, w), expected)
rungs["our einsum, by broadcasting"] = matmul

# %% [markdown]
r"""
Torch's own reads more: any number of operands, diagonals as in `ii->i`, an
ellipsis for further axes. {doc}`/2_backward/10_einsum` compiles all of it to
fast products.

## The kernel

So far every version wrote the products to memory and read them back to sum
them. Only a loop *below* Python can add each product to its sum at once, in a
register. And it can do more: cut the factors into blocks that fit the caches,
multiply eight or sixteen numbers in one instruction, use every core.

People tune that loop for each new processor. What they fill in is
{term}`BLAS`, the basic linear algebra subprograms: a set of names agreed on in
1979 {cite:p}`lawson1979`, and since 1990 with a matrix product among them
{cite:p}`dongarra1990`. Torch calls it for a matrix product (`mm`) and for a
batch of them (`bmm`). We have built both from
their definition, so by the rule of this book we may use them.

What is left to do is bookkeeping: vectors, and leading axes that broadcast. A
vector counts as one row at the left, as one column at the right. If the second
factor is a single matrix, all rows of all batches go through it in one `mm`.
"""


# %% Every case on a fast kernel tags=["export"] earns="torch.matmul torch.Tensor.__matmul__"
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


# %%
assert_close(matmul(x, w), expected)
assert_close(matmul(x, w), broadcast_matmul(x, w))
rungs["our matmul, by BLAS"] = matmul

# %% [markdown]
r"""
From the next line on the operator `@` is ours to use. Both names go to the same
kernel; the operator has less Python on the way.
"""

# %%
assert_close(x @ w, expected)
rungs["@"] = operator.matmul

# %% [markdown]
r"""
## The ladder

How far are we from what this machine can do? A product of (n, k) and (k, m)
takes $2nkm$ operations: a multiplication and an addition for each triple of
indices. A large square product keeps the core busy from start to end, so its
rate stands for the peak.
"""


# %%
def rate(product, n: int) -> float:
    """Operations a second of an (n, n) product."""
    a, b = torch.randn(n, n), torch.randn(n, n)
    return 2 * n**3 / seconds(lambda: product(a, b), n_rounds=9)


peak = max(rate(torch.mm, n) for n in (128, 256, 512, 1024))
Markdown(f"{peak / 1e9:.0f} billion operations a second")

# %% [markdown]
r"""
Now every rung, on one machine and in turns, so that a disturbance strikes all
of them. The source of this chapter, a set of notes on a 2019 lecture, has times
of its own. They stand beside ours as facts; they come from another machine. The
notes give two for most rungs. The first is what its cells printed, mostly a
single cold call under `%time`. The second is its closing table, which differs
by up to a factor of three.
"""

# %% tags=["hide-input"]
times = dict.fromkeys(rungs, math.inf)
for _ in range(3):
    for name, product in rungs.items():
        once = seconds(lambda: product(x, w), n_rounds=1)  # noqa: B023
        times[name] = min(times[name], once)
order = sorted(times, key="@".__eq__)  # the operator last

# %% tags=["hide-input"]
noted = {
    "three loops, tensors": (606e-3, 330e-3),
    "row times column": (1.57e-3, 709e-6),
    "broadcasting, a row at a time": (421e-6, 289e-6),
    "@": (14e-6,),
}


def micro(time: float) -> str:
    return f"{time * 1e6:,.0f}" if time > 1e-4 else f"{time * 1e6:.1f}"


def percent(share: float) -> str:
    return f"{share:.2%}" if share >= 1e-4 else "< 0.01%"


rows = [
    f"| {name} | {micro(times[name])} "
    f"| {times[before] / times[name]:.1f} "
    f"| {times[order[0]] / times[name]:,.0f} "
    f"| {percent(78_400 / times[name] / peak)} "
    f"| {' / '.join(map(micro, noted.get(name, ())))} |"
    for before, name in zip(order[:1] + order, order)
]
head = """| rung | µs | × the one above | × the first | of peak | source, µs |
| --- | --: | --: | --: | --: | --: |
"""
Markdown(head + "\n".join(rows))

# %% [markdown]
r"""
The same as a picture, with a dashed line for the time that the product would
take at the peak rate:
"""

# %% tags=["hide-input"] alt="Time of each version on a logarithmic scale. Three loops over tensors take tens of thousands of times as long as the operator @; the source's times fall along the same slope."
fig, ax = plt.subplots(figsize=(5.4, 3.8))
ax.barh(order, [times[name] * 1e6 for name in order], color="C0", height=0.6)
marks = [(t * 1e6, name) for name in order for t in noted.get(name, ())]
ax.scatter(*zip(*marks), color="C1", marker="D", zorder=3, label="the source")
ax.axvline(78_400 / peak * 1e6, color="0.5", ls="--", label="at the peak rate")
ax.set(xscale="log", xlabel="microseconds for (5, 784) by (784, 10)")
ax.invert_yaxis()
ax.legend(loc="lower right")
plt.show()

# %%
ladder = times["three loops, tensors"] / times["@"]
assert ladder > 10_000 and times["@"] < times["our matmul, by BLAS"]
assert times["our matmul, by BLAS"] < times["broadcasting, everything"]
Markdown(
    f"From the first rung to the last: **{ladder:,.0f} times**. The source's "
    f"own times give {330e-3 / 14e-6:,.0f} to {606e-3 / 14e-6:,.0f}."
)

# %% [markdown]
r"""
Three things happen on this ladder.

* **Leave the tensor's front door.** Lists in place of tensors: same loops, same
  Python.
* **Fewer, larger calls.** Row times column makes 50 pairs of calls, a row at a
  time 5, everything at once 1.
* **Fewer trips to memory.** BLAS adds each product where it arises.

What is the price of a call? Time one with nothing to do.
"""

# %%
one = torch.ones(1, 1)
of_product, of_matmul = seconds(lambda: one * one), seconds(lambda: one @ one)
calls = 2 * 50 * of_product / times["row times column"]
share = of_matmul / times["@"]
assert calls > 0.1

# %% tags=["remove-input"]
Markdown(
    f"A product of two numbers by `*` takes {of_product * 1e6:.1f} µs, by `@` "
    f"{of_matmul * 1e6:.1f} µs. So a hundred calls are at least {calls:.0%} of row "
    f"times column, and of the last rung's time the call is {share:.0%}. At the "
    f"peak rate, the dashed line, the product would take "
    f"{78_400 / peak * 1e6:.1f} µs: five rows are too few to reach it."
)

# %% tags=["hide-input"] alt="Operations a second against matrix size, both logarithmic. The operator @ climbs and levels off at the peak near size 100; broadcasting stays far below it at every size."
sizes = [8, 16, 32, 64, 128, 256, 512]
fig, ax = plt.subplots(figsize=(5.4, 3.2))
by_blas = [rate(torch.mm, n) / 1e9 for n in sizes]
by_definition = [rate(broadcast_matmul, n) / 1e9 for n in sizes[:5]]
ax.plot(sizes, by_blas, "o-", label="@")
ax.plot(sizes[:5], by_definition, "s-", label="broadcast_matmul")
ax.axhline(peak / 1e9, color="0.5", ls="--", label="peak")
ax.set(xscale="log", yscale="log", xlabel="n, for (n, n) by (n, n)")
ax.set(ylabel="billion operations a second")
ax.legend()
plt.show()

# %% [markdown]
r"""
So a fast network is not one with clever small steps. It is one that gives the
kernel large matrices: many examples in a batch, wide layers, few calls.

## What we built

| name | in `groundup.linalg` |
| --- | --- |
| `broadcast_shapes` | the shape that several shapes broadcast to |
| `broadcast_to` | a stretched view with strides of 0 |
| `broadcast_matmul` | the matrix product from its definition, for testing |
| `matmul` | the matrix product of matrices, vectors and batches, on BLAS |

## Questions

:::{dropdown} Why do we compare products with a tolerance?
Floating-point addition rounds, so a sum depends on its order. Each version adds
in an order of its own, and BLAS chooses it by the sizes and the processor.
:::

:::{dropdown} What does a stride of 0 mean?
Moving along that axis does not move in memory, so one number serves as many.
:::

:::{dropdown} Shapes (3, 1, 5) and (4, 1): do they broadcast, and to what?
Yes, to (3, 4, 5). From the right: 5 and 1 give 5, 1 and 4 give 4, 3 and a
missing axis give 3. Both shapes are stretched.
:::
"""

# %% tags=["answer"]
assert_equal(broadcast_shapes((3, 1, 5), (4, 1)), torch.Size([3, 4, 5]))

# %% [markdown]
r"""
:::{dropdown} May one add to a broadcast view in place?
No. Several entries share one place in memory, so the result would depend on the
order of the additions. Torch refuses. Make it real first, with `clone`.
:::
"""

# %% tags=["answer"]
try:
    broadcast_to(c[:, None], (3, 4)).add_(1)
    refused = False
except RuntimeError:
    refused = True
assert refused

# %% [markdown]
r"""
:::{dropdown} Why is a list faster than a tensor inside three loops?
Reading a list gives an existing Python object. Reading a tensor builds a new
tensor around one number, and arithmetic on it goes through the whole machinery
that a call on a million numbers would use.
:::

:::{dropdown} Why can squeeze() without an axis break at batch size 1?
The batch axis then has size 1 too, and it is dropped with the others.
:::

:::{dropdown} Which equation sums each row, and which is a matrix times its transpose?
`ij->i` and `ik,jk->ij`.
:::
"""

# %% tags=["answer"]
assert_close(einsum("ij->i", m), m.sum(1))
assert_close(einsum("ik,jk->ij", m, m), m @ m.T)

# %% [markdown]
r"""
:::{dropdown} What is wrong with measuring speed in seconds?
It measures the machine and its other guests too. Ratios taken in one run, such
as the share of the peak, travel better.
:::

## Exercises

**1. The other order.** Put the loop over $k$ outermost: the product is then a
sum of $k$ outer products, a column of `a` with a row of `b`. Write it with one
loop. Is it faster than a row at a time? Why not, for these shapes?
"""


# %% tags=["solution"]
def outer_matmul(a: Tensor, b: Tensor) -> Tensor:
    out = torch.zeros(a.shape[0], b.shape[1])
    for k in range(a.shape[1]):
        out += a[:, k, None] * b[k]
    return out


assert_close(outer_matmul(x, w), expected)
# 784 calls on (5, 10) numbers instead of 5 calls on (784, 10).
by_rows = times["broadcasting, a row at a time"]
assert seconds(lambda: outer_matmul(x, w)) > by_rows

# %% [markdown]
r"""
**2. Distances.** Find the distance between every pair of the first 200
validation images, (200, 200), once by broadcasting a difference of shape (200,
200, 784), and once with one matrix product, from $\lVert p - q \rVert^2 =
\lVert p \rVert^2 - 2\,p \cdot q + \lVert q \rVert^2$. How much memory does each
need?
"""

# %% tags=["solution"]
p = images[50_000:50_200].flatten(1) / 255
difference = p[:, None] - p  # 200 * 200 * 784 numbers: 125 MB
slow = (difference * difference).sum(-1)
length = (p * p).sum(-1)
fast = length[:, None] - 2 * p @ p.T + length  # 200 * 200 numbers: 160 kB
assert_close(fast, slow, rtol=1e-3, atol=1e-3)

# %% [markdown]
r"""
**3. Three equations.** Write with `einsum`: the sum of all entries; for batches
$u$ and $v$ of shape (n, d), the n dot products; and the bilinear form $u^\top A
v$ for each pair of their rows.
"""

# %% tags=["solution"]
u, v, form = torch.randn(4, 3), torch.randn(4, 3), torch.randn(3, 3)
assert_close(einsum("ij->", m), m.sum())
assert_close(einsum("nd,nd->n", u, v), (u * v).sum(1))
assert_close(einsum("nd,de,ne->n", u, form, v), ((u @ form) * v).sum(1))

# %% [markdown]
r"""
We can multiply at full speed. Multiply by what? The weights here were plain
random numbers, and {doc}`/2_backward/2_init` shows what becomes of a deep
network that starts with those.
"""

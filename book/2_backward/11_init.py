# %% [markdown] module="nn.init.structured" starred=true
r"""
# Initialisers, finished

This chapter finishes what {doc}`/2_backward/2_init` began: the starts of torch's
`nn.init` that have a structure. You may go on without it; what later chapters
use of it stands there.

**What can a start hold besides numbers of the right size?** It can leave out
what is far off, pass its input through, keep every length exactly, or connect
only a few.

| name | shape | means |
| --- | --- | --- |
| `tensor` | (d_out, d_in, ...) | what is filled, in place |
| `a`, `b` | numbers | the bounds of what may be drawn |
| `q` | (n, k) | a matrix with orthonormal columns |
"""

# %% Imports tags=["hide-input"]
import matplotlib.pyplot as plt

from groundup.nn.functional.affine import linear
from groundup.nn.init.scaled import kaiming_normal_
from groundup.testing import assert_close, assert_equal

# %% tags=["export"]
"""Starts with a structure: cut tails, identities, rotations, few links."""

import math
import warnings

import torch
from torch import Tensor

# %% [markdown]
r"""
## Cut tails

A normal number beyond two deviations, one in twenty, can start a unit in a bad
place. `trunc_normal_` redraws it. If the bounds lie far out in a tail, nearly
all normal numbers would miss them. Then it proposes uniform ones and keeps each
as often as its density says. Mind the deviation: cut at $\pm2$ it is 0.88, not
1.
"""


# %% The share below x tags=["export"]
def _normal_cdf(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


# %% A normal without tails tags=["export"] earns="torch.nn.init.trunc_normal_"
@torch.no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers, redrawn until they lie in [a, b]."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn("the mean is over 2 std outside [a, b]", stacklevel=2)
    inside = _normal_cdf((b - mean) / std) - _normal_cdf((a - mean) / std)
    pending = torch.ones_like(tensor, dtype=torch.bool)
    while tensor.device.type != "meta" and pending.any():
        draw = torch.empty_like(tensor)
        if inside > 0.3:
            draw.normal_(mean, std, generator=generator)
            missed = (draw < a) | (draw > b)
        else:
            draw.uniform_(a, b, generator=generator)
            chance = torch.empty_like(tensor).uniform_(generator=generator)
            fall = (max(a, min(mean, b)) - mean) ** 2 - (draw - mean) ** 2
            missed = chance.log() > fall / (2 * std**2)
        tensor.copy_(torch.where(pending, draw, tensor))
        pending &= missed
    return tensor


# %%
torch.manual_seed(0)
cut = trunc_normal_(torch.empty(100_000))
cut.abs().max(), cut.std()

# %% [markdown]
r"""
## Identities

A layer can also start as "do nothing". For a linear layer that is the identity
matrix, for a convolution a kernel with a single 1 at its centre.
"""


# %% Doing nothing tags=["export"] earns="torch.nn.init.eye_ torch.nn.init.dirac_"
@torch.no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity."""
    if tensor.ndim != 2:
        raise ValueError(f"expected 2 axes, got shape {tuple(tensor.shape)}")
    return tensor.zero_().fill_diagonal_(1)


@torch.no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight (out, in, ...) to pass channels through."""
    d_out, *rest = tensor.shape
    if tensor.ndim not in (3, 4, 5) or d_out % groups:
        wanted = f"3 to 5 axes, the first divisible by {groups}"
        raise ValueError(f"expected {wanted}, got {tuple(tensor.shape)}")
    center = [size // 2 for size in rest[1:]]
    tensor.zero_()
    for group in range(groups):
        for channel in range(min(d_out // groups, rest[0])):
            tensor[(group * d_out // groups + channel, channel, *center)] = 1
    return tensor


# %% [markdown]
r"""
## Orthogonal matrices

Our factor keeps lengths *on average*. A matrix whose columns are orthogonal and
of length 1 keeps every length exactly {cite:p}`saxe2014`. It is made from
random columns by Gram and Schmidt's method: subtract from each column its share
along those before it. Done by halves it is all matrix products. Make the left
half orthonormal; subtract from the right half what lies along the left; then
treat the right. Rounding leaves a little behind, so we do it all twice.
"""


# %% Random rotations tags=["export"] earns="torch.nn.init.orthogonal_"
@torch.no_grad()
def orthogonal_(
    tensor: Tensor, gain: float = 1, generator: torch.Generator | None = None
) -> Tensor:
    """Fill so that rows or columns, whichever are fewer, are orthonormal.

    Axes after the first count as one.
    """
    if tensor.ndim < 2:
        shape = tuple(tensor.shape)
        raise ValueError(f"expected at least 2 axes, got shape {shape}")
    if tensor.numel() == 0:
        return tensor
    flat = tensor.new_empty(tensor.shape[0], tensor[0].numel())
    if tensor.dtype in (torch.float16, torch.bfloat16):
        flat = flat.float()  # squares leave half precision's range
    flat.normal_(0, 1, generator=generator)
    wide = flat.shape[0] < flat.shape[1]
    columns = flat.T if wide else flat
    q = _orthonormal(_orthonormal(columns))  # again, for what rounding left
    q = q.T if wide else q
    return tensor.copy_(q.reshape(tensor.shape)).mul_(gain)


# %% tags=["export"]
def _orthonormal(a: Tensor) -> Tensor:
    """Gram-Schmidt by halves, on columns: (n, k) -> (n, k), k <= n."""
    half = a.shape[1] // 2
    if half == 0:
        return a / (a * a).sum().sqrt()
    left, right = _orthonormal(a[:, :half]), a[:, half:]
    right = right - left @ (left.T @ right)
    return torch.cat([left, _orthonormal(right)], 1)


# %%
torch.manual_seed(0)
q = orthogonal_(torch.empty(512, 512))
assert_close(q @ q.T, torch.eye(512))

# %% [markdown]
r"""
Last, a sparse start: each unit gets only a few inputs {cite:p}`martens2010`.
Torch's own version takes a generator and forgets it when it chooses the zeros;
ours uses it.
"""


# %% Few connections tags=["export"] earns="torch.nn.init.sparse_"
@torch.no_grad()
def sparse_(
    tensor: Tensor,
    sparsity: float,
    std: float = 0.01,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill a matrix with normal numbers and a share of zeros in each column."""
    if tensor.ndim != 2:
        raise ValueError(f"expected 2 axes, got shape {tuple(tensor.shape)}")
    n_rows, n_columns = tensor.shape
    n_zeros = math.ceil(sparsity * n_rows)
    tensor.normal_(0, std, generator=generator)
    for column in range(n_columns):
        rows = torch.randperm(n_rows, generator=generator)
        tensor[rows[:n_zeros], column] = 0
    return tensor


# %%
torch.manual_seed(0)
few = sparse_(torch.empty(50, 784), sparsity=0.9)
assert ((few == 0).sum(0) == 45).all()
(few != 0).sum(0)[:5]

# %% [markdown]
r"""
## What an exact length is worth

The factor of {doc}`/2_backward/2_init` keeps lengths on average, an orthogonal
matrix each. Five chains of fifty linear layers each, and the length of one
random vector:
"""


# %%
def lengths(fill, n_layers: int = 50, width: int = 128) -> list[float]:
    """Length of a vector after each layer, in units of what it was."""
    y = torch.randn(1, width)
    start, found = (y * y).sum().sqrt(), []
    for _ in range(n_layers):
        y = linear(y, fill(torch.empty(width, width)))
        found.append(((y * y).sum().sqrt() / start).item())
    return found


def normal(tensor: Tensor) -> Tensor:
    return kaiming_normal_(tensor, nonlinearity="linear")


torch.manual_seed(0)
chains = {
    "normal": [lengths(normal) for _ in range(5)],
    "orthogonal": [lengths(orthogonal_) for _ in range(5)],
}

# %% Length through fifty linear layers alt="Length of a vector against the layer, five chains each. Those of normal weights wander between 0.6 and 1.8; those of orthogonal ones stay at 1." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(5.2, 2.8))
for i, (name, runs) in enumerate(chains.items()):
    for run in runs:
        ax.plot(range(1, 51), run, color=f"C{i}", lw=1)
    ax.plot([], [], color=f"C{i}", label=name)
ax.set(xlabel="layer", ylabel="length", ylim=(0, None))
ax.legend()
plt.show()

# %%
ends = {name: [run[-1] for run in runs] for name, runs in chains.items()}
assert max(abs(end - 1) for end in ends["orthogonal"]) < 1e-4
assert max(ends["normal"]) > 1.3 * min(ends["normal"])
ends

# %% [markdown]
r"""
## What we built

| name in `nn.init` | what it is |
| --- | --- |
| `trunc_normal_` | a normal distribution without its tails |
| `eye_`, `dirac_` | a layer that passes its input through |
| `orthogonal_` | a matrix that keeps every length |
| `sparse_` | a few connections for each unit |

## Questions

:::{dropdown} Why is the deviation of a normal cut at two deviations not 1?
What lay furthest from the mean was drawn again, nearer.
:::

:::{dropdown} Why does `trunc_normal_` propose uniform numbers far out in a tail?
Nearly all normal numbers would miss the interval, and drawing would not end.
:::

:::{dropdown} Which matrices can keep all lengths, and which only some?
Those with at least as many rows as columns can keep all: their columns may be
orthonormal. A wide one sends some vectors to zero.
:::

:::{dropdown} Why does `orthogonal_` orthogonalise twice?
The first round leaves what rounding adds; the second starts nearly orthogonal,
so little is subtracted and little is left.
:::

## Exercises

**1.** Show that `dirac_` makes a convolution of three channels with a kernel of
size 3 the identity. A convolution at one place is a sum over the kernel.
"""

# %% tags=["solution"]
kernel = dirac_(torch.empty(3, 3, 3))
signal = torch.randn(3, 9)
windows = torch.stack([signal[:, i : i + 7] for i in range(3)], -1)
passed = (kernel[:, :, None] * windows).sum((1, 3))
assert_close(passed, signal[:, 1:-1])

# %% [markdown]
r"""
**2.** Send a random vector through fifty layers started by `orthogonal_`, and
compare its length before and after.
"""

# %% tags=["solution"]
torch.manual_seed(0)
first = y = torch.randn(1, 512)
for _ in range(50):
    y = linear(y, orthogonal_(torch.empty(512, 512)))
assert_close((y * y).sum(), (first * first).sum())

# %% [markdown]
r"""
**3.** Half precision ends at 65,504, and a column of 70,000 normal numbers has
a larger sum of squares. Show that `orthogonal_` makes it of length 1.
"""

# %% tags=["solution"]
assert_equal(torch.finfo(torch.float16).max, 65_504.0)
tall = orthogonal_(torch.empty(70_000, 1, dtype=torch.float16)).float()
assert_close((tall * tall).sum(), torch.tensor(1.0), rtol=1e-2, atol=0)

# %% [markdown]
r"""
All of torch's starts are here, except those that fill a sparse tensor.
"""

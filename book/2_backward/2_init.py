# %% [markdown] module="nn.init.scaled"
r"""
# Initialisation and ReLU

With which numbers should a network start?

Before a network has learned anything its weights are random. That sounds as if
it did not matter which random numbers they are. It matters so much that a
network of thirty layers stalled from one start and learned from another, whose
numbers were $\sqrt2$ times as large {cite:p}`he2015`. We derive that factor and
the older one of {cite:t}`glorot2010`, watch what happens without them through
fifty layers, and build torch's `init` module.

| name | shape | means |
| --- | --- | --- |
| `x` | (n, d_in) | inputs, one example a row |
| `weight`, `bias` | (d_out, d_in), (d_out,) | the parameters of a linear layer |
| `z` | (n, d_out) | its output, before the nonlinearity |
| `y` | (n, d_out) | after the nonlinearity |
| `grad_y`, `grad_x` | as `y`, as `x` | what comes back in training |
"""

# %%
import matplotlib.pyplot as plt
from IPython.display import Markdown

from groundup.datasets import mnist
from groundup.testing import assert_close, assert_near_zero

# %% tags=["export"]
"""Random values that weights start from, of a size that layers keep."""

import math
import warnings

import torch
from torch import Tensor

# %% [markdown]
r"""
## The inputs: mean 0, deviation 1

We use MNIST again: 50,000 images to train on, 10,000 to validate.
"""

# %%
images, labels = mnist()
x = images.flatten(1) / 255
x_train, x_valid, y_valid = x[:50_000], x[50_000:], labels[50_000:]
mean, std = x_train.mean(), x_train.std()
mean, std, mean * 255 / 256

# %% [markdown]
r"""
The source of this chapter, the notes on a lecture, prints 0.1304 and 0.3073.
Its copy of MNIST divides the bytes by 256, ours by 255, and $0.1310 \cdot
255/256 = 0.1304$.

Subtracting the mean and dividing by the deviation *normalises* the data. The
validation set is normalised **with the statistics of the training set**.
"""


# %%
def normalize(x: Tensor) -> Tensor:
    """Images in units of the training set's deviation from its mean."""
    return (x - mean) / std


x_train, x_valid = normalize(x_train), normalize(x_valid)
assert_near_zero(x_train.mean())
assert_near_zero(x_train.std() - 1)
x_valid.mean(), x_valid.std()

# %% The pixels, in deviations from their mean alt="Counts of pixel values on a logarithmic scale: a tall bar at -0.4, which is paper, and low ones up to 2.8, which is ink." tags=["hide-input"]
fig, ax = plt.subplots(figsize=(5.4, 2.2))
ax.hist(x_train[:500].flatten().tolist(), bins=40, color="C0", log=True)
ax.set(xlabel="pixel, in deviations from the mean", ylabel="count")
plt.show()

# %% [markdown]
r"""
The validation set is not exactly at 0 and 1, and should not be. Would its own
statistics be wrong? Take a validation set that is not mixed like the training
set: only ones. A one has little ink.
"""

# %%
raw_ones = x[50_000:][y_valid == 1]
pixels = torch.tensor([0.0, 1.0])  # paper and ink
by_training = normalize(pixels)
by_itself = (pixels - raw_ones.mean()) / raw_ones.std()
by_training, by_itself

# %% [markdown]
r"""
By its own statistics the *same* black pixel would reach the network as 3.8 in
place of 2.8. The network learned what 2.8 means. What an image looks like must
not depend on which others are scored with it. And a single image has no
statistics worth the name.

## One linear layer

A linear layer with `d_out` units has a weight for each unit and input, and a
bias for each unit. Torch stores the weight as (d_out, d_in): one *row* for each
unit. So the product needs a transpose. This is the layer as a function, the
first in `groundup.nn.functional`.
"""

# %% tags=["export"] module="nn.functional.affine"
"""The affine layer as a function of its inputs and weights."""

import torch
from torch import Tensor


# %% An affine map tags=["export"] module="nn.functional.affine" earns="torch.nn.functional.linear"
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Affine map: (..., d_in), (d_out, d_in), (d_out,) -> (..., d_out)."""
    if input.shape[-1] != weight.shape[-1]:
        shapes = f"{tuple(input.shape)} and weight {tuple(weight.shape)}"
        raise ValueError(f"expected equal last sizes, got input {shapes}")
    output = input @ weight.t()
    return output if bias is None else output + bias


# %%
linear(x_valid, torch.randn(50, 784), torch.zeros(50)).shape

# %% [markdown]
r"""
The obvious start is `randn`: normal numbers with mean 0 and deviation 1.
"""

# %%
torch.manual_seed(0)
z = linear(x_valid, torch.randn(50, 784))
z.mean(), z.std()

# %% [markdown]
r"""
Inputs of size 1 went in, and numbers of size 28 came out. The 28 is no
accident. Each output is a sum of products,

$$
z_i = \sum_{j=1}^{d_\text{in}} w_{ij} x_j .
$$

The weights are independent, with mean 0. So the mixed terms of $z_i^2$ vanish
on average, and only the squares stay:

$$
\mathrm{E}[z^2] = d_\text{in} \cdot \mathrm{Var}(w) \cdot \mathrm{E}[x^2].
$$

With variance 1 and 784 inputs, $z$ is $\sqrt{784} = 28$ times as large as $x$.
The number of inputs of a unit is called its {term}`fan-in`.
To keep the size, divide by its root. Nothing was assumed about $x$: it need not
be normal, nor have mean 0. Its {term}`second moment` $\mathrm{E}[x^2]$ is what
counts.
"""

# %%
z = linear(x_valid, torch.randn(50, 784) / math.sqrt(784))
z.mean(), z.std()

# %% [markdown]
r"""
The source gets −0.0155 and 1.0006 for its draw. Ours differs, since fifty units
are a small sample, and we shall see how small.

## Fifty linear layers

What is a factor of 28? Nothing, once. But a network is a chain, and the factor
applies in every layer. Here are fifty layers of 512 units without any
nonlinearity, started in three ways. We follow the deviation of $z$.
"""


# %%
def sizes_through(scale, activation, n_layers: int = 50) -> list[float]:
    """Deviation of each layer's output, for weights of `scale(d_in)`."""
    torch.manual_seed(0)
    y, sizes = x_valid[:500], []
    for _ in range(n_layers):
        d_in = y.shape[1]
        z = linear(y, scale(d_in) * torch.randn(512, d_in))
        y = activation(z)
        sizes.append(z.std().item())
    return sizes


def identity(z: Tensor) -> Tensor:
    """No nonlinearity at all."""
    return z


# %% tags=["hide-input"] alt="Deviation against layer on a logarithmic scale. Weights of deviation 1 explode and leave single precision after some 26 layers; weights of deviation 0.01 vanish along a straight line; divided by the root of the fan-in they stay at 1."
def draw_sizes(curves: dict[str, list[float]]) -> None:
    """Plot the deviation of each layer's output."""
    fig, ax = plt.subplots(figsize=(5.4, 3.2))
    for name, sizes in curves.items():
        ax.plot(range(1, len(sizes) + 1), sizes, label=name)
    ax.set(yscale="log", xlabel="layer", ylabel="deviation of z")
    ax.legend()
    plt.show()


linear_sizes = {
    "randn": sizes_through(lambda d_in: 1, identity),
    "0.01 randn": sizes_through(lambda d_in: 0.01, identity),
    "randn / √fan-in": sizes_through(lambda d_in: d_in**-0.5, identity),
}
draw_sizes(linear_sizes)

# %%
blown_up = [not math.isfinite(size) for size in linear_sizes["randn"]]
assert blown_up[-1] and 0.5 < linear_sizes["randn / √fan-in"][-1] < 2
1 + blown_up.index(True), f"{linear_sizes['0.01 randn'][-1]:.1e}"

# %% [markdown]
r"""
With `randn` the curve ends in the twenties: single precision stops at $3 \cdot
10^{38}$, and what follows is infinite or not a number. With 0.01 each layer
keeps about a fifth, and after fifty nothing distinguishes one image from
another. Only the third network could learn.

## ReLU

Without a nonlinearity fifty layers are no more than one. The usual choice is
{term}`ReLU`, the rectified linear unit: negative numbers become 0.

$$
\mathrm{relu}(z) = \max(0, z)
$$

The source writes it as `z.clamp_min(0.)`. That is the right value and one
detail away from torch's function. At exactly 0 the graph has a kink, and the
slope there is ours to choose. `clamp_min` chooses 1, torch's `relu` 0. Zeros
are no rarity: under a layer without bias, blank paper gives nothing else. Ours agrees
with `relu`, and it lets "not a number" through, so that mistakes stay visible.
"""


# %% ReLU from its definition tags=["export"] module="nn.functional.activation" earns="torch.nn.functional.relu"
"""Nonlinearities as functions."""


def rectify(input: Tensor) -> Tensor:
    """ReLU by definition: 0 where the input is at most 0; slope 0 at 0."""
    return torch.where(input <= 0, 0, input)


# %%
rectify(torch.tensor([-2.0, 0.0, 3.0, math.nan]))

# %% [markdown]
r"""
It makes two passes over memory where one is enough, since a comparison and a
choice are two calls. Having built it we may use torch's own kernel, which makes
one.
"""


# %% ReLU on a fast kernel tags=["export"] module="nn.functional.activation"
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``rectify`` in one pass, in place if asked."""
    return torch.relu_(input) if inplace else torch.relu(input)


# %%
y = relu(z)
assert_close(y, rectify(z))
y.mean(), y.std()

# %% [markdown]
r"""
The mean is no longer 0 and the deviation no longer 1. The source has 0.3896 and
0.5860. What should they be? If $z$ is normal with mean 0 and variance 1, half
of its mass falls to 0, and

$$
\mathrm{E}[\mathrm{relu}(z)] = \frac{1}{\sqrt{2\pi}} \approx 0.399, \qquad
\mathrm{E}[\mathrm{relu}(z)^2] = \frac12, \qquad
\mathrm{std} = \sqrt{\tfrac12 - \tfrac1{2\pi}} \approx 0.584 .
$$

The second equation needs no normal distribution, only symmetry: if the weights
are as likely as their negatives, $z$ is too, and exactly half of its squares
survive. So each layer halves the second moment, and the weights must pay it
back. This is the factor of {cite:t}`he2015`:

$$
\mathrm{Var}(w) = \frac{2}{d_\text{in}} .
$$

It makes $\mathrm{E}[y^2] = \mathrm{E}[x^2]$. It does not make the deviation 1,
since half of the second moment is now the mean: with $\sqrt2 \cdot 0.399 =
0.564$ and $\sqrt2 \cdot 0.584 = 0.826$ we have $0.564^2 + 0.826^2 = 1$. The
source prints 0.5896 and 0.8658 for one draw. How far do draws differ? Let us
make two hundred.
"""

# %%
torch.manual_seed(0)
draws = [
    relu(linear(x_valid[:1000], torch.randn(50, 784) * math.sqrt(2 / 784)))
    for _ in range(200)
]
means, stds = (
    torch.stack([getattr(y, name)() for y in draws]) for name in ("mean", "std")
)
means.mean(), means.std(), stds.mean(), stds.std()

# %% tags=["hide-input"] alt="Two histograms over two hundred draws. The means spread around 0.56 and the deviations around 0.82; the source's two values lie well inside both."
fig, axes = plt.subplots(1, 2, figsize=(5.4, 2.6), sharey=True)
for ax, values, noted, name in zip(
    axes, (means, stds), (0.5896, 0.8658), ("mean", "deviation"), strict=True
):
    ax.hist(values.tolist(), bins=20, color="C0", alpha=0.7)
    ax.axvline(noted, color="C1", label="the source")
    ax.set(xlabel=f"{name} after ReLU")
axes[0].set(ylabel="draws", ylim=(0, 42))  # room for the legend
axes[0].legend(loc="upper left")
plt.show()

# %%
assert (means.mean() - 0.564).abs() < 0.03 and (
    stds.mean() - 0.826
).abs() < 0.03
assert (means.mean() - 0.5896).abs() < 2 * means.std()
assert (stds.mean() - 0.8658).abs() < 2 * stds.std()

# %% [markdown]
r"""
The source's numbers lie inside. The spread is wide for a reason. Images
resemble each other: much of every input is the same black frame. So the fifty
units see nearly one input, and their average is one over fifty numbers, not
over 50,000.

Now fifty layers with ReLU.
"""

# %% tags=["hide-input"] alt="Deviation against layer with ReLU. The factor 1 sinks along a straight line to some 2e-8, Kaiming's factor root two stays level, and the same factor without ReLU climbs to some 2e7."
relu_sizes = {
    "1/√fan-in, ReLU": sizes_through(lambda d_in: d_in**-0.5, relu),
    "Kaiming, ReLU": sizes_through(lambda d_in: (2 / d_in) ** 0.5, relu),
    "Kaiming, no ReLU": sizes_through(lambda d_in: (2 / d_in) ** 0.5, identity),
}
draw_sizes(relu_sizes)

# %%
last = {name: sizes[-1] / sizes[0] for name, sizes in relu_sizes.items()}
assert last["1/√fan-in, ReLU"] < 1e-6 and last["Kaiming, no ReLU"] > 1e6
assert 0.2 < last["Kaiming, ReLU"] < 5
{name: f"{ratio:.1e}" for name, ratio in last.items()}

# %% [markdown]
r"""
From the first layer to the last, the forecast is $2^{-49/2} \approx 4 \cdot 10^{-8}$ for the first and $2^{49/2}
\approx 2 \cdot 10^{7}$ for the last. So the right factor depends on the
nonlinearity. It is called the {term}`gain`: the deviation is the gain over the
root of the fan, $\sqrt2$ for ReLU and 1 for none.
"""

# %% [markdown]
r"""
## A shifted ReLU

Kaiming's factor leaves the activations a mean of 0.56. The source tries to
restore the mean by moving the function down by a half. Its text says
$\max(-0.5, z)$. Its code says $\mathrm{relu}(z) - 0.5$. These are not the same
function.
"""


# %%
def lowered(z: Tensor) -> Tensor:
    """The source's code."""
    return relu(z) - 0.5


def extended(z: Tensor) -> Tensor:
    """The source's words."""
    return z.clamp_min(-0.5)


# %% tags=["hide-input"] alt="Two graphs. The lowered ReLU is flat at minus one half for negative z and then rises from there; the extended one follows the diagonal down to minus one half and is flat below."
z = torch.linspace(-2, 2, 201)
fig, ax = plt.subplots(figsize=(5, 2.8))
ax.plot(z, lowered(z), label="relu(z) − 0.5")
ax.plot(z, extended(z), "--", label="max(z, −0.5)")
ax.plot(z, relu(z), ":", color="0.5", label="relu(z)")
ax.set(xlabel="z")
ax.legend()
plt.show()

# %% [markdown]
r"""
With Kaiming's factor, $z = \sqrt2\,u$ for a standard normal $u$. Here are mean
and deviation after ReLU, lowered and extended:
"""

# %%
torch.manual_seed(0)
u = torch.randn(1_000_000)
after = [function(math.sqrt(2) * u) for function in (relu, lowered, extended)]
[(y.mean(), y.std()) for y in after], after[0].mean() ** 2, after[0].var()

# %% [markdown]
r"""
The lowered function has mean $0.564 - 0.5 = 0.064$ and the *same* deviation
0.826 as before. Subtracting a constant cannot change a deviation. The source thought
that it had: its ten draws (0.72 to 0.94, 0.82 on average) show the spread
between draws that we saw above. The extended function has mean 0.35. So the
code does what the text wants, and the text does not.

Which gain does each need? Let $m(q)$ be the second moment after a layer whose
input has second moment $q$: with a gain $g$, $z$ has deviation $g\sqrt{q}$. The
gain is right if $m(1) = 1$. For the lowered function this is a quadratic
equation:

$$
\tfrac12 g^2 - \tfrac{1}{\sqrt{2\pi}} g + \tfrac14 = 1
\quad\Rightarrow\quad
g = \tfrac{1}{\sqrt{2\pi}} + \sqrt{\tfrac{1}{2\pi} + \tfrac32} \approx 1.687 .
$$

For the extended one we integrate $\max(gu, -0.5)^2$ with $t = -0.5/g$, the
place where it bends:

$$
m(1) = \tfrac14 \Phi(t) + g^2 \left( 1 - \Phi(t) + t \varphi(t) \right) = 1 ,
$$

which a bisection solves.
"""


# %%
def normal_cdf(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def lowered_moment(size: float) -> float:
    """E[(relu(z) - 0.5)**2] for a normal z of the given deviation."""
    return size**2 / 2 - size / math.sqrt(2 * math.pi) + 0.25


def extended_moment(size: float) -> float:
    """E[max(z, -0.5)**2] for a normal z of the given deviation."""
    t = -0.5 / size
    density = math.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)
    below = normal_cdf(t)
    return below / 4 + size**2 * (1 - below + t * density)


# %%
def right_gain(moment, low: float = 1.0, high: float = 3.0) -> float:
    """The gain at which the second moment stays 1, by bisection."""
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if moment(middle) < 1 else (low, middle)
    return low


gains = {each: right_gain(each) for each in (lowered_moment, extended_moment)}
by_formula = 1 / math.sqrt(2 * math.pi) + math.sqrt(0.5 / math.pi + 1.5)
assert_close(gains[lowered_moment], by_formula)
[round(gain, 4) for gain in gains.values()]

# %% [markdown]
r"""
Measured on the same sample, both give a second moment of 1.
"""

# %%
moments = [
    (function(gain * u) ** 2).mean()
    for function, gain in zip((lowered, extended), gains.values(), strict=True)
]
assert all((moment - 1).abs() < 0.01 for moment in moments)
moments

# %% [markdown]
r"""
So far both look equally good. But a chain of layers asks one more thing: if the
size is a little off, does the next layer correct it or make it worse? ReLU does
neither, since twice the input gives twice the output. For the shifted ones it
is the slope of $m(q)$ at $q = 1$ that tells.
"""


# %%
def slope(moment, gain: float) -> float:
    """How much of a small error in the second moment a layer passes on."""
    return (moment(gain * 1.001**0.5) - moment(gain * 0.999**0.5)) / 0.002


slopes = [slope(moment, gain) for moment, gain in gains.items()]
assert slopes[0] > 1 > slopes[1]
[round(each, 3) for each in slopes]

# %% [markdown]
r"""
The lowered function multiplies an error by 1.087 in each layer, sixtyfold in
fifty. The extended one leaves 0.911 of it. With Kaiming's $\sqrt2$ it is the other way
round. The lowered one then has a fixed point at $q = \pi/16 \approx 0.196$ that
it always finds, and the extended one has none: it grows.
"""

# %% tags=["hide-input"] alt="Deviation against layer for both shifted functions. With its right gain the extended function stays level and the lowered one drifts away; with the gain root two the lowered one settles at 0.63 and the extended one grows slowly."
shifted_sizes = {
    f"{name}, gain {gain:.3f}": sizes_through(
        lambda d_in, gain=gain: gain * d_in**-0.5, function
    )
    for name, function, right in (
        ("relu(z) − 0.5", lowered, gains[lowered_moment]),
        ("max(z, −0.5)", extended, gains[extended_moment]),
    )
    for gain in (math.sqrt(2), right)
}
draw_sizes(shifted_sizes)

# %%
ends = [sizes[-1] for sizes in shifted_sizes.values()]
assert abs(ends[0] / math.sqrt(2 * math.pi / 16) - 1) < 0.05
assert abs(ends[3] / gains[extended_moment] - 1) < 0.1
{name: round(end, 2) for name, end in zip(shifted_sizes, ends, strict=True)}

# %% [markdown]
r"""
So each reading has a merit. The code's gives a mean near 0 and, with $\sqrt2$,
a size that corrects itself. The text's holds the size at 1 with a gain of
1.341. Which of them *trains* better is another question, and an exercise of
{doc}`/2_backward/4_layers`.
"""

# %% [markdown]
r"""
## Forward and backward

In training, gradients travel the chain in the other direction. The next chapter
derives their formula. For one layer it is

$$
\nabla_x = (\nabla_y \cdot [z > 0]) \, W .
$$

Again a sum of products, but now over the *units*: each input has fed `d_out` of
them, its {term}`fan-out`. The same argument gives

$$
\mathrm{E}[\nabla_x^2] = \tfrac12 \, d_\text{out} \, \mathrm{Var}(w) \, \mathrm{E}[\nabla_y^2] .
$$

So there are two promises. $\mathrm{Var}(w) = 2/d_\text{in}$ keeps the size of
the activations, $2/d_\text{out}$ keeps the size of the gradients. One weight
cannot keep both unless the layer is square. {cite:t}`glorot2010` met in the
middle, without ReLU: $\mathrm{Var}(w) = 2/(d_\text{in} + d_\text{out})$; with
it, twice that. Let us measure all three on our layer of 784 inputs and 50 units.
"""


# %%
def kept(variance: float, n_draws: int = 100) -> tuple[float, float]:
    """Ratio of second moments, out over in: forward and backward."""
    x, ratios = x_valid[:500], []
    for _ in range(n_draws):
        weight = torch.randn(50, 784) * math.sqrt(variance)
        z, grad_y = linear(x, weight), torch.randn(500, 50)
        grad_x = (grad_y * (z > 0)) @ weight
        forward = (relu(z) ** 2).mean() / (x**2).mean()
        backward = (grad_x**2).mean() / (grad_y**2).mean()
        ratios.append((forward.item(), backward.item()))
    return tuple(sum(column) / n_draws for column in zip(*ratios, strict=True))


torch.manual_seed(0)
by_fan_in, by_fan_out = kept(2 / 784), kept(2 / 50)
by_both = kept(2 * 2 / (784 + 50))

# %% tags=["remove-input"]
assert abs(by_fan_in[0] - 1) < 0.05 and abs(by_fan_out[1] - 1) < 0.05
Markdown(f"""
| variance of the weights | activations keep | gradients keep |
| --- | --: | --: |
| 2 / fan-in | **{by_fan_in[0]:.3f}** | {by_fan_in[1]:.3f} |
| 2 / fan-out | {by_fan_out[0]:.3f} | **{by_fan_out[1]:.3f}** |
| 4 / (fan-in + fan-out) | {by_both[0]:.3f} | {by_both[1]:.3f} |
""")

# %% [markdown]
r"""
Each keeps its promise within 5 %, and breaks the other by $784/50 \approx 16$
or its inverse. Does that matter? Less than it seems. Over a whole network the
ratios multiply to $d_\text{first}/d_\text{last}$: the widths in between cancel.
One constant factor, once, is not a factor in each layer.

### The transposed trap

The source keeps its weight as (784, 50), inputs first, and calls torch's
`kaiming_normal_(w1, mode="fan_out")`. Why fan-out, for a forward pass? Torch
reads the shape as (d_out, d_in). It takes the 784 for the fan-out, and two
mistakes make the right number. With weights stored as torch stores them,
`fan_in` is the word.

## The init module

Now the same as a library: functions that fill a given tensor in place, as
torch's do, and return it. The name ends in an underscore to say so. They must
not be recorded as part of a computation that is differentiated, so they run
under `no_grad`, which we borrow until we build it.
"""


# %% Filling a tensor tags=["export"] loans="torch.no_grad" repaid="2_backward/9_engine"
@torch.no_grad()
def uniform_(
    tensor: Tensor,
    a: float = 0.0,
    b: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with uniform numbers from [a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@torch.no_grad()
def normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers."""
    return tensor.normal_(mean, std, generator=generator)


@torch.no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    return tensor.fill_(val)


# %% Ones and zeros tags=["export"] earns="torch.nn.init.uniform_ torch.nn.init.normal_ torch.nn.init.constant_ torch.nn.init.ones_ torch.nn.init.zeros_"
def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


# %%
torch.manual_seed(0)
filled = torch.empty(50, 784)
normal_(filled, std=0.05).std(), uniform_(filled, -1, 1).std(), filled.mean()

# %% [markdown]
r"""
The fans come from the shape. A convolution's weight has further axes: each of
its units sees `d_in` channels at every position of the kernel, so the kernel's
size multiplies both fans.
"""


# %% Fans and gains tags=["export"] earns="torch.nn.init._calculate_fan_in_and_fan_out torch.nn.init.calculate_gain"
def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Inputs of a unit and units of an input, for a weight (out, in, ...)."""
    if tensor.ndim < 2:
        shape = tuple(tensor.shape)
        raise ValueError(f"fans need at least 2 axes, got shape {shape}")
    d_out, d_in, *kernel = tensor.shape
    return d_in * math.prod(kernel), d_out * math.prod(kernel)


_GAINS = {
    **dict.fromkeys(["linear", "conv1d", "conv2d", "conv3d"], 1.0),
    **dict.fromkeys([f"conv_transpose{n}d" for n in (1, 2, 3)], 1.0),
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Factor by which weights make up for what a nonlinearity takes."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"negative_slope {slope!r} is not a number")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"no gain is known for {nonlinearity!r}")
    return _GAINS[nonlinearity]


# %%
kernels = torch.empty(32, 3, 5, 5)  # 32 units that see 3 channels, 5 by 5
_calculate_fan_in_and_fan_out(kernels), calculate_gain("relu")

# %% [markdown]
r"""
### Normal or uniform

Each method comes with normal and with uniform numbers. A uniform distribution
over $(-b, b)$ has variance $b^2/3$, so the bound is $\sqrt3$ deviations. That
is where Glorot's famous root of six comes from:

$$
b = \sqrt3 \cdot \sqrt{\frac{2}{d_\text{in} + d_\text{out}}} = \frac{\sqrt6}{\sqrt{d_\text{in} + d_\text{out}}} .
$$

The source says that Kaiming "changed the 6 into a 2". That compares a uniform
*bound* with a normal *deviation*. Put alike, both bounds have the same $\sqrt
6$: Kaiming's is $\sqrt6/\sqrt{d_\text{in}}$. What changed is the fan below it,
and the 2 for ReLU above it.
"""


# %% Xavier tags=["export"] earns="torch.nn.init.xavier_uniform_ torch.nn.init.xavier_normal_"
def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill with uniform numbers of variance 2 / (fan_in + fan_out)."""
    bound = math.sqrt(3) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill with normal numbers of variance 2 / (fan_in + fan_out)."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def _xavier_std(tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return gain * math.sqrt(2 / (fan_in + fan_out))


# %% [markdown]
r"""
Kaiming's take the slope `a` of a leaky ReLU, 0 for a plain one, and the fan to
keep.
"""


# %% Their deviation tags=["export"]
def _kaiming_std(
    tensor: Tensor, a: float, mode: str, nonlinearity: str
) -> float:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"mode {mode!r} is neither 'fan_in' nor 'fan_out'")
    if tensor.numel() == 0:
        warnings.warn("an empty tensor has nothing to fill", stacklevel=3)
        return 0.0
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    fan = fan_in if mode.lower() == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


# %% Kaiming tags=["export"] earns="torch.nn.init.kaiming_uniform_ torch.nn.init.kaiming_normal_"
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with uniform numbers of variance gain**2 / fan."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers of variance gain**2 / fan."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, generator)


# %% [markdown]
r"""
Given the same state of the generator these are torch's numbers, bit for bit.
"""


# %% tags=["reference"]
def seeded() -> torch.Generator:
    """A generator in a known state."""
    return torch.Generator().manual_seed(0)


ours = kaiming_uniform_(torch.empty(50, 784), generator=seeded())
theirs = torch.nn.init.kaiming_uniform_(
    torch.empty(50, 784), generator=seeded()
)
assert torch.equal(ours, theirs)
ours.std(), round(math.sqrt(2 / 784), 4)

# %% [markdown]
r"""
## A chain without factors

How far can initialisation alone go? Let each block of two layers *add* to what
it gets, $y \leftarrow y + W_2\, \mathrm{relu}(W_1 y)$, as residual networks do. With
Kaiming's factor the block's part is as large as $y$, so each block doubles the
second moment. {cite:t}`zhang2019` train such networks of 10,000 layers without
any normalisation. Their Fixup starts each block as nothing, its last weight at
0, and scales the other down by the root of the number of blocks. Three starts
of fifty blocks, five seeds each:
"""


# %%
def through_blocks(first: float, last: float, seed: int) -> list[float]:
    """Size after each of 50 blocks, in units of the input's."""
    torch.manual_seed(seed)
    y = x_valid[:200, 136:648]  # 512 of the pixels
    start, sizes = (y * y).mean().sqrt(), []
    for _ in range(50):
        inner = relu(linear(y, kaiming_normal_(torch.empty(512, 512)) * first))
        weight = torch.randn(512, 512) / math.sqrt(512) * last
        y = y + linear(inner, weight)
        sizes.append(((y * y).mean().sqrt() / start).item())
    return sizes


starts = {
    "Kaiming": (1.0, 1.0),
    "scaled by 1/√50": (50**-0.5, 1.0),
    "Fixup": (50**-0.5, 0.0),
}
chains = {
    name: [through_blocks(*start, seed) for seed in range(5)]
    for name, start in starts.items()
}

# %% Fifty residual blocks from three starts alt="Size against block on a logarithmic scale, five seeds a start. Kaiming's rises along a straight line to some ten million; scaled by the root of the number of blocks it reaches about 1.6; Fixup's stays at 1." tags=["hide-input"]
fig, ax = plt.subplots(figsize=(5.4, 3.2))
for i, (name, runs) in enumerate(chains.items()):
    for run in runs:
        ax.plot(range(1, 51), run, color=f"C{i}", lw=1)
    ax.plot([], [], color=f"C{i}", label=name)
ax.set(yscale="log", xlabel="block", ylabel="size")
ax.legend()
plt.show()

# %%
ends = {
    name: torch.tensor([run[-1] for run in chains[name]]) for name in chains
}
assert (ends["Fixup"] == 1).all()
assert ((ends["Kaiming"] / 2**25).log2().abs() < 2).all()
assert (ends["scaled by 1/√50"] - math.sqrt(math.e)).abs().max() < 0.2
{name: f"{end.mean():.3g} ± {end.std():.2g}" for name, end in ends.items()}

# %% [markdown]
r"""
The forecasts are $2^{50/2} = 2^{25}$ for the first, and for the second $(1 +
1/50)^{50/2} \approx \sqrt{e} \approx 1.65$. Fixup's chain does nothing at all, so
its size is 1 exactly; what its blocks become is left to training. We meet the
idea again with residual networks.

## What we built

| name | what it is |
| --- | --- |
| `nn.functional.linear` | an affine map, the weight stored as (d_out, d_in) |
| `nn.functional.rectify`, `relu` | ReLU by definition, and on a fast kernel |
| `nn.init.uniform_`, `normal_`, `constant_`, `ones_`, `zeros_` | plain fills |
| `nn.init.calculate_gain` | the factor for a nonlinearity |
| `nn.init.xavier_uniform_`, `xavier_normal_` | variance 2 / (fan-in + fan-out) |
| `nn.init.kaiming_uniform_`, `kaiming_normal_` | variance gain² / fan |

## Questions

:::{dropdown} Whose mean and deviation normalise the validation set, and why?
The training set's. The network learned what a value means on that scale, and an
image must not change with the others that it is scored with.
:::

:::{dropdown} A layer has 400 inputs and weights from `randn`. By what factor does it change the size of its input?
By $\sqrt{400} = 20$.
:::
"""

# %% tags=["answer"]
torch.manual_seed(0)
grown = linear(torch.randn(1000, 400), torch.randn(300, 400)).std()
assert abs(grown / 20 - 1) < 0.02

# %% [markdown]
r"""
:::{dropdown} Why does Kaiming's variance have a 2, and why is the deviation after ReLU still not 1?
ReLU drops half of the second moment, and the 2 gives it back. The second moment
is then 1. It is made of the squared mean, 0.32, and the variance, 0.68.
:::

:::{dropdown} What do fan-in and fan-out promise?
With $2/d_\text{in}$ the activations keep their size in the forward pass, with
$2/d_\text{out}$ the gradients in the backward pass.
:::

:::{dropdown} Where does Glorot's root of six come from?
From $\sqrt{2/(d_\text{in} + d_\text{out})}$, the deviation, times $\sqrt3$,
which turns the deviation of a uniform distribution into its bound.
:::

:::{dropdown} Can subtracting 0.5 after ReLU reduce the deviation?
No. It moves every number by the same amount.
:::

:::{dropdown} Why may all biases start at 0, but not all weights?
With equal weights all units of a layer compute the same and get the same
gradient, so they stay equal for ever. Random weights tell them apart, and then
zero biases do no harm.
:::

## Exercises

**1. A leaky gain.** A leaky ReLU multiplies negative numbers by a slope $a$.
Derive its gain and compare with `calculate_gain`.
"""

# %% tags=["solution"]
# Half of E[z**2] is kept whole, half is multiplied by a**2.
for a in (0.0, 0.1, math.sqrt(5)):
    leaky = torch.where(u > 0, u, a * u)
    gain = (1 / (leaky * leaky).mean().sqrt()).item()
    assert_close(gain, calculate_gain("leaky_relu", a), rtol=1e-2)

# %% [markdown]
r"""
**2. A gain for tanh.** Torch's is 5/3. Find by bisection the gain at which the
second moment of $\tanh(gu)$ is 1. Why is there none? Then find the second
moment that 5/3 holds.
"""


# %% tags=["solution"]
def held_by(gain: float, n_layers: int = 100) -> float:
    """The second moment that a chain of tanh layers settles at."""
    q = 1.0
    for _ in range(n_layers):
        q = (torch.tanh(gain * q**0.5 * u[:10_000]) ** 2).mean().item()
    return q


# tanh stays inside (-1, 1), so its second moment never reaches 1.
assert (torch.tanh(100 * u) ** 2).mean() < 1
assert 0.3 < held_by(5 / 3) < 0.5 and held_by(1.0) < 0.02

# %% [markdown]
r"""
**3. Everything looks alike.** Kaiming's factor keeps sizes, but does it keep
images apart? Measure the cosine of the angle between the first two validation
images after each of fifty layers with ReLU. What does a layer far up still know
about its input?
"""


# %% tags=["solution"]
def cosine(pair: Tensor) -> float:
    """Cosine of the angle between two rows."""
    p, q = pair
    return ((p @ q) / ((p @ p) * (q @ q)).sqrt()).item()


torch.manual_seed(0)
y = x_valid[:2]
cosines = [cosine(y)]
for _ in range(50):
    weight = kaiming_normal_(torch.empty(512, y.shape[1]))
    y = relu(linear(y, weight))
    cosines.append(cosine(y))
assert cosines[0] < 0.9 and cosines[-1] > 0.95

# %% [markdown]
r"""
A network that starts well can be trained. For that we need the gradients of
which this chapter borrowed one: {doc}`/2_backward/3_backward` derives them all,
by hand.
"""

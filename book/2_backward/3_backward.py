# %% [markdown] module="manual.gradients"
r"""
# The backward pass by hand

A network of 39,301 numbers has looked at an image and was wrong. **Which of the
numbers are to blame, and how much?**

The answer is a {term}`gradient`: for each number, how fast the loss grows with
it. Trying each number, as a {term}`finite difference` does, takes two forward
passes for each, 78,602 in all. This chapter gets the same answer for the price
of about two. Nothing is needed but the {term}`chain rule` and some care with
shapes.

| name | shape | meaning |
| --- | --- | --- |
| `x` | (n, 784) | images, one a row |
| `w1`, `b1` | (784, 50), (50,) | the first layer |
| `z` | (n, 50) | its result, before ReLU |
| `h` | (n, 50) | after ReLU: the hidden units |
| `w2`, `b2` | (50, 1), (1,) | the second layer |
| `out` | (n, 1) | the predictions |
| `target` | (n,) | the digits that are in the images |
| `grad_z` | as `z` | the gradient of the loss by `z`, and so for every name |
"""

# %%
import timeit

import matplotlib.pyplot as plt
from IPython.display import Markdown

from groundup.datasets import mnist
from groundup.testing import assert_close, assert_equal

# %% tags=["export"]
"""The gradients of a small network, by hand and by trying."""

from collections.abc import Callable

import torch
from torch import Tensor

# %% [markdown]
r"""
## Forward

The data and the weights are those of {doc}`/2_backward/2_init`: pixels with
mean 0 and standard deviation 1 (10,000 images are enough here), weights scaled
for ReLU {cite:p}`he2015`. The network predicts the digit as one number. That is
a poor way to recognise digits. It makes the loss simple, and we are here for
the gradients.
"""

# %%
images, labels = mnist()
x = images[:10_000].flatten(1) / 255
x = (x - x.mean()) / x.std()
target = labels[:10_000].float()

torch.manual_seed(0)
w1, b1 = torch.randn(784, 50) * (2 / 784) ** 0.5, torch.zeros(50)
w2, b2 = torch.randn(50, 1) * (1 / 50) ** 0.5, torch.zeros(1)
sum(parameter.numel() for parameter in (w1, b1, w2, b2))


# %%
def relu(x: Tensor) -> Tensor:
    return x.clamp(min=0)


def mse(out: Tensor, target: Tensor) -> Tensor:
    return (out.squeeze(-1) - target).pow(2).mean()


z = x @ w1 + b1
h = relu(z)
out = h @ w2 + b2
out.shape, mse(out, target)

# %% [markdown]
r"""
### The last axis, and no other

`out` has shape `(n, 1)`, `target` has `(n,)`. Something must bring them
together, and two of the three ways are traps. Doing nothing is the first. The
shapes broadcast: every prediction meets every target, and a loss comes out that
nobody asked for.
"""

# %%
(out[:64] - target[:64]).shape, (out[:64].squeeze(-1) - target[:64]).shape

# %% [markdown]
r"""
The second is `squeeze()` without an axis. It removes *every* axis of size 1,
and a batch of one image has two of them. The batch axis is gone, and what
gathers the predictions of all batches stops at the last, short one.
"""

# %%
batches = out[:65].split(64)  # 64 images, then one
try:
    torch.cat([batch.squeeze() for batch in batches])
    message = ""
except RuntimeError as error:
    message = str(error)
assert "zero-dimensional" in message
message

# %%
torch.cat([batch.squeeze(-1) for batch in batches]).shape

# %% [markdown]
r"""
## The chain rule

The loss is a chain of four functions. Turn the first a little, and the change
runs through all of them: each multiplies it by its own slope. So the slope of
the chain is the product of the slopes,

$$\frac{\partial L}{\partial x} =
\frac{\partial L}{\partial y}\,\frac{\partial y}{\partial h}\,
\frac{\partial h}{\partial z}\,\frac{\partial z}{\partial x}.$$

A product can be computed from either end. From the left, everything stays a
gradient of *one* number, the loss, and has the shape of a value we know. From
the right, we would carry the changes of all values by all inputs. So we go from
the loss backwards. Each function gets the gradient of its result, and turns it
into the gradient of its input. That is {term}`backpropagation`
{cite:p}`rumelhart1986`.
"""

# %% tags=["hide-input"] alt="A chain of boxes from left to right: x, linear, z, ReLU, h, linear, out, MSE, loss. Blue arrows lead forward. Orange arrows lead back under them: grad out, grad h, grad z. From the two linear boxes orange arrows lead down to grad w2, b2 and grad w1, b1."
steps = ["linear 1", "ReLU", "linear 2", "MSE"]
between = ["x", "z", "h", "out", "loss"]
figure, axis = plt.subplots(figsize=(8, 2.6))
box = {"boxstyle": "round", "facecolor": "none", "edgecolor": "0.5"}
for i, step in enumerate(steps):
    axis.text(2 * i + 1, 0, step, ha="center", va="center", bbox=box)
for i, name in enumerate(between):
    left, right = 2 * i - 0.55, 2 * i + 0.55
    forward = {"arrowstyle": "->", "color": "C0"}
    axis.annotate("", (right, 0.12), (left, 0.12), arrowprops=forward)
    axis.text(2 * i, 0.25, name, ha="center", color="C0")
    if 0 < i:
        back = {"arrowstyle": "->", "color": "C1"}
        axis.annotate("", (left, -0.12), (right, -0.12), arrowprops=back)
        label = "1" if name == "loss" else f"grad_{name}"
        axis.text(2 * i, -0.42, label, ha="center", color="C1")
for i, names in ((0, "grad_w1\ngrad_b1"), (2, "grad_w2\ngrad_b2")):
    down = {"arrowstyle": "->", "color": "C1"}
    axis.annotate("", (2 * i + 1, -0.8), (2 * i + 1, -0.2), arrowprops=down)
    axis.text(2 * i + 1, -1.15, names, ha="center", color="C1")
axis.set(xlim=(-0.8, 8.8), ylim=(-1.2, 0.6))
axis.axis("off")
plt.show()

# %% [markdown]
r"""
### A judge

Before the first formula, the test that every formula will have to pass. It
knows nothing of chains. It moves one element a little to either side, and
divides. In float64 and with a step of $10^{-6}$ it is right to about nine
digits; a section below shows why that step.
"""


# %% The gradient by trying tags=["export"]
def numerical_gradient(
    function: Callable[[Tensor], Tensor], x: Tensor, eps: float = 1e-6
) -> Tensor:
    """The gradient of a number by x, by central differences; shaped as x."""
    grad = torch.zeros_like(x).flatten()
    for i in range(x.numel()):
        step = torch.zeros_like(x).flatten()
        step[i] = eps
        step = step.reshape(x.shape)
        grad[i] = (function(x + step) - function(x - step)) / (2 * eps)
    return grad.reshape(x.shape)


# %% [markdown]
r"""
It needs two evaluations an element, so it judges a small network: five images
of four pixels, three hidden units.
"""

# %%
torch.manual_seed(1)
shapes = {"x": (5, 4), "w1": (4, 3), "b1": (3,), "w2": (3, 1), "b2": (1,)}
small = {name: torch.randn(shape).double() for name, shape in shapes.items()}
small_target = torch.randn(5).double()
z_small = small["x"] @ small["w1"] + small["b1"]
out_small = relu(z_small) @ small["w2"] + small["b2"]

# %% [markdown]
r"""
## The squared error

$L = \frac1n \sum_i (y_i - t_i)^2$. Only one term contains $y_i$, so
$\partial L/\partial y_i = \frac2n (y_i - t_i)$. The formula asks for the
difference, not for the loss: **the value of the loss is never needed on the way
back.** The result must have the shape of `out`, so the axis that was squeezed
away returns.
"""


# %% The gradient of the squared error tags=["export"]
def mse_gradient(out: Tensor, target: Tensor) -> Tensor:
    """Gradient of the mean squared error: (n, 1), (n,) -> (n, 1)."""
    return 2 * (out.squeeze(-1) - target).unsqueeze(-1) / out.shape[0]


# %%
expected = numerical_gradient(lambda out: mse(out, small_target), out_small)
assert_close(mse_gradient(out_small, small_target), expected, rtol=1e-6)

# %% [markdown]
r"""
## ReLU

Where $z > 0$, ReLU is the identity and the gradient passes. Where $z < 0$, it
is constant and nothing passes. At 0 there is no slope; like torch, we take 0.
Each element is on its own, so the gradient of the result is multiplied by 1 or
by 0.
"""


# %% The gradient of ReLU tags=["export"]
def relu_gradient(x: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of ReLU's input, which has any shape, from its result's."""
    return grad_y * (x > 0)


# %% [markdown]
r"""
To judge a function that returns a tensor we need one number. A weighted sum
will do: with weights `grad_y`, its gradient by the result is exactly `grad_y`.

Chapter 2.2 also had a ReLU that is shifted down by one half, to bring the mean
to zero. A constant has slope 0. So the same gradient serves both.
"""

# %%
grad_y = torch.randn_like(z_small)
for shift in (0, 0.5):
    expected = numerical_gradient(
        lambda z, shift=shift: ((relu(z) - shift) * grad_y).sum(), z_small
    )
    assert_close(relu_gradient(z_small, grad_y), expected, rtol=1e-6)

# %% [markdown]
r"""
## The linear layer

Three gradients, one for each of the three things that go in. Write one element
of the result, $y_{ij} = \sum_k x_{ik} w_{kj} + b_j$, and see where each letter
occurs.

**The bias.** $b_j$ is added in every row, with slope 1. So its gradient is the
sum of a column.

**The input.** $x_{ik}$ goes into all results of its row, with slope $w_{kj}$:
$\nabla_{x_{ik}} = \sum_j \nabla_{y_{ij}} w_{kj}$, which is a matrix product
with the transpose of $w$.
"""


# %% The gradients of a linear layer's bias and input tags=["export"]
def linear_bias_gradient(grad_y: Tensor) -> Tensor:
    """Gradient of the bias: (n, d_out) -> (d_out,)."""
    return grad_y.sum(0)


def linear_input_gradient(w: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of the input: (d_in, d_out), (n, d_out) -> (n, d_in)."""
    return grad_y @ w.T


# %% [markdown]
r"""
**The weights.** $w_{kj}$ meets $x_{ik}$ in every row $i$:
$\nabla_{w_{kj}} = \sum_i x_{ik} \nabla_{y_{ij}}$. For one image that is an
{term}`outer product`, every pixel times every gradient. For a batch, make all
the outer products and add them up. So it says on paper, and so it can be coded.
"""


# %%
def linear_weight_gradient(x: Tensor, grad_y: Tensor) -> Tensor:
    return (x.unsqueeze(-1) * grad_y.unsqueeze(1)).sum(0)


def check_weight_gradient() -> None:
    x, w = small["x"], small["w1"]
    expected = numerical_gradient(lambda w: ((x @ w) * grad_y).sum(), w)
    assert_close(linear_weight_gradient(x, grad_y), expected, rtol=1e-6)


check_weight_gradient()

# %% [markdown]
r"""
It is right. It is also a giant. Before the sum there is an array with an
element for every image, pixel and hidden unit:
"""

# %% tags=["remove-input"]
elements = 50_000 * 784 * 50
Markdown(
    f"50,000 × 784 × 50 = {elements:,} elements of 4 bytes: "
    f"**{elements * 4 / 1e9:.2f} GB**, to be written and read again, "
    f"for a result of {784 * 50 * 4 / 1e6:.2f} MB."
)

# %% [markdown]
r"""
But a sum over $i$ of products is what a matrix product does, with the axes in
the right order: $\nabla_w = x^\top \nabla_y$. The giant is never made. The name
stays, and so does the check.
"""


# %% The gradient of a linear layer's weights tags=["export"]
def linear_weight_gradient(x: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of the weights: (n, d_in), (n, d_out) -> (d_in, d_out)."""
    return x.T @ grad_y


# %%
check_weight_gradient()

# %% [markdown]
r"""
How much is it worth? The giant of all 50,000 images does not fit on most
machines, so both run on the first 1,000, where it takes 157 MB. The same
result, and this many times the speed:
"""

# %%
x_slice, grad_slice = x[:1000], torch.randn(1000, 50)


def giant() -> Tensor:
    return (x_slice.unsqueeze(-1) * grad_slice.unsqueeze(1)).sum(0)


def product() -> Tensor:
    return linear_weight_gradient(x_slice, grad_slice)


assert_close(giant(), product(), atol=1e-3)
slow, fast = (
    min(timeit.repeat(f, number=1, repeat=7)) for f in (giant, product)
)
assert slow > 5 * fast
round(slow / fast)

# %% [markdown]
r"""
## The whole pass

Forward, each step leaves what its gradient will ask for. Backward, the
gradients are called in the reverse order, and each result is the next one's
`grad_y`. The loss is computed nowhere.
"""


# %%
def gradients(x, target, w1, b1, w2, b2) -> dict[str, Tensor]:
    z = x @ w1 + b1
    h = relu(z)
    out = h @ w2 + b2

    grad_out = mse_gradient(out, target)
    grad_h = linear_input_gradient(w2, grad_out)
    grad_z = relu_gradient(z, grad_h)
    return {
        "w2": linear_weight_gradient(h, grad_out),
        "b2": linear_bias_gradient(grad_out),
        "w1": linear_weight_gradient(x, grad_z),
        "b1": linear_bias_gradient(grad_z),
        "x": linear_input_gradient(w1, grad_z),
    }


# %% [markdown]
r"""
The judge, for every gradient of the small network at once:
"""


# %%
def loss_of(x, w1, b1, w2, b2, target) -> Tensor:
    return mse(relu(x @ w1 + b1) @ w2 + b2, target)


def as_function_of(name: str) -> Callable[[Tensor], Tensor]:
    return lambda v: loss_of(**{**small, name: v}, target=small_target)


by_hand = gradients(target=small_target, **small)
for name, value in small.items():
    expected = numerical_gradient(as_function_of(name), value)
    assert_close(by_hand[name], expected, rtol=1e-6, atol=1e-9)

# %% [markdown]
r"""
And a second opinion on the real network and its 10,000 images: torch's
autograd, which chapter 2.5 will build.
"""

# %% tags=["reference"]
by_hand = gradients(x, target, w1, b1, w2, b2)
theirs = {"x": x, "w1": w1, "b1": b1, "w2": w2, "b2": b2}
theirs = {name: v.clone().requires_grad_() for name, v in theirs.items()}
loss_of(**theirs, target=target).backward()
for name, tensor in theirs.items():
    assert_close(by_hand[name], tensor.grad, rtol=1e-3, atol=1e-6)

# %% [markdown]
r"""
### What is kept, and why

Look at what the backward half of `gradients` reads: `out`, `h`, `z`, `x` and
two weights. Without them we would have to run the forward pass again for every
layer, so they stay in memory until their layer's turn has come. Training needs
more memory than prediction, and mostly for this reason.
"""

# %%
kept = {"x": x, "z": z, "h": h, "out": out}
{name: f"{value.nbytes / 1e6:.2f} MB" for name, value in kept.items()}

# %% [markdown]
r"""
## What the gradients look like

The formula $x^\top \nabla_z$ has a picture. The gradient of one hidden unit's
weights is a weighted sum of the images, each with the blame that the unit has
for it. So it is an image itself. What does the untrained network say to the
images, on average and give or take how much?
"""

# %%
out.mean(), out.std()

# %% [markdown]
r"""
Something near −1 to all of them. So the nines have the largest error, about 10,
and a sum that they weigh most looks like them. The gradients of four units:
"""

# %% tags=["hide-input"] alt="Four square images, the gradients of the weights of four hidden units. Each shows a blurred nine over other strokes, in the middle, red on a pale blue border or the reverse."
grad_w1 = by_hand["w1"].T.reshape(50, 28, 28)
busiest = grad_w1.abs().sum((1, 2)).argsort(descending=True)[:4]
figure, axes = plt.subplots(1, 4, figsize=(8, 2.2))
for axis, unit in zip(axes, busiest, strict=True):
    limit = grad_w1[unit].abs().max()
    axis.imshow(grad_w1[unit], cmap="coolwarm", vmin=-limit, vmax=limit)
    axis.set_xlabel(f"unit {unit}")
    axis.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
r"""
And this is how the gradient flows: its usual size (the root of its mean square)
at each value on the way back, for the sum of the losses of all images.
"""

# %% tags=["hide-input"] alt="Four bars, the size of the gradient at out, h, z and x, in the order of the way back. It falls at every step, most from out to h."
n = len(x)
grad_out = n * mse_gradient(out, target)
grad_h = linear_input_gradient(w2, grad_out)
grad_z = relu_gradient(z, grad_h)
grad_x = linear_input_gradient(w1, grad_z)
flow = {"out": grad_out, "h": grad_h, "z": grad_z, "x": grad_x}
sizes = {name: g.pow(2).mean().sqrt().item() for name, g in flow.items()}
plt.figure(figsize=(5, 2.8))
plt.bar(list(sizes), list(sizes.values()), color="C1", width=0.6)
plt.ylabel("size of the gradient")
plt.xlabel("the way back, from left to right")
plt.show()

# %% [markdown]
r"""
From `h` to `z` only ReLU acts. It lets about half of the elements pass. That
need not be half of the gradient: fifty units are few, and those with the
largest weights in `w2` may be silent more often than others. The two shares
are:
"""

# %%
(z > 0).float().mean(), round((sizes["z"] / sizes["h"]) ** 2, 4)

# %% [markdown]
r"""
Does it help? A step against the gradient must make the loss smaller.
"""

# %%
before = loss_of(x, w1, b1, w2, b2, target)
g = by_hand
step = 0.005
after = loss_of(
    x,
    w1 - step * g["w1"],
    b1 - step * g["b1"],
    w2 - step * g["w2"],
    b2 - step * g["b2"],
    target,
)
assert after < before
before, after

# %% [markdown]
r"""
## How far can the judge be trusted?

A finite difference has two errors, and they pull in opposite directions. The
function bends within the step: for central differences this error shrinks with
the square of the step, for a one-sided difference only with the step itself.
And the two values are rounded: dividing their difference by a small step
magnifies that. Here are the largest errors for `w1` of the small network,
against the gradient by hand.
"""

# %% tags=["hide-input"] alt="Largest error against step, both axes logarithmic, three curves. All three rise in the same straight line towards the shortest steps, at the left. The one-sided error has its lowest point near 1e-7 and rises in a straight line to the right. The error of both sides on the logarithm of the loss has its lowest point near 1e-5 and rises twice as steeply. The error of both sides on the loss itself falls all the way to the right."
exact = gradients(target=small_target, **small)["w1"]
w, loss_w1 = small["w1"], as_function_of("w1")


def one_sided(eps: float) -> Tensor:
    steps = torch.eye(w.numel()).double().reshape(-1, *w.shape) * eps
    moved = torch.stack([loss_w1(w + step) for step in steps])
    return ((moved - loss_w1(w)) / eps).reshape(w.shape)


epsilons = [10 ** (-k / 2) for k in range(2, 25)]
log_loss = [lambda w: loss_w1(w).log(), exact / loss_w1(w)]
plt.figure(figsize=(5.5, 3.2))
for name, estimate, truth in (
    ("one side", one_sided, exact),
    ("both sides", lambda e: numerical_gradient(loss_w1, w, e), exact),
    (
        "both sides, log of the loss",
        lambda e: numerical_gradient(log_loss[0], w, e),
        log_loss[1],
    ),
):
    errors = [(estimate(eps) - truth).abs().max() for eps in epsilons]
    plt.loglog(epsilons, errors, ".-", label=name)
plt.xlabel("step")
plt.ylabel("largest error")
plt.ylim(top=1e5)  # room for the legend
plt.legend(loc="upper left")
plt.show()

# %% [markdown]
r"""
One curve never turns up at the right, and it would be a mistake to trust it. In
each single weight this loss is made of pieces of parabolas, and on a parabola a
central difference is exact. Most functions are none: the logarithm of the same
loss shows the usual picture, with the least error near $10^{-5}$. And a long
step may cross one of ReLU's corners. So $10^{-6}$ it is: near the best for most
functions, and short.

## What we built

| name | module | what it is |
| --- | --- | --- |
| `mse_gradient` | `manual.gradients` | of the squared error, by the predictions |
| `relu_gradient` | `manual.gradients` | of ReLU, by its input |
| `linear_input_gradient` | `manual.gradients` | of a linear layer, by its input: `grad_y @ w.T` |
| `linear_weight_gradient` | `manual.gradients` | by its weights: `x.T @ grad_y` |
| `linear_bias_gradient` | `manual.gradients` | by its bias: the sum of the rows |
| `numerical_gradient` | `manual.gradients` | of any function, by trying |

## Questions

:::{dropdown} Which shape has the gradient of a value?
The value's own. It answers one question for each element: how fast does the
loss grow with it? That fixes most formulas already. From (n, 784) and (n, 50)
there is one product with the shape of `w1`, (784, 50).
:::

:::{dropdown} Why is the loss not needed on the way back?
The formulas ask for slopes, and the slope of a square is made of the
difference, not of the square. The loss is for people. Its *scale* matters:
dividing by n in the loss divides every gradient by n.
:::

:::{dropdown} The bias gradient sums over the batch. Why?
Broadcasting used each bias n times, once a row. Each use is a path to the loss,
and the changes of several paths add up.
:::

:::{dropdown} How much work is the backward pass, measured in forward passes?
A linear layer multiplies two matrices forward, and twice two on the way back:
for the weights and for the input. So about two. The first layer can save one of
them, for the data needs no gradient; {doc}`/2_backward/4_layers` measures what
that is worth.
:::

:::{dropdown} Could `relu_gradient` work with ReLU's result and not keep its input?
Yes: the result is positive exactly where the input is. Then `z` need not be
kept. For the shifted ReLU the comparison would have to be with −0.5.
:::
"""

# %% tags=["answer"]
assert_equal(relu_gradient(h, grad_h), relu_gradient(z, grad_h))

# %% [markdown]
r"""
:::{dropdown} When does `squeeze()` do what `squeeze(-1)` does, and when not?
They agree as long as the last axis is the only one of size 1. A batch of one
image has two such axes, so it also loses the batch.
:::

## Exercises

**1.** Write the gradient of the mean absolute error,
`(out.squeeze(-1) - target).abs().mean()`, and check it.
"""


# %% tags=["solution"]
def l1_gradient(out: Tensor, target: Tensor) -> Tensor:
    return (out.squeeze(-1) - target).sign().unsqueeze(-1) / out.shape[0]


expected = numerical_gradient(
    lambda out: (out.squeeze(-1) - small_target).abs().mean(), out_small
)
assert_close(l1_gradient(out_small, small_target), expected, rtol=1e-6)

# %% [markdown]
r"""
**2.** The lesson that this chapter follows says $\max(x, -\tfrac12)$ and codes
$\max(x, 0) - \tfrac12$. Its gradient code is right for one of the two. For
which? Write the other.
"""


# %% tags=["solution"]
def floored_relu_gradient(x: Tensor, grad_y: Tensor) -> Tensor:
    return grad_y * (x > -0.5)  # x > 0 is right for the code, not for the text


z_wide = torch.linspace(-2, 2, 9).double()
weights = torch.ones(9).double()
expected = numerical_gradient(lambda z: z.clamp(min=-0.5).sum(), z_wide + 0.1)
assert_close(floored_relu_gradient(z_wide + 0.1, weights), expected)
assert relu_gradient(z_wide + 0.1, weights).sum() < expected.sum()

# %% [markdown]
r"""
**3.** Split the 10,000 images into parts. The mean of the parts' gradients is
the gradient of the whole, if all parts are of one size. Show it for `w1` and
four parts of 2,500, and mend the mean for parts of 9,000 and 1,000.
"""


# %% tags=["solution"]
def w1_gradient(part: slice) -> Tensor:
    return gradients(x[part], target[part], w1, b1, w2, b2)["w1"]


whole = w1_gradient(slice(None))
equal = [w1_gradient(slice(i, i + 2500)) for i in range(0, 10_000, 2500)]
assert_close(sum(equal) / 4, whole, atol=1e-4)
large, little = w1_gradient(slice(9000)), w1_gradient(slice(9000, None))
assert_close(0.9 * large + 0.1 * little, whole, atol=1e-4)

# %% [markdown]
r"""
**4.** The giant outer product can be had in slices: add up the outer products
of 100 images at a time. How much memory does it take? Is the result the same?
"""


# %% tags=["solution"]
def sliced(x: Tensor, grad_y: Tensor, size: int = 100) -> Tensor:
    pairs = zip(x.split(size), grad_y.split(size), strict=True)
    return sum((x.unsqueeze(-1) * g.unsqueeze(1)).sum(0) for x, g in pairs)


expected = linear_weight_gradient(x_slice, grad_slice)
assert_close(sliced(x_slice, grad_slice), expected, atol=1e-3)
100 * 784 * 50 * 4 / 1e6  # MB, in place of 7,840

# %% [markdown]
r"""
**5.** An *autoencoder* with tied weights uses one matrix twice:
`relu(x @ w) @ w.T` should be `x` again, and its loss is the mean square of the
difference, over all elements. Find the gradient of `w` by hand. (It has two
parts.)
"""


# %% tags=["solution"]
def tied_loss(w: Tensor) -> Tensor:
    return (relu(small["x"] @ w) @ w.T - small["x"]).pow(2).mean()


def tied_gradient(x: Tensor, w: Tensor) -> Tensor:
    z = x @ w
    h = relu(z)
    grad_out = 2 * (h @ w.T - x) / x.numel()
    grad_z = relu_gradient(z, linear_input_gradient(w.T, grad_out))
    second = linear_weight_gradient(h, grad_out).T
    return linear_weight_gradient(x, grad_z) + second


expected = numerical_gradient(tied_loss, small["w1"])
assert_close(tied_gradient(small["x"], small["w1"]), expected, rtol=1e-6)

# %% [markdown]
r"""
Every function has its gradient, and yet they live apart: someone must remember
what to keep and in which order to call. {doc}`/2_backward/4_layers` gives each
layer both halves and a memory.
"""

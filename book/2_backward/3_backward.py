# %% [markdown] module="manual.gradients"
r"""
# The backward pass by hand

A network of 39,301 numbers has looked at an image and was wrong. **Which of the
numbers are to blame, and how much?**

The answer is a {term}`gradient`: for each number, how fast the loss grows with
it. Trying each number, as a {term}`finite difference` does, takes two forward
passes for each. This chapter gets the same answer for the price of a few.
Nothing is needed but the {term}`chain rule` and some care with shapes.

| name | shape | meaning |
| --- | --- | --- |
| `x` | (n, 784) | images, one a row |
| `w1`, `b1` | (50, 784), (50,) | the first layer |
| `z` | (n, 50) | its result, before ReLU |
| `h` | (n, 50) | after ReLU: the hidden units |
| `w2`, `b2` | (1, 50), (1,) | the second layer |
| `out` | (n, 1) | the predictions |
| `target` | (n,) | the digits that are in the images |
| `grad_z` | as `z` | the gradient of the loss by `z`, and so for every name |
"""

# %%
import math
from time import process_time

import matplotlib.pyplot as plt
from IPython.display import Markdown

from groundup.datasets import mnist
from groundup.nn.init import kaiming_normal_
from groundup.testing import assert_close, assert_equal

# %% tags=["export"]
"""The gradients of a small network, by hand and by trying."""

from collections.abc import Callable

import torch
from torch import Tensor

# %% [markdown]
r"""
## Forward

The images are normalised as in {doc}`/2_backward/2_init`, with the mean and
deviation of its 50,000 training images; the first 10,000 of them are enough
here. The first layer is that chapter's too, and so is its start
{cite:p}`he2015`. A second layer follows, with a single output: the network
predicts the digit as one number. That is a poor way to recognise digits. It
makes the loss simple, and we are here for the gradients.

Weights are stored as in 2.2 and in torch, (d_out, d_in): a row for each unit.
The source, the notes that we follow, stores them the other way round, so its
formulas are transposed. We stay with torch's order in this chapter and all
others.
"""

# %%
images, labels = mnist()
x_train = images[:50_000].flatten(1) / 255
x = (x_train[:10_000] - x_train.mean()) / x_train.std()
target = labels[:10_000].float()

torch.manual_seed(0)
w1, b1 = kaiming_normal_(torch.empty(50, 784)), torch.zeros(50)
w2 = kaiming_normal_(torch.empty(1, 50), nonlinearity="linear")
b2 = torch.zeros(1)
sum(parameter.numel() for parameter in (w1, b1, w2, b2))


# %%
def relu(x: Tensor) -> Tensor:
    return x.clamp(min=0)


z = x @ w1.T + b1
h = relu(z)
out = h @ w2.T + b2
out.shape, target.shape

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

# %% [markdown]
r"""
The third way names the axis. It has one gap left: a target of shape `(n, 1)`
broadcasts in silence again. So the difference is written once, and refuses
what does not pair.
"""


# %% Prediction minus target tags=["export", "internal"]
def residuals(out: Tensor, target: Tensor) -> Tensor:
    """Each prediction minus its target: (n, 1), (n,) -> (n,)."""
    if out.shape != (*target.shape, 1):
        shapes = f"{tuple(out.shape)} and {tuple(target.shape)}"
        raise ValueError(f"expected shapes (n, 1) and (n,), got {shapes}")
    return out.squeeze(-1) - target


# %%
def mse(out: Tensor, target: Tensor) -> Tensor:
    return residuals(out, target).pow(2).mean()


mse(out, target)

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

# %% Forward on the left, downwards; gradients on the right, upwards tags=["hide-input"] alt="A column of four boxes from top to bottom: linear 1, ReLU, linear 2, MSE. Blue arrows lead down on the left, named x, z, h, out, loss. Orange arrows lead up on the right, named 1, grad out, grad h, grad z. From the two linear boxes orange arrows lead to the right, to grad w2 and b2 and to grad w1 and b1."
steps = ["linear 1", "ReLU", "linear 2", "MSE"]
between = ["x", "z", "h", "out", "loss"]
figure, axis = plt.subplots(figsize=(4.6, 4.2))
box = {"boxstyle": "round", "facecolor": "none", "edgecolor": "0.5"}
down = {"arrowstyle": "->", "color": "C0"}
back = {"arrowstyle": "->", "color": "C1"}
for i, name in enumerate(between):
    high, low = 0.75 - 2 * i, 0.25 - 2 * i
    axis.annotate("", (-0.2, low - 0.1), (-0.2, high + 0.1), arrowprops=down)
    axis.text(-0.35, high - 0.25, name, ha="right", va="center", color="C0")
    if i < 4:
        axis.text(0, -0.5 - 2 * i, steps[i], ha="center", va="center", bbox=box)
    if i > 0:
        axis.annotate("", (0.2, high + 0.1), (0.2, low - 0.1), arrowprops=back)
        label = "1" if name == "loss" else f"grad_{name}"
        axis.text(0.35, high - 0.25, label, va="center", color="C1")
for i, names in ((0, "grad_w1, grad_b1"), (2, "grad_w2, grad_b2")):
    y = -0.5 - 2 * i
    axis.annotate("", (1.35, y), (0.55, y), arrowprops=back)
    axis.text(1.45, y, names, va="center", color="C1")
axis.set(xlim=(-1, 3), ylim=(-8, 1))
axis.axis("off")
plt.show()

# %% [markdown]
r"""
### A judge

Before the first formula, the test that every formula will have to pass. It
knows nothing of chains. It moves one element a little to either side, and
divides the difference of the results by the way between. How little is a
little? The cube root of the smallest step that the type can make from 1, times
the number itself if that is larger; a section below shows why.
"""


# %% The gradient by trying tags=["export"]
def numerical_gradient(
    function: Callable[[Tensor], Tensor], x: Tensor, eps: float | None = None
) -> Tensor:
    """The gradient of a number by x, by central differences; shaped as x."""
    if not x.is_floating_point():
        raise TypeError(f"{x.dtype} has no small steps")
    eps = torch.finfo(x.dtype).eps ** (1 / 3) if eps is None else eps
    flat = x.flatten()
    grad = torch.zeros_like(flat)
    for i, value in enumerate(flat.tolist()):
        ends = flat.repeat(2, 1)
        ends[0, i] += eps * max(1, abs(value))
        ends[1, i] -= eps * max(1, abs(value))
        high, low = (function(end.reshape(x.shape)) for end in ends)
        grad[i] = (high - low) / (ends[0, i] - ends[1, i])  # as rounded
    return grad.reshape(x.shape)


# %%
x_try = torch.tensor([0.5, -3.0, 40.0])  # x**2 has the slope 2x
for_type = {
    dtype: numerical_gradient(lambda x: (x**2).sum(), x_try.to(dtype)).tolist()
    for dtype in (torch.float32, torch.float64)
}
assert_close(for_type[torch.float64], (2 * x_try).tolist(), rtol=1e-8)
assert_close(for_type[torch.float32], (2 * x_try).tolist(), rtol=1e-2)
for_type

# %% [markdown]
r"""
It needs two evaluations an element, so it judges a small network: five images
of four pixels, three hidden units.
"""

# %%
torch.manual_seed(1)
shapes = {"x": (5, 4), "w1": (3, 4), "b1": (3,), "w2": (1, 3), "b2": (1,)}
small = {name: torch.randn(shape).double() for name, shape in shapes.items()}
small_target = torch.randn(5).double()
z_small = small["x"] @ small["w1"].T + small["b1"]
out_small = relu(z_small) @ small["w2"].T + small["b2"]

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
    return 2 * residuals(out, target).unsqueeze(-1) / len(out)


# %%
expected = numerical_gradient(lambda out: mse(out, small_target), out_small)
assert_close(mse_gradient(out_small, small_target), expected, rtol=1e-6)

# %% [markdown]
r"""
## ReLU

Where $z > 0$, ReLU is the identity and the gradient passes. Where $z < 0$, it
is constant and nothing passes. At 0 there is no slope; like torch, we take 0.
So far the source agrees, and multiplies by 1 or by 0. But there is one number
that 0 does not stop:
"""

# %%
grad_y, x_relu = torch.tensor([1.0, math.inf]), torch.tensor([2.0, -1.0])
grad_y * (x_relu > 0)

# %% [markdown]
r"""
Infinity times 0 is "not a number", and one of those spoils every sum that it
gets into. What passes nothing must *choose* 0, whatever came. And broadcasting
would take shapes that are no pair, so they are compared first.
"""


# %% Shapes that do not fit tags=["export"]
def _refuse_unless(fits: bool, **values: Tensor) -> None:
    """Raise an error that shows all shapes."""
    if not fits:
        shapes = [f"{name} {tuple(t.shape)}" for name, t in values.items()]
        raise ValueError("shapes do not fit: " + ", ".join(shapes))


# %% The gradient of ReLU tags=["export"] earns="torch.ops.aten.threshold_backward"
def relu_gradient(x: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of ReLU's input, which has any shape, from its result's."""
    _refuse_unless(x.shape == grad_y.shape, x=x, grad_y=grad_y)
    return torch.where(x <= 0, 0, grad_y)


# %%
relu_gradient(x_relu, grad_y)

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
of the result, $y_{ij} = \sum_k x_{ik} w_{jk} + b_j$, and see where each letter
occurs.

**The bias.** $b_j$ is added in every row, with slope 1. So its gradient is the
sum of a column.

**The input.** $x_{ik}$ goes into all results of its row, with slope $w_{jk}$:
$\nabla_{x_{ik}} = \sum_j \nabla_{y_{ij}} w_{jk}$, which is a matrix product,
$\nabla_y w$. Forward $w$ was transposed; on the way back it is not.
"""


# %% The gradients of a linear layer's bias and input tags=["export"]
def linear_bias_gradient(grad_y: Tensor) -> Tensor:
    """Gradient of the bias: (n, d_out) -> (d_out,)."""
    return grad_y.sum(0)


def linear_input_gradient(w: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of the input: (d_out, d_in), (n, d_out) -> (n, d_in)."""
    fits = w.ndim == grad_y.ndim == 2 and len(w) == grad_y.shape[1]
    _refuse_unless(fits, w=w, grad_y=grad_y)
    return grad_y @ w


# %% [markdown]
r"""
**The weights.** $w_{jk}$ meets $x_{ik}$ in every row $i$:
$\nabla_{w_{jk}} = \sum_i \nabla_{y_{ij}} x_{ik}$. For one image that is an
{term}`outer product`, every gradient times every pixel. For a batch, make all
the outer products and add them up. So it says on paper, and so it can be coded.
"""


# %%
def linear_weight_gradient(x: Tensor, grad_y: Tensor) -> Tensor:
    return (grad_y.unsqueeze(-1) * x.unsqueeze(1)).sum(0)


def check_weight_gradient() -> None:
    x, w = small["x"], small["w1"]
    expected = numerical_gradient(lambda w: ((x @ w.T) * grad_y).sum(), w)
    assert_close(linear_weight_gradient(x, grad_y), expected, rtol=1e-6)


check_weight_gradient()

# %% [markdown]
r"""
It is right. It is also a giant. Before the sum there is an array with an
element for every image, pixel and hidden unit:
"""

# %% tags=["remove-input"]
elements = 50_000 * 50 * 784
Markdown(
    f"50,000 × 50 × 784 = {elements:,} elements of 4 bytes: "
    f"**{elements * 4 / 1e9:.2f} GB**, to be written and read again, "
    f"for a result of {50 * 784 * 4 / 1e6:.2f} MB."
)

# %% [markdown]
r"""
But a sum over $i$ of products is what a matrix product does, with the axes in
the right order: $\nabla_w = \nabla_y^\top x$. The giant is never made. The name
stays, and so does the check.
"""


# %% The gradient of a linear layer's weights tags=["export"]
def linear_weight_gradient(x: Tensor, grad_y: Tensor) -> Tensor:
    """Gradient of the weights: (n, d_in), (n, d_out) -> (d_out, d_in)."""
    fits = x.ndim == grad_y.ndim == 2 and len(x) == len(grad_y)
    _refuse_unless(fits, x=x, grad_y=grad_y)
    return grad_y.T @ x


# %%
check_weight_gradient()

# %% [markdown]
r"""
How much is it worth? The giant of all 50,000 images does not fit on most
machines, so both run on the first 1,000, where it takes $1000 \cdot 784 \cdot 50
\cdot 4$ bytes. We count the time that the processor works, on one thread; so it
matters less what else the machine is doing. The same result, and this many
times the speed:
"""


# %%
def seconds(call: Callable[[], object]) -> float:
    start = process_time()
    call()
    return process_time() - start


def giant() -> Tensor:
    return (grad_slice.unsqueeze(-1) * x_slice.unsqueeze(1)).sum(0)


torch.set_num_threads(1)
x_slice, grad_slice = x[:1000], torch.randn(1000, 50)
product = linear_weight_gradient(x_slice, grad_slice)
assert_close(giant(), product, atol=1e-3)
slow = min(seconds(giant) for _ in range(7))
fast = min(
    seconds(lambda: linear_weight_gradient(x_slice, grad_slice))
    for _ in range(50)
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
    z = x @ w1.T + b1
    h = relu(z)
    out = h @ w2.T + b2

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
    return mse(relu(x @ w1.T + b1) @ w2.T + b2, target)


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
What did all of them cost, measured in forward passes?
"""

# %%
passes = {
    "forward": lambda: loss_of(x, w1, b1, w2, b2, target),
    "both": lambda: gradients(x, target, w1, b1, w2, b2),
}
times = {name: min(seconds(p) for _ in range(9)) for name, p in passes.items()}
passes_in_all = times["both"] / times["forward"]
assert 2 < passes_in_all < 6
round(passes_in_all, 1)

# %% [markdown]
r"""
One of them is the forward pass itself. Trying would take two for each number of
the network.

### What is kept, and why

Look at what the backward half of `gradients` reads: `out`, `h`, `z`, `x` and
two weights. Without them we would have to run the forward pass again for every
layer, so they stay in memory until their layer's turn has come. A prediction
can forget each as soon as the next is there.
"""

# %%
kept = {"x": x, "z": z, "h": h, "out": out}
{name: f"{value.nbytes / 1e6:.2f} MB" for name, value in kept.items()}

# %% [markdown]
r"""
## What the gradients look like

The formula $\nabla_z^\top x$ has a picture. The gradient of one hidden unit's
weights is a weighted sum of the images, each with the blame that the unit has
for it. So it is an image itself. What does the untrained network say to the
images, on average and give or take how much? And which digits does it miss by
the most?
"""

# %%
errors = [(out[target == digit] - digit).mean().item() for digit in range(10)]
assert min(errors) == errors[9] and -1.5 < out.mean() < -0.5
out.mean(), out.std(), [round(error, 1) for error in errors]

# %% [markdown]
r"""
Something near −1 to all of them. So the nines have the largest error, about 10,
and a sum that they weigh most looks like them. The gradients of four units:
"""

# %% Gradients of the weights of four hidden units, as images tags=["hide-input"] alt="Four square images, the gradients of the weights of four hidden units. Each shows a blurred nine over other strokes, in the middle, red on a pale blue border or the reverse."
grad_w1 = by_hand["w1"].reshape(50, 28, 28)
busiest = grad_w1.abs().sum((1, 2)).argsort(descending=True)[:4]
figure, axes = plt.subplots(1, 4, figsize=(5, 1.6))
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

# %% The size of the gradient on the way back tags=["hide-input"] alt="Four bars, the size of the gradient at out, h, z and x, in the order of the way back. It falls at every step, most from out to h."
n = len(x)
grad_out = n * mse_gradient(out, target)
grad_h = linear_input_gradient(w2, grad_out)
grad_z = relu_gradient(z, grad_h)
grad_x = linear_input_gradient(w1, grad_z)
flow = {"out": grad_out, "h": grad_h, "z": grad_z, "x": grad_x}
sizes = {name: g.pow(2).mean().sqrt().item() for name, g in flow.items()}
plt.figure(figsize=(4.6, 2.6))
plt.bar(list(sizes), list(sizes.values()), color="C1", width=0.6)
plt.ylabel("size of the gradient")
plt.xlabel("the way back, from left to right")
plt.show()

# %% [markdown]
r"""
The falls are those that {doc}`/2_backward/2_init` foretold. What comes back
through a linear layer is a sum over its outputs, so it is as large as before
times the root of their number times the variance of the weights. Measured, and
foretold:
"""

# %%
measured = sizes["h"] / sizes["out"], sizes["x"] / sizes["z"]
foretold = (1 * 1 / 50) ** 0.5, (50 * 2 / 784) ** 0.5
assert_close(measured, foretold, rtol=0.25)
[(round(m, 2), round(f, 2)) for m, f in zip(measured, foretold, strict=True)]

# %% [markdown]
r"""
From `h` to `z` only ReLU acts. It lets about half of the elements pass. That
need not be half of the gradient's square: fifty units are few, and those with
the largest weights in `w2` may be silent more often than others, or less. The
two shares are:
"""

# %%
(z > 0).float().mean(), round((sizes["z"] / sizes["h"]) ** 2, 4)

# %% [markdown]
r"""
Does it help? A step against the gradient, if it is short enough, makes the loss
smaller.
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

# %% Three estimates and their errors tags=["hide-input"]
exact = gradients(target=small_target, **small)["w1"]
w, loss_w1 = small["w1"], as_function_of("w1")
epsilons = [10 ** (-k / 2) for k in range(2, 25)]


def one_side(eps: float) -> Tensor:
    steps = torch.eye(w.numel()).double().reshape(-1, *w.shape) * eps
    moved = torch.stack([loss_w1(w + step) for step in steps])
    return ((moved - loss_w1(w)) / eps).reshape(w.shape)


def both_sides(eps: float | None = None) -> Tensor:
    return numerical_gradient(loss_w1, w, eps)


def of_the_log(eps: float | None = None) -> Tensor:  # (log f)' = f' / f
    return loss_w1(w) * numerical_gradient(lambda w: loss_w1(w).log(), w, eps)


def worst(estimate: Tensor) -> float:
    return (estimate - exact).abs().max().item()


# %% The error of a finite difference against its step tags=["hide-input"] alt="Largest error against step, both axes logarithmic, three curves. All three rise in the same straight line towards the shortest steps, at the left. The one-sided error has its lowest point near 1e-7 and rises in a straight line to the right. The error of both sides on the logarithm of the loss has its lowest point near 1e-5 and rises twice as steeply. The error of both sides on the loss itself falls on to the right."
judges = {
    "one side": one_side,
    "both sides": both_sides,
    "both, log of the loss": of_the_log,
}
curves = {}
plt.figure(figsize=(5, 3))
for name, estimate in judges.items():
    curves[name] = [worst(estimate(eps)) for eps in epsilons]
    plt.loglog(epsilons, curves[name], ".-", label=name)
plt.xlabel("step")
plt.ylabel("largest error")
plt.ylim(top=1e6)  # room for the legend
plt.legend(loc="upper left")
plt.show()

# %% [markdown]
r"""
One curve does not turn up at the right, and it would be a mistake to trust it.
In each single weight this loss is made of pieces of parabolas, and on a
parabola a central difference is exact, until a long step crosses one of ReLU's
corners. Most functions are none: the logarithm of the same loss shows the usual
picture.

Where is its lowest point? With a step $\epsilon$ and numbers that are rounded
at a part $u$ of themselves, the bend costs about $\epsilon^2$ and the rounding
about $u/\epsilon$. The two are equal at $\epsilon = u^{1/3}$, which is the
judge's step. Its value, the best of those tried, and the judge's error with its
own:
"""

# %%
own = torch.finfo(torch.float64).eps ** (1 / 3)
log_curve = curves["both, log of the loss"]
best = epsilons[log_curve.index(min(log_curve))]
assert own / 10 < best < own * 10
assert worst(of_the_log()) < 1e-8 and worst(both_sides()) < 1e-8
f"{own:.0e}", f"{best:.0e}", f"{worst(of_the_log()):.0e}"

# %% [markdown]
r"""
## What we built

| name | module | what it is |
| --- | --- | --- |
| `mse_gradient` | `manual.gradients` | of the squared error, by the predictions |
| `relu_gradient` | `manual.gradients` | of ReLU, by its input |
| `linear_input_gradient` | `manual.gradients` | of a linear layer, by its input: `grad_y @ w` |
| `linear_weight_gradient` | `manual.gradients` | by its weights: `grad_y.T @ x` |
| `linear_bias_gradient` | `manual.gradients` | by its bias: the sum of the rows |
| `numerical_gradient` | `manual.gradients` | of any function, by trying |

## Questions

:::{dropdown} Which shape has the gradient of a value?
The value's own. It answers one question for each element: how fast does the
loss grow with it? That fixes most formulas already. From (n, 784) and (n, 50)
there is one product with the shape of `w1`, (50, 784).
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
for the weights and for the input. So about two, and three with the forward pass
itself. The first layer can save one of them, for the data needs no gradient;
{doc}`/2_backward/4_layers` measures what that is worth.
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
    # x <= 0 is right for the code, not for the text
    return torch.where(x <= -0.5, 0, grad_y)


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
    return sum((g.unsqueeze(-1) * x.unsqueeze(1)).sum(0) for x, g in pairs)


expected = linear_weight_gradient(x_slice, grad_slice)
assert_close(sliced(x_slice, grad_slice), expected, atol=1e-3)
100 * 50 * 784 * 4 / 1e6  # MB, in place of 7,840

# %% [markdown]
r"""
**5.** An *autoencoder* with tied weights uses one matrix twice:
`relu(x @ w.T) @ w` should be `x` again, and its loss is the mean square of the
difference, over all elements. Find the gradient of `w` by hand. (It has two
parts.)
"""


# %% tags=["solution"]
def tied_loss(w: Tensor) -> Tensor:
    return (relu(small["x"] @ w.T) @ w - small["x"]).pow(2).mean()


def tied_gradient(x: Tensor, w: Tensor) -> Tensor:
    z = x @ w.T
    h = relu(z)
    grad_out = 2 * (h @ w - x) / x.numel()
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

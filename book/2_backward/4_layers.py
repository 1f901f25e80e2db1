# %% [markdown] module="manual.layers"
r"""
# Layers as classes

Chapter 2.3 wrote five functions for three gradients, and one more that knew
what to keep and in which order to call them. Another network needs another
such function. **Can a layer hold both of its halves, so that a network is just
a list? And what does that cost beside torch?**

| name | shape | meaning |
| --- | --- | --- |
| `x` | (n, 784) | images, one a row |
| `target` | (n,) | the digits that are in the images |
| `weight`, `bias` | (d_out, d_in), (d_out,) | the parameters of a layer |
| `out` | | the result of a layer |
| `grad_y` | as `out` | the gradient of the loss by that result |
| `weight.grad` | as `weight` | the gradient of the loss by a parameter |
"""

# %% Imports tags=["hide-input"]
import random
from statistics import mean, stdev
from time import process_time

import matplotlib.pyplot as plt
from IPython.display import Markdown

from groundup.datasets import mnist
from groundup.manual.gradients import (
    linear_bias_gradient,
    linear_input_gradient,
    linear_weight_gradient,
    mse_gradient,
    numerical_gradient,
    relu_gradient,
    residuals,
)
from groundup.nn.init import kaiming_normal_
from groundup.testing import assert_close, assert_equal

# %% tags=["export"]
"""Layers that hold their function and its gradient, written by hand."""

import torch
from torch import Tensor
from torch.nn.functional import linear, relu

# %% [markdown]
r"""
The source builds two versions, and times them and torch's own network, each
once, on 50,000 images. Its table, in milliseconds: by the clock on the wall,
and by the processor's, which counts the work of all cores.
"""

# %%
source = {  # forward: wall, CPU; back: wall, CPU
    "einsum": (44.3, 306, 174, 547),
    "@": (45.8, 314, 158, 513),
    "torch": (40.5, 316, 33.8, 190),
}

# %% tags=["remove-input"]
ours, theirs = source["@"], source["torch"]
forward, forward_cpu, back, back_cpu = (
    a / b for a, b in zip(ours, theirs, strict=True)
)
Markdown(
    f"Its best version beside torch: forward {forward:.2f} times by the wall "
    f"and {forward_cpu:.2f} by the processor, so they are level. Back "
    f"**{back:.1f} times by the wall, {back_cpu:.1f} by the processor**. "
    f"Torch kept {theirs[3] / theirs[2]:.1f} cores busy there, the source's "
    f"classes {ours[3] / ours[2]:.1f}."
)

# %% [markdown]
r"""
So a part of the gap on the way back is threads: torch spread less work over
more cores. The other part is work. Where is it? To find out we count the
processor's time, on one thread.

The network is that of {doc}`/2_backward/3_backward`: 784 pixels, 50 hidden
units, one number. This time all 50,000 training images take part, since we want
to know the time.
"""

# %%
torch.set_num_threads(1)
images, labels = mnist()
x = images[:50_000].flatten(1) / 255
x = (x - x.mean()) / x.std()
target = labels[:50_000].float()


def start(seed: int = 0) -> list[Tensor]:
    torch.manual_seed(seed)
    w1 = kaiming_normal_(torch.empty(50, 784))
    w2 = kaiming_normal_(torch.empty(1, 50), nonlinearity="linear")
    return [w1, torch.zeros(50), w2, torch.zeros(1)]


w1, b1, w2, b2 = start()
x.shape, f"{x.nbytes / 1e6:.0f} MB"

# %% [markdown]
r"""
## One check for every version

Several versions follow, and all of them answer to the same check, so we write
it first. What is right, we know from 2.3. Its functions give the four gradients
of the first 1,000 images, in float64, where rounding hides nothing.
"""

# %%
x_check, target_check = x[:1000].double(), target[:1000].double()
v1, c1, v2, c2 = (p.double() for p in (w1, b1, w2, b2))
z = x_check @ v1.T + c1
h = z.clamp(min=0)
out = h @ v2.T + c2
expected_loss = residuals(out, target_check).pow(2).mean()
grad_out = mse_gradient(out, target_check)
grad_z = relu_gradient(z, linear_input_gradient(v2, grad_out))
expected = [
    linear_weight_gradient(x_check, grad_z),
    linear_bias_gradient(grad_z),
    linear_weight_gradient(h, grad_out),
    linear_bias_gradient(grad_out),
]

# %% [markdown]
r"""
`build` makes the network out of whatever `LinearLayer`, `ReLULayer`, `MSELayer`
(the source's `Lin`, `Relu`, `Mse`) and `Model` mean at that moment. A gradient
lands in the attribute `grad` of its parameter. That is where torch puts it, so
every optimiser looks there.
"""


# %%
def build(w1, b1, w2, b2) -> "Model":
    layers = [LinearLayer(w1, b1), ReLULayer(), LinearLayer(w2, b2)]
    return Model(layers, MSELayer())


def check() -> None:
    copies = [p.double() for p in (w1, b1, w2, b2)]
    model = build(*copies)
    loss = model(x_check, target_check)
    assert_close(loss, expected_loss, rtol=1e-9)
    model.backward()
    for p, grad in zip(copies, expected, strict=True):
        assert_close(p.grad, grad, rtol=1e-9, atol=1e-12)


# %% [markdown]
r"""
## A function with a memory

What does ReLU need on the way back? Its input, and the gradient of its result.
The first it has seen itself. So let it be an object: calling it computes and
remembers, `backward` takes the one gradient and returns the other. A class that
defines `__call__` makes objects that are called like functions, and whoever
uses them cannot tell the difference.
"""


# %%
class ReLULayer:
    def __call__(self, x: Tensor) -> Tensor:
        self.x = x
        return x.clamp(min=0)

    def backward(self, grad_y: Tensor) -> Tensor:
        return relu_gradient(self.x, grad_y)


# %% [markdown]
r"""
A linear layer also owns parameters. It stores their gradients and returns its
input's. The weight gradient is written as in the source, with
the {term}`outer product` that 2.3 has warned of.
"""


# %%
class LinearLayer:
    def __init__(self, weight: Tensor, bias: Tensor):
        self.weight, self.bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        self.x = x
        return x @ self.weight.T + self.bias

    def backward(self, grad_y: Tensor) -> Tensor:
        self.weight.grad = (grad_y.unsqueeze(-1) * self.x.unsqueeze(1)).sum(0)
        self.bias.grad = linear_bias_gradient(grad_y)
        return linear_input_gradient(self.weight, grad_y)


# %% [markdown]
r"""
The loss is the last function and so the first on the way back. The gradient of
the loss by itself is 1. The source squeezes without an axis here: the trap of 2.3.
"""


# %%
class MSELayer:
    def __call__(self, out: Tensor, target: Tensor) -> Tensor:
        self.out, self.target = out, target
        return residuals(out, target).pow(2).mean()

    def backward(self, grad_y: float = 1.0) -> Tensor:
        return grad_y * mse_gradient(self.out, self.target)


class Model:
    def __init__(self, layers: list, loss: MSELayer):
        self.layers, self.loss = layers, loss

    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.loss(x, target)

    def backward(self) -> None:
        grad = self.loss.backward(1.0)
        for layer in reversed(self.layers):
            grad = layer.backward(grad)


check()

# %% [markdown]
r"""
The function `gradients` of 2.3 is gone, and with it every name between the
layers. `Model.backward` knows of a layer only that it has a `backward`.

We keep a model of this version, to time it later. An object keeps the class it
was made of, so redefining the names does not change it.
"""

# %%
versions = {"outer product": build(w1, b1, w2, b2)}

# %% [markdown]
r"""
## A base class

Three classes remember what they were called with, each in its own words. What
they share can be written once. A {term}`base class` calls `forward`, which each
layer fills in, and keeps both sides: the arguments and the result. Its
`backward` hands them to `bwd`, the other half to fill in.
"""


# %%
class Layer:
    def __call__(self, *args: Tensor) -> Tensor:
        self.args = args
        self.out = self.forward(*args)
        return self.out

    def backward(self, grad_y: Tensor) -> Tensor:
        return self.bwd(grad_y, *self.args)


# %% [markdown]
r"""
The layers shrink to their two formulas. In passing, the outer product turns
into the {term}`Einstein summation` that it is: over the batch `b`, for each
output `i` and each input `j`. The giant array is gone.
"""


# %%
class ReLULayer(Layer):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=0)

    def bwd(self, grad_y: Tensor, x: Tensor) -> Tensor:
        return relu_gradient(x, grad_y)


class MSELayer(Layer):
    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        return residuals(out, target).pow(2).mean()

    def bwd(self, grad_y: float, out: Tensor, target: Tensor) -> Tensor:
        return grad_y * mse_gradient(out, target)


# %% loans="torch.einsum" repaid="2_backward/10_einsum"
class LinearLayer(Layer):
    def __init__(self, weight: Tensor, bias: Tensor):
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T + self.bias

    def bwd(self, grad_y: Tensor, x: Tensor) -> Tensor:
        self.weight.grad = torch.einsum("bi,bj->ij", grad_y, x)
        self.bias.grad = linear_bias_gradient(grad_y)
        return linear_input_gradient(self.weight, grad_y)


check()
versions["einsum"] = build(w1, b1, w2, b2)

# %% [markdown]
r"""
The source's last step is a matrix product in place of `einsum`.
"""


# %%
class LinearLayer(LinearLayer):
    def bwd(self, grad_y: Tensor, x: Tensor) -> Tensor:
        self.weight.grad = linear_weight_gradient(x, grad_y)
        self.bias.grad = linear_bias_gradient(grad_y)
        return linear_input_gradient(self.weight, grad_y)


check()
versions["@"] = build(w1, b1, w2, b2)

# %% [markdown]
r"""
Here the source stops.

## Where is the time?

Each operation of a pass, alone, with the shapes it has there.
"""


# %%
def seconds(function, *args) -> float:
    start = process_time()
    function(*args)
    return process_time() - start


# %% The share of each operation in a pass tags=["hide-input"] alt="Horizontal bars, the share of the time of each operation of a pass. The gradient of the data takes the most, then the first layer's product and its weight gradient; every other bar is short, the longest of them ReLU's gradient."
z, grad_z = torch.randn(2, 50_000, 50)
h, grad_out = z.clamp(min=0), torch.randn(50_000, 1)
operations = {
    "x @ w1.T + b1": lambda: x @ w1.T + b1,
    "ReLU": lambda: z.clamp(min=0),
    "h @ w2.T + b2": lambda: h @ w2.T + b2,
    "gradient of w2": lambda: linear_weight_gradient(h, grad_out),
    "gradient of h": lambda: linear_input_gradient(w2, grad_out),
    "gradient of z": lambda: relu_gradient(z, grad_z),
    "gradient of b1": lambda: linear_bias_gradient(grad_z),
    "gradient of w1": lambda: linear_weight_gradient(x, grad_z),
    "gradient of x": lambda: linear_input_gradient(w1, grad_z),
}
shares = {
    name: min(seconds(operation) for _ in range(3))
    for name, operation in operations.items()
}
shares = {name: s / sum(shares.values()) for name, s in shares.items()}
plt.figure(figsize=(5, 3))
plt.barh(list(shares), list(shares.values()), color="C0")
plt.gca().invert_yaxis()
plt.xlabel("share of the time")
plt.show()
assert sum(sorted(shares.values())[-3:]) > 0.6
assert shares["gradient of x"] == max(shares.values())

# %% [markdown]
r"""
Three products make up most of it, each of 2 × 50,000 × 784 × 50, or 3.9
billion, operations. The largest is the gradient of `x`. **Who asked for it?**
Nobody trains the images. Autograd computes a gradient only for what leads to
something that wants one, so it leaves this one out. Our layers cannot: what
belongs to the parameters and what belongs to the input is one method.

## Two halves of the way back

So we split it. `learn` stores the gradients of a layer's own parameters, if it
has any; `input_gradient` returns its input's; `backward` is one after the
other. This version goes into the library, so it says what it is.
"""


# %% A layer tags=["export"]
class Layer:
    """A function that remembers its last call, for its gradients: a base."""

    def __call__(self, *args: Tensor) -> Tensor:
        self.args = args
        self.out = self.forward(*args)
        return self.out

    def forward(self, *args: Tensor) -> Tensor:
        """The result of the layer, to be filled in."""
        raise NotImplementedError

    def learn(self, grad_y: Tensor) -> None:
        """Store the gradients of the parameters; by default there are none."""

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        """Gradient of the first argument, to be filled in; shaped as it."""
        raise NotImplementedError

    def backward(self, grad_y: Tensor | float) -> Tensor:
        """Learn, and return the gradient of the first argument."""
        self.learn(grad_y)
        return self.input_gradient(grad_y)


# %% [markdown]
r"""
The model knows which layer is the first, and asks that one only to learn.
"""


# %% The model tags=["export"]
class Model:
    """Layers, each called on the result of the one before, and a loss."""

    def __init__(self, layers: list[Layer], loss: Layer):
        self.layers, self.loss = layers, loss

    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.loss(x, target)

    def backward(self) -> None:
        """Store the gradients of all parameters, and leave out the data's."""
        first, *others = self.layers
        grad = self.loss.backward(1.0)
        for layer in reversed(others):
            grad = layer.backward(grad)
        first.learn(grad)


# %% [markdown]
r"""
The three layers fill in the halves. Only the linear one has something to learn.
"""


# %%
class ReLULayer(Layer):
    def forward(self, x: Tensor) -> Tensor:
        return relu(x)

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        return relu_gradient(self.out, grad_y)


# %% A linear layer tags=["export"]
class LinearLayer(Layer):
    """An affine map of features: (n, d_in) -> (n, d_out)."""

    def __init__(self, weight: Tensor, bias: Tensor):
        self.weight, self.bias = weight, bias  # (d_out, d_in), (d_out,)

    def forward(self, x: Tensor) -> Tensor:
        """x @ weight.T + bias."""
        return linear(x, self.weight, self.bias)

    def learn(self, grad_y: Tensor) -> None:
        """Store weight.grad and bias.grad, in place of older ones."""
        (x,) = self.args
        self.weight.grad = linear_weight_gradient(x, grad_y)
        self.bias.grad = linear_bias_gradient(grad_y)

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        """Gradient of the input: (n, d_out) -> (n, d_in)."""
        return linear_input_gradient(self.weight, grad_y)


# %% [markdown]
r"""
The loss keeps its residuals and need not compute them twice.
"""


# %% The loss tags=["export"]
class MSELayer(Layer):
    """Mean squared error: (n, 1), (n,) -> ()."""

    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        """The mean of (out - target) ** 2."""
        self.residuals = residuals(out, target)
        return (self.residuals * self.residuals).mean()

    def input_gradient(self, grad_y: Tensor | float) -> Tensor:
        """Gradient of the predictions: () -> (n, 1)."""
        factor = 2 * grad_y / max(len(self.residuals), 1)
        return (factor * self.residuals).unsqueeze(-1)


# %%
check()
versions["no gradient of x"] = build(w1, b1, w2, b2)

# %% [markdown]
r"""
Two details in passing. `linear`, which 2.2 earned, adds the bias within the
product, where `x @ w.T + b` makes a second pass over a second array. And ReLU
asks its *result* where it was positive, so its input may be forgotten.

## A mask that is no product

Of the short bars the longest is that of ReLU's gradient. Four ways to write it,
each beside the fastest, and what each makes of an infinite gradient where
nothing should pass:
"""

# %% Four masks tags=["hide-input"]
passes_not, infinite = torch.zeros(1), torch.full((1,), torch.inf)
masks = {
    "grad_y * (out > 0)": lambda out, grad_y: grad_y * (out > 0),
    "out.sign().mul_(grad_y)": lambda out, grad_y: out.sign().mul_(grad_y),
    "where(out <= 0, 0, grad_y)": relu_gradient,
    "torch's kernel": lambda out, grad_y: torch.ops.aten.threshold_backward(
        grad_y, out, 0
    ),
}
best = {
    name: min(seconds(mask, h, grad_z) for _ in range(9))
    for name, mask in masks.items()
}
fastest = min(best.values())
rows = [
    f"| `{name}` | {best[name] / fastest:.1f} "
    f"| {mask(passes_not, infinite).item()} |"
    for name, mask in masks.items()
]
head = ["| mask | time, × fastest | 0 and infinity |", "| --- | --: | --: |"]
Markdown("\n".join([*head, *rows]))

# %% [markdown]
r"""
The source's product turns truth values into floats first, and is wrong in a
corner. The sign of the result is a mask of floats already, and fast, and wrong
in the same corner. `where` is right and slow. Torch's own kernel is one pass
over memory that chooses; `relu_gradient` has earned it.
"""


# %% ReLU tags=["export"]
class ReLULayer(Layer):
    """Negative elements become zero: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        """max(x, 0)."""
        return relu(x)

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        """grad_y where the result is positive, else 0: `relu_gradient`."""
        return torch.ops.aten.threshold_backward(grad_y, self.out, 0)


# %%
check()
versions["torch's mask"] = build(w1, b1, w2, b2)

# %% [markdown]
r"""
## The table

Now all versions and autograd compute the same, on the same network and data, on
one thread, in turns, each turn in a new order. We divide the best times. A
*pass* is forward and backward; the second column is the way back alone. Only
the outer product's version runs on the first 1,000 images, fifty times fewer:
whole, it would need $50{,}000 \cdot 784 \cdot 50 \cdot 4$ bytes.
"""

# %% tags=["reference"]
net = torch.nn.Sequential(
    torch.nn.Linear(784, 50), torch.nn.ReLU(), torch.nn.Linear(50, 1)
)
for p, value in zip(net.parameters(), (w1, b1, w2, b2), strict=True):
    p.data.copy_(value)


class Autograd:
    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        predicted = net(x).squeeze(-1)
        self.loss = torch.nn.functional.mse_loss(predicted, target)
        return self.loss

    def backward(self) -> None:
        self.loss.backward()


# %% tags=["reference"]
def forget() -> None:
    for p in (w1, b1, w2, b2, *net.parameters()):
        p.grad = None


def one_turn(rivals: dict, rows: int = 50_000) -> dict:
    """Seconds of the whole pass and of its way back, in a random order."""
    times = {}
    for name in random.sample(list(rivals), len(rivals)):
        forget()
        rival, n = rivals[name], 1000 if name == "outer product" else rows
        forward = seconds(rival, x[:n], target[:n])
        back = seconds(rival.backward)
        factor = rows / n
        times[name] = (factor * (forward + back), factor * back)
    return times


def best_of(turns: int, rivals: dict, rows: int = 50_000) -> dict:
    measured = [one_turn(rivals, rows) for _ in range(turns)]
    return {
        name: tuple(min(turn[name][i] for turn in measured) for i in (0, 1))
        for name in rivals
    }


# %% limit=120 tags=["hide-input"]
random.seed(0)
rivals = {"autograd": Autograd(), **versions}
times = best_of(5, rivals)
ratios = {
    name: (whole / times["autograd"][0], back / times["autograd"][1])
    for name, (whole, back) in times.items()
}
rows = [
    f"| {name} | {whole:.2f} | {back:.2f} |"
    for name, (whole, back) in ratios.items()
]
head = ["| version | pass, × autograd | way back, × autograd |"]
Markdown("\n".join([*head, "| --- | --: | --: |", *rows]))

# %% tags=["remove-input"]
no_x = times["no gradient of x"][0] / times["@"][0]
einsum = times["einsum"][0] / times["@"][0]
masked = times["torch's mask"][0] / times["no gradient of x"][0]
assert ratios["outer product"][0] > 5 and 0.85 < einsum < 1.15
assert no_x < 0.9 and ratios["torch's mask"][0] < 1.25
assert 1.5 < ratios["@"][1] < 4
Markdown(f"""
Row by row:

* **The outer product** writes and reads a giant. It is no layer's fault: a
  matrix product does the same sum and never makes it.
* **einsum against `@`** is worth nothing: {einsum:.2f} of a pass. `einsum` *is*
  a matrix product here, after its letters have been read. The source's 547 and
  513 ms are single runs of the same work.
* **The gradient of the data** is the one large step: without it a pass takes
  {no_x:.2f} of what it took. With it our way back costs {ratios["@"][1]:.1f}
  times autograd's; the source's cost {back_cpu:.1f} times, by the processor's
  clock. Autograd was not faster at it. It did not do it.
* **Torch's mask** leaves {masked:.2f} of the pass before.
""")

# %% [markdown]
r"""
We end level with autograd, not ahead. On 50,000 rows nearly all time goes into
two products, and those are the same library's, so nobody can be much faster.

### Small batches

Training takes {term}`mini-batches <mini-batch>`. With 64 images the products
are short, and what counts is all the rest: autograd has to record each step,
find the order, and guard against uses that we do not have. Here our classes
only do what must be done. What could anyone save? For comparison, the same
calls without any class, one after the other:
"""


# %% Nothing but the calls
class Calls:
    """A pass of the same network, written out."""

    def __call__(self, x: Tensor, target: Tensor) -> None:
        self.h = relu(linear(x, w1, b1))
        self.x, self.n = x, len(x)
        self.residuals = linear(self.h, w2, b2).squeeze(-1) - target
        self.loss = (self.residuals * self.residuals).mean()

    def backward(self) -> None:
        grad_out = (2 / self.n * self.residuals).unsqueeze(-1)
        w2.grad, b2.grad = grad_out.T @ self.h, grad_out.sum(0)
        grad_h = grad_out @ w2
        grad_z = torch.ops.aten.threshold_backward(grad_h, self.h, 0)
        w1.grad, b1.grad = grad_z.T @ self.x, grad_z.sum(0)


# %% A pass over 64 images beside autograd's tags=["hide-input"] alt="Four horizontal bars of the time of a pass over 64 images. Autograd's is 1. Ours takes about six tenths, the bare calls a little less, and the two large products alone a good third."
few = {
    "autograd": rivals["autograd"],
    "our layers": build(w1, b1, w2, b2),
    "bare calls": Calls(),
}
small = {name: s for name, (s, _) in best_of(600, few, rows=64).items()}
small["two products"] = min(
    seconds(linear, x[:64], w1, b1)
    + seconds(linear_weight_gradient, x[:64], grad_z[:64])
    for _ in range(600)
)
small = {name: s / small["autograd"] for name, s in small.items()}
plt.figure(figsize=(5, 2))
plt.barh(list(small), list(small.values()), color="C0")
for i, each in enumerate(small.values()):
    plt.text(each + 0.01, i, f"{each:.2f}", va="center")
plt.axvline(0.5, color="0.5", ls="--")
plt.gca().invert_yaxis()
plt.xlim(0, 1.15)
plt.xlabel("time of a pass, × autograd")
plt.show()

# %% tags=["remove-input"]
assert small["two products"] < small["our layers"] < 0.85
assert small["bare calls"] < 1.05 * small["our layers"]
Markdown(
    f"A pass by hand takes **{small['our layers']:.2f}** of autograd's time. "
    f"{small['two products']:.2f} are the two products, the same for both. "
    f"The other calls of the pass bring it to {small['bare calls']:.2f}, and "
    f"the classes, their names and their memory cost the rest, "
    f"{small['our layers'] - small['bare calls']:.2f}. Half of autograd's time, "
    "the dashed line, would need faster products, not better classes."
)

# %% [markdown]
r"""
## It trains

The gradients lie where an optimiser looks for them. Here is its simplest form:
a step against the gradient for each full batch, three times through the first
10,000 images. The loss on other images, the mean square of the error in digits,
and the loss of who always answers their mean digit:
"""


# %%
def train(model: Model, parameters: list[Tensor], lr: float, epochs: int = 3):
    for _ in range(epochs):
        for batch in torch.randperm(10_000).split(64)[:-1]:
            model(x[batch], target[batch])
            model.backward()
            for p in parameters:
                p -= lr * p.grad


parameters = start()
model = build(*parameters)
train(model, parameters, lr=0.01)
held_out = slice(40_000, 50_000)
loss = model(x[held_out], target[held_out])
assert loss < 3 and 7.5 < target[held_out].var() < 8.5
loss, target[held_out].var()

# %% [markdown]
r"""
## What the source's listings get wrong

The last listing of the source builds the same network of torch's layers, and
keeps them in a list. Spelled as it should be, it runs. And then:
"""


# %% tags=["reference"]
class InAList(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [torch.nn.Linear(784, 50), torch.nn.Linear(50, 1)]


len(list(InAList().parameters()))

# %% [markdown]
r"""
It has no parameters. Torch's module looks at its attributes, and a list is an
attribute like any other; nobody looks inside. The timing does not show it.
Chapter {doc}`/2_backward/7_module` builds the list that is looked into. The
rest of the listing is exercise 4.

## What we built

| name | module | what it is |
| --- | --- | --- |
| `Layer` | `manual.layers` | the base: remembers its call; `forward`, `learn`, `input_gradient` |
| `ReLULayer`, `LinearLayer`, `MSELayer` | `manual.layers` | the layers, each both ways |
| `Model` | `manual.layers` | a list of layers and a loss, each run in its direction |

## Questions

:::{dropdown} Why may the first layer skip its input's gradient, and no other?
Every other layer's input is the result of a layer, which needs the gradient to
learn, or to pass it on. The first layer's input is the data.
:::

:::{dropdown} Why two methods and not `backward(grad_y, skip_input=True)`?
A flag makes every layer decide, at every call, what the model knows once.
:::

:::{dropdown} A layer is used twice in one model. What goes wrong?
It remembers only its last call. On the way back both places read the arguments
of the second. The object mixes two things, the parameters, of which there is
one set, and the memory, of which there is one a call. An autograd engine keeps
them apart.
:::
"""

# %% tags=["answer"]
twice = ReLULayer()
twice(torch.tensor([1.0, 1.0]))
twice(torch.tensor([-1.0, 1.0]))
once = twice.input_gradient(torch.ones(2))  # the first call passed both
assert_equal(once.tolist(), [0.0, 1.0])

# %% [markdown]
r"""
:::{dropdown} When would leaving out the gradient of the data be wrong?
When someone asks for it: to see which pixels matter, to change an image so that
the network errs, or when the "data" is the result of another network.
:::

:::{dropdown} Torch adds a new gradient to the old one. What do we do, and what does that change?
`learn` replaces it. So there is nothing to reset before the next batch; but who
wants the sum over several batches must add them himself.
:::

## Exercises

**1.** Write a layer `Sigmoid`. Its slope is $\sigma(1 - \sigma)$, so it needs
only its result. Check it with `numerical_gradient` of 2.3.
"""


# %% tags=["solution"]
class Sigmoid(Layer):
    def forward(self, x: Tensor) -> Tensor:
        return 1 / (1 + (-x).exp())

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        return grad_y * self.out * (1 - self.out)


points = torch.linspace(-2, 2, 9).double()
sigmoid, weights = Sigmoid(), torch.randn(9).double()
sigmoid(points)
numeric = numerical_gradient(lambda x: (Sigmoid()(x) * weights).sum(), points)
assert_close(sigmoid.input_gradient(weights), numeric, rtol=1e-6)

# %% [markdown]
r"""
**2.** The source's ReLU is `x.clamp(min=0) - 0.5`, its text says
$\max(x, -\tfrac12)$. Derive both from `ReLULayer`. Which method is the trap?
"""


# %% tags=["solution"]
class LoweredReLULayer(ReLULayer):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) - 0.5

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        return relu_gradient(self.out + 0.5, grad_y)


class ExtendedReLULayer(LoweredReLULayer):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=-0.5)


# ReLU's own method asks whether the *result* is above 0, not above -1/2.
ones = torch.ones_like(points)
for layer, corner in ((LoweredReLULayer(), 0), (ExtendedReLULayer(), -0.5)):
    layer(points)
    passed = (points > corner).double()
    assert_equal(layer.input_gradient(ones), passed)
    assert not ReLULayer.input_gradient(layer, ones).equal(passed)

# %% [markdown]
r"""
**3.** Make `Stack`, a `Layer` that holds layers, so that a model can be nested
in a model. Which gradients does its `learn` need, and which need not be
computed?
"""


# %% tags=["solution"]
class Stack(Layer):
    def __init__(self, *layers: Layer):
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x

    def learn(self, grad_y: Tensor) -> None:
        first, *others = self.layers
        for layer in reversed(others):
            grad_y = layer.backward(grad_y)
        first.learn(grad_y)
        self.grad_first = grad_y

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        return self.layers[0].input_gradient(self.grad_first)


def build_nested(w1, b1, w2, b2) -> Model:
    inner = Stack(ReLULayer(), LinearLayer(w2, b2))
    return Model([LinearLayer(w1, b1), inner], MSELayer())


build, flat = build_nested, build
check()
build = flat

# %% [markdown]
r"""
**4.** The last listing of the source is below, as printed. What happens when it
is called, in which order, and how is each mended?

```python
class Model(nn.Module):
    def __init__(self, n_in, nh, n_out):
        super()._0_init__()
        self.layers = [nn.Linear(n_in, nh), nn.ReLU(), nn.Linear(nh, n_out)]
        self.loss = mse

    def __call__(self, x, targ):
        for l in self.layers: x = l(x)
        return self.loss(x.squeeze(), targ)
```
"""


# %% tags=["solution", "reference"]
class Mended(torch.nn.Module):
    def __init__(self, n_in: int, n_hidden: int, n_out: int):
        super().__init__()
        self.layers = torch.nn.Sequential(  # not a list, which is not found
            torch.nn.Linear(n_in, n_hidden),
            torch.nn.ReLU(),
            torch.nn.Linear(n_hidden, n_out),
        )

    def forward(self, x: Tensor, target: Tensor) -> Tensor:  # not __call__
        # the last axis only, or a batch of one image loses its batch
        return (self.layers(x).squeeze(-1) - target).pow(2).mean()


# The first to fail, before any of these: there is no `_0_init__`.
assert not hasattr(torch.nn.Module, "_0_init__")
assert_equal(len(list(Mended(784, 50, 1).parameters())), 4)
assert_equal(tuple(Mended(784, 50, 1)(x[:1], target[:1]).shape), ())

# %% [markdown]
r"""
**5.** Chapter 2.2 left open which trains better, ReLU or one of the two shifted
readings. Train each on five seeds, at its own best rate of three, and subtract
in pairs. (Choose the rate on images that are not scored.)
"""


# %% tags=["solution"]
def final_losses(bend: type[Layer], lr: float, seed: int) -> list[float]:
    """The losses on 10,000 images to choose by, and 10,000 to score by."""
    w1, b1, w2, b2 = parameters = start(seed)
    layers = [LinearLayer(w1, b1), bend(), LinearLayer(w2, b2)]
    model = Model(layers, MSELayer())
    train(model, parameters, lr, epochs=2)
    parts = slice(30_000, 40_000), slice(40_000, 50_000)
    return [model(x[rows], target[rows]).item() for rows in parts]


def at_its_best(bend: type[Layer]) -> list[float]:
    tried = [
        [final_losses(bend, lr, seed) for seed in range(5)]
        for lr in (0.005, 0.01, 0.02)
    ]
    best = min(tried, key=lambda runs: mean(chosen for chosen, _ in runs))
    return [scored for _, scored in best]


plain, *shifted = map(
    at_its_best, (ReLULayer, LoweredReLULayer, ExtendedReLULayer)
)
gains = [[p - s for p, s in zip(plain, each, strict=True)] for each in shifted]
assert all(mean(each) > 2 * stdev(each) / 5**0.5 for each in gains)
[f"{mean(each):.2f} ± {stdev(each):.2f}" for each in gains]

# %% [markdown]
r"""
Both shifted readings end with a lower loss here, on a network of one bend that
predicts a number. What holds for deep networks and for classes is another
experiment.
"""

# %% [markdown]
r"""
Forward is code, backward is code, and the order of the second is the order of
the first, read backwards. A machine could have known.
{doc}`/2_backward/5_autograd` builds the one that does.
"""

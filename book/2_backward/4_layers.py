# %% [markdown] module="manual.layers"
r"""
# Layers as classes

Chapter 2.3 wrote five functions for three gradients, and one more that knew
what to keep and in which order to call them. Another network needs another
such function. **Can a layer hold both of its halves, so that a network is just
a list? And what does that cost beside torch?**

The lesson that we follow ends at 158 ms for a backward pass. Torch's takes
33.8 ms there. This chapter ends where torch is, and shows where the time went.

| name | shape | meaning |
| --- | --- | --- |
| `x` | (n, 784) | images, one a row |
| `target` | (n,) | the digits that are in the images |
| `w`, `b` | (d_in, d_out), (d_out,) | weights and bias of a layer |
| `weight`, `bias` | (d_out, d_in), (d_out,) | the same, as the last version keeps them |
| `out` | | the result of a layer |
| `grad_y` | as `out` | the gradient of the loss by that result |
| `weight.grad` | as `weight` | the gradient of the loss by a parameter |
"""

# %% Imports tags=["hide-input"]
import random
from time import process_time

import matplotlib.pyplot as plt
from IPython.display import Markdown

from groundup.datasets import mnist
from groundup.manual.gradients import (
    linear_bias_gradient,
    linear_input_gradient,
    linear_weight_gradient,
    mse_gradient,
    relu_gradient,
)
from groundup.testing import assert_close, assert_equal

# %% tags=["export"]
"""Layers that hold their function and its gradient, written by hand."""

import torch
from torch import Tensor
from torch.nn.functional import linear, relu

# %% [markdown]
r"""
The network is that of {doc}`/2_backward/3_backward`: 784 pixels, 50 hidden
units, one number. This time all 50,000 training images take part, for
we want to know the time.
"""

# %%
images, labels = mnist()
x = images[:50_000].flatten(1) / 255
x = (x - x.mean()) / x.std()
target = labels[:50_000].float()

torch.manual_seed(0)
w1, b1 = torch.randn(784, 50) * (2 / 784) ** 0.5, torch.zeros(50)
w2, b2 = torch.randn(50, 1) * (1 / 50) ** 0.5, torch.zeros(1)
x.shape, f"{x.nbytes / 1e6:.0f} MB"

# %% [markdown]
r"""
## One check for every version

Six versions follow, and all of them answer to the same check, so we write it
first. What is right, we know from 2.3. Its functions give the four gradients of
the first 1,000 images, in float64, where rounding hides nothing.
"""

# %%
x_check, target_check = x[:1000].double(), target[:1000].double()
v1, c1, v2, c2 = (p.double() for p in (w1, b1, w2, b2))
z = x_check @ v1 + c1
h = z.clamp(min=0)
out = h @ v2 + c2
expected_loss = (out.squeeze(-1) - target_check).pow(2).mean()
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
Autograd, our second judge, agrees.
"""

# %% tags=["reference"]
leaves = [p.double().requires_grad_() for p in (w1, b1, w2, b2)]
hidden = torch.relu(x_check @ leaves[0] + leaves[1])
predicted = (hidden @ leaves[2] + leaves[3]).squeeze(-1)
torch.nn.functional.mse_loss(predicted, target_check).backward()
for leaf, grad in zip(leaves, expected, strict=True):
    assert_close(leaf.grad, grad, rtol=1e-9, atol=1e-12)

# %% [markdown]
r"""
`build` makes the network out of whatever `LinearLayer`, `ReLULayer`, `MSELayer`
and `Model` mean at that moment. (The source calls the three layers `Lin`,
`Relu` and `Mse`; our names keep clear of the modules of 2.6 and torch.) A
gradient lands in the attribute `grad` of its parameter. That is where torch
puts it, so every optimiser looks there.
"""


# %%
def build(w1, b1, w2, b2) -> "Model":
    layers = [LinearLayer(w1, b1), ReLULayer(), LinearLayer(w2, b2)]
    return Model(layers, MSELayer())


def check(parameters=(w1, b1, w2, b2)) -> None:
    copies = [p.double() for p in parameters]
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
    def __init__(self, w: Tensor, b: Tensor):
        self.w, self.b = w, b

    def __call__(self, x: Tensor) -> Tensor:
        self.x = x
        return x @ self.w + self.b

    def backward(self, grad_y: Tensor) -> Tensor:
        self.w.grad = (self.x.unsqueeze(-1) * grad_y.unsqueeze(1)).sum(0)
        self.b.grad = linear_bias_gradient(grad_y)
        return linear_input_gradient(self.w, grad_y)


# %% [markdown]
r"""
The loss is the last function and so the first on the way back. The gradient of
the loss by itself is 1. The source squeezes without an axis here, with the trap
that 2.3 has shown; `squeeze(-1)` has none.
"""


# %%
class MSELayer:
    def __call__(self, out: Tensor, target: Tensor) -> Tensor:
        self.out, self.target = out, target
        return (out.squeeze(-1) - target).pow(2).mean()

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
        grad = self.loss.backward()
        for layer in reversed(self.layers):
            grad = layer.backward(grad)


check()

# %% [markdown]
r"""
The function `gradients` of 2.3 is gone, and with it every name between the
layers. `Model.backward` knows nothing of any layer but that it
has a `backward`. A network of ten layers is a longer list.

We keep a model of this version, to time it when all have been written. An
object keeps the class it was made of, so redefining the names does not change
it.
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

    def forward(self, *args: Tensor) -> Tensor:
        raise NotImplementedError

    def backward(self, grad_y: Tensor) -> Tensor:
        return self.bwd(grad_y, *self.args)

    def bwd(self, grad_y: Tensor, *args: Tensor) -> Tensor:
        raise NotImplementedError


# %% [markdown]
r"""
The layers shrink to their two formulas. In passing, the outer product turns
into the {term}`Einstein summation` that it is: over the images `b`, for each
input `i` and each output `j`. The giant array is gone. (`class Model(Model)`
continues the class: it shows only the lines that change. The last version will
be written out.)
"""


# %%
class ReLULayer(Layer):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=0)

    def bwd(self, grad_y: Tensor, x: Tensor) -> Tensor:
        return relu_gradient(x, grad_y)


class MSELayer(Layer):
    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        return (out.squeeze(-1) - target).pow(2).mean()

    def bwd(self, grad_y: float, out: Tensor, target: Tensor) -> Tensor:
        return grad_y * mse_gradient(out, target)


# %%
class LinearLayer(Layer):
    def __init__(self, w: Tensor, b: Tensor):
        self.w, self.b = w, b

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w + self.b

    def bwd(self, grad_y: Tensor, x: Tensor) -> Tensor:
        self.w.grad = torch.einsum("bi,bj->ij", x, grad_y)
        self.b.grad = linear_bias_gradient(grad_y)
        return linear_input_gradient(self.w, grad_y)


class Model(Model):
    def backward(self) -> None:
        grad = self.loss.backward(1.0)
        for layer in reversed(self.layers):
            grad = layer.backward(grad)


check()
versions["einsum"] = build(w1, b1, w2, b2)

# %% [markdown]
r"""
## einsum against @

The source's last step: a matrix product in place of `einsum`. It went from 174
to 158 ms with that.
"""


# %%
class LinearLayer(LinearLayer):
    def bwd(self, grad_y: Tensor, x: Tensor) -> Tensor:
        self.w.grad = linear_weight_gradient(x, grad_y)
        self.b.grad = linear_bias_gradient(grad_y)
        return linear_input_gradient(self.w, grad_y)


check()
versions["@"] = build(w1, b1, w2, b2)

# %% [markdown]
r"""
Here the source stops, four and a half times as slow as torch. So let us measure
where the time is.

## Where is the time?

Each of the operations of one pass, alone, with the shapes it has there. We use
one thread and count the seconds in which the processor works for us, not those
of the clock. So it does not matter what else the machine is doing.
"""

# %%
torch.set_num_threads(1)


# %% tags=["hide-input"] alt="Horizontal bars, the share of the time of each operation of a pass. The gradient of the data takes the most, then the first layer's product and its weight gradient; every other bar is short."
def seconds(function, *args) -> float:
    start = process_time()
    function(*args)
    return process_time() - start


z, grad_z = torch.randn(2, 50_000, 50)
h, grad_out = z.clamp(min=0), torch.randn(50_000, 1)
operations = {
    "x @ w1 + b1": lambda: x @ w1 + b1,
    "ReLU": lambda: z.clamp(min=0),
    "h @ w2 + b2": lambda: h @ w2 + b2,
    "gradient of w2": lambda: h.T @ grad_out,
    "gradient of h": lambda: grad_out @ w2.T,
    "gradient of z": lambda: relu_gradient(z, grad_z),
    "gradient of b1": lambda: grad_z.sum(0),
    "gradient of w1": lambda: x.T @ grad_z,
    "gradient of x": lambda: grad_z @ w1.T,
}
shares = {
    name: min(seconds(operation) for _ in range(3))
    for name, operation in operations.items()
}
shares = {name: s / sum(shares.values()) for name, s in shares.items()}
plt.figure(figsize=(6, 3.2))
plt.barh(list(shares), list(shares.values()), color="C0")
plt.gca().invert_yaxis()
plt.xlabel("share of the time")
plt.show()

# %% [markdown]
r"""
Three products make up nearly all of it, each of 2 × 50,000 × 784 × 50, or 3.9
billion, operations. The largest is the gradient of `x`. **Who asked for it?**
Nobody trains the images. Autograd computes a gradient only for what leads to
something that wants one, so it leaves this one out. Our layers cannot: what
belongs to the parameters and what belongs to the input is one method.

## Two halves of the way back

So we split it. `learn` stores the gradients of a layer's own parameters, if it
has any; `input_gradient` returns its input's; `backward` is one after the
other. The model asks each layer for both, and the first only to learn.
"""


# %%
class Layer(Layer):
    def learn(self, grad_y: Tensor) -> None:
        pass

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        raise NotImplementedError

    def backward(self, grad_y: Tensor) -> Tensor:
        self.learn(grad_y)
        return self.input_gradient(grad_y)


class Model(Model):
    def backward(self) -> None:
        first, *others = self.layers
        grad = self.loss.backward(1.0)
        for layer in reversed(others):
            grad = layer.backward(grad)
        first.learn(grad)


# %%
class ReLULayer(Layer):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=0)

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        (x,) = self.args
        return relu_gradient(x, grad_y)


class MSELayer(Layer):
    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        return (out.squeeze(-1) - target).pow(2).mean()

    def input_gradient(self, grad_y: float) -> Tensor:
        return grad_y * mse_gradient(*self.args)


# %% [markdown]
r"""
Only the linear layer has something to learn.
"""


# %%
class LinearLayer(Layer):
    def __init__(self, w: Tensor, b: Tensor):
        self.w, self.b = w, b

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w + self.b

    def learn(self, grad_y: Tensor) -> None:
        (x,) = self.args
        self.w.grad = linear_weight_gradient(x, grad_y)
        self.b.grad = linear_bias_gradient(grad_y)

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        return linear_input_gradient(self.w, grad_y)


check()
versions["no gradient of x"] = build(w1, b1, w2, b2)

# %% [markdown]
r"""
## A mask of numbers

Of the short bars the longest is that of ReLU's gradient, by which `z` gets its
own. `grad_y * (x > 0)` multiplies floats with truth values, and first has to turn every one of these into a float. The
sign of ReLU's *result* is the same mask: 1 where something passed and 0
elsewhere, and it is a float already.
"""

# %%
relu_gradient(z, grad_z).equal(grad_z * h.sign())


# %%
class ReLULayer(Layer):
    def forward(self, x: Tensor) -> Tensor:
        return relu(x)

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        return self.out.sign().mul_(grad_y)


check()
versions["mask by sign"] = build(w1, b1, w2, b2)

# %% [markdown]
r"""
The product is made in place: `mul_` writes into the new array of signs, and
saves another. The more usual `grad_y.mul_(x > 0)` overwrites a tensor that
belongs to the caller, and whoever asks twice for a gradient then gets a wrong
one. Each beside the fastest:
"""


# %% tags=["hide-input"]
def in_place() -> Tensor:
    return grad_z.mul_(z > 0)


masks = {
    "grad_y * (x > 0)": lambda: relu_gradient(z, grad_z),
    "grad_y.mul_(x > 0)": in_place,
    "grad_y * out.sign()": lambda: grad_z * h.sign(),
    "out.sign().mul_(grad_y)": lambda: h.sign().mul_(grad_z),
}
best = {
    name: min(seconds(mask) for _ in range(9)) for name, mask in masks.items()
}
fastest = min(best.values())
{name: round(each / fastest, 1) for name, each in best.items()}

# %% [markdown]
r"""
## Weights by rows

The two products that remain are both needed, so only *how* they are computed
is left. The weight gradient is
$x^\top \nabla_y$, of shape (784, 50). Its transpose
$\nabla_y^\top x$ has the same numbers. But now the long rows of `x`
are read as they lie in memory, and not across.

So we store the weights as (d_out, d_in), which is what torch does too. Chapter
2.2 has earned `linear` for this layout. It adds the bias within the product,
where `x @ w + b` makes a second pass over a second array.
"""


# %%
class LinearLayer(Layer):
    def __init__(self, weight: Tensor, bias: Tensor):
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)

    def learn(self, grad_y: Tensor) -> None:
        (x,) = self.args
        self.weight.grad = grad_y.T @ x
        self.bias.grad = grad_y.sum(0)

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        return grad_y @ self.weight


# %% [markdown]
r"""
The check is the same. Only its weights, and the gradients that it expects of
them, lie the other way round.
"""

# %%
by_rows = w1.T.contiguous(), b1, w2.T.contiguous(), b2
expected[0], expected[2] = expected[0].T, expected[2].T
check(by_rows)

# %% [markdown]
r"""
## The last version

Written out once more, and whole. The loss now also refuses two shapes that
would broadcast to nonsense.
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
Two layers fill it in: ReLU, with the mask of signs, and the linear layer, with
its weights by rows.
"""


# %% ReLU tags=["export"]
class ReLULayer(Layer):
    """Negative elements become zero: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        """max(x, 0)."""
        return relu(x)

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        """grad_y where the result is positive, else 0."""
        return self.out.sign().mul_(grad_y)  # into an array of our own


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
        self.weight.grad = grad_y.T @ x
        self.bias.grad = grad_y.sum(0)

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        """Gradient of the input: (n, d_out) -> (n, d_in)."""
        return grad_y @ self.weight


# %%
layer, bend = LinearLayer(torch.eye(2), torch.tensor([0.0, -2.0])), ReLULayer()
result = bend(layer(torch.ones(3, 2)))
grad_x = layer.backward(bend.backward(torch.ones(3, 2)))
result[0], grad_x[0], layer.weight.grad

# %% [markdown]
r"""
The second unit is silent in all three rows: it learns nothing, and passes
nothing on.

The loss is a layer like the others, but for its second argument, and the model
is the only one who knows an order.
"""


# %% The loss tags=["export"]
class MSELayer(Layer):
    """Mean squared error: (n, 1), (n,) -> ()."""

    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        """The mean of (out - target) ** 2."""
        if out.shape != (*target.shape, 1):
            shapes = f"{tuple(out.shape)} and {tuple(target.shape)}"
            raise ValueError(f"expected shapes (n, 1) and (n,), got {shapes}")
        return (out.squeeze(-1) - target).pow(2).mean()

    def input_gradient(self, grad_y: Tensor | float) -> Tensor:
        """Gradient of the predictions: () -> (n, 1)."""
        return grad_y * mse_gradient(*self.args)


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


# %%
check(by_rows)
versions["weights by rows"] = build(*by_rows)

# %% [markdown]
r"""
## The table

Now all versions and autograd compute the same, on the same network and data, in
turns, on one thread, and we divide the best times. A *pass* is forward and
backward; the second column is the way back alone. Only the outer product's
version runs on the first 1,000 images, fifty times fewer: whole, it would need
7.8 GB.
"""

# %% tags=["reference"]
net = torch.nn.Sequential(
    torch.nn.Linear(784, 50), torch.nn.ReLU(), torch.nn.Linear(50, 1)
)
for p, start in zip(net.parameters(), by_rows, strict=True):
    p.data.copy_(start)


class Autograd:
    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        predicted = net(x).squeeze(-1)
        self.loss = torch.nn.functional.mse_loss(predicted, target)
        return self.loss

    def backward(self) -> None:
        self.loss.backward()


# %% [markdown]
r"""
A turn runs every rival once, in a new order, so that none is always the one
that finds the caches warm. Gradients of the turn before are forgotten first.
"""


# %% tags=["reference"]
def forget() -> None:
    for p in (w1, b1, w2, b2, *by_rows, *net.parameters()):
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
times = best_of(3, rivals)
ratios = {
    name: (whole / times["autograd"][0], back / times["autograd"][1])
    for name, (whole, back) in times.items()
}
rows = [
    f"| {name} | {whole:.2f} | {back:.2f} |"
    for name, (whole, back) in ratios.items()
]
head = ["| version | pass, × autograd | way back, × autograd |"]
Markdown("\n".join([*head, "| --- | --- | --- |", *rows]))

# %% [markdown]
r"""
The first column again, as bars:
"""

# %% tags=["hide-input"] alt="Horizontal bars of the time of a pass beside autograd's, a line at 1. The outer product's is far longer than the figure and cut off. einsum and @ take about twice as long as autograd, without the gradient of x it falls to about 1, and the later versions are at the line."
names = list(ratios)[1:]
passes = [ratios[name][0] for name in names]
plt.figure(figsize=(6.5, 3))
plt.barh(names, [min(each, 3) for each in passes], color="C0")
for i, each in enumerate(passes):
    cut = ", cut off" if each > 3 else ""
    plt.text(min(each, 3) + 0.03, i, f"{each:.2f}{cut}", va="center")
plt.axvline(1, color="0.5", ls="--")
plt.gca().invert_yaxis()
plt.xlim(0, 3.8)
plt.xlabel("time of a pass, × autograd")
plt.show()

# %% [markdown]
r"""
Row by row:

* **The outer product** writes and reads a giant. It is no layer's fault: a
  matrix product does the same sum and never makes it.
* **einsum against `@`** is worth nothing. `einsum` *is* a matrix product here,
  after its letters have been read. The source's 174 and 158 ms were single runs
  of a thing that varies by more than that.
* **The gradient of the data** is the one large step. It explains the source's
  gap: a third of the operations of a pass, and more of its time, since its
  result is another 157 MB that must be written. Autograd was not faster at it.
  It did not do it.
* **The mask, the rows and the bias** take what is left, a few percent each.

A busy machine blurs such numbers, so the chapter asserts only what is far from
the noise: we end level with autograd, not ahead. The project's benchmark times
the last version against autograd with many more turns.
"""

# %%
assert ratios["outer product"][0] > 5
assert times["no gradient of x"][0] < 0.9 * times["@"][0]
assert times["weights by rows"][0] < 1.5 * times["autograd"][0]
round(times["no gradient of x"][0] / times["@"][0], 2)

# %% [markdown]
r"""
### Small batches

On 50,000 rows all time goes into two products, and those are the same
library's, so nobody can be much faster. Training takes {term}`mini-batches
<mini-batch>`. With 64 images the products are short, and what counts is all the
rest: autograd has to record each step, find the order, and guard against uses
that we do not have. Here our classes only do what must be done.
"""

# %% tags=["hide-input"]
few = {"autograd": rivals["autograd"], "ours": build(*by_rows)}
small = best_of(300, few, rows=64)
forget()
at_64 = small["ours"][0] / small["autograd"][0]
assert at_64 < 1.1
round(at_64, 2)

# %% [markdown]
r"""
## It trains

The gradients lie where an optimiser looks for them. Here is its simplest form:
a step against the gradient for each batch, three times through the first 10,000
images. The loss is the mean square of the error, in digits. Who always answers
the mean digit has a loss of about 8.
"""

# %%
parameters = [p.clone() for p in by_rows]
model = build(*parameters)
losses = []
for _ in range(3):
    for batch in torch.randperm(10_000).split(64):
        losses.append(model(x[batch], target[batch]).item())
        model.backward()
        for p in parameters:
            p -= 0.01 * p.grad

# %%
held_out = slice(40_000, 50_000)
loss = model(x[held_out], target[held_out])
assert loss < 3
loss

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
attribute like any other; nobody looks inside. The timing does not show it, and
an optimiser would have nothing to train. Chapter {doc}`/2_backward/7_module`
builds the module and the list that is looked into. The rest of the listing is
exercise 4.

The text does not always agree with the tables either: it says that a forward
pass takes 8 ms, above a measurement of 6.71. With ratios, taken in turns in one
run, no text has to remember a number.

## What we built

| name | module | what it is |
| --- | --- | --- |
| `Layer` | `manual.layers` | the base: remembers its call; `forward`, `learn`, `input_gradient` |
| `ReLULayer`, `LinearLayer`, `MSELayer` | `manual.layers` | the layers, each both ways |
| `Model` | `manual.layers` | a list of layers and a loss, each run in its direction |

## Questions

:::{dropdown} What does `__call__` do for us?
Objects of the class can be called like functions. So a layer can stand where a
function stood, and still remember.
:::

:::{dropdown} Why may the first layer skip its input's gradient, and no other?
Every other layer's input is the result of a layer, which needs the gradient to
learn, or to pass it on. The first layer's input is the data.
:::

:::{dropdown} Why two methods and not `backward(grad_y, skip_input=True)`?
A flag makes every layer decide, at every call, what the model knows once. With
two methods nobody asks: the model calls what it needs, and a new layer has two
short formulas to fill in.
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

:::{dropdown} Why is our advantage larger with 64 images than with 50,000?
What autograd does besides the products costs the same for any number of rows.
In a large batch it disappears beside them; in a small one it is most of the
time.
:::

:::{dropdown} Torch adds a new gradient to the old one. What do we do, and what does that change?
`learn` replaces it. So there is nothing to reset before the next batch; but who
wants the sum over several batches must add them himself, as exercise 5 does.
:::

## Exercises

**1.** The source's ReLU is `x.clamp(min=0) - 0.5`. Derive it from `ReLULayer`.
Which of the two methods must change, and what is the trap?
"""


# %% tags=["solution"]
class ShiftedReLULayer(ReLULayer):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) - 0.5

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        return grad_y * (self.out + 0.5).sign()


# The gradient is ReLU's, but `out` is not: its sign is -1, 0 or 1.
shifted, points = ShiftedReLULayer(), torch.linspace(-2, 2, 9)
shifted(points)
ones = torch.ones(9)
assert_equal(shifted.input_gradient(ones), relu_gradient(points, ones))
assert not ReLULayer.input_gradient(shifted, ones).equal((points > 0).float())

# %% [markdown]
r"""
**2.** Write a layer `Sigmoid`. Its slope is $\sigma(1 - \sigma)$, so it needs
only its result. Check it with `numerical_gradient` of 2.3.
"""

# %% tags=["solution"]
from groundup.manual.gradients import numerical_gradient


class Sigmoid(Layer):
    def forward(self, x: Tensor) -> Tensor:
        return 1 / (1 + (-x).exp())

    def input_gradient(self, grad_y: Tensor) -> Tensor:
        return grad_y * self.out * (1 - self.out)


sigmoid, weights = Sigmoid(), torch.randn(9).double()
sigmoid(points.double())
numeric = numerical_gradient(
    lambda x: (Sigmoid()(x) * weights).sum(), points.double()
)
assert_close(sigmoid.input_gradient(weights), numeric, rtol=1e-6)

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
check(by_rows)
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
class Printed(torch.nn.Module):
    def __init__(self):
        super()._0_init__()  # the first to fail: there is no such method


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


try:
    Printed()
except AttributeError as error:
    assert "_0_init__" in str(error)
else:
    raise AssertionError("the listing must fail")
assert_equal(len(list(Mended(784, 50, 1).parameters())), 4)
assert Mended(784, 50, 1)(x[:1], target[:1]).shape == ()

# %% [markdown]
r"""
**5.** `x` is read from memory twice, since 157 MB fit into no cache: once on
each way. Go forward and back with 500 rows, then with the next 500, and add up
the gradients, each block's by its share. Check it, and time it. Is it worth a
place in the model?
"""


# %% tags=["solution"]
def by_blocks(model: Model, parameters, x, target, size=500) -> None:
    sums = [torch.zeros_like(p) for p in parameters]
    for rows, t in zip(x.split(size), target.split(size), strict=True):
        model(rows, t)
        model.backward()
        for total, p in zip(sums, parameters, strict=True):
            total += p.grad * (len(rows) / len(x))
    for p, total in zip(parameters, sums, strict=True):
        p.grad = total


copies = [p.double() for p in by_rows]
by_blocks(build(*copies), copies, x_check, target_check, size=300)
for p, grad in zip(copies, expected, strict=True):
    assert_close(p.grad, grad, rtol=1e-9, atol=1e-12)

in_blocks = min(
    seconds(by_blocks, model, parameters, x, target) for _ in range(2)
)
round(in_blocks / times["weights by rows"][0], 2)

# %% [markdown]
r"""
Near 1: it saves some reading, and pays for a hundred calls of each operation.
On another machine, with another cache, it may be different. It is not worth a
place.
"""

# %% [markdown]
r"""
Forward is code, backward is code, and the order of the second is the order of
the first, read backwards. A machine could have known.
{doc}`/2_backward/5_autograd` builds the one that does.
"""

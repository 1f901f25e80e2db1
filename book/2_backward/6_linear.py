# %% [markdown] module="nn.parameter"
r"""
# nn.Linear, twice, and the square root of five

`nn.Linear` has been on loan since {doc}`/1_pixels/3_network`. It looks like a
matrix product with a bias, so it should take ten lines. The first ten lines
work, and learn badly. **What else is in a layer, and why is every bit of it
there?**

We write it twice. Between the two stands a listing with four bugs, found by
tests, and a constant, $\sqrt 5$, that looks like a bug and is not quite one.
Around the layer grows a small `Module`: it finds its parameters, calls
`forward`, knows what is absent, and prints itself.

| name | shape | meaning |
| --- | --- | --- |
| `input` | `(*, in_features)` | any number of leading axes |
| `weight` | `(out_features, in_features)` | one row of weights for each output |
| `bias` | `(out_features,)` | or `None` |
"""

# %% Imports tags=["hide-input"]
import copy
import math
import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown
from torch import Tensor
from torch.nn.functional import linear

from groundup.datasets import mnist
from groundup.nn import init
from groundup.nn.functional.activation import relu
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## A test bench

A layer is judged by what it learns. The task is all ten digits of MNIST, the
model a single layer from 784 pixels to 10 scores, batches of 64, a learning
rate of 0.02, one epoch. The loss is cross-entropy, which part 3 builds; here it
is on loan.
"""

# %% The bench loans="torch.nn.functional.cross_entropy" repaid="3_training/1_loss"
from torch.nn.functional import cross_entropy

images, digits = mnist()
x = images[:50_000].view(-1, 784).float() / 255
y = digits[:50_000]


def batches(seed: int = 0) -> Iterator[Tensor]:
    """The rows of each batch of one epoch, shuffled."""
    generator = torch.Generator().manual_seed(seed)
    yield from torch.randperm(len(x), generator=generator).split(64)


def train(
    forward: Callable, decayed: list, others: Iterable = (), decay: float = 1e-5
) -> list[float]:
    """One epoch; the loss of each batch without the decay's share."""
    params, losses = [*decayed, *others], []
    for rows in batches():
        loss = cross_entropy(forward(x[rows]), y[rows])
        penalty = sum((param**2).sum() for param in decayed)
        (loss + decay * penalty).backward()
        with torch.no_grad():
            for param in params:
                param -= 0.02 * param.grad
                param.grad = None
        losses.append(loss.item())
    return losses


# %% [markdown]
r"""
`train` adds the squares of the weights to the loss, times a small number. That
is {term}`weight decay` as the sources do it: large weights cost something, so
the descent keeps them small.

## The first version

A weight, a bias, a product. The weight has one row for each *output*, as in
torch, so the product takes its transpose.
"""


# %%
class Linear:
    def __init__(self, in_features: int, out_features: int):
        self.weight = torch.randn(out_features, in_features).requires_grad_()
        self.bias = torch.randn(out_features).requires_grad_()

    def forward(self, input: Tensor) -> Tensor:
        return input @ self.weight.T + self.bias


torch.manual_seed(0)
layer = Linear(784, 10)
first_losses = train(layer.forward, [layer.weight, layer.bias])
round(first_losses[0], 2), round(sum(first_losses[-50:]) / 50, 2)

# %% [markdown]
r"""
It learns. But ten digits guessed at random cost $\ln 10 = 2.30$, and this layer
*starts* far above that: with 784 weights of variance 1 its scores have a spread
near 9, and it is sure of wrong answers. After an epoch it has made up part of
what its first numbers cost. From {doc}`/2_backward/2_init` we know what to do
about it, but first the other parts of a layer.

## Parameters that are found

`train` had to be told what to train. In a network of a hundred layers nobody
wants to keep that list. So a parameter shall be a tensor of a type of its own,
and a {term}`module` something that can list the parameters it holds.
"""


# %% A parameter tags=["export"] earns="torch.nn.Parameter"
"""Parameters: the tensors that training changes."""


class Parameter(torch.Tensor):
    """A tensor that training changes; any shape, found by its module."""

    _is_param = True  # so that isinstance(ours, torch.nn.Parameter) holds
    __torch_function__ = torch._C._disabled_torch_function_impl

    def __new__(
        cls, data: Tensor | None = None, requires_grad: bool = True
    ) -> "Parameter":
        data = torch.empty(0) if data is None else data
        return torch.Tensor._make_subclass(cls, data, requires_grad)

    def __repr__(self) -> str:
        data = self.detach().requires_grad_(self.requires_grad)
        return f"Parameter containing:\n{data!r}"


# %% [markdown]
r"""
A parameter *is* a tensor: `_make_subclass` puts another label on the same
memory. The line with `__torch_function__` says that results of operations are
plain tensors again; a sum of parameters is nothing to train.
"""

# %%
weight = Parameter(torch.ones(2, 3))
type(weight), type(weight * 2), weight.requires_grad

# %% [markdown]
r"""
Torch refuses to deep-copy a type that it does not know. A pickle, by which a
parameter travels to another process, it reads back as the result of an
operation, and what is not a leaf of the graph gets no gradient:
"""

# %% loans="torch.Tensor.is_leaf" repaid="2_backward/9_engine"
pickle.loads(pickle.dumps(weight)).is_leaf

# %% [markdown]
r"""
So both are told how to make a parameter again. What somebody has pinned to it,
such as a mark that an optimiser reads, goes with the pickle.
"""


# %% Copies and pickles tags=["export"]
class Parameter(Parameter):
    def __deepcopy__(self, memo: dict) -> "Parameter":
        if id(self) not in memo:
            data = self.detach().clone(memory_format=torch.preserve_format)
            memo[id(self)] = type(self)(data, self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: int) -> tuple:
        made_of = type(self), self.detach(), self.requires_grad, vars(self)
        return _rebuild, made_of


def _rebuild(
    kind: type, data: Tensor, requires_grad: bool, attributes: dict
) -> Parameter:
    param = kind(data, requires_grad)
    vars(param).update(attributes)
    return param


# %%
weight = Parameter(torch.ones(2, 3))
weight.decays = False
read = pickle.loads(pickle.dumps(weight))
type(copy.deepcopy(weight)), type(read), read.is_leaf, read.decays

# %% [markdown]
r"""
## A module in ten lines

The attributes of an object lie in a dictionary, `vars(self)`. Go through it:
what is a parameter is listed, and what is a module is asked for its own.
"""


# %% Found, and called
class Module:
    def __call__(self, *args: Any) -> Any:
        return self.forward(*args)

    def named_parameters(self, prefix: str = "") -> Iterator:
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
            elif isinstance(value, Module):
                yield from value.named_parameters(f"{prefix}{name}.")

    def parameters(self) -> list[Parameter]:
        return [param for _, param in self.named_parameters()]


# %% [markdown]
r"""
The first version again, held by a module. It draws the same numbers and has to
learn the same, batch for batch; only nobody tells `train` what to train.
"""


# %%
class Linear(Module):
    def __init__(self, in_features: int, out_features: int):
        self.weight = Parameter(torch.randn(out_features, in_features))
        self.bias = Parameter(torch.randn(out_features))

    def forward(self, input: Tensor) -> Tensor:
        return input @ self.weight.T + self.bias


torch.manual_seed(0)
layer = Linear(784, 10)
losses = train(layer, layer.parameters())
assert_close(torch.tensor(losses), torch.tensor(first_losses))
round(losses[0], 2), round(sum(losses[-50:]) / 50, 2)

# %% [markdown]
r"""
Modules hold modules, to any depth, and the names say where each parameter
lives.
"""


# %%
class Network(Module):
    def __init__(self):
        self.hidden, self.output = Linear(784, 50), Linear(50, 10)

    def forward(self, input: Tensor) -> Tensor:
        return self.output(relu(self.hidden(input)))


{name: tuple(p.shape) for name, p in Network().named_parameters()}

# %% [markdown]
r"""
That is the whole idea of a module. Torch keeps parameters and children in
dictionaries of their own, and meets every look-up of `self.weight` with a
function that searches them. Ours stay where Python puts them, so an attribute
is just an attribute.

It has a limit. What a plain list holds is *not* found, here as in torch, and
the source's first `Model` fell into that trap: nothing fails, and nothing
learns.
"""


# %%
class Listed(Module):
    def __init__(self):
        self.layers = [Linear(784, 50), Linear(50, 10)]


Listed().parameters()

# %% [markdown]
r"""
## A name for what is absent

A layer may do without its bias, so `self.bias` is `None`. Then somebody gives
it one after all, and forgets the label:
"""


# %%
class Biased(Module):
    def __init__(self):
        self.bias = None

    def forward(self, input: Tensor) -> Tensor:
        return input if self.bias is None else input + self.bias


layer = Biased()
layer.bias = torch.ones(2)
layer(torch.zeros(2)), layer.parameters()

# %% [markdown]
r"""
It is added and never trained, without a word. `None` does not say what it
stands for, so the module has to note it: `register_parameter("bias", None)`
makes a name one for parameters, though there is none. The same check guards
the parameters that are there, since one that is overwritten by a plain tensor
would vanish from every list.
"""


# %% Registered, though there is nothing
class Module(Module):
    _noted: frozenset = frozenset()

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        if hasattr(self, name):
            raise KeyError(f"attribute {name!r} already exists")
        self._noted = self._noted | {name}
        setattr(self, name, param)

    def __setattr__(self, name: str, value: object) -> None:
        held = isinstance(vars(self).get(name), Parameter)
        if held or name in self._noted:
            if not isinstance(value, Parameter | None):
                given = type(value).__name__
                raise TypeError(f"cannot assign {given} as parameter {name!r}")
        super().__setattr__(name, value)


# %%
def error_of(call: Callable[[], object]) -> str:
    try:
        return f"no error, but {call()!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


layer = Module()
layer.register_parameter("bias", None)
layer.weight = Parameter(torch.ones(2))
[
    error_of(lambda: setattr(layer, "bias", torch.ones(2))),
    error_of(lambda: setattr(layer, "weight", torch.ones(2))),
    error_of(lambda: setattr(layer, "bias", Parameter(torch.ones(2)))),
]

# %% [markdown]
r"""
The third is a parameter, so it may come in. None of this has an `__init__`. A
module whose author forgets `super().__init__()` works, since there is nothing
there to forget.

## It prints itself

A model of fifty layers is read more often than it is written. Each module
prints its name, what it has to say for itself, `extra_repr`, and below it what
it holds.
"""


# %% Name, extras, children
class Module(Module):
    def extra_repr(self) -> str:
        return ""

    def __repr__(self) -> str:
        name, extra = type(self).__name__, self.extra_repr()
        lines = [
            f"({name}): {child!r}"
            for name, child in vars(self).items()
            if isinstance(child, Module)
        ]
        if not lines:
            return f"{name}({extra})"
        body = "\n".join([extra, *lines] if extra else lines)
        body = body.replace("\n", "\n  ")
        return f"{name}(\n  {body}\n)"


# %%
outer = Module()
outer.first, outer.second = Module(), Module()
outer.first.third = Module()
outer

# %% [markdown]
r"""
## The second version, with four bugs

The source's second version is right in its parts and wrong in its final
listing. Here are its four mistakes in our words, each with the test that finds
it. A layer that has never been called is not finished.
"""


# %% Four bugs
class Buggy(Module):
    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        self.in_features = in_features
        self.bias = bias
        self.weight = Parameter(torch.ones(out_features, in_features))
        if bias:
            self.bias = Parameter(torch.zeros(out_features))
        else:
            self.register_parameter("bias", None)

    def forward(self, input: Tensor) -> Tensor:
        n, width = input.shape
        if width != self.in_features:
            print(f"Wrong Input Features: expected {self.in_features}")
            return 0
        return input @ weight_.T + self.bias


# %% One call each
[
    error_of(lambda: Buggy(3, 2)(torch.ones(1, 3))),
    error_of(lambda: Buggy(3, 2, bias=False)),
    error_of(lambda: Buggy(3, 2)(torch.ones(1, 4))),
    error_of(lambda: Buggy(3, 2)(torch.ones(3))),
]

# %% [markdown]
r"""
1. The product uses a bare name where it means `self.weight`: `NameError` at the
   first call.
2. `self.bias = bias` stores the flag, so that the name is taken when
   `register_parameter` wants it: `KeyError`, but only for `bias=False`, which
   nobody had tried.
3. A wrong width prints a line and returns 0, which is a number like any other.
   The error surfaces somewhere else, or never.
4. `n, width = input.shape` admits two axes and no other number.

## The second version

All of it is in {term}`fan-in`: how many numbers are added up for one output.
{doc}`/2_backward/2_init` built the initialiser. It also earned torch's
`linear`, which adds the bias within the product, as in
{doc}`/2_backward/4_layers`: one kernel, and one step of the backward pass less.
"""


# %% Its parts, and how they are drawn
class Linear(Module):
    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(torch.empty(out_features, in_features))
        self.register_parameter(
            "bias", Parameter(torch.empty(out_features)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound)


# %% [markdown]
r"""
`bias` is only ever a parameter or `None`, and the name is noted either way.
`reset_parameters` stands apart from `__init__`, so that a layer can be drawn
anew. The other half is the call: a wrong width raises, with both shapes.
"""


# %% What it computes, and what it says
class Linear(Linear):
    def forward(self, input: Tensor) -> Tensor:
        if input.shape[-1:] != (self.in_features,):
            given, own = tuple(input.shape), tuple(self.weight.shape)
            raise RuntimeError(
                f"expected {self.in_features} features in the last axis: "
                f"input {given}, weight {own}"
            )
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        n, m = self.in_features, self.out_features
        bias = self.bias is not None
        return f"in_features={n}, out_features={m}, bias={bias}"


# %% The four tests again
[
    Linear(3, 2)(torch.ones(1, 3)).shape,
    Linear(3, 2, bias=False),
    error_of(lambda: Linear(3, 2)(torch.ones(1, 4))),
    Linear(3, 2)(torch.ones(3)).shape,
]

# %% [markdown]
r"""
And the bench again, for both versions:
"""

# %%
torch.manual_seed(0)
second = Linear(784, 10)
second_losses = train(second, second.parameters())
[round(loss, 2) for loss in (first_losses[0], second_losses[0], math.log(10))]

# %% alt="The loss over the batches of one epoch for both versions, each point a mean of twenty. The first version starts above 10 and is still above 2 at the end; the second starts at 2.3 and ends near 0.5." tags=["hide-input"]


def smooth(values: list[float], width: int = 20) -> Tensor:
    whole = len(values) // width * width
    return torch.tensor(values[:whole]).view(-1, width).mean(1)


middles = range(10, len(first_losses) - 10, 20)
plt.semilogy(middles, smooth(first_losses), "C1", label="first version")
plt.semilogy(middles, smooth(second_losses), "C0", label="second version")
plt.axhline(math.log(10), color="0.5", ls="--", label="guessing")
plt.xlabel("batch")
plt.ylabel("loss")
plt.legend()
plt.show()

# %%
first_end, second_end = (
    sum(ls[-50:]) / 50 for ls in (first_losses, second_losses)
)
assert second_end < 0.55 < 2 * second_end < first_end
round(first_end, 2), round(second_end, 2)

# %% [markdown]
r"""
The source saw 2.5 and 0.5 after its epoch. The difference between the versions
is nothing but where they start.

## Does the bias decay?

`train` penalised the bias too, as the source does. The bias does not multiply
anything, so a large one makes no output steeper, and common advice leaves it
out. With the source's $10^{-5}$ that is hard to see, so try more as well.
"""

# %% limit=120
decays, ends = (0.0, 1e-5, 1e-2, 1e-1), {}
for decay in decays:
    for with_bias in (True, False):
        torch.manual_seed(0)
        model = Linear(784, 10)
        decayed = [model.weight, model.bias] if with_bias else [model.weight]
        others = [] if with_bias else [model.bias]
        losses = train(model, decayed, others, decay)
        norm = (model.weight.detach() ** 2).sum().item()
        ends[decay, with_bias] = sum(losses[-50:]) / 50, norm

# %% tags=["remove-input"]
rows = [
    f"| {decay:g} | {'weights and bias' if with_bias else 'weights only'} "
    f"| {loss:.4f} | {norm:.2f} |"
    for (decay, with_bias), (loss, norm) in ends.items()
]
head = "| decay | of | loss at the end | sum of the squared weights |"
Markdown("\n".join([head, "| --: | --- | --: | --: |", *rows]))

# %%
free = ends[0.0, True][0]
shares = [
    (ends[decay, True][0] - ends[decay, False][0])
    / (ends[decay, True][0] - free)
    for decay in (1e-2, 1e-1)
]
assert 0 < min(shares) and max(shares) < 0.03
assert ends[1e-2, True][1] < 0.8 * ends[0.0, True][1]
[f"{share:.1%}" for share in shares]

# %% [markdown]
r"""
That is the bias's part in what the two strong decays cost. What the decay does,
it does to the weights. So the advice is right here, and worth next to nothing.

## Why the square root of five

Torch initialises the weight by `kaiming_uniform_(weight, a=math.sqrt(5))`. In
{doc}`/2_backward/2_init` the argument `a` was the slope of a leaky ReLU for
negative numbers. Nobody has a slope above two. Follow the number through:
Kaiming's gain for a slope $a$ is $\sqrt{2 / (1 + a^2)}$, and a uniform
distribution with deviation $s$ reaches to $\pm\sqrt 3\, s$. So the bound is

$$\sqrt{3} \cdot \sqrt{\frac{2}{1 + 5}} \cdot \frac{1}{\sqrt{n_\text{in}}} = \frac{1}{\sqrt{n_\text{in}}}.$$

The 5 was chosen so that everything cancels. What remains is the rule of the
first Torch, weights between $\pm 1/\sqrt{n_\text{in}}$, written in the
vocabulary of a newer paper. The bias has the same bound.
"""

# %%
weight = init.kaiming_uniform_(torch.empty(300, 784), a=math.sqrt(5))
[28 * each for each in (weight.min(), weight.max(), weight.std())]

# %% [markdown]
r"""
But the deviation of such weights is $1/\sqrt{3 n_\text{in}}$, so a linear layer
makes the variance of its input a third, and with a ReLU behind it a sixth. Ten
layers deep that is a factor of $6^{10}$, sixty million. The source says that
this initialisation keeps the variance, and draws from a normal distribution. It
does neither.
"""

# %%
torch.manual_seed(0)
gains = {"sqrt 5": math.sqrt(5), "Kaiming, a=0": 0.0}
stds = {name: [1.0] for name in gains}
for name, a in gains.items():
    signal = torch.randn(512, 256)
    for _ in range(20):
        weight = init.kaiming_uniform_(torch.empty(256, 256), a=a)
        signal = relu(linear(signal, weight))
        stds[name].append((signal**2).mean().sqrt().item())

# %% alt="Size of the signal after each of twenty layers with ReLU, on a logarithmic axis. With a = sqrt 5 it falls on a straight line to about a hundred-millionth; with a = 0 it stays near 1." tags=["hide-input"]
for i, (name, sizes) in enumerate(stds.items()):
    plt.semilogy(sizes, ".-", color=f"C{1 - i}", label=name)
plt.xticks(range(0, 21, 5))
plt.xlabel("layer")
plt.ylabel("root mean square of the signal")
plt.legend()
plt.show()

# %%
shrink = (stds["sqrt 5"][-1] / stds["sqrt 5"][0]) ** (1 / 20)
assert abs(shrink - 1 / math.sqrt(6)) < 0.02
assert 0.4 < stds["Kaiming, a=0"][-1] < 2.5
round(shrink, 3), round(1 / math.sqrt(6), 3)

# %% [markdown]
r"""
For one layer a third is harmless, and a smaller start is often a safe start.
For deep networks somebody has to make up for it: a normalisation layer, or an
explicit initialisation. `Linear` keeps torch's choice, because code written for
torch counts on it.

## One after the other

With a module that holds modules, a model is a module like any other. This one
calls what it holds, one after the other; and a function without weights becomes
a module, so that it can stand in line.
"""


# %%
class ReLU(Module):
    def forward(self, input: Tensor) -> Tensor:
        return relu(input)


class Sequential(Module):
    def __init__(self, *layers: Module):
        for i, layer in enumerate(layers):
            setattr(self, str(i), layer)

    def forward(self, input: Tensor) -> Tensor:
        for layer in vars(self).values():
            input = layer(input)
        return input


# %% [markdown]
r"""
The network of the sources, in three modules:
"""

# %%
torch.manual_seed(0)
net = Sequential(Linear(784, 50), ReLU(), Linear(50, 10))
net

# %%
net_losses = train(net, net.parameters())
assert sum(net_losses[-50:]) < sum(net_losses[:50])
round(sum(net_losses[-50:]) / 50, 2)

# %% [markdown]
r"""
## The real one

The names, the shapes and the random numbers are torch's, so weights go over,
and a layer drawn from the same seed is the same layer.
"""

# %% tags=["reference"]
theirs = torch.nn.Sequential(
    torch.nn.Linear(784, 50), torch.nn.ReLU(), torch.nn.Linear(50, 10)
)
theirs.load_state_dict(dict(net.named_parameters()))
assert_close(theirs(x[:64]), net(x[:64]))

# %% tags=["reference"]
torch.manual_seed(1)
ours = Linear(784, 10)
torch.manual_seed(1)
assert_equal(torch.nn.Linear(784, 10).weight.detach(), ours.weight.detach())

# %% [markdown]
r"""
Some hundred lines have taken us here. What use has asked of a module since is
more of the same: tensors that are saved but not trained, loading what was
saved, moving to a device, functions that listen in. The next chapter,
{doc}`/2_backward/7_module`, finishes it, and with it `Linear` and `Sequential`;
what they do on this page, they do there.

## What we built

| name | module | what it is |
| --- | --- | --- |
| `Parameter` | `nn.parameter` | a tensor that training changes: found by its label |
| `Module` | on this page | finds parameters, calls `forward`, notes what is absent, prints itself |
| `Linear` | on this page | the layer, with torch's numbers and an error that shows both shapes |
| `Sequential`, `ReLU` | on this page | layers one after the other |

## Questions

:::{dropdown} Why is the weight stored as (out_features, in_features)?
Each row holds the weights of one output, so the row lies together in memory.
The product then takes the transpose, which costs nothing: it is a change of
strides.
:::

:::{dropdown} Why is a parameter not just any tensor that requires a gradient?
A module also holds tensors that are not to be trained. The type says which are,
so that `parameters()` needs no list.
:::

:::{dropdown} Why does a plain list of layers train nothing?
The module looks at its attributes. A list is one attribute that is neither a
parameter nor a module.
:::

:::{dropdown} What is the use of `register_parameter("bias", None)`?
It records that the name exists and is empty, so that `self.bias is None` can be
asked, no list mentions it, and a plain tensor under that name is refused.
:::

:::{dropdown} What does √5 have to do with leaky ReLU?
Nothing. It is the slope for which Kaiming's formula gives the bound
$1/\sqrt{n_\text{in}}$.
:::

## Exercises

**1.** Write `Embedding(n, d)`, whose `forward` picks rows of its weight. Which
of the methods above do you need to change?
"""


# %% tags=["solution"]
class Embedding(Module):
    def __init__(self, n: int, d: int):
        self.weight = Parameter(torch.randn(n, d))

    def forward(self, input: Tensor) -> Tensor:
        return self.weight[input]


embedding = Embedding(10, 4)  # none of them: it is found and called
assert_equal(list(dict(embedding.named_parameters())), ["weight"])
assert_equal(tuple(embedding(digits[:5]).shape), (5, 4))

# %% [markdown]
r"""
**2.** Mend the four bugs of `Buggy` and nothing else, and show that each is
gone.
"""


# %% tags=["solution"]
class Mended(Module):
    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        self.in_features = in_features
        self.weight = Parameter(torch.ones(out_features, in_features))
        if bias:
            self.bias = Parameter(torch.zeros(out_features))
        else:
            self.register_parameter("bias", None)

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[-1] != self.in_features:
            raise ValueError(f"expected {self.in_features}, got {input.shape}")
        output = input @ self.weight.T
        return output if self.bias is None else output + self.bias


assert_equal(Mended(3, 2)(torch.ones(3)).tolist(), [3.0, 3.0])
assert_equal(Mended(3, 2, bias=False)(torch.ones(1, 3)).tolist(), [[3.0, 3.0]])
try:
    Mended(3, 2)(torch.ones(1, 4))
except ValueError as error:
    assert "3" in str(error) and "4" in str(error)
else:
    raise AssertionError("a wrong width must raise")

# %% [markdown]
r"""
**3.** For which `a` does `kaiming_uniform_` keep the variance of a *linear*
layer, without any ReLU?
"""

# %% tags=["solution"]
# a gain of 1: 2 / (1 + a * a) = 1
signal = torch.randn(4096, 256)
weight = init.kaiming_uniform_(torch.empty(256, 256), a=1.0)
assert abs(linear(signal, weight).std().item() - 1) < 0.05

# %% [markdown]
r"""
**4.** Two layers may share one parameter. How often does our `parameters()`
list it, and what does `train` do to it then? Mend the list.
"""


# %% tags=["solution"]
class Once(Sequential):
    def parameters(self) -> list[Parameter]:
        named = self.named_parameters()
        return list({id(param): param for _, param in named}.values())


first, last = Linear(784, 784), Linear(784, 784)
last.weight = first.weight
tied, once = Sequential(first, last), Once(first, last)
assert_equal([len(net.parameters()) for net in (tied, once)], [4, 3])
# listed twice, so the second step finds no gradient to subtract
assert "NoneType" in error_of(lambda: train(tied, tied.parameters()))

# %% [markdown]
r"""
Every idea that part 1 borrowed for the inside of a network is built. The loans
are repaid by {doc}`/2_backward/7_module`; whoever would rather train goes on to
part 3.
"""

# %% [markdown] module="inside.hooks"
r"""
# Looking inside

Below are three networks whose losses fall alike. One of them lacks a
nonlinearity, one never trains a layer, one is healthy. None raises an error.
**How does one see what a network is really doing?**

We hang {term}`hooks <hook>` on its modules, which see what flows through,
forward and backward. From what they see come the pictures that people know:
means, deviations and coloured histograms over training, and units that are
dead. Then we plant bugs and write, for each, the check that finds it and has
nothing to say about the healthy run. Its second half, and one call for all of
them, are in {doc}`/3_training/13_inside`.

| name | shape | meaning |
| --- | --- | --- |
| `output`, activation | `(n, ...)` | what a module returns for a batch |
| gradient of an output | as `output` | the loss's gradient with respect to it |
| unit | | one column of a linear layer's output |
"""

# %% Imports tags=["hide-input"]
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from groundup.datasets import mnist
from groundup.nn import Linear, Module, ReLU, Sequential, init
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.module import Handle
from groundup.scores import accuracy
from groundup.testing import assert_equal

# %% [markdown]
r"""
## Networks to look into

Five thousand digits, two hidden layers of 50 units, full batches of 50, plain
gradient descent. It trains in a second, which leaves time to do it often.
"""

# %%
torch.set_num_threads(1)  # small layers are not worth a second one
images, digits = mnist()
rows = torch.randperm(50_000, generator=torch.Generator().manual_seed(0))[:5000]
x, y = images[rows].flatten(1).float(), digits[rows]
mean, std = x.mean(), x.std()
x = (x - mean) / std


def network() -> Sequential:
    layers = [Linear(784, 50), ReLU(), Linear(50, 50), ReLU(), Linear(50, 10)]
    return Sequential(*layers)


def descend(model: Module, batch: slice | Tensor, lr: float) -> float:
    loss = cross_entropy(model(x[batch]), y[batch])
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for param in model.parameters():
            if param.grad is not None:
                param -= lr * param.grad
    return loss.item()


def train(model: Module, lr: float = 0.1, n_epochs: int = 2) -> list[float]:
    order = torch.cat([torch.randperm(len(x)) for _ in range(n_epochs)])
    return [descend(model, batch, lr) for batch in order.split(50)]


# %% [markdown]
r"""
Two that are not healthy: one lacks a ReLU, and one holds a layer in a plain
list, where nobody finds it to train it.
"""


# %%
def without_relu() -> Sequential:
    first, relu, second, _, last = network()
    return Sequential(first, relu, second, last)


class Listed(Module):
    def __init__(self):
        self.first, self.last = Linear(784, 50), Linear(50, 10)
        self.hidden = [Linear(50, 50)]

    def forward(self, input: Tensor) -> Tensor:
        return self.last(self.hidden[0](self.first(input).relu()).relu())


curves = []
for make in (Listed, network, without_relu):
    torch.manual_seed(0)
    curves.append(train(make()))

# %% Three losses, two bugs alt="Three curves of the training loss over 200 batches. All fall from 2.3 to about 0.3 and lie close to each other all the way." tags=["hide-input"]
smooth = [torch.tensor(each).view(-1, 10).mean(1) for each in curves]
figure, ax = plt.subplots(figsize=(5.2, 2.6))
for name, curve in zip("ABC", smooth):
    ax.plot(range(5, 200, 10), curve, label=f"network {name}")
ax.set(xlabel="batch", ylabel="training loss", ylim=(0, None))
ax.legend()
assert all(curve[-1] < 0.2 * curve[0] for curve in smooth)
plt.show()

# %% [markdown]
r"""
Each would be taken for a network that learns. Here A has the list, C lacks the
ReLU, and nothing in the curves says so.

## Hooks

How to see the output of the third layer? One could write the forward pass out
and print in between, and undo it afterwards. A hook needs no change to the
model: {doc}`/2_backward/7_module` gave each module a list of functions that it
calls with what went in and what came out.
"""

# %%
torch.manual_seed(0)
model = network()
train(model)
seen = []
handle = model[2].register_forward_hook(
    lambda module, args, output: seen.append(output.std().item())
)
model(x[:64])
handle.remove()
model(x[:64])
seen

# %% [markdown]
r"""
The second call is not seen, for the hook is off. The danger is that it stays
on: an error between the two lines, and a notebook has a model that records its
activations forever, and keeps the memory. So hooks belong in a `with`
statement, many at once. Should the third fail, the first two come off.
"""


# %% Hooks that come off together tags=["export"] earns="torch.nn.Module.register_forward_hook torch.nn.Module.register_forward_pre_hook"
"""Hooks on many modules that come off together."""


class Handles:
    """Hooks that are removed together: `remove` them, or use `with`."""

    def __init__(self, handles: Iterable[Handle]):
        self.handles: list[Handle] = []
        try:
            for handle in handles:  # a generator registers them one by one
                self.handles.append(handle)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Take every hook off; a second time does nothing."""
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> "Handles":
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


# %% [markdown]
r"""
What one mostly wants is the output of every module that holds no other, with
the name that the model gives it.
"""


# %% Watching outputs tags=["export"]
def leaf_modules(model: Module) -> dict[str, Module]:
    """The modules that hold no other module, by dotted name."""
    named = model.named_modules()
    return {name: each for name, each in named if not list(each.children())}


def watch_outputs(
    modules: Mapping[str, Module], see: Callable[[str, Tensor], Any]
) -> Handles:
    """Call `see(name, output)` whenever one of the modules was called."""

    def hook(name: str, module: Module, args: tuple, output: Any) -> None:
        if not isinstance(output, Tensor):
            kind = type(output).__name__
            raise TypeError(f"{name} returns a {kind}: watch a tensor")
        see(name, output.detach())

    return Handles(
        module.register_forward_hook(partial(hook, name))
        for name, module in modules.items()
    )


# %%
stds = {}
with watch_outputs(
    leaf_modules(model), lambda name, out: stds.update({name: out.std().item()})
):
    model(x)
stds

# %% [markdown]
r"""
## Gradients

A gradient is not returned by any module, so no forward hook sees it. But
{doc}`/2_backward/5_autograd` lets us put a step of our own into the graph. Take
the identity, whose gradient is the identity, and let its backward pass tell
somebody what went by. A forward hook may return another output: so a hook can
send each output through this identity.
"""


# %% The identity that tells tags=["export"]
class _Tell(torch.autograd.Function):
    """The identity; tells `see` the gradient that comes back."""

    @staticmethod
    def forward(ctx: Any, see: Callable, output: Tensor) -> Tensor:
        ctx.see = see
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        ctx.see(grad.detach())
        return None, grad


# %% Watching gradients tags=["export"]
def watch_gradients(
    modules: Mapping[str, Module], see: Callable[[str, Tensor], Any]
) -> Handles:
    """Call `see(name, grad)` when the gradient of an output is known.

    Of a tuple, the first is watched. What comes after a module may not change
    its output in place.
    """

    def hook(name: str, module: Module, args: tuple, output: Any) -> Any:
        first, *rest = output if isinstance(output, tuple) else (output,)
        if not isinstance(first, Tensor):
            kind = type(output).__name__
            raise TypeError(f"{name} returns a {kind}: watch a tensor")
        told = _Tell.apply(partial(see, name), first)
        return (told, *rest) if isinstance(output, tuple) else told

    return Handles(
        module.register_forward_hook(partial(hook, name), prepend=True)
        for name, module in modules.items()
    )


# %%
sizes = {}
with watch_gradients(leaf_modules(model), sizes.__setitem__):
    cross_entropy(model(x), y).backward()
{name: f"{grad.std():.1e}" for name, grad in sizes.items()}

# %% [markdown]
r"""
The last layer comes first: that is the order in which a gradient arrives. Hooks
for which torch has names, and which may change a gradient, are in
{doc}`/3_training/13_inside`.

## Statistics over training

Of every `every`-th batch we keep, for each module, five things: which batch it
was, mean and deviation, a {term}`histogram`, and for each unit the share of
zeros among its outputs. Of the numbers of a hidden layer few are left. They
stay on their device until somebody looks, since a GPU that is asked for a
number has to finish first.

`torch.histc` passes over numbers outside its range. Those are the ones to be
warned of, so they are moved to the edge first: the outermost bins hold all that
lies beyond.
"""


# %% What is kept of a batch tags=["export", "internal"] module="inside.statistics"
"""Means, deviations, histograms and dead units over training, and pictures."""


class Snapshot(NamedTuple):
    """What one tensor looked like, in numbers on its own device."""

    step: int
    mean: Tensor  # ()
    std: Tensor  # ()
    counts: Tensor  # (n_bins,), from -reach to reach, ends included
    zeros: Tensor  # (units,), the share of zeros


# %% [markdown]
r"""
They are kept for each name, and the snapshot itself is seven lines of arithmetic.
"""


# %% Taking a snapshot tags=["export"] module="inside.statistics"
class Statistics:
    """Snapshots of named tensors, of every `every`-th that comes by a name.

    A unit is an index of `unit_axis`: 1 is right for (n, d) and (n, c, h, w).
    """

    def __init__(
        self,
        every: int = 1,
        reach: float = 4.0,
        n_bins: int = 32,
        unit_axis: int = 1,
    ):
        if every < 1 or reach <= 0:
            raise ValueError(
                f"expected every >= 1 and reach > 0, got {every} and {reach}"
            )
        self.every, self.reach, self.n_bins = every, reach, n_bins
        self.unit_axis = unit_axis
        self.n_seen: Counter[str] = Counter()
        self.kept: dict[str, list[Snapshot]] = defaultdict(list)


# %% tags=["export"] module="inside.statistics"
class Statistics(Statistics):
    def snapshot(self, step: int, tensor: Tensor) -> Snapshot:
        """The numbers that are kept of one tensor."""
        ends = -self.reach, self.reach
        inside = tensor.clamp(*ends).nan_to_num(self.reach)
        counts = inside.histc(self.n_bins, *ends)
        units = tensor.movedim(self.unit_axis, 0).flatten(1)
        zeros = (units == 0).float().mean(1)
        return Snapshot(
            step, tensor.mean(), tensor.std(correction=0), counts, zeros
        )


# %%
Statistics(n_bins=4, reach=2).snapshot(0, torch.tensor([[-9.0, 0], [1, 0]]))

# %% [markdown]
r"""
Of each name they keep a list, which reads as one tensor: a field over the
steps.
"""


# %% Keeping them tags=["export"] module="inside.statistics"
class Statistics(Statistics):
    @torch.no_grad()
    def record(self, name: str, tensor: Tensor) -> None:
        """See a tensor; keep its snapshot if its turn has come."""
        step = self.n_seen[name]
        self.n_seen[name] += 1
        if not -tensor.dim() <= self.unit_axis < tensor.dim():
            shape = tuple(tensor.shape)
            raise ValueError(
                f"{name!r} has shape {shape}: no axis {self.unit_axis} of units"
            )
        if step % self.every == 0 and tensor.numel():
            self.kept[name].append(self.snapshot(step, tensor.float()))

    def series(self, name: str, field: str) -> Tensor:
        """One field over the snapshots, such as "mean": (steps, ...)."""
        if name not in self.kept:
            raise KeyError(f"{name!r} is not one of {sorted(self.kept)}")
        values = [getattr(each, field) for each in self.kept[name]]
        return torch.stack([torch.as_tensor(value) for value in values]).cpu()

    def dead(self, name: str, last: int = 5) -> Tensor:
        """Which units gave nothing but zeros in the last snapshots: (units,)"""
        return (self.series(name, "zeros")[-last:] == 1).all(0)


# %%
def watched(model: Module, lr: float = 0.1) -> Statistics:
    stats = Statistics(every=4, reach=6.0)
    with watch_outputs(leaf_modules(model), stats.record):
        train(model, lr)
    return stats


torch.manual_seed(0)
stats = watched(network())
stats.series("2", "std")[:5]

# %% [markdown]
r"""
Two pictures show them. The first has a line for each module.
"""


# %% Moments over training tags=["export"] module="inside.statistics"
def plot_moments(stats: Statistics, names: Iterable[str] | None = None) -> Any:
    """Mean and deviation over training, a line for each name."""
    import matplotlib.pyplot as plt

    size = {"figsize": (5.2, 2.8), "layout": "constrained"}
    figure, axes = plt.subplots(1, 2, **size)
    for name in stats.kept if names is None else names:
        steps = stats.series(name, "step")
        for ax, field in zip(axes, ("mean", "std"), strict=True):
            ax.plot(steps, stats.series(name, field), lw=1, label=name)
            ax.set(xlabel="batch", title=field)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center")
    return figure


# %% Means and deviations over training alt="Mean and deviation of the outputs of the three linear layers over 200 batches. The deviations rise in the first forty batches and then level off; that of the last layer grows the most, from 0.1 to above 3. No line jumps." tags=["hide-input"]
plot_moments(stats, ["0", "2", "4"])
plt.show()

# %% [markdown]
r"""
In the second each column is the histogram of one batch, seen from above, and
time runs to the right. Counts differ by a thousand times, so a colour stands
for a doubling: the darkest is none, and each brighter one is twice as many as
the one before.
"""


# %% Histograms over training tags=["export"] module="inside.statistics"
def draw_histograms(ax: Any, stats: Statistics, name: str) -> None:
    """The histograms of a name over training: a colour for each doubling."""
    reach, end = stats.reach, int(stats.series(name, "step")[-1]) + stats.every
    ax.imshow(
        (1 + stats.series(name, "counts").T).log2().floor().numpy(),
        extent=(0, end, -reach, reach),
        origin="lower",
        aspect="auto",
        interpolation="none",
    )
    ax.set(xlabel="batch", title=name)


def plot_histograms(
    stats: Statistics, names: Iterable[str] | None = None
) -> Any:
    """The histograms of each name over training, side by side."""
    import matplotlib.pyplot as plt

    names = list(stats.kept if names is None else names)
    if not names:
        raise ValueError("no histograms: nothing was recorded")
    size = (1.75 * len(names), 2.4)
    figure, axes = plt.subplots(1, len(names), figsize=size, squeeze=False)
    for ax, name in zip(axes.flat, names, strict=True):
        draw_histograms(ax, stats, name)
        ax.label_outer()
    return figure


# %% Histograms over training alt="Three images, one for each linear layer. Time runs to the right, the value upwards, and a brighter colour is a higher count. In each a thin bright band around zero widens smoothly in the first forty batches and then stays." tags=["hide-input"]
plot_histograms(stats, ["0", "2", "4"])
plt.show()

# %% [markdown]
r"""
This is what health looks like: bands that widen without a jump. Now three
networks that are not well. The first starts from weights of variance 1, the
second trains at a learning rate of 3, the third at 0.001.
"""


# %%
def unit_variance(model: Module) -> Module:
    for param in model.parameters():
        init.normal_(param)
    return model


torch.manual_seed(0)
ill = {"variance 1": watched(unit_variance(network()))}
ill |= {f"lr {lr:g}": watched(network(), lr) for lr in (3.0, 0.001)}

# %% Three networks that are not well alt="Histograms of the second linear layer over training in three ill networks. Variance 1: the picture begins at both edges and soon falls apart into a few horizontal stripes. Learning rate 3: after a few chaotic batches only horizontal stripes remain. Learning rate 0.001: one narrow band that does not change at all." tags=["hide-input"]
figure, axes = plt.subplots(1, 3, figsize=(5.2, 2.4), sharey=True)
for ax, (name, each) in zip(axes, ill.items()):
    draw_histograms(ax, each, "2")
    ax.set_title(name)
plt.show()

# %% [markdown]
r"""
The first begins at both edges, and breaks. The second shows a catastrophe of a
few batches, and then stripes: each unit says the same to every digit. The third
does nothing wrong. It does nothing.

A ReLU whose input is negative for every example gives zero for all, and has a
slope of zero for all: no gradient of its own will bring it back. It is a
{term}`dead unit`. The share of zeros tells, over training:
"""


# %% Dead units over training tags=["export"] module="inside.statistics"
def plot_dead(stats: Statistics, names: Iterable[str] | None = None) -> Any:
    """The share of units that give only zeros in a batch, over training."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(5.2, 2.6))
    for name in stats.kept if names is None else names:
        share = (stats.series(name, "zeros") == 1).float().mean(1)
        ax.plot(stats.series(name, "step"), share, label=name)
    ax.set(xlabel="batch", ylabel="share of dead units", ylim=(-0.02, 1.02))
    ax.legend()
    return figure


# %% Units that die at a rate of 3 alt="Share of dead units over training at a learning rate of 3: within ten batches nearly all units of both hidden layers give only zeros, and but for a few dips of one batch they stay so." tags=["hide-input"]
plot_dead(ill["lr 3"], ["1", "3"])
assert not stats.dead("3").float().mean() > 0.1
assert ill["lr 3"].dead("3").float().mean() > 0.9
plt.show()

# %% [markdown]
r"""
## A summary

Before the first batch one wants to know what the model *is*: which shapes flow,
and where the parameters are. With hooks that is a few lines; `summarize` of
{doc}`/3_training/13_inside` adds what a call costs.
"""


# %%
shapes = {}
with watch_outputs(
    leaf_modules(model), lambda name, out: shapes.update({name: out.shape})
):
    model(x[:64])
for name, each in leaf_modules(model).items():
    n_params = sum(param.numel() for param in each.parameters())
    shapes[name] = type(each).__name__, tuple(shapes[name]), n_params
shapes

# %% [markdown]
r"""
## A gallery of bugs

Pictures need somebody who looks. A check does not. Below is a training run that
is healthy; each bug is a subclass that gets one thing wrong.
"""


# %%
class Experiment:
    lr = 0.1

    def __init__(self, seed: int):
        torch.manual_seed(seed)
        self.model = self.build()

    def build(self) -> Module:
        return network()

    def loss(self) -> Tensor:
        return cross_entropy(self.model(x[:64]), y[:64])

    def step(self) -> float:
        return descend(self.model, slice(64), self.lr)


# %% tags=["hide-input"]
def beside(bug: type[Experiment], look: Callable, label: str) -> None:
    """What `look` sees of the healthy run, in blue, and of the bug."""
    figure, ax = plt.subplots(figsize=(5.2, 1.9))
    for i, kind in enumerate((Experiment, bug)):
        numbers = look(kind(seed=0))
        if len(numbers) > 50:
            ax.hist(numbers, bins=60, color=f"C{i}", alpha=0.7, log=True)
        else:
            places = [place + 0.4 * i for place in range(len(numbers))]
            ax.bar(places, numbers, 0.4, color=f"C{i}")
    ax.set(xlabel=label)
    plt.show()


# %% [markdown]
r"""
A check is a function that returns a sentence about what it found, with the
numbers, or `None`. So it serves in a notebook, in a test and in a training
script: `assert check_nonlinear(model, x) is None`. Below each stands what one
would have seen: the healthy run in blue, the bug in orange.

*Weights of the wrong size.* How far a module's outputs differ from row to row
is between 0.001 and 10. (The deviation of all its numbers would not do: units
differ by their biases, though each may say the same to every row.)
"""


# %% How far do rows differ? tags=["export", "internal"] module="inside.model_checks"
"""Checks of a model: a sentence about what is wrong, or None."""


def call_model(model: Module, input: Any) -> Any:
    """The model's output; a tuple or a dictionary holds its arguments."""
    if isinstance(input, Mapping):
        return model(**input)
    return model(*input) if isinstance(input, tuple | list) else model(input)


# %% tags=["export"] module="inside.model_checks"
@torch.no_grad()
def check_activations(
    model: Module, input: Any, low: float = 0.001, high: float = 10.0
) -> str | None:
    """Do rows differ by `low` to `high`, in every module's output?

    Outputs that are no tensors of numbers are not judged.
    """
    stds: dict[str, float] = {}

    def hook(name: str, module: Module, args: tuple, output: Any) -> None:
        if isinstance(output, Tensor) and output.is_floating_point():
            if output.ndim and len(output) > 1:
                stds[name] = _std(output)

    with Handles(
        module.register_forward_hook(partial(hook, name))
        for name, module in leaf_modules(model).items()
    ):
        call_model(model, input)
    wrong = [f"{v:.2g} in {k}" for k, v in stds.items() if not low <= v <= high]
    if not wrong:
        return None
    return f"rows should differ by {low:g} to {high:g}, not {', '.join(wrong)}"


def _std(output: Tensor) -> float:
    """The deviation from row to row, over all units."""
    return output.float().var(0, correction=0).mean().sqrt().item()


# %%
class UnitVariance(Experiment):
    def build(self) -> Module:
        return unit_variance(network())


check_activations(UnitVariance(seed=0).model, x[:64])

# %% Weights of variance 1 alt="Counts of the first layer's outputs, on a logarithmic scale: those of the healthy run lie within 3 of zero, those of the bug reach from -100 to 100." tags=["hide-input"]
beside(
    UnitVariance,
    lambda run: run.model[0](x[:64]).flatten().tolist(),
    "output of the first layer",
)

# %% [markdown]
r"""
*A forgotten nonlinearity.* The output of one linear layer is the input of the
next: two matrices are one matrix.
"""


# %% Is there something between linear layers? tags=["export"] module="inside.model_checks"
@torch.no_grad()
def check_nonlinear(model: Module, input: Any) -> str | None:
    """Is there something between any two linear layers?"""
    made: list[tuple[str, Tensor, Tensor]] = []  # as it is, as it was
    found: list[str] = []

    def hook(name: str, module: Module, args: tuple, output: Tensor) -> None:
        found.extend(
            f"{before} and {name}"
            for before, now, then in made
            if args and now is args[0] and now.equal(then)
        )
        made.append((name, output, output.clone()))

    with Handles(
        module.register_forward_hook(partial(hook, name))
        for name, module in model.named_modules()
        if isinstance(module, Linear | torch.nn.Linear)
    ):
        call_model(model, input)
    return f"nothing lies between {', '.join(found)}" if found else None


# %%
class MissingReLU(Experiment):
    def build(self) -> Module:
        return without_relu()


check_nonlinear(MissingReLU(seed=0).model, x[:8])


# %% A missing ReLU alt="Counts of what enters the last layer, on a logarithmic scale: in the healthy run nothing is below zero, and a tall bar stands at zero; with the bug they lie on both sides." tags=["hide-input"]
def into_last(run: Experiment) -> list[float]:
    seen = []
    with watch_outputs({"": run.model[-2]}, lambda name, out: seen.append(out)):
        run.loss()
    return seen[0].flatten().tolist()


beside(MissingReLU, into_last, "input of the last layer")

# %% [markdown]
r"""
*Parameters nobody trains.* The graph of the loss ends in the tensors that want
a gradient. Each of them should be among those that the optimiser was given. A
layer in a plain list is not.
"""


# %% Is everything trained? tags=["export"] module="inside.step_checks"
"""Checks of a training step: a sentence about what is wrong, or None."""


def _reached(loss: Tensor) -> list[Tensor]:
    """The tensors that the graph of a loss ends in: they want a gradient."""
    pending, seen, leaves = [loss.grad_fn], {None}, []
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if type(node).__name__ == "AccumulateGrad":
            leaves.append(node.variable)
        pending.extend(before for before, _ in node.next_functions)
    return leaves


def check_parameters(loss: Tensor, parameters: Iterable[Tensor]) -> str | None:
    """Is everything trained that the loss depends on?"""
    wanted, given = _reached(loss), set(parameters)
    missed = [each for each in wanted if each not in given]
    if not missed:
        return None
    shapes = ", ".join(str(tuple(each.shape)) for each in missed)
    share = f"{len(missed)} of {len(wanted)}"
    return f"{share} tensors that want a gradient are not trained: {shapes}"


# %%
class LayerInList(Experiment):
    def build(self) -> Module:
        return Listed()


sick = LayerInList(seed=0)
check_parameters(sick.loss(), sick.model.parameters())


# %% A layer in a list alt="Bars for six tensors, how far a step moves each: in the healthy run all move, with the bug the second and the fifth do not." tags=["hide-input"]
def moved(run: Experiment) -> list[float]:
    """How far a step moves each tensor that the loss depends on."""
    wanted = _reached(run.loss())
    before = [each.detach().clone() for each in wanted]
    run.step()
    return [
        (a - b).square().sum().item() ** 0.5 for a, b in zip(wanted, before)
    ]


beside(LayerInList, moved, "tensor, and how far a step moves it")

# %% [markdown]
r"""
*Parameters nothing reaches.* The other way round: after a backward pass, each
has a gradient that is not all zeros. Behind a `detach` none has one.
"""


# %% Does the gradient get everywhere? tags=["export"] module="inside.step_checks"
def check_gradients(named: Iterable[tuple[str, Tensor]]) -> str | None:
    """After a backward pass, has each parameter a gradient, not all zero?"""
    named = list(named)
    if any(isinstance(each, Tensor) for each in named):
        raise TypeError("got no names: pass `model.named_parameters()`")
    missed = [
        name
        for name, param in named
        if param.requires_grad and (param.grad is None or not param.grad.any())
    ]
    return f"no gradient reaches {', '.join(missed)}" if missed else None


# %%
class CutOff(Experiment):
    def build(self) -> Module:
        model = network()  # a forward hook may return another output
        model[0].register_forward_hook(lambda m, args, out: out.detach())
        return model


sick = CutOff(seed=0)
sick.step()
check_gradients(sick.model.named_parameters())


# %% A gradient cut off alt="Bars for six parameters, the size of the gradient of each: with the bug the first two have none." tags=["hide-input"]
def gradients(run: Experiment) -> list[float]:
    run.step()
    grads = [param.grad for param in run.model.parameters()]
    return [0.0 if g is None else g.std().item() for g in grads]


beside(CutOff, gradients, "parameter, and the size of its gradient")

# %% [markdown]
r"""
*The learning rate.* The length of a step should be small against the length of
the weights, and not nothing: between 0.0001 and 0.3 of it.
"""


# %% How long is a step? tags=["export"] module="inside.step_checks"
def check_step_size(
    model: Module,
    step: Callable[[], Any],
    low: float = 1e-4,
    high: float = 0.3,
) -> str | None:
    """Is a step between `low` and `high` of the weights' length?"""
    params = [p for p in model.parameters() if p.requires_grad]
    before = [param.detach().clone() for param in params]
    step()
    moved = size = 0.0
    with torch.no_grad():
        for param, old in zip(params, before, strict=True):
            moved += (param - old).float().square().sum().item()
            size += old.float().square().sum().item()
            param.copy_(old)
    ratio = math.sqrt(moved / size) if size else math.inf
    if low <= ratio <= high:
        return None
    return f"a step moves the weights by {ratio:.2g} of their length"


# %%
class TooFast(Experiment):
    lr = 10.0


sick = TooFast(seed=0)
check_step_size(sick.model, sick.step)

# %% A learning rate of 10 alt="The loss over twelve steps on one batch: bars of the healthy run fall slowly from 2.3; those of the bug, on a scale of powers of ten, tower over them from the second step on." tags=["hide-input"]
beside(
    TooFast,
    lambda run: [math.log10(run.step()) for _ in range(12)],
    "step, and the power of ten of the loss",
)

# %% [markdown]
r"""
## Every check on every run

The test that such a list has to pass: each bug is found at every seed by its
own check, and the healthy run accused by none. Beside it stands what two epochs
and other digits would have said.
"""


# %%
bugs = UnitVariance, MissingReLU, LayerInList, CutOff, TooFast


def findings(run: Experiment) -> set[type]:
    """The bugs whose checks have something to say."""
    model, loss = run.model, run.loss()
    loss.backward()
    found = (
        check_activations(model, x[:64]),
        check_nonlinear(model, x[:64]),
        check_parameters(loss, model.parameters()),
        check_gradients(model.named_parameters()),
        check_step_size(model, run.step),
    )
    return {bug for bug, text in zip(bugs, found) if text is not None}


# %% limit=120
valid_x = (images[50_000:52_000].flatten(1).float() - mean) / std
valid_y = digits[50_000:52_000]
n_seeds, scores, said = 5, defaultdict(list), defaultdict(list)
for kind in (Experiment, *bugs):
    for seed in range(n_seeds):
        said[kind].append(findings(kind(seed)))
        run = kind(seed)
        train(run.model, run.lr)
        scores[kind].append(accuracy(run.model(valid_x).argmax(1), valid_y))
assert_equal(said[Experiment], n_seeds * [set()])
assert all(bug in found for bug in bugs for found in said[bug])

# %%
healthy = torch.tensor(scores[Experiment])
lost = {bug: healthy - torch.tensor(scores[bug]) for bug in bugs}
unseen = {bug for bug in bugs if lost[bug].mean() < lost[bug].std()}
assert_equal(unseen, {MissingReLU, LayerInList})
{bug.__name__: (d.mean(), d.std()) for bug, d in lost.items()}

# %% [markdown]
r"""
The two bugs from the top of this page cost less than one deviation between
seeds: no accuracy would have found them.

## What we built

* `inside.hooks`: `Handles`, `leaf_modules`, `watch_outputs`, `watch_gradients`,
  hooks on many modules that come off together.
* `inside.statistics`: `Statistics` of activations or gradients, and its
  pictures, `plot_moments`, `plot_histograms`, `draw_histograms`, `plot_dead`.
* `inside.model_checks`: `check_activations`, `check_nonlinear`.
* `inside.step_checks`: `check_parameters`, `check_gradients`, `check_step_size`.

## Questions

:::{dropdown} Why does a hook belong in a `with` statement?
Because the lines after an error do not run. A hook left on slows down every
later call, and what it has collected is never freed.
:::

:::{dropdown} Why does a histogram's colour stand for doublings and not for the count?
Nearly all activations lie near zero. On a linear scale that bin would be bright
and every other one black, and it is the others that warn.
:::

:::{dropdown} Why does a dead unit stay dead?
The slope of a ReLU is zero where its output is. If that is so for every
example, no gradient reaches the unit's weights.
:::

:::{dropdown} Why is accuracy a bad detector of bugs?
It falls only if a bug costs much. Two of five cost less than the seeds do.
:::

## Exercises

**1.** A number that is not finite spreads to everything after it. Write
`first_bad(model, input)`: the name of the first module whose output holds one,
or `None`.
"""


# %% tags=["solution"]
def first_bad(model: Module, input: Tensor) -> str | None:
    bad = []
    with watch_outputs(
        leaf_modules(model),
        lambda n, out: out.isfinite().all() or bad.append(n),
    ):
        model(input)
    return bad[0] if bad else None


broken = network()
assert first_bad(broken, x[:8]) is None
broken[2].bias.data[3] = math.inf
assert_equal(first_bad(broken, x[:8]), "2")

# %% [markdown]
r"""
**2.** `Statistics` knows nothing of models. Record the gradient of the first
layer's weight over twenty steps on one batch.
"""

# %% tags=["solution"]
of_weight, run = Statistics(), Experiment(seed=0)
for _ in range(20):
    run.step()
    of_weight.record("weight", run.model[0].weight.grad)
assert_equal(of_weight.series("weight", "std").shape, torch.Size([20]))

# %% [markdown]
r"""
**3.** A sixth bug: a learning rate of one millionth. Which of the checks find it?
"""


# %% tags=["solution"]
class TooSlow(Experiment):
    lr = 1e-6


assert_equal(findings(TooSlow(seed=0)), {TooFast})

# %% [markdown]
r"""
The story of training ends here; its starred chapters finish what it began.
"""

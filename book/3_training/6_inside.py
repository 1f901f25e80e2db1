# %% [markdown] module="inside.hooks"
r"""
# Looking inside

The loss goes down, the accuracy is 91 %. Is that good? A network that lacks a
nonlinearity learns. One whose dropout is still on when it is tested learns too,
and one that is tested on rows it was trained on seems to learn better. None of
them raises an error. **How does one see what a network is really doing?**

We hang {term}`hooks <hook>` on its modules, which see what flows through,
forward and backward. From what they see come the pictures that people know:
means, deviations and coloured histograms over training, and units that are
dead. Then we plant fifteen bugs and write, for each, the check that finds it
and has nothing to say about the healthy run.

| name | shape | meaning |
| --- | --- | --- |
| `output`, activation | `(n, ...)` | what a module returns for a batch |
| `grad_output` | as `output` | the gradient of the loss with respect to it |
| unit | | one column of a linear layer's output |
| `every` | | one batch in so many is recorded |
"""

# %% Imports tags=["hide-input"]
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown
from torch import Tensor

from groundup.datasets import mnist
from groundup.nn import Linear, Module, Parameter, ReLU, Sequential, init
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.functional.probability import log_softmax, softmax
from groundup.nn.module import Handle
from groundup.testing import assert_equal
from groundup.training.callback import Callback, Run
from groundup.training.learner import Learner

# %% [markdown]
r"""
## A network to look into

Five thousand digits, two hidden layers of 50 units, batches of 64, plain
gradient descent. It trains in a second, which leaves time to do it often.
"""

# %%
torch.set_num_threads(1)  # small layers are not worth a second one
images, digits = mnist()
rows = torch.randperm(50_000, generator=torch.Generator().manual_seed(0))[:5000]
x, y = images[rows].flatten(1).float(), digits[rows]
x = (x - x.mean()) / x.std()


def network(n_hidden: int = 2, width: int = 50) -> Sequential:
    sizes = [784] + n_hidden * [width]
    hidden = [Linear(a, b) for a, b in zip(sizes, sizes[1:])]
    layers = [each for layer in hidden for each in (layer, ReLU())]
    return Sequential(*layers, Linear(width, 10))


def train(model: Module, lr: float = 0.1, n_epochs: int = 2) -> list[float]:
    losses = []
    for _ in range(n_epochs):
        for batch in torch.randperm(len(x)).split(64):
            loss = cross_entropy(model(x[batch]), y[batch])
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for param in model.parameters():
                    param -= lr * param.grad
            losses.append(loss.item())
    return losses


# %%
torch.manual_seed(0)
model = network()
losses = train(model)
losses[0], sum(losses[-20:]) / 20

# %% [markdown]
r"""
## Hooks

How to see the output of the third layer? One could write the forward pass out
and print in between, and undo it afterwards. A hook needs no change to the
model: {doc}`/2_backward/7_module` gave each module a list of functions that it
calls with what went in and what came out.
"""

# %%
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
activations forever, and keeps the memory. So a hook is a thing to be used in a
`with` statement, and many hooks are one such thing. Should it fail to put on
the third, it takes off the first two.
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


# %%
seen = []


def see(module: Module, args: tuple, output: Tensor) -> None:
    seen.append(output.std().item())


with Handles(model[i].register_forward_hook(see) for i in (0, 2)):
    model(x[:64])
model(x[:64])
seen

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
When the body raises, the hooks are gone all the same:
"""

# %%
with suppress(ZeroDivisionError):
    with watch_outputs({"first": model[0]}, lambda name, out: 1 / 0):
        model(x)
assert not model[0]._hooks

# %% [markdown]
r"""
## Backward hooks

A gradient is not returned by any module, so no forward hook sees it. But
{doc}`/2_backward/5_autograd` lets us put a step of our own into the graph. Take
the identity, whose gradient is the identity, and let its backward pass tell
somebody what went by.
"""


# %%
class Tell(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tell: Callable, x: Tensor) -> Tensor:
        ctx.tell = tell
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        ctx.tell(grad)
        return None, grad


seen = []
hidden = Tell.apply(seen.append, model[0](x[:64]))
cross_entropy(model[1:](hidden), y[:64]).backward()
seen[0].shape

# %% [markdown]
r"""
Behind a module it sees the gradient of the output; before it, that of the
input. The one for the library has to know more of the world: a module may take
and return tuples, with other things among the tensors; not every tensor has a
gradient; and a hook may return another one in its place.
"""


# %% The identity that tells tags=["export"]
class _Tell(torch.autograd.Function):
    """The identity of all that a call took or gave; tells `hook` the gradients.

    A gradient that nobody has is None, or zeros if `fill`.
    """

    @staticmethod
    def forward(ctx: Any, hook: Callable, fill: bool, *items: Any) -> tuple:
        ctx.hook = hook
        ctx.are_tensors = [isinstance(each, Tensor) for each in items]
        ctx.set_materialize_grads(fill)
        tensors = [each for each in items if isinstance(each, Tensor)]
        constant = [each for each in tensors if not each.requires_grad]
        ctx.mark_non_differentiable(*constant)
        return items

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple:
        changed = ctx.hook(grads)
        if changed is None:
            return None, None, *grads
        changed = changed if isinstance(changed, tuple) else (changed,)
        if len(changed) != len(grads):
            message = f"the hook returned {len(changed)} gradients"
            raise RuntimeError(f"{message}, expected {len(grads)}")
        pairs = zip(changed, ctx.are_tensors, strict=True)
        return None, None, *(g if known else None for g, known in pairs)


# %% tags=["export"]
def _tell(hook: Callable, items: Any, fill: bool = False) -> Any:
    """Send a tensor, or a tuple of things, through `_Tell`."""
    if isinstance(items, Tensor):
        return _Tell.apply(hook, fill, items)[0]
    if not isinstance(items, tuple):
        kind = type(items).__name__
        raise TypeError(f"expected a tensor or a tuple of them, got a {kind}")
    return _Tell.apply(hook, fill, *items)


# %%
seen = []
first, second = torch.ones(2, requires_grad=True), torch.arange(2)
first, second, number = _tell(seen.append, (first, second, 3.0))
(first * second * number).sum().backward()
seen

# %% [markdown]
r"""
That is enough for the first of the two hooks for which torch has names:
`register_full_backward_pre_hook` sees the gradient of a module's output, and
may change it. With it gradients are watched as outputs are.
"""


# %% Gradients of outputs tags=["export"] earns="torch.nn.Module.register_full_backward_pre_hook"
def register_full_backward_pre_hook(module: Module, hook: Callable) -> Handle:
    """Call `hook(module, grad_output)` first; it may replace the gradients."""

    def leave(module: Module, args: tuple, output: Any) -> Any:
        return _tell(partial(hook, module), output)

    return module.register_forward_hook(leave, prepend=True)


def watch_gradients(
    modules: Mapping[str, Module], see: Callable[[str, Tensor], Any]
) -> Handles:
    """Call `see(name, grad_output)` when a gradient reaches a module.

    What comes after a module may not change its output in place.
    """

    def hook(name: str, module: Module, grads: tuple) -> None:
        if grads[0] is not None:
            see(name, grads[0].detach())

    return Handles(
        register_full_backward_pre_hook(module, partial(hook, name))
        for name, module in modules.items()
    )


# %%
sizes = {}
with watch_gradients(
    leaf_modules(model), lambda name, grad: sizes.update({name: grad.std()})
):
    cross_entropy(model(x), y).backward()
{name: f"{size.item():.1e}" for name, size in sizes.items()}

# %% [markdown]
r"""
The last layer comes first: that is the order in which a gradient arrives.

The other, `register_full_backward_hook`, sees the gradients of input and output
when both are known. So the two sides of one call have to be connected; and
since a module may be called several times before the backward pass starts, each
call gets an object of its own.
"""


# %% Gradients of both sides tags=["export"]
class _Call:
    """One call of a module: where its two gradients meet."""

    def __init__(self, module: Module, hook: Callable, args: tuple):
        self.hook = partial(hook, module)
        self.nothing = (None,) * len(args)
        self.grad_output: tuple | None = None
        self.inside = torch.is_grad_enabled() and any(
            isinstance(arg, Tensor) and arg.requires_grad for arg in args
        )

    def at_output(self, grads: tuple) -> None:
        """Keep the gradient, or tell it if no input's will follow."""
        self.grad_output = grads
        if not self.inside:
            self.hook(self.nothing, grads)

    def at_input(self, grads: tuple) -> Any:
        """Tell both; a gradient that did not come through is not told."""
        grad_output, self.grad_output = self.grad_output, None
        return None if grad_output is None else self.hook(grads, grad_output)


# %% tags=["export"] earns="torch.nn.Module.register_full_backward_hook"
def register_full_backward_hook(module: Module, hook: Callable) -> Handles:
    """Call `hook(module, grad_input, grad_output)`; it may replace the first.

    Both are tuples, with None for what is no tensor; as torch has it, what
    has no gradient is None in the second and zeros in the first. A pre-hook
    of the same module has to be registered before.
    """
    calls: list[_Call] = []  # those under way: a module may call itself

    def enter(module: Module, args: tuple) -> tuple:
        calls.append(_Call(module, hook, args))
        call = calls[-1]
        return _tell(call.at_input, args, fill=True) if call.inside else args

    def leave(module: Module, args: tuple, output: Any) -> Any:
        return _tell(calls.pop().at_output, output)

    first = {"prepend": True}  # so that hooks run in the order they came
    return Handles(
        [
            module.register_forward_pre_hook(enter, **first),
            module.register_forward_hook(leave, **first),
        ]
    )


# %% [markdown]
r"""
Do our hooks see what torch's see?
"""

# %% tags=["reference"]
layer, ours, theirs = torch.nn.Linear(50, 10), [], []
with (
    register_full_backward_hook(layer, lambda module, *both: ours.extend(both)),
    layer.register_full_backward_hook(
        lambda module, *both: theirs.extend(both)
    ),
):
    layer(torch.randn(64, 50, requires_grad=True)).square().sum().backward()
for (mine,), (real,) in zip(ours, theirs, strict=True):
    assert_equal(mine, real)
[tuple(grad.shape) for (grad,) in ours]

# %% [markdown]
r"""
## Statistics over training

Of every `every`-th batch we keep, for each module, five things: which batch it
was, mean and deviation, a {term}`histogram`, and for each unit the share of
zeros among its outputs. The 3,200 numbers of a hidden layer become 85. They
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


# %% [markdown]
r"""
The snapshot itself is seven lines of arithmetic.
"""


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


# %% [markdown]
r"""
Watching and keeping are two things, so `Statistics` knows nothing of hooks:
`record` is a function that `watch_outputs` may call, or `watch_gradients`, or
nobody.
"""


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

    size = {"figsize": (6.4, 2.8), "layout": "constrained"}
    figure, axes = plt.subplots(1, 2, **size)
    for name in stats.kept if names is None else names:
        steps = stats.series(name, "step")
        for ax, field in zip(axes, ("mean", "std"), strict=True):
            ax.plot(steps, stats.series(name, field), lw=1, label=name)
            ax.set(xlabel="batch", title=field)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center")
    return figure


# %% alt="Mean and deviation of the outputs of the three linear layers over 160 batches. The deviations rise in the first forty batches and then level off; that of the last layer grows the most, from 0.1 to above 3. No line jumps." tags=["hide-input"]
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
    size = (2.13 * len(names), 2.4)
    figure, axes = plt.subplots(1, len(names), figsize=size, squeeze=False)
    for ax, name in zip(axes.flat, names, strict=True):
        draw_histograms(ax, stats, name)
        ax.label_outer()
    return figure


# %% alt="Three images, one for each linear layer. Time runs to the right, the value upwards, and a brighter colour is a higher count. In each a thin bright band around zero widens smoothly in the first forty batches and then stays." tags=["hide-input"]
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

# %% alt="Histograms of the second linear layer over training in three ill networks. Variance 1: the picture begins at both edges and soon falls apart into a few horizontal stripes. Learning rate 3: after a few chaotic batches only horizontal stripes remain. Learning rate 0.001: one narrow band that does not change at all." tags=["hide-input"]
figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.4), sharey=True)
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
{term}`dead unit`. The share of zeros tells: `dead` asks for five snapshots in
which a unit gave nothing else.
"""

# %%
dead = {
    name: each.dead("3").float().mean().item()
    for name, each in {"healthy": stats, **ill}.items()
}
assert dead["healthy"] < 0.1 < 0.5 < dead["lr 3"]
dead

# %% [markdown]
r"""
Over training, that share has a line for each module.
"""


# %% Dead units over training tags=["export"] module="inside.statistics"
def plot_dead(stats: Statistics, names: Iterable[str] | None = None) -> Any:
    """The share of units that give only zeros in a batch, over training."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6.4, 2.8))
    for name in stats.kept if names is None else names:
        share = (stats.series(name, "zeros") == 1).float().mean(1)
        ax.plot(stats.series(name, "step"), share, label=name)
    ax.set(xlabel="batch", ylabel="share of dead units", ylim=(-0.02, 1.02))
    ax.legend()
    return figure


# %% alt="Share of dead units over training at a learning rate of 3: within ten batches nearly all units of both hidden layers give only zeros, and but for a few dips of one batch they stay so." tags=["hide-input"]
plot_dead(ill["lr 3"], ["1", "3"])
plt.show()

# %% [markdown]
r"""
## A summary

Before the first batch one wants to know what the model *is*: which shapes flow,
where the parameters are, and what a call costs. Cost is counted in
{term}`multiply-adds <multiply-add>`: a linear layer needs `in_features` of them
for each number it puts out. The count cannot be read off a module's parameters
alone, so each kind of module has a rule, and a module with parameters but
without a rule shows a question mark rather than a zero.
"""


# %% Rules of cost tags=["export", "internal"] module="inside.summary"
"""What a model is made of: shapes, parameters, multiply-adds."""

CostRule = Callable[[Any, Tensor], int]  # (module, output) -> multiply-adds


def linear_multiply_adds(module: Linear, output: Tensor) -> int:
    """One for each input of each number put out; the bias is an addition."""
    return output.numel() * module.in_features


RULES: Mapping[type, CostRule] = {
    Linear: linear_multiply_adds,
    torch.nn.Linear: linear_multiply_adds,
}


def _cost(module: Module, output: Any, rules: Mapping) -> int | None:
    """By the rule of the module's class or of its nearest base, if one has."""
    for kind in type(module).__mro__:
        if kind in rules:
            return rules[kind](module, output)
    return None if list(module.parameters(recurse=False)) else 0


# %%
hidden = model[0](x[:64])
_cost(model[0], hidden, RULES), _cost(model[1], hidden, RULES)

# %% [markdown]
r"""
A summary is a tuple of rows, one for each module.
"""


# %% Rows that print as a table tags=["export", "internal"] module="inside.summary"
class Row(NamedTuple):
    """A module in a summary; None is unknown."""

    name: str
    kind: str
    shape: tuple[int, ...] | None  # of the last output
    n_params: int  # its own; a shared one counts where it is met first
    multiply_adds: int | None  # of all calls


class Summary(tuple[Row, ...]):
    """Rows that print as a table, indented as the modules are nested."""

    @property
    def n_params(self) -> int:
        """Elements of all parameters, each counted once."""
        return sum(row.n_params for row in self)

    @property
    def multiply_adds(self) -> int:
        """Of all calls whose rule is known: at least so many."""
        return sum(row.multiply_adds or 0 for row in self)


# %% tags=["export", "internal"] module="inside.summary"
class Summary(Summary):
    def __repr__(self) -> str:
        table = [("module", "output", "parameters", "multiply-adds")]
        table += [_cells(row) for row in self]
        unknown = any(row.multiply_adds is None for row in self)
        cost = f"{'>= ' if unknown else ''}{self.multiply_adds:,}"
        table.append(("total", "", f"{self.n_params:,}", cost))
        a, b, c, d = (max(map(len, each)) for each in zip(*table, strict=True))
        return "\n".join(
            f"{label:<{a}}  {shape:<{b}}  {params:>{c}}  {cost:>{d}}"
            for label, shape, params, cost in table
        )


def _cells(row: Row) -> tuple[str, str, str, str]:
    """A row in words, indented; zeros are left out."""
    depth = row.name.count(".") + 1 if row.name else 0
    label = f"({row.name.rpartition('.')[2]}): " if row.name else ""
    shape = "-" if row.shape is None else str(row.shape)
    params, cost = (
        "?" if each is None else f"{each:,}" if each else ""
        for each in (row.n_params, row.multiply_adds)
    )
    return "  " * depth + label + row.kind, shape, params, cost


# %%
Summary([Row("0", "Linear", (64, 50), 39250, _cost(model[0], hidden, RULES))])

# %% [markdown]
r"""
To fill it, the model is called in evaluation mode and without gradients, so
that the call changes nothing, and afterwards each module is in the mode it was
in.
"""


# %% The summary tags=["export"] module="inside.summary"
@contextmanager
def _evaluating(model: Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad():
            model.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def _count_new(module: Module, seen: set[Tensor]) -> int:
    """Elements of the parameters not seen before, which then are."""
    new = set(module.parameters(recurse=False)) - seen
    seen |= new
    return sum(param.numel() for param in new)


# %% tags=["export"] module="inside.summary"
def summarize(
    model: Module, *args: Any, rules: Mapping[type, CostRule] | None = None
) -> Summary:
    """Call the model with `args`, in evaluation mode, and list its modules.

    `rules` adds kinds of modules whose multiply-adds are known.
    """
    modules, known = dict(model.named_modules()), {**RULES, **(rules or {})}
    shapes: dict[str, tuple[int, ...] | None] = {}
    costs: dict[str, int | None] = dict.fromkeys(modules, 0)

    def note(name: str, module: Module, args: tuple, output: Any) -> None:
        known_shape = isinstance(output, Tensor)
        shapes[name] = tuple(output.shape) if known_shape else None
        cost, so_far = _cost(module, output, known), costs[name]
        costs[name] = None if None in (cost, so_far) else so_far + cost

    hooks = (
        module.register_forward_hook(partial(note, name))
        for name, module in modules.items()
    )
    with Handles(hooks), _evaluating(model):
        model(*args)
    kinds = {name: type(module).__name__ for name, module in modules.items()}
    seen: set[Tensor] = set()
    return Summary(
        Row(n, kinds[n], shapes.get(n), _count_new(each, seen), costs[n])
        for n, each in modules.items()
    )


# %%
table = summarize(model, x[:64])
assert table.n_params == 784 * 50 + 50 + 50 * 50 + 50 + 50 * 10 + 10
assert table.multiply_adds == 64 * (784 * 50 + 50 * 50 + 50 * 10)
table

# %% [markdown]
r"""
Nine tenths of everything lies in the first layer. The root has no numbers of
its own, as all it has is in its children. The well-known `torchinfo` prints the
same shapes and parameters. Its multiply-adds differ: it counts the bias too,
and it multiplies by the batch only, so for a sequence `(n, t, d)` it is too low
by a factor of `t`. Our tests hold ours against torch's own counter of
operations.

## A gallery of bugs

Pictures need somebody who looks. A check does not. Below is a training run with
everything in it: it splits the data, normalises it, shuffles, trains with a
layer that drops a tenth of its inputs at random, and evaluates. It is healthy.
Each bug is a subclass that gets one thing wrong.
"""


# %%
class Dropout(Module):
    """Zeroes a share of its inputs, in training mode only."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return input
        return input * (torch.rand_like(input) > 0.1) / 0.9


class Experiment:
    lr = 0.1

    def __init__(self, seed: int, n: int = 2000):
        self.rng = torch.Generator().manual_seed(seed)
        rows = torch.randperm(50_000, generator=self.rng)[: n + 1000]
        self.rows, self.valid_rows = self.split(rows, n)
        self.x, self.valid_x = self.prepare(*self.raw())
        self.y, self.valid_y = digits[self.rows], digits[self.valid_rows]
        self.y = self.label(self.y)
        torch.manual_seed(seed)
        self.model = self.build()
        self.params = list(self.model.parameters())


# %% [markdown]
r"""
Each thing that can go wrong is a method of its own. First those of the data and
the model:
"""


# %%
class Experiment(Experiment):
    def split(self, rows: Tensor, n: int) -> tuple[Tensor, Tensor]:
        return rows[:n], rows[n:]

    def raw(self) -> Iterator[Tensor]:
        for rows in (self.rows, self.valid_rows):
            yield images[rows].flatten(1).float()

    def prepare(self, x: Tensor, valid_x: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = x.mean(), x.std()
        return (x - mean) / std, (valid_x - mean) / std

    def label(self, y: Tensor) -> Tensor:
        return y

    def build(self) -> Module:
        return Sequential(
            *(Linear(784, 50), ReLU(), Dropout()),
            *(Linear(50, 50), ReLU(), Linear(50, 10)),
        )


# %% [markdown]
r"""
Then those of a step:
"""


# %%
class Experiment(Experiment):
    def order(self) -> Tensor:
        return torch.randperm(len(self.x), generator=self.rng)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(output, target)

    def clear(self) -> None:
        for param in self.params:
            param.grad = None

    def step(self, rows: Tensor) -> None:
        self.model.train()
        self.clear()
        self.loss(self.model(self.x[rows]), self.y[rows]).backward()
        with torch.no_grad():
            for param in self.params:
                if param.grad is not None:
                    param -= self.lr * param.grad


# %% [markdown]
r"""
And the whole:
"""


# %%
class Experiment(Experiment):
    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        self.model.eval()
        return self.model(x)

    def fit(self, n_epochs: int = 5) -> float:
        for _ in range(n_epochs):
            for rows in self.order().split(64):
                self.step(rows)
        right = self.predict(self.valid_x).argmax(-1) == self.valid_y
        return right.float().mean().item()


Experiment(seed=0).fit()

# %% [markdown]
r"""
A check is a function that returns a sentence about what it found, with the
numbers, or `None`. So it serves in a notebook, in a test and in a training
script: `assert check_overlap(x, valid_x) is None`. They come in three groups:
what is wrong with the data, with the model, and with a step of training. Beside
each stands the bug that it is for, which is a few words away from the healthy
run.

### The data

*Sorted batches.* Each batch should have about the class shares of the whole.
The {term}`chi-squared statistic` measures how far the counts are from that; for
shuffled data it is about as large as its degrees of freedom.
"""


# %% Are the batches mixed? tags=["export"] module="inside.data_checks"
"""Checks of the data: a sentence about what is wrong, or None."""


def check_shuffled(labels: Iterable[Tensor]) -> str | None:
    """Does each batch of labels hold the classes in the shares of all?"""
    batches = list(labels)
    n_classes = int(max(batch.max() for batch in batches)) + 1
    counts = torch.stack([b.bincount(minlength=n_classes) for b in batches])
    counts = counts[:, counts.sum(0) > 0].double()  # (batches, classes)
    shares = counts.sum(0) / counts.sum()
    expected = counts.sum(1, keepdim=True) * shares
    chi2 = ((counts - expected) ** 2 / expected).sum().item()
    freedom = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    if chi2 <= freedom + 6 * math.sqrt(2 * freedom + 1):
        return None
    return (
        f"the classes are unevenly spread over the batches: chi² is "
        f"{chi2:.0f}, for shuffled ones about {freedom}"
    )


# %%
class SortedBatches(Experiment):
    def order(self) -> Tensor:
        return self.y.argsort()


sick = SortedBatches(seed=0)
check_shuffled(sick.y[rows] for rows in sick.order().split(64))

# %% [markdown]
r"""
*Labels that do not belong to their inputs.* The mean image of each class, from
half of the examples, should classify the other half better than the commonest
class does. No network is needed, and none can help.
"""


# %% Do labels belong to inputs? tags=["export"] module="inside.data_checks"
def check_labels(input: Tensor, target: Tensor) -> str | None:
    """Do inputs (n, ...) tell anything of their labels (n,)?

    Compares with the means of the classes, so a task in which classes differ
    in no mean is reported too.
    """
    x, y = input.flatten(1).float(), target
    classes = y[::2].unique()
    means = torch.stack([x[::2][y[::2] == each].mean(0) for each in classes])
    # |x - m|² without |x|², which is the same for every m
    distances = means.square().sum(1) - 2 * x[1::2] @ means.T
    nearest = classes[distances.argmin(1)]
    right = (nearest == y[1::2]).double().mean().item()
    chance = (y.bincount().max() / len(y)).item()
    spread = math.sqrt(chance * (1 - chance) / len(nearest))
    if right > chance + 5 * spread:
        return None
    return (
        f"the nearest class mean is right for {right:.1%} of the examples, "
        f"the commonest class for {chance:.1%}: do labels belong to inputs?"
    )


# %%
class ShuffledLabels(Experiment):
    def label(self, y: Tensor) -> Tensor:
        return y[torch.randperm(len(y), generator=self.rng)]


sick = ShuffledLabels(seed=0)
check_labels(sick.x, sick.y)

# %% [markdown]
r"""
*Leaks.* If the statistics used to normalise saw the validation set, the
training inputs depend on it. So blank all validation rows but the first, and
see whether anything else moves. That finds every way of leaking, not just this
one.
"""


# %% Is validation kept apart? tags=["export"] module="inside.data_checks"
def check_leak(
    prepare: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    train: Tensor,
    valid: Tensor,
) -> str | None:
    """Does `prepare(train, valid)` let anything see the validation rows?

    Blanks all of them but the first: nothing else may change.
    """
    blank = torch.zeros_like(valid)
    blank[0] = valid[0]
    before, after = prepare(train, valid), prepare(train, blank)
    shift = (before[0] - after[0]).abs().max().item()
    own = (before[1][0] - after[1][0]).abs().max().item()
    if shift == 0 and own == 0:
        return None
    return (
        "without the other validation rows, the training inputs change by up "
        f"to {shift:.2g} and the first validation row by {own:.2g}"
    )


# %%
class LeakedStatistics(Experiment):
    def prepare(self, x: Tensor, valid_x: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat([x, valid_x])
        mean, std = both.mean(), both.std()
        return (x - mean) / std, (valid_x - mean) / std


sick = LeakedStatistics(seed=0)
check_leak(sick.prepare, *sick.raw())

# %% [markdown]
r"""
*Validation by the training set.* Count the rows that occur in both. And
*another scale*: means and deviations of the two sets should be near to each
other.
"""


# %% Are the two sets alike, and not the same? tags=["export"] module="inside.data_checks"
def check_overlap(
    train: Tensor, valid: Tensor, allowed: float = 0.01
) -> str | None:
    """Is more than a share `allowed` of validation rows in training, too?"""
    rows = {row.numpy().tobytes() for row in train.cpu()}
    same = sum(row.numpy().tobytes() in rows for row in valid.cpu())
    if same <= allowed * len(valid):
        return None
    return f"{same} of {len(valid)} validation rows are training rows"


def check_scale(train: Tensor, valid: Tensor) -> str | None:
    """Are means and deviations of the two sets of inputs alike?"""
    mean, std = train.mean().item(), train.std().item()
    valid_mean, valid_std = valid.mean().item(), valid.std().item()
    near = abs(valid_mean - mean) <= 0.2 * std
    if near and 0.8 * std <= valid_std <= 1.25 * std:
        return None
    return (
        f"validation inputs are {valid_mean:.3g} ± {valid_std:.3g}, "
        f"training inputs {mean:.3g} ± {std:.3g}"
    )


# %%
class ValidatedOnTraining(Experiment):
    def split(self, rows: Tensor, n: int) -> tuple[Tensor, Tensor]:
        return rows[:n], rows[:1000]


class ForgottenNormalisation(Experiment):
    def prepare(self, x: Tensor, valid_x: Tensor) -> tuple[Tensor, Tensor]:
        return (x - x.mean()) / x.std(), valid_x / 255


same, scaled = ValidatedOnTraining(seed=0), ForgottenNormalisation(seed=0)
assert check_scale(same.x, same.valid_x) is None
assert check_overlap(scaled.x, scaled.valid_x) is None
check_overlap(same.x, same.valid_x), check_scale(scaled.x, scaled.valid_x)

# %% [markdown]
r"""
### The model

*Rows that depend on each other.* The answer for an example may not depend on
who else is in the batch, nor may its shape. So ask for one alone and compare.
That finds `squeeze()` without an axis, which at batch size 1 takes the batch
away too. *Evaluation in training mode.* Asked twice, the model answers twice
the same.
"""


# %% Is an answer always the same? tags=["export"] module="inside.model_checks"
"""Checks of a model and its loss: a sentence about what is wrong, or None."""


@torch.no_grad()
def check_rows(
    predict: Callable[[Tensor], Tensor], input: Tensor
) -> str | None:
    """Is the answer for a row the same when it comes alone?"""
    together, alone = predict(input)[:1], predict(input[:1])
    if together.shape != alone.shape:
        shapes = f"{tuple(alone.shape)}, not {tuple(together.shape)}"
        return f"a batch of one row gives {shapes}"
    gap = (together - alone).abs().max().item()
    if gap <= 1e-4 * (1 + together.abs().max().item()):
        return None
    return f"a row alone is answered differently, by up to {gap:.2g}"


@torch.no_grad()
def check_repeats(
    predict: Callable[[Tensor], Tensor], input: Tensor
) -> str | None:
    """Is the answer the same when asked twice?"""
    gap = (predict(input) - predict(input)).abs().max().item()
    if gap == 0:
        return None
    return (
        f"asked twice, the answers differ by up to {gap:.2g}: "
        "evaluate in evaluation mode"
    )


# %%
class SqueezedOutput(Experiment):
    def build(self) -> Module:
        class Squeeze(Module):
            def forward(self, input: Tensor) -> Tensor:
                return input.squeeze()

        return Sequential(*super().build(), Squeeze())


class EvaluatedInTraining(Experiment):
    def predict(self, x: Tensor) -> Tensor:
        return self.model.train()(x).detach()


squeezed, noisy = SqueezedOutput(seed=0), EvaluatedInTraining(seed=0)
few = noisy.valid_x[:8]
check_rows(squeezed.predict, few), check_repeats(noisy.predict, few)

# %% [markdown]
r"""
*Weights of the wrong size.* How far a module's outputs differ from row to row
is between 0.02 and 10. (The deviation of all its numbers would not do: units
differ by their biases, though each may say the same to every row.)
"""


# %% How far do rows differ within? tags=["export"] module="inside.model_checks"
@torch.no_grad()
def check_activations(
    model: Module, input: Tensor, low: float = 0.02, high: float = 10.0
) -> str | None:
    """Do rows differ by `low` to `high`, in every module's output?"""
    stds: dict[str, float] = {}
    with watch_outputs(
        leaf_modules(model), lambda name, out: stds.update({name: _std(out)})
    ):
        model(input)
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
        return unit_variance(super().build())


sick = UnitVariance(seed=0)
check_activations(sick.model, sick.x[:64])

# %% [markdown]
r"""
*A forgotten nonlinearity.* The output of one linear layer is the input of the
next: two matrices are one matrix.
"""


# %% Is there something between linear layers? tags=["export"] module="inside.model_checks"
@torch.no_grad()
def check_nonlinear(model: Module, input: Tensor) -> str | None:
    """Is there something between any two linear layers?"""
    made: list[tuple[str, Tensor, Tensor]] = []  # as it is, as it was
    found: list[str] = []

    def hook(name: str, module: Module, args: tuple, output: Tensor) -> None:
        found.extend(
            f"{before} and {name}"
            for before, now, then in made
            if now is args[0] and now.equal(then)
        )
        made.append((name, output, output.clone()))

    linear = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, Linear | torch.nn.Linear)
    }
    with Handles(
        module.register_forward_hook(partial(hook, name))
        for name, module in linear.items()
    ):
        model(input)
    return f"nothing lies between {', '.join(found)}" if found else None


# %%
class MissingReLU(Experiment):
    def build(self) -> Module:
        layers = list(super().build())
        return Sequential(*layers[:4], layers[5])


sick = MissingReLU(seed=0)
check_nonlinear(sick.model, sick.x[:8])

# %% [markdown]
r"""
*Softmax twice.* The scores that go into the loss are probabilities already.
*The wrong axis.* The mean loss of a batch is the mean of the losses of its
rows, each taken alone.
"""


# %% Does the loss get what it wants? tags=["export"] module="inside.model_checks"
def check_scores(output: Tensor) -> str | None:
    """Are scores for a cross-entropy (n, k) not yet probabilities?"""
    sums = output.sum(-1)
    if (output < 0).any() or ((sums - 1).abs() > 1e-3).any():
        return None
    return (
        "the scores are positive and each row sums to 1: cross-entropy "
        "applies softmax itself"
    )


def check_loss(
    loss: Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor
) -> str | None:
    """Is the mean loss of a batch the mean of its rows' losses?

    Not so for a loss that sums, or that weighs the classes.
    """
    rows = zip(output.split(1), target.split(1), strict=True)
    apart = sum(loss(o, t).item() for o, t in rows) / len(output)
    together = loss(output, target).item()
    if abs(together - apart) <= 1e-3 * abs(apart) + 1e-6:
        return None
    return f"the batch's loss is {together:.4g}, its rows' mean is {apart:.4g}"


# %%
class SoftmaxTwice(Experiment):
    def build(self) -> Module:
        class Softmax(Module):
            def forward(self, input: Tensor) -> Tensor:
                return softmax(input, -1)

        return Sequential(*super().build(), Softmax())


class WrongAxis(Experiment):
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        shares = log_softmax(output, 0)  # over the batch
        return -shares[range(len(target)), target].mean()


twice, wrong = SoftmaxTwice(seed=0), WrongAxis(seed=0)
few, labels = wrong.x[:64], wrong.y[:64]
check_scores(twice.model(few)), check_loss(wrong.loss, wrong.model(few), labels)

# %% [markdown]
r"""
### The step

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
        class Listed(Module):
            def __init__(self):
                self.layers = [Linear(784, 50), Dropout(), Linear(50, 50)]
                self.last = Linear(50, 10)

            def forward(self, input: Tensor) -> Tensor:
                first, drop, second = self.layers
                hidden = drop(first(input).relu())
                return self.last(second(hidden).relu())

        return Listed()


sick = LayerInList(seed=0)
loss = sick.loss(sick.model(sick.x[:8]), sick.y[:8])
check_parameters(loss, sick.params)

# %% [markdown]
r"""
*Parameters nothing reaches.* The other way round: after a backward pass, each
has a gradient that is not all zeros. Behind a `detach` none has one.
"""


# %% Does the gradient get everywhere? tags=["export"] module="inside.step_checks"
def check_gradients(named: Iterable[tuple[str, Tensor]]) -> str | None:
    """After a backward pass, has each parameter a gradient, not all zero?"""
    missed = [
        name
        for name, param in named
        if param.requires_grad and (param.grad is None or not param.grad.any())
    ]
    return f"no gradient reaches {', '.join(missed)}" if missed else None


# %%
class Detached(Experiment):
    def build(self) -> Module:
        class Detach(Module):
            def forward(self, input: Tensor) -> Tensor:
                return input.detach()

        layers = list(super().build())
        return Sequential(*layers[:3], Detach(), *layers[3:])


sick = Detached(seed=0)
sick.step(torch.arange(64))
check_gradients(sick.model.named_parameters())

# %% [markdown]
r"""
*Gradients left over.* Put the weights back and take the same step again: the
gradient should be the same. If nobody cleared the first, it has doubled.
"""


# %% Is the gradient cleared? tags=["export"] module="inside.step_checks"
def check_fresh(model: Module, step: Callable[[], Any]) -> str | None:
    """Does the same step from the same weights find the same gradient?

    `step()` trains on one batch, always the same one. The weights are put
    back; what an optimizer remembers is not.
    """
    first, second = _gradient(model, step), _gradient(model, step)
    gap, size, again = map(_length, (second - first, first, second))
    if gap <= 1e-3 * size:
        return None
    return (
        f"the same step again has a gradient of length {again:.3g}, "
        f"at first {size:.3g}: is it cleared?"
    )


def _length(tensor: Tensor) -> float:
    return tensor.square().sum().sqrt().item()


def _gradient(model: Module, step: Callable[[], Any]) -> Tensor:
    """All gradients after a step, in a row; the weights are put back."""
    before = {name: t.clone() for name, t in model.state_dict().items()}
    with torch.random.fork_rng():  # a second step draws the same numbers
        step()
    model.load_state_dict(before)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return torch.cat([torch.zeros(1)] + [g.flatten().cpu() for g in grads])


# %%
class ForgottenZeroGrad(Experiment):
    def clear(self) -> None:
        pass


sick = ForgottenZeroGrad(seed=0)
check_fresh(sick.model, partial(sick.step, torch.arange(64)))

# %% [markdown]
r"""
*The learning rate.* The length of a step should be small against the length of
the weights, and not nothing: between 0.0001 and 0.1 of it.
"""


# %% How long is a step? tags=["export"] module="inside.step_checks"
def check_step_size(
    model: Module,
    step: Callable[[], Any],
    low: float = 1e-4,
    high: float = 1e-1,
) -> str | None:
    """Is a step between `low` and `high` of the weights' length?"""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    step()
    moved = size = 0.0
    with torch.no_grad():
        for name, param in model.named_parameters():
            moved += (param - before[name]).square().sum().item()
            size += before[name].square().sum().item()
            param.copy_(before[name])
    ratio = math.sqrt(moved / size) if size else math.inf
    if low <= ratio <= high:
        return None
    return f"a step moves the weights by {ratio:.2g} of their length"


# %%
class TooFast(Experiment):
    lr = 10.0


sick = TooFast(seed=0)
check_step_size(sick.model, partial(sick.step, torch.arange(64)))

# %% [markdown]
r"""
## Every check on every run

Now the test that such a list has to pass. All checks on all runs, over several
seeds: each bug must be found, and the healthy run must not be accused, by any
of them, ever.
"""


# %%
def examine(run: Experiment) -> dict[str, str | None]:
    """Every check on one run, before it is trained."""
    few = torch.arange(64)
    output = run.model(run.x[few])
    loss = run.loss(output, run.y[few])
    run.model.zero_grad()
    loss.backward(retain_graph=True)
    step = partial(run.step, few)
    found = {
        "shuffled": check_shuffled(run.y[r] for r in run.order().split(64)),
        "labels": check_labels(run.x, run.y),
        "leak": check_leak(run.prepare, *run.raw()),
        "overlap": check_overlap(run.x, run.valid_x),
        "scale": check_scale(run.x, run.valid_x),
        "rows": check_rows(run.predict, run.valid_x[:8]),
        "repeats": check_repeats(run.predict, run.valid_x[:8]),
        "activations": check_activations(run.model, run.x[few]),
        "nonlinear": check_nonlinear(run.model, run.x[few]),
        "scores": check_scores(output),
        "loss": check_loss(run.loss, output, run.y[few]),
        "parameters": check_parameters(loss, run.params),
        "gradients": check_gradients(run.model.named_parameters()),
        "fresh": check_fresh(run.model, step),
    }
    return found | {"step size": check_step_size(run.model, step)}


# %% [markdown]
r"""
Each bug names the check that is to find it.
"""

# %%
aims = {
    SortedBatches: "shuffled",
    ShuffledLabels: "labels",
    LeakedStatistics: "leak",
    ValidatedOnTraining: "overlap",
    ForgottenNormalisation: "scale",
    SqueezedOutput: "rows",
    EvaluatedInTraining: "repeats",
    UnitVariance: "activations",
    MissingReLU: "nonlinear",
    SoftmaxTwice: "scores",
    WrongAxis: "loss",
    LayerInList: "parameters",
    Detached: "gradients",
    ForgottenZeroGrad: "fresh",
    TooFast: "step size",
}

# %% limit=120
n_seeds, fired, scores, sentences = 3, {}, {}, {}
for kind in [Experiment, *aims]:
    runs = [kind(seed) for seed in range(n_seeds)]
    found = [examine(run) for run in runs]
    fired[kind] = {
        name: sum(each[name] is not None for each in found) for name in found[0]
    }
    sentences[kind] = found[0].get(aims.get(kind))
    scores[kind] = torch.tensor([run.fit() for run in runs])

# %% [markdown]
r"""
And so it does, one question for each bug, check and seed:
"""

# %%
assert set(fired[Experiment].values()) == {0}
assert len(aims) == len({*aims.values()}) == len(fired[Experiment]) == 15
assert all(fired[kind][aim] == n_seeds for kind, aim in aims.items())
sum(map(len, fired.values())) * n_seeds

# %% alt="A row for the healthy run and for each of the fifteen bugs. On the left a column of dots for each of the fifteen checks: the healthy row is empty, each bug has a dot in the column of its own check, so that they form a diagonal, and four have one or two grey ones beside it. On the right the validation accuracy of three runs each." tags=["hide-input"]
figure, (left, right) = plt.subplots(
    1, 2, figsize=(6.4, 4.8), sharey=True, width_ratios=(3, 2)
)
columns = list(fired[Experiment])
own, more = [], []
for i, (kind, counts) in enumerate(fired.items()):
    for j, name in enumerate(columns):
        if counts[name]:
            (own if name == aims.get(kind) else more).append((j, i))
left.plot(*zip(*own), "o", color="C1")
left.plot(*zip(*more), "o", color="0.5")
left.set_yticks(range(len(fired)), [kind.__name__ for kind in fired])
left.set_xticks(range(len(columns)), columns, rotation=90)
left.grid(alpha=0.2)
left.invert_yaxis()
right.plot(torch.stack([*scores.values()]), range(len(scores)), "o", color="C1")
right.plot(scores[Experiment], [0] * n_seeds, "o", color="C0")
right.axvline(scores[Experiment].mean(), color="0.5", lw=1, ls="--")
right.set(xlabel="validation accuracy", xlim=(0, 1))
plt.show()

# %% [markdown]
r"""
Each bug is found at every seed. The grey dots are not false alarms but further
symptoms: a dropout layer in a plain list, for example, is not found by `eval()`
either, so that network answers differently each time.

What the checks found, in their own words:
"""

# %% tags=["hide-input"]
lines = [f"* `{kind.__name__}`: {text}" for kind, text in sentences.items()]
Markdown("\n".join(lines[1:]))

# %% [markdown]
r"""
The right half of the figure is what the accuracy would have said, after five
epochs. The dashed line is the healthy mean. These bugs stay within two points
of it, or lie above:
"""

# %%
healthy = scores[Experiment]
unseen = {
    kind.__name__: round(scores[kind].mean().item(), 3)
    for kind in aims
    if scores[kind].mean() > healthy.mean() - 0.02
}
quiet = {"LeakedStatistics", "ValidatedOnTraining", "SqueezedOutput"}
assert quiet <= {*unseen}
unseen, healthy.mean(), healthy.std()

# %% [markdown]
r"""
## In a learner

In the bare loop, a `with` statement held the hooks. A learner has a place for
what lasts as long as a fit: a callback. {doc}`/3_training/4_learner` promises
that `before_fit` is followed by `after_fit` or by `after_cancel_fit`, whatever
happens, and that is the promise a hook needs.
"""


# %% Watching a fit tags=["export"] module="inside.watch"
"""Statistics of a model's activations or gradients while it is trained."""


class Watch(Callback):
    """Keeps `statistics` of the training batches of every fit.

    `watch_outputs` watches activations, `watch_gradients` gradients. Without
    `modules`, those that hold no other are watched.
    """

    def __init__(
        self,
        statistics: Statistics,
        watch: Callable[..., Handles] = watch_outputs,
        modules: Mapping[str, Module] | None = None,
    ):
        self.statistics, self.watch, self.modules = statistics, watch, modules
        self.handles = Handles(())


# %% tags=["export"] module="inside.watch"
class Watch(Watch):
    def before_fit(self, run: Run) -> None:
        """Put the hooks on."""

        def see(name: str, tensor: Tensor) -> None:
            if run.training:
                self.statistics.record(name, tensor)

        watched = self.modules
        watched = leaf_modules(run.model) if watched is None else watched
        self.handles = self.watch(watched, see)

    def after_fit(self, run: Run) -> None:
        """Take them off."""
        self.handles.remove()

    after_cancel_fit = after_fit


# %% [markdown]
r"""
This time it watches the gradients.
"""

# %% In use
from groundup.optim.sgd import SGD

torch.manual_seed(0)
gradients = Statistics(every=8, reach=0.02)
learn = Learner(
    network(),
    list(zip(x.split(64), y.split(64))),
    optim=SGD,
    lr=0.1,
    defaults=[],
    callbacks=[Watch(gradients, watch_gradients)],
)
learn.fit(2)
assert not any(module._hooks for module in learn.model.modules())

# %% alt="Histograms of the gradients that reach the first and the last linear layer, over training. In the first a band around zero widens. In the last there are two lines in the first batches, one a little above zero and one at -0.014; then the upper moves to zero and the lower dissolves." tags=["hide-input"]
plot_histograms(gradients, ["0", "4"])
plt.show()

# %% [markdown]
r"""
The gradient of a score is its probability, less 1 if it is the right one,
divided by the 64 of the batch. A network that knows nothing gives each digit a
tenth: so the last layer starts with two lines, nine scores at 0.1 / 64 and one
at −0.9 / 64. What it learns dissolves the lower one.
"""

# %% [markdown]
r"""
## What looking is worth

The picture of health began with deviations that shrink from layer to layer.
Torch's default does that: {doc}`/2_backward/6_linear` found a factor of √6 a
layer. These are the first that were recorded:
"""

# %%
{name: stats.series(name, "std")[0].item() for name in ("0", "2", "4")}

# %% [markdown]
r"""
Look, and mend what one sees: layer by layer, divide the weight by the deviation
that a hook measures on one batch.
"""


# %%
@torch.no_grad()
def scale_outputs(model: Module, input: Tensor) -> Module:
    stds = []
    for layer in model:
        if isinstance(layer, Linear):
            init.zeros_(layer.bias)
            with watch_outputs(
                {"": layer}, lambda name, out: stds.append(out.std())
            ):
                model(input)
            layer.weight /= stds[-1]
    return model


torch.manual_seed(0)
scaled = scale_outputs(network(n_hidden=8), x[:512])
assert check_activations(scaled, x[:512]) is None
found = check_activations(network(n_hidden=8), x[:512])
assert found is not None
found

# %% [markdown]
r"""
The check finds a deeper network's default wanting before it is trained.
Is it right? One epoch on the five thousand digits, five seeds, three depths,
and 2,000 digits to validate on:
"""

# %% limit=120
valid_x = images[50_000:52_000].flatten(1).float()
raw = images[rows].float()
valid_x = (valid_x - raw.mean()) / raw.std()
valid_y = digits[50_000:52_000]


def accuracy_of(model: Module, seed: int) -> float:
    torch.manual_seed(seed)
    train(model, n_epochs=1)
    with torch.no_grad():
        return (model(valid_x).argmax(-1) == valid_y).float().mean().item()


accuracies = defaultdict(list)
for depth in (2, 4, 8):
    for seed in range(5):
        torch.manual_seed(seed)
        default, tuned = network(depth), network(depth)
        tuned.load_state_dict(default.state_dict())
        scale_outputs(tuned, x[:512])
        accuracies[depth, "default"].append(accuracy_of(default, seed))
        accuracies[depth, "looked at"].append(accuracy_of(tuned, seed))

# %% tags=["hide-input"]
spread = {
    key: (torch.tensor(each).mean(), torch.tensor(each).std())
    for key, each in accuracies.items()
}
table = "| hidden layers | default | looked at |\n| --- | --- | --- |"
for depth in (2, 4, 8):
    cells = [
        "{:.1%} ± {:.1%}".format(*spread[depth, name])
        for name in ("default", "looked at")
    ]
    table += f"\n| {depth} | {' | '.join(cells)} |"
Markdown(table)

# %%
for depth, gain in ((2, 0.0), (4, 0.15), (8, 0.3)):
    assert spread[depth, "looked at"][0] > spread[depth, "default"][0] + gain

# %% [markdown]
r"""
With two hidden layers looking is worth less than the two deviations together.
With eight it is the difference between guessing and learning, and a single
batch, before any training, was enough to see it. Part 4 makes a method of it.

## What we built

* `Handles`, `leaf_modules`, `watch_outputs` (`inside.hooks`): hooks on many
  modules that come off together.
* `register_full_backward_hook`, `register_full_backward_pre_hook`,
  `watch_gradients` (`inside.hooks`): hooks on gradients, out of the identity.
* `Statistics`, `plot_moments`, `plot_histograms`, `draw_histograms`,
  `plot_dead` (`inside.statistics`): what is kept of activations and gradients,
  and its pictures; `Watch` (`inside.watch`), the callback that keeps it.
* `summarize` (`inside.summary`): shapes, parameters and multiply-adds.
* `check_shuffled`, `check_labels`, `check_leak`, `check_overlap`,
  `check_scale` (`inside.data_checks`): what is wrong with the data.
* `check_rows`, `check_repeats`, `check_activations`, `check_nonlinear`,
  `check_scores`, `check_loss` (`inside.model_checks`): with the model.
* `check_parameters`, `check_gradients`, `check_fresh`, `check_step_size`
  (`inside.step_checks`): with a step.

## Questions

:::{dropdown} Why does a hook belong in a `with` statement?
Because the lines after an error do not run. A hook left on slows down every
later call, and what it has collected is never freed.
:::

:::{dropdown} Why is the identity enough for a backward hook?
Its backward pass is called with the gradient of the place in the graph where it
stands. It need not change anything to look, and may return something else to
change it.
:::

:::{dropdown} Why do a module's two gradients not arrive at the same time?
The gradient of the output comes before the module's own backward pass, that of
the input after it. A hook that shows both has to keep the first.
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
It falls only if a bug costs much, and a leak or a validation on training rows
raises it. Those in the list above cost less than the seeds differ.
:::

:::{dropdown} Why does `check_leak` change the data instead of reading the code?
It asks the question itself: does anything depend on the validation set? Code
has many ways to leak, and all of them have to answer yes.
:::

## Exercises

**1.** A number that is not finite spreads to everything after it. Write
`first_bad(model, input)`: the name of the first module whose output holds one,
or `None`.
"""


# %% tags=["solution"]
def first_bad(model: Module, input: Tensor) -> str | None:
    bad = []

    def see(name: str, output: Tensor) -> None:
        if not output.isfinite().all():
            bad.append(name)

    with watch_outputs(leaf_modules(model), see):
        model(input)
    return bad[0] if bad else None


broken = network()
assert first_bad(broken, x[:8]) is None
broken[2].bias.data[3] = math.inf
assert_equal(first_bad(broken, x[:8]), "2")

# %% [markdown]
r"""
**2.** Give `summarize` a rule for a layer of your own, which multiplies each
feature by a weight.
"""


# %% tags=["solution"]
class Scale(Module):
    def __init__(self, d: int):
        self.weight = Parameter(torch.ones(d))

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight


scaled = Sequential(Linear(784, 50), Scale(50))
assert "?" in repr(summarize(scaled, x[:1]))
rules = {Scale: lambda module, output: output.numel()}
assert_equal(summarize(scaled, x[:1], rules=rules).multiply_adds, 785 * 50)

# %% [markdown]
r"""
**3.** Another bug: a data loader that was given a fixed seed at every epoch
deals the same batches again and again. Write the check, and show that it is
silent on the healthy order.
"""


# %% tags=["solution"]
def check_reshuffled(first: Tensor, second: Tensor) -> str | None:
    same = (first == second).double().mean().item()
    return None if same < 0.5 else f"{same:.0%} of the rows come as before"


class SameOrder(Experiment):
    def order(self) -> Tensor:
        fixed = torch.Generator().manual_seed(0)
        return torch.randperm(len(self.x), generator=fixed)


for kind, expected in ((Experiment, False), (SameOrder, True)):
    run = kind(seed=0)
    found = check_reshuffled(run.order(), run.order())
    assert_equal(found is not None, expected)

# %% [markdown]
r"""
**4.** A backward hook may change a gradient. Use one to clip what reaches a
module to ±0.001, and show that the layer below gets less.
"""

# %% tags=["solution"]
lengths = []
for limit in (math.inf, 0.001):
    torch.manual_seed(0)
    model = network()
    with register_full_backward_pre_hook(
        model[2],
        lambda module, grads, r=limit: tuple(g.clamp(-r, r) for g in grads),
    ):
        cross_entropy(model(x[:64]), y[:64]).backward()
    lengths.append(model[0].weight.grad.square().sum().sqrt().item())
assert lengths[1] < lengths[0]
lengths

# %% [markdown]
r"""
Every run of this chapter took plain steps against the gradient. What better
steps look like is the subject of the next one.
"""

# %% [markdown] module="inside.backward_hooks" starred=true
r"""
# Looking inside, finished

This chapter finishes what {doc}`/3_training/6_inside` began: hooks on modules
that take and return anything, a summary with costs, the rest of the gallery,
and one call that puts all its checks to a learner. You may go on without it;
of later chapters some use `examine` and `summarize` and say so.

**What does a network owe to the world outside: to its data, to its loss, to
whoever asks it for one answer?** The story's checks looked at weights and
gradients. A run with sound ones can be wrong all the same.

| name | shape | meaning |
| --- | --- | --- |
| gradients | as input and output | those at a module's two sides: `grad_input`, `grad_output` |
| `input`, `target` | a row each | what a batch is unpacked to |
| `predict` | | a function from input to output, in evaluation mode |
| `learn` | | a learner that is about to be trained |
"""

# %% Imports tags=["hide-input"]
import copy
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import torch
from IPython.display import Markdown
from torch import Tensor

from groundup.data.collate import map_batch, to_device
from groundup.datasets import mnist
from groundup.inside.hooks import (
    Handles,
    leaf_modules,
    watch_gradients,
    watch_outputs,
)
from groundup.inside.model_checks import (
    call_model,
    check_activations,
    check_nonlinear,
)
from groundup.inside.statistics import Statistics, plot_histograms
from groundup.inside.step_checks import (
    check_gradients,
    check_parameters,
    check_step_size,
)
from groundup.nn import Linear, Module, Parameter, ReLU, Sequential
from groundup.nn.functional.loss import cross_entropy
from groundup.nn.functional.probability import log_softmax, softmax
from groundup.nn.module import Handle
from groundup.optim.sgd import SGD
from groundup.testing import assert_equal
from groundup.training.callback import Callback, Run
from groundup.training.learner import Learner

# %%
import matplotlib.pyplot as plt

torch.set_num_threads(1)  # small layers are not worth a second one
images, digits = mnist()
x = images[:3000].flatten(1).float()
x, y = (x - x.mean()) / x.std(), digits[:3000]
x, y, valid_x, valid_y = x[:2000], y[:2000], x[2000:], y[2000:]


def network(*more: Module) -> Sequential:
    layers = [Linear(784, 50), ReLU(), Linear(50, 50), ReLU(), Linear(50, 10)]
    return Sequential(*layers, *more)


# %% [markdown]
r"""
## Hooks on any module

The story's `watch_gradients` sends a tensor through an identity whose backward
pass tells somebody. The identity for the library has to know more of the world:
a module may take and return tuples, with other things among the tensors; not
every tensor has a gradient; and a hook may return another one in its place.
"""


# %% The identity that tells tags=["export"]
"""Hooks on the gradients of modules that take and return anything."""


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
may change it.
"""


# %% Gradients of outputs tags=["export"] earns="torch.nn.Module.register_full_backward_pre_hook"
def register_full_backward_pre_hook(module: Module, hook: Callable) -> Handle:
    """Call `hook(module, grad_output)` first; it may replace the gradients."""

    def leave(module: Module, args: tuple, output: Any) -> Any:
        return _tell(partial(hook, module), output)

    return module.register_forward_hook(leave, prepend=True)


# %%
torch.manual_seed(0)
model, lengths = network(), []
for limit in (math.inf, 0.001):
    with register_full_backward_pre_hook(
        model[2],
        lambda module, grads, r=limit: tuple(g.clamp(-r, r) for g in grads),
    ):
        model.zero_grad()
        cross_entropy(model(x[:64]), y[:64]).backward()
    lengths.append(model[0].weight.grad.square().sum().sqrt().item())
assert lengths[1] < lengths[0]
lengths

# %% [markdown]
r"""
Gradients clipped at one layer arrive shorter at the layer below.

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
torch.manual_seed(0)
table = summarize(network(), x[:64])
assert_equal(table.n_params, 784 * 50 + 50 + 50 * 50 + 50 + 50 * 10 + 10)
assert_equal(table.multiply_adds, 64 * (784 * 50 + 50 * 50 + 50 * 10))
first = table[1]
assert first.n_params > 0.9 * table.n_params
assert first.multiply_adds > 0.9 * table.multiply_adds
table

# %% [markdown]
r"""
Nine tenths of everything lies in the first layer. The root has no numbers of
its own, as all it has is in its children. Our tests hold the multiply-adds
against torch's own counter of operations.

## In a learner

In a bare loop, a `with` statement held the hooks. A learner has a place for
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
## The rest of the gallery: data

The story's gallery holds five bugs of model and step. These are of the data, and
each is one line away from health. A check returns a sentence with the numbers,
or `None`.

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
assert check_shuffled(y.split(64)) is None
check_shuffled(y.sort().values.split(64))

# %% alt="Two images of ten rows, one for each digit, and 32 columns, one for each batch; brighter is more of that digit. Shuffled, all cells are about equally dim; sorted, a bright staircase climbs from the lower left to the upper right and all else is dark." tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(5.2, 2.4), sharey=True)
for ax, (name, labels) in zip(
    axes, (("shuffled", y), ("sorted", y.sort().values))
):
    counts = [batch.bincount(minlength=10) for batch in labels.split(64)]
    ax.imshow(torch.stack(counts).T, origin="lower", aspect="auto", vmax=30)
    ax.set(title=name, xlabel="batch")
axes[0].set(ylabel="digit", yticks=(0, 3, 6, 9))
plt.show()

# %% [markdown]
r"""
*Labels that do not belong to their inputs.* Half of the examples should say
something of the other half, by the mean of their class or by the nearest of
them. No network is needed, and none can help. Some classes differ in no mean, as
two rings around one centre do; their nearest neighbours tell.
"""


# %% Do labels belong to inputs? tags=["export"] module="inside.data_checks"
def check_labels(input: Tensor, target: Tensor) -> str | None:
    """Do inputs (n, ...) tell anything of their labels (n,)?

    By the nearest class mean, or by the nearest of up to 2,000 examples; each
    class counts the same, however rare.
    """
    x, y = input.flatten(1).float(), target
    x = (x - x.mean(0)) / x.std(0).where(x.std(0) > 0, 1.0)
    known, asked, few = y[::2], y[1::2], slice(2000)
    classes = known.unique()
    means = torch.stack([x[::2][known == each].mean(0) for each in classes])
    by_mean = classes[_nearest(x[1::2], means)]
    by_example = known[few][_nearest(x[1::2][few], x[::2][few])]
    surest = max(
        _beyond_chance(by_mean, asked), _beyond_chance(by_example, asked[few])
    )
    if surest > 4:
        return None
    return (
        "class means and neighbours say no more of the labels than chance "
        f"({surest:.1f} deviations from it): do labels belong to inputs?"
    )


# %% tags=["export"] module="inside.data_checks"
def _nearest(x: Tensor, places: Tensor) -> Tensor:
    """The place nearest to each row: (n, d), (k, d) -> (n,)"""
    # |x - p|² without |x|², which is the same for every p
    return (places.square().sum(1) - 2 * x @ places.T).argmin(1)


def _beyond_chance(guess: Tensor, truth: Tensor) -> float:
    """Mean share of each class that is found, in deviations from chance."""
    found, var, classes = 0.0, 0.0, truth.unique()
    for each in classes:
        said = (guess == each).double()
        by_chance, n = said.mean().item(), (truth == each).sum().item()
        found += said[truth == each].mean().item() - by_chance
        var += max(by_chance * (1 - by_chance), 1 / len(guess)) / n
    return found / math.sqrt(var)


# %%
shuffled = y[torch.randperm(len(y))]
assert check_labels(x, y) is None
check_labels(x, shuffled)

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
def by_training(x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    return (x - x.mean()) / x.std(), (valid - x.mean()) / x.std()


def by_both(x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    both = torch.cat([x, valid])
    return (x - both.mean()) / both.std(), (valid - both.mean()) / both.std()


assert check_leak(by_training, x, valid_x) is None
check_leak(by_both, x, valid_x)

# %% [markdown]
r"""
*Validation by the training set.* Count the validation rows that are training
rows. Where there are few possible rows, as in a table of a few yes and no, some
come twice by nature: as many as among the training rows themselves.
"""


# %% Are the two sets disjoint? tags=["export"] module="inside.data_checks"
def check_overlap(
    train: Tensor, valid: Tensor, allowed: float = 0.01
) -> str | None:
    """Is more than a share `allowed` of validation rows in training, too?

    Beyond the share of training rows that have a twin in training.
    """
    rows = Counter(row.numpy().tobytes() for row in train.cpu())
    same = sum(row.numpy().tobytes() in rows for row in valid.cpu())
    twins = sum(n for n in rows.values() if n > 1) / max(1, len(train))
    spread = math.sqrt(twins * (1 - twins) / max(1, len(valid)))
    if same <= (allowed + twins + 4 * spread) * len(valid):
        return None
    return f"{same} of {len(valid)} validation rows are training rows"


# %%
assert check_overlap(x, valid_x) is None
check_overlap(x, x[:1000])

# %% [markdown]
r"""
*Another scale.* Means and deviations of the two sets should be near to each
other: how near, depends on how many rows there are, since both are estimates.
"""


# %% Are the two sets alike? tags=["export"] module="inside.data_checks"
def check_scale(train: Tensor, valid: Tensor) -> str | None:
    """Are means and deviations of the two sets of inputs alike?

    Up to a fifth, and four standard errors.
    """
    mean, std = train.double().mean().item(), _spread(train.double())
    valid_mean, valid_std = (
        valid.double().mean().item(),
        _spread(valid.double()),
    )
    rows = (train.double() - mean).flatten(1)
    scarce = 4 * math.sqrt(1 / max(1, len(train)) + 1 / max(1, len(valid)))
    error = scarce * _spread(rows.mean(1))
    std_error = scarce * _spread(rows.square().mean(1)) / (2 * std or 1)
    near = abs(valid_mean - mean) <= 0.2 * std + error
    if near and abs(valid_std - std) <= 0.2 * std + std_error:
        return None
    return (
        f"validation inputs are {valid_mean:.3g} ± {valid_std:.3g}, "
        f"training inputs {mean:.3g} ± {std:.3g}"
    )


def _spread(x: Tensor) -> float:
    return x.std(correction=0).item()


# %%
assert check_scale(x, valid_x) is None
raw = images[2000:3000].flatten(1).float() / 255
check_scale(x, raw)

# %% [markdown]
r"""
## The rest of the gallery: answers

*Rows that depend on each other.* The answer for an example may not depend on
who else is in the batch, nor may its shape. So ask for one alone and compare.
That finds `squeeze()` without an axis, which at batch size 1 takes the batch
away too. *Evaluation in training mode.* Asked twice, the model answers twice
the same.
"""


# %% Is an answer always the same? tags=["export"] module="inside.repeat_checks"
"""Checks that ask again: is the same question answered the same?"""


@torch.no_grad()
def check_rows(predict: Callable[[Any], Tensor], input: Any) -> str | None:
    """Is the answer for a row the same when it comes alone?"""
    together, alone = predict(input)[:1], predict(first_rows(input))
    if together.shape != alone.shape:
        shapes = f"{tuple(alone.shape)}, not {tuple(together.shape)}"
        return f"a batch of one row gives {shapes}"
    if _is_near(together, alone):
        return None
    gap = _gap(together, alone)
    return f"a row alone is answered differently, by up to {gap:.2g}"


@torch.no_grad()
def check_repeats(predict: Callable[[Any], Tensor], input: Any) -> str | None:
    """Is the answer the same when asked twice?"""
    first, second = predict(input), predict(input)
    if _is_near(first, second):
        return None
    return (
        f"asked twice, the answers differ by up to {_gap(first, second):.2g}: "
        "evaluate in evaluation mode"
    )


# %% [markdown]
r"""
Equal means up to rounding, and rows are those of every tensor in a batch.
"""


# %% tags=["export"] module="inside.repeat_checks"
def _gap(first: Tensor, second: Tensor) -> float:
    return (first - second).abs().max().item()


def _is_near(first: Tensor, second: Tensor) -> bool:
    """Up to what rounding does: 1e-4, or more in half precision."""
    small = max(1e-4, 8 * torch.finfo(first.dtype).eps)
    return _gap(first, second) <= small * (1 + first.abs().max().item())


# %% tags=["export", "internal"] module="inside.repeat_checks"
def first_rows(batch: Any, n: int = 1, start: int = 0) -> Any:
    """Some rows of every tensor in a batch, however they are nested."""
    rows = slice(start, start + n)
    return map_batch(lambda t: t[rows] if isinstance(t, Tensor) else t, batch)


# %%
class Apply(Module):
    """A function as a module."""

    def __init__(self, function: Callable):
        self.function = function

    def forward(self, input: Tensor) -> Tensor:
        return self.function(input)


def dropped(x: Tensor) -> Tensor:
    """A tenth is dropped, whatever the module's mode."""
    return x * (torch.rand_like(x) > 0.1) / 0.9


healthy, few = network(), valid_x[:8]
assert check_rows(healthy, few) is None and check_repeats(healthy, few) is None
squeezed, noisy = network(Apply(torch.squeeze)), network(Apply(dropped))
check_rows(squeezed, few), check_repeats(noisy, few)

# %% [markdown]
r"""
*Gradients left over.* Put the weights back and take the same step again: the
gradient should be the same. If nobody clears it, each comes on top of the last.
"""


# %% Is the gradient cleared? tags=["export"] module="inside.repeat_checks"
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
model = network()
optimizer = SGD(model.parameters(), lr=0.1)


def forgetful() -> None:
    cross_entropy(model(x[:64]), y[:64]).backward()
    optimizer.step()


def careful() -> None:
    optimizer.zero_grad()
    forgetful()


assert check_fresh(model, careful) is None
check_fresh(model, forgetful)

# %% alt="Length of the gradient over twelve steps on one batch. Cleared, it falls slowly from 1; left over, it climbs, swings and stays several times as long." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(5.2, 2.4))
for name, step in (("cleared", careful), ("left over", forgetful)):
    torch.manual_seed(0)
    model = network()
    optimizer, lengths = SGD(model.parameters(), lr=0.1), []
    for _ in range(12):
        step()
        grads = [param.grad.flatten() for param in model.parameters()]
        lengths.append(torch.cat(grads).square().sum().sqrt().item())
    ax.plot(lengths, "o-", ms=3, label=name)
ax.set(xlabel="step", ylabel="gradient's length", ylim=(0, None))
ax.legend()
plt.show()

# %% [markdown]
r"""
*Softmax twice.* The scores that go into the loss are probabilities already.
*The wrong axis.* The mean loss of a batch is the mean of the losses of its
rows, each taken alone.
"""


# %% Does the loss get what it wants? tags=["export"] module="inside.loss_checks"
"""Checks of a loss and its input: a sentence about what is wrong, or None."""


def check_scores(output: Tensor) -> str | None:
    """Are scores for a cross-entropy (n, k) not yet probabilities?"""
    sums = output.sum(-1)
    if (output < 0).any() or ((sums - 1).abs() > 1e-3).any():
        return None
    return (
        "the scores are positive and each row sums to 1: cross-entropy "
        "applies softmax itself"
    )


# %% tags=["export"] module="inside.loss_checks"
def check_loss(
    loss: Callable[[Any, Any], Any],
    output: Tensor,
    target: Any,
    count: Callable[[Any], Any] = len,
) -> str | None:
    """Is the mean loss of a batch the mean of its rows' losses?

    `count` says what a row weighs: how many items its loss is the mean of.
    """
    total = weights = 0.0
    for i in range(len(output)):
        row, own = (first_rows(each, 1, i) for each in (output, target))
        weight = float(count(own))
        if weight:
            total += weight * _value(loss(row, own))
            weights += weight
    apart, together = total / (weights or 1), _value(loss(output, target))
    small = max(1e-3, 8 * torch.finfo(output.dtype).eps)  # in half precision
    if abs(together - apart) <= small * abs(apart) + 1e-6:
        return None
    return f"the batch's loss is {together:.4g}, its rows' mean is {apart:.4g}"


def _value(loss: Any) -> float:
    return (loss[0] if isinstance(loss, tuple) else loss).item()


# %%
def over_the_batch(output: Tensor, target: Tensor) -> Tensor:
    return -log_softmax(output, 0)[range(len(target)), target].mean()


twice = network(Apply(partial(softmax, dim=-1)))
scores = healthy(x[:64]).detach()
assert check_scores(scores) is None
assert check_loss(cross_entropy, scores, y[:64]) is None
check_scores(twice(x[:64])), check_loss(over_the_batch, scores, y[:64])

# %% [markdown]
r"""
## One call

Fifteen checks want a model, a loss, batches, a step. A learner has all of them
but one: the function that prepared the data, so `check_leak` stays a call of
its own. `examine` asks the other fourteen, before training, and asks each only
where it means something: whether labels are mixed is no question for a
regression.

Nothing may be different afterwards. So the steps are taken by a copy of the
learner, on a copy of the model, with those callbacks only that shape a step.
"""


# %% A learner to try steps with tags=["export"] module="inside.examination"
"""The gallery's checks of a learner, in one call."""


def _trial(learn: Learner, batch: Any) -> Learner:
    """A copy that trains a copy of the model, on one batch."""
    current = Run.__annotations__.keys() - {"model", "optimizer"}
    shared = [v for name, v in vars(learn).items() if name in current]
    shared += [learn.callbacks, *learn.callbacks]
    trial = copy.deepcopy(learn, {id(each): each for each in shared})
    trial.callbacks = [each for each in learn.callbacks if each.shapes_step]
    trial.train, trial.valid = [batch], None
    return trial


def _examine_step(learn: Learner, batch: Any) -> dict[str, str | None]:
    """A whole step, by the learner's own loop."""
    trial = _trial(learn, batch)
    one_step = partial(trial.fit, 1)
    found = {"step size": check_step_size(trial.model, one_step)}
    # now the batch is the current one, and `train_step` goes on with it
    return found | {"fresh": check_fresh(trial.model, trial.train_step)}


# %%
def learner(model: Module, **options: Any) -> Learner:
    options = {"optim": SGD, "lr": 0.1, "defaults": []} | options
    batches = list(zip(x.split(64), y.split(64)))
    valid = list(zip(valid_x.split(64), valid_y.split(64)))
    return Learner(model, batches, valid, **options)


learn = learner(network())
_examine_step(learn, learn.train[0])

# %% [markdown]
r"""
A batch may be anything: what is asked of it is how many rows it has, and
whether there is a class for each.
"""


# %% What a batch holds tags=["export"] module="inside.examination"
def _leaves(batch: Any) -> list[Tensor]:
    """The tensors of a batch, however they are nested."""
    found: list[Tensor] = []
    map_batch(lambda t: found.append(t) if isinstance(t, Tensor) else t, batch)
    return found


def _batch_size(batch: Any) -> int | None:
    """Rows of a batch: those of its first tensor with an axis."""
    lengths = [len(each) for each in _leaves(batch) if each.ndim]
    return lengths[0] if lengths else None


def _are_labels(target: Any) -> bool:
    """One class number for each row."""
    kinds = torch.uint8, torch.int16, torch.int32, torch.int64
    return (
        isinstance(target, Tensor)
        and target.ndim == 1
        and target.dtype in kinds
        and bool(target.numel() and target.min() >= 0)
    )


# %%
_batch_size({"a": x[:3], "b": [y[:3]]}), _are_labels(y), _are_labels(x)

# %% [markdown]
r"""
The model's part is asked in evaluation mode, on a few rows. The loss is asked
whether it is a cross-entropy, by what it does: a softmax inside makes it blind
to a number that is added to all scores.
"""


# %% The model and its answers tags=["export"] module="inside.examination"
def _examine_model(learn: Learner, input: Any) -> dict[str, str | None]:
    """The model's modules, and its answers for rows of any kind."""
    model = _trial(learn, None).model.eval()
    answer = partial(call_model, model)
    found = {
        "activations": check_activations(model, input),
        "nonlinear": check_nonlinear(model, input),
    }
    with torch.no_grad():
        output = answer(input)
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return found
    found["repeats"] = check_repeats(answer, input)
    if output.shape[:1] == (_batch_size(input),):
        found["rows"] = check_rows(answer, input)
    return found


# %% tags=["export"] module="inside.examination"
def _examine_loss(
    learn: Learner, input: Any, target: Any, weighed: bool
) -> dict[str, str | None]:
    """The loss, its graph and the gradients, in training mode."""
    trial = _trial(learn, None)
    output = call_model(trial.model.train(), input)
    loss = trial.loss_function(output, target)
    loss = loss[0] if isinstance(loss, tuple) else loss
    groups = trial.optimizer.param_groups
    params = [param for group in groups for param in group["params"]]
    found = {"parameters": check_parameters(loss, params)}
    if loss.requires_grad:
        trial.backward(loss)
        named = trial.model.named_parameters()
        found["gradients"] = check_gradients(named)
    if isinstance(output, Tensor) and not weighed:
        found |= _examine_scores(trial, output.detach(), target)
    return found


# %% [markdown]
r"""
What enters the loss is looked at last.
"""


# %% The scores tags=["export"] module="inside.examination"
@torch.no_grad()
def _examine_scores(
    learn: Learner, output: Tensor, target: Any
) -> dict[str, str | None]:
    """What goes into the loss, and whether it keeps rows apart."""
    found, count = {}, learn.count_items
    if _batch_size(target) in (None, len(output)):
        found["loss"] = check_loss(learn.loss_function, output, target, count)
    if _are_labels(target) and output.ndim == 2:
        losses = [learn.loss_function(output + c, target) for c in (0.0, 1.0)]
        plain, shifted = (
            (each[0] if isinstance(each, tuple) else each).item()
            for each in losses
        )
        if abs(plain - shifted) <= 1e-3 * (1e-3 + abs(plain)):
            found["scores"] = check_scores(output)
    return found


# %%
batch = learn.unpack(learn.train[0])
_examine_model(learn, batch[0]) | _examine_loss(learn, *batch, weighed=False)

# %% [markdown]
r"""
The data's part sees the batches as rows of numbers. Inputs of several tensors
are laid side by side, and sequences that differ in length are left out.
"""


# %% Rows of batches tags=["export"] module="inside.examination"
def _rows(inputs: Iterable[Any]) -> Tensor | None:
    """Batches as one matrix of rows, if all have one width."""
    rows = []
    for each in inputs:
        n, leaves = _batch_size(each), _leaves(each)
        if not n or any(len(leaf) != n for leaf in leaves if leaf.ndim):
            return None
        parts = [leaf.detach().cpu().reshape(n, -1) for leaf in leaves]
        rows.append(torch.cat([part.double() for part in parts], 1))
    same = len({each.shape[1] for each in rows}) == 1
    return torch.cat(rows) if same else None


# %% tags=["export"] module="inside.examination"
def _examine_data(
    train: list[tuple], valid: list[tuple]
) -> dict[str, str | None]:
    """Training and validation data, as far as their kinds allow."""
    found: dict[str, str | None] = {}
    rows, valid_rows = (_rows(x for x, _ in each) for each in (train, valid))
    continuous = all(
        leaf.is_floating_point() for x, _ in train for leaf in _leaves(x)
    )
    labels = [target for _, target in train]
    if all(map(_are_labels, labels)):
        found["shuffled"] = check_shuffled(labels)
        joined = torch.cat(labels).cpu()
        enough = len(joined) >= 20 * len(joined.unique()) > 20
        if rows is not None and continuous and enough:
            found["labels"] = check_labels(rows, joined)
    if rows is not None and valid_rows is not None:
        found["overlap"] = check_overlap(rows, valid_rows)
        if continuous:
            found["scale"] = check_scale(rows, valid_rows)
    return found


# %%
pairs = list(zip(x.split(64), y.split(64)))
_examine_data(pairs, list(zip(valid_x.split(64), valid_y.split(64))))

# %% [markdown]
r"""
And the whole. Where the learner's class writes its own step, as a GAN's does,
that step is taken and measured; what it does with model and loss, nobody knows.
"""


# %% Every check tags=["export"] module="inside.examination"
def examine(learn: Learner, n_batches: int = 50) -> dict[str, str | None]:
    """All checks that apply, by name: what is wrong, or None.

    For a learner that is about to be trained, which it leaves as it was; the
    loaders give up to `n_batches` batches each. A model that begins at zero on
    purpose is reported, as are losses that sum, or that compare rows.

    >>> assert not any(examine(learn).values())  # doctest: +SKIP
    """
    with torch.random.fork_rng():
        raw = list(islice(learn.train, n_batches))
        train = list(_unpacked(learn, raw))
        valid = list(_unpacked(learn, islice(learn.valid or (), n_batches)))
        pairs, valid_pairs = ([each[:2] for each in b] for b in (train, valid))
        input, target, *count = train[0]
        found = _examine_data(pairs, valid_pairs)
        if type(learn).train_step is Learner.train_step:
            found |= _examine_model(learn, first_rows(input, 64))
            found |= _examine_loss(learn, input, target, bool(count))
        return found | _examine_step(learn, raw[0])


def _unpacked(learn: Learner, batches: Iterable) -> Iterator[tuple]:
    """Input, target and perhaps a count of each batch, where the model is."""
    params = list(learn.model.parameters())
    for batch in batches:
        here = to_device(batch, params[0].device) if params else batch
        yield learn.unpack(here)


# %%
found = examine(learn)
assert not any(found.values()) and len(found) == 14
found

# %% [markdown]
r"""
## Fourteen bugs, fourteen checks

The test that such a list has to pass: each bug found at every seed by the check
that it belongs to, and a healthy learner accused by none. Here are the bugs,
each a healthy learner with one thing wrong.
"""


# %%
def dealt(x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(zip(x.split(64), y.split(64)))


class Detach(Module):
    def forward(self, input: Tensor) -> Tensor:
        return input.detach()


class Listed(Module):
    """Its first layers are in a plain list, so nobody trains them."""

    def __init__(self):
        self.layers, self.last = [Linear(784, 50)], Linear(50, 10)

    def forward(self, input: Tensor) -> Tensor:
        return self.last(self.layers[0](input).relu())


class Forgets(Learner):
    def update(self, optimizer: Any = None) -> None:
        self.optimizer.step()  # and the gradients stay


# %%
@torch.no_grad()
def with_unit_weights(model: Module) -> Module:
    for param in model.parameters():
        param.copy_(torch.randn_like(param))
    return model


def sick_models() -> dict[str, Module]:
    layers = list(network())
    return {
        "rows": network(Apply(torch.squeeze)),
        "repeats": network(Apply(dropped)),
        "activations": with_unit_weights(network()),
        "nonlinear": Sequential(*layers[:3], layers[4]),
        "scores": network(Apply(partial(softmax, dim=-1))),
        "parameters": Listed(),
        "gradients": Sequential(*layers[:2], Detach(), *layers[2:]),
    }


# %% [markdown]
r"""
Those of the data, of the loss and of the step are a line each.
"""


# %%
def sick_learners(seed: int) -> dict[str, Learner]:
    """For each check a learner that it is to find; "" is healthy."""
    torch.manual_seed(seed)
    mixed = torch.randperm(len(y))
    x_, y_, order = x[mixed], y[mixed], y[mixed].argsort()
    raw = images[2000:3000].flatten(1).float() / 255
    healthy = learner(network())
    healthy.train = dealt(x_, y_)
    found = {"": healthy, "shuffled": learner(network())}
    found["shuffled"].train = dealt(x_[order], y_[order])
    found["labels"] = learner(network())
    found["labels"].train = dealt(x_, y)
    found["overlap"] = learner(network())
    found["overlap"].valid = dealt(x[:1000], y[:1000])
    found["scale"] = learner(network())
    found["scale"].valid = dealt(raw, valid_y)
    found |= {name: learner(each) for name, each in sick_models().items()}
    found["loss"] = learner(network(), loss=over_the_batch)
    found["step size"] = learner(network(), lr=10.0)
    forgets = Forgets(network(), healthy.train, optim=SGD, lr=0.1, defaults=[])
    return found | {"fresh": forgets}


# %% limit=120
n_seeds, fired, sentences = 3, {}, {}
for seed in range(n_seeds):
    for name, each in sick_learners(seed).items():
        said = examine(each)
        names = {check for check, text in said.items() if text is not None}
        fired.setdefault(name, []).append(names)
        sentences[name] = said.get(name)

# %%
assert_equal(fired[""], [set()] * n_seeds)
columns = [name for name in fired if name]
assert_equal({*columns}, {*found})
assert all(name in names for name in columns for names in fired[name])
others = {n: set().union(*fired[n]) - {n} for n in columns}
{name: names for name, names in others.items() if names}

# %% [markdown]
r"""
What else fires is no false alarm but a further symptom: weights of the wrong
size take steps of the wrong size. Each bug is found by its own check at every
seed, and the healthy learner by none.
"""

# %% Fourteen bugs and the checks that find them alt="A table of dots: a row for the healthy learner and for each of fourteen bugs, a column for each of fourteen checks. The healthy row is empty, each bug has a dot in its own column, which makes a diagonal, and a few rows have smaller dots beside it." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(5.2, 4.8))
for i, name in enumerate(fired):
    for j, check in enumerate(columns):
        share = sum(check in names for names in fired[name]) / n_seeds
        own = check == name
        color, size = ("C1", 9) if own else ("0.5", 5)
        if share:
            ax.plot(j, i, "o", color=color, ms=size)
ax.set_yticks(range(len(fired)), [name or "healthy" for name in fired])
ax.set_xticks(range(len(columns)), columns, rotation=90)
ax.grid(alpha=0.2)
ax.invert_yaxis()
plt.show()

# %% [markdown]
r"""
What the checks found, in their own words:
"""

# %% tags=["hide-input"]
lines = [f"* *{name}*: {sentences[name]}" for name in columns]
Markdown("\n".join(lines))

# %% [markdown]
r"""
## What looking is worth

Torch's default weights let the rows of a deep network grow alike, layer by
layer. A hook sees it on one batch, and it can be mended there: divide each weight
by the deviation that its output has.
"""


# %%
def deep(n_hidden: int) -> Sequential:
    sizes = [784] + n_hidden * [50]
    hidden = [Linear(a, b) for a, b in zip(sizes, sizes[1:])]
    layers = [each for layer in hidden for each in (layer, ReLU())]
    return Sequential(*layers, Linear(50, 10))


@torch.no_grad()
def scale_outputs(model: Sequential) -> Sequential:
    for layer in leaf_modules(model).values():
        if isinstance(layer, Linear):
            layer.bias.zero_()
            stds = []
            with watch_outputs(
                {"": layer}, lambda name, out, s=stds: s.append(out.std())
            ):
                model(x[:512])
            layer.weight /= stds[0]
    return model


torch.manual_seed(0)
assert check_activations(scale_outputs(deep(8)), x[:512]) is None
check_activations(deep(8), x[:512])

# %% [markdown]
r"""
The check finds the default of eight hidden layers wanting before a step is
taken, that of two not. Is it right? One epoch of full batches, five seeds, both
sides from the same weights, each at the best of four rates:
"""


# %%
def accuracy_of(model: Sequential, lr: float) -> float:
    for batch in torch.arange(2000).split(50):
        loss = cross_entropy(model(x[batch]), y[batch])
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for param in model.parameters():
                param -= lr * param.grad
    with torch.no_grad():
        return (model(valid_x).argmax(-1) == valid_y).float().mean().item()


def best_of_rates(n_hidden: int, mend: Callable) -> Tensor:
    """Accuracies of five seeds, at the rate that is best on average."""
    runs = []
    for lr in (0.03, 0.1, 0.3, 1.0):
        runs.append([])
        for seed in range(5):
            torch.manual_seed(seed)
            runs[-1].append(accuracy_of(mend(deep(n_hidden)), lr))
    return torch.tensor(max(runs, key=sum))


# %% limit=120
plain = {n: best_of_rates(n, lambda model: model) for n in (2, 8)}
mended = {n: best_of_rates(n, scale_outputs) for n in (2, 8)}
gains = {n: mended[n] - plain[n] for n in plain}
for gain in gains.values():  # the interval of five pairs is above zero
    assert gain.mean() > 2.78 * gain.std() / math.sqrt(5)
assert plain[8].mean() < 0.2 and mended[8].mean() > 0.4

# %% tags=["hide-input"]
lines = ["| hidden layers | default | mended | gain |", "| --- " * 4 + "|"]
for n in gains:
    cells = (
        f"{100 * each.mean():.1f} ± {100 * each.std():.1f} %"
        for each in (plain[n], mended[n], gains[n])
    )
    lines.append(f"| {n} | {' | '.join(cells)} |")
Markdown("\n".join(lines))

# %% [markdown]
r"""
With eight layers it is the difference between guessing and learning, and one
batch was enough to see it. With two the check is silent, and the mended weights
are ahead after this one epoch too: a check that has nothing to say does not
promise that nothing can be gained. Part 4 makes a method of it.
"""

# %% [markdown]
r"""
## What we built

* `register_full_backward_hook`, `register_full_backward_pre_hook`
  (`inside.backward_hooks`): gradients at a module's two sides.
* `summarize` (`inside.summary`): shapes, parameters and multiply-adds.
* `Watch` (`inside.watch`): the callback that keeps statistics of a fit.
* `check_shuffled`, `check_labels`, `check_leak`, `check_overlap`,
  `check_scale` (`inside.data_checks`): what is wrong with the data.
* `check_rows`, `check_repeats`, `check_fresh` (`inside.repeat_checks`): with
  what should be the same when asked again; `check_scores`, `check_loss`
  (`inside.loss_checks`): with the loss and what goes into it.
* `examine` (`inside.examination`): the gallery's checks of a learner.

## Questions

:::{dropdown} Why do a module's two gradients not arrive at the same time?
The gradient of the output comes before the module's own backward pass, that of
the input after it. A hook that shows both has to keep the first.
:::

:::{dropdown} Why does `check_leak` change the data instead of reading the code?
It asks the question itself: does anything depend on the validation set? Code
has many ways to leak, and all of them have to answer yes.
:::

:::{dropdown} Why does `check_overlap` look for twins among the training rows?
Where few different rows exist, some are in both sets by chance, and that is no
fault. Twins within training show how many to expect.
:::

:::{dropdown} Why does `examine` add 1 to all scores?
A softmax does not see it. A loss that does not change applies one, so its input
should be no probabilities.
:::

:::{dropdown} Why does `examine` train a copy?
A step changes weights, and what the optimiser remembers. Afterwards the run
should go as if nobody had looked.
:::

## Exercises

**1.** Give `summarize` a rule for a layer of your own, which multiplies each
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
**2.** Another bug: a data loader that was given a fixed seed at every epoch
deals the same batches again and again. Write the check, and show that it is
silent on a healthy order.
"""


# %% tags=["solution"]
def check_reshuffled(first: Tensor, second: Tensor) -> str | None:
    same = (first == second).double().mean().item()
    return None if same < 0.5 else f"{same:.0%} of the rows come as before"


fixed = [torch.Generator().manual_seed(0) for _ in range(2)]
assert check_reshuffled(torch.randperm(99), torch.randperm(99)) is None
stale = [torch.randperm(99, generator=each) for each in fixed]
assert_equal(check_reshuffled(*stale), "100% of the rows come as before")

# %% [markdown]
r"""
**3.** Two rings of points around one centre differ in no mean. Show that
`check_labels` accepts them, and that it finds shuffled labels there too.
"""

# %% tags=["solution"]
label = torch.arange(400) % 2
label = label[torch.randperm(400)]
angle = 6.3 * torch.rand(400)
ring = (1 + label)[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
assert check_labels(ring, label) is None
assert check_labels(ring, label[torch.randperm(400)]) is not None

# %% [markdown]
r"""
With this part 3 is complete: everything that trains a network, and whatever
shows that it does. The networks of the next part see images as images.
"""

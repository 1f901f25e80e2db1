# %% [markdown] module="training.annealing"
r"""
# Annealing

A large learning rate is fast and never arrives; a small one arrives and takes
for ever. **How should the rate change over a training run, how large should it
begin, and what is that worth?**

A smith who wants hard steel does not keep one heat: hot enough to move, then
slowly colder. Training borrowed the word. We write schedules as plain functions
first, so that they can be drawn and put together, then a callback that follows
them in a learner, and a search for the rate to begin with.

| name | meaning |
| --- | --- |
| progress | how much of the training is done, from 0 to 1 |
| schedule | a function of progress: the value of a {term}`hyperparameter` |
| `lr` | the learning rate |
| parameter group | parameters that the optimizer treats alike: each group has its own `lr` |
"""

# %% Imports tags=["hide-input"]
import copy
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from groundup.data.resume import random_state, set_random_state
from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import fashion_mnist
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.linear import Linear
from groundup.optim.sgd import SGD
from groundup.testing import assert_close, assert_equal
from groundup.training.callback import (
    Callback,
    CancelFit,
    CancelValidation,
    Run,
)
from groundup.training.learner import Learner
from groundup.training.metrics import Accuracy, length
from groundup.training.recorder import Recorder

# %% [markdown]
r"""
## Why one rate is not enough

The smallest example: one weight, the loss $w^2/2$, and a gradient that is known
only with noise of deviation 1, as every gradient of a mini-batch is. A thousand
runs side by side, each starting at $w = 10$.
"""


# %%
def descend(lr_at: Callable[[float], float], n_steps: int = 300) -> Tensor:
    """Root mean square distance from the minimum, after each step."""
    generator = torch.Generator().manual_seed(0)
    w, distances = torch.full((1000,), 10.0), []
    for step in range(n_steps):
        noise = torch.randn(1000, generator=generator)
        w = w - lr_at(step / (n_steps - 1)) * (w + noise)
        distances.append((w**2).mean().sqrt())
    return torch.stack(distances)


rates = {
    "0.5": lambda progress: 0.5,
    "0.02": lambda progress: 0.02,
    "falling": lambda progress: 0.5 / (1 + 150 * progress),
}
distances = {name: descend(lr_at) for name, lr_at in rates.items()}

# %% alt="Distance from the minimum over 300 steps, logarithmic, for three learning rates. 0.5 falls at once and stays near 0.6; 0.02 falls slowly to 0.1; the rate that falls from 0.5 follows the first and then goes below both." tags=["hide-input"]
for i, (name, distance) in enumerate(distances.items()):
    plt.semilogy(distance, color=f"C{i}", label=f"lr {name}")
plt.xlabel("step")
plt.ylabel("distance from the minimum")
plt.legend()
plt.show()

# %% [markdown]
r"""
At a constant rate $\eta$ each step shrinks the distance by $1 - \eta$ and adds
noise of size $\eta$. The two balance where the variance is $v = (1 - \eta)^2 v
+ \eta^2$, so at $v = \eta / (2 - \eta)$: a *floor* that no number of steps
breaks. A large rate reaches its floor soon, a small rate has a low floor. A
rate that falls, here as one over the step, has both.
"""

# %%
ends = {name: distance[-1].item() for name, distance in distances.items()}
assert_close(ends["0.5"], math.sqrt(0.5 / 1.5), rtol=0.1)
assert ends["falling"] < 0.7 * ends["0.02"]
ends

# %% [markdown]
r"""
## Schedules are functions

A {term}`schedule` takes the progress and returns a value. It knows nothing of
steps, epochs or optimizers, so it can serve for a learning rate, a momentum or
the strength of an augmentation. Each of these functions *makes* one.
"""


# %% Straight lines tags=["export"] module="optim.schedule" namespace=true
"""Schedules: values as plain functions of progress, from 0 to 1."""

Schedule = Callable[[float], float]


def constant(value: float) -> Schedule:
    """Always the same."""
    return lambda progress: value


def ramp(start: float, end: float) -> Schedule:
    """Equal differences: a straight line."""
    return lambda progress: (end - start) * progress + start


# %%
fall = ramp(1, 0)
fall(0.0), fall(0.25), fall(1.0)

# %% [markdown]
r"""
A straight line spends as long at high values as at low ones. The curves choose:
half a cosine wave stays long at both ends, an exponential hurries to the low
values, and a power lies between it and the line.
"""


# %% Curves tags=["export"] module="optim.schedule"
def cosine(start: float, end: float) -> Schedule:
    """Half a cosine wave: level at both ends (Loshchilov and Hutter, 2017)."""
    half = (start - end) / 2
    return lambda progress: end + half * (math.cos(math.pi * progress) + 1)


def exponential(start: float, end: float) -> Schedule:
    """Equal ratios: a straight line on a logarithmic axis."""
    if start * end <= 0:
        raise ValueError(f"no equal ratios lead from {start} to {end}")
    return lambda progress: start * (end / start) ** progress


def polynomial(start: float, end: float, power: float) -> Schedule:
    """The distance to the end falls as a power of what is left to do."""
    return lambda progress: end + (start - end) * (1 - progress) ** power


# %% alt="Five schedules from 1 to 0.01 over progress: constant, a straight line, half a cosine wave that is level at both ends, an exponential that falls fast and then hardly, and a square that lies between line and exponential." tags=["hide-input"]
progress = torch.linspace(0, 1, 101).tolist()
shapes = {
    "constant": constant(1),
    "ramp": ramp(1, 0.01),
    "cosine": cosine(1, 0.01),
    "exponential": exponential(1, 0.01),
    "polynomial, power 2": polynomial(1, 0.01, 2),
}
for i, (name, schedule) in enumerate(shapes.items()):
    plt.plot(progress, list(map(schedule, progress)), color=f"C{i}", label=name)
plt.xlabel("progress")
plt.ylabel("value")
plt.legend()
plt.show()

# %% [markdown]
r"""
Functions are put together by functions. `combine` gives each part a share of
the progress, and hands it a progress of its own, again from 0 to 1. The shares
are weights: `[3, 7]` and `[0.3, 0.7]` say the same. `repeat` starts again and
again.
"""


# %% Putting schedules together tags=["export"] module="optim.schedule"
def combine(shares: Sequence[float], schedules: Sequence[Schedule]) -> Schedule:
    """One schedule after the other, each for its share of the progress."""
    if len(shares) != len(schedules) or not shares:
        given = f"{len(shares)} shares and {len(schedules)} schedules"
        raise ValueError(f"expected a share for each schedule, got {given}")
    if min(shares) <= 0:
        raise ValueError(f"shares are positive, got {list(shares)}")
    ends = [end / sum(shares) for end in accumulate(shares)]

    def combined(progress: float) -> float:
        i = min(bisect_right(ends, progress), len(ends) - 1)
        start = ends[i - 1] if i else 0.0
        return schedules[i](min(1.0, (progress - start) / (ends[i] - start)))

    return combined


def repeat(n: int, schedule: Schedule) -> Schedule:
    """The same schedule n times: a cosine with warm restarts."""
    return combine([1] * n, [schedule] * n)


# %%
warmup = combine([1, 9], [ramp(0, 1), cosine(1, 0)])
assert_equal([warmup(0.0), warmup(0.1), warmup(1.0)], [0.0, 1.0, 0.0])
warmup(0.05), warmup(0.55)

# %% [markdown]
r"""
A warm-up is there because the first gradients, of random weights, are the least
to be trusted. *One cycle* ({cite:t}`smith2018`) goes further: it climbs to a
rate that would be too large to live with, spends the middle of the training
there, and descends to almost nothing.
"""


# %% One cycle tags=["export"] module="optim.schedule"
def swing(start: float, peak: float, end: float, share: float) -> Schedule:
    """Two cosines: to the peak in a share of the progress, then to the end."""
    parts = [cosine(start, peak), cosine(peak, end)]
    return combine([share, 1 - share], parts)


def one_cycle(
    peak: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up to the peak and far down (Smith, 2018)."""
    start = peak / div_factor
    return swing(start, peak, start / final_div_factor, pct_start)


# %%
assert_close(one_cycle(1.0)(0.3), 1.0)
[one_cycle(1.0)(done) for done in (0.0, 0.3, 1.0)]

# %% alt="Three combined schedules over progress: a short straight rise and a long cosine fall; three cosine falls one after another; and the one-cycle schedule, a smooth rise to 1 in the first third and a smooth fall to nothing." tags=["hide-input"]
combined = {
    "warm-up and cosine": warmup,
    "three restarts": repeat(3, cosine(1, 0)),
    "one cycle": one_cycle(1),
}
for i, (name, schedule) in enumerate(combined.items()):
    plt.plot(progress, list(map(schedule, progress)), color=f"C{i}", label=name)
plt.xlabel("progress")
plt.ylabel("learning rate")
plt.legend()
plt.show()

# %% [markdown]
r"""
## In the learner

Fashion-MNIST from now on, ten kinds of clothes: MNIST has become too easy to
tell schedules apart. To keep the page quick we train on the first 10,000
images.
"""

# %%
torch.set_num_threads(1)
images, kinds = fashion_mnist()
x, y = images.view(-1, 784).float() / 255 - 0.286, kinds
options = {"batch_size": 64, "shuffle": True, "drop_last": True}
small = TensorLoader(x[:10_000], y[:10_000], **options)
valid = TensorLoader(x[50_000:], y[50_000:], batch_size=1000)


def learner(
    lr: float, *callbacks: Callback, train=small, seed: int = 0
) -> Learner:
    torch.manual_seed(seed)
    model = Sequential(Linear(784, 50), ReLU(), Linear(50, 10))
    return Learner(
        model,
        train,
        valid,
        optim=lambda params, lr: SGD(params, lr, momentum=0.9),
        lr=lr,
        metrics=[Accuracy()],
        defaults=[Recorder(), *callbacks],
    )


# %% [markdown]
r"""
A schedule needs no counting of its own there. The learner knows the epoch, the
batch and where the fit ends, and from these follows the progress. So the
schedule has no state, and a resumed run is right by itself.
"""


# %% Progress tags=["export"]
"""Hyperparameters that change during a training run."""


def progress_of(run: Run) -> float:
    """The share of this fit's batches done: 0 at the first, 1 at the last."""
    n_batches = run.n_batches
    if n_batches is None:
        raise ValueError(
            "a schedule of progress needs the length of an epoch, which this "
            "loader does not know: `fit(n_epochs, n_batches=...)`"
        )
    done = (run.epoch - run.start_epoch) * n_batches + run.batch_idx
    total = (run.stop_epoch - run.start_epoch) * n_batches
    return min(1.0, done / max(1, total - 1))


# %% [markdown]
r"""
The rate itself lives in the optimizer, in a dict for each parameter group. Two
things want care. A value may be a tensor, to which compiled code holds on: so
it changes in place, and to keep it means to copy it. And Adam has no momentum,
but the first of its betas is the same thing.
"""


# %% Setting a hyperparameter tags=["export", "internal"] module="optim.hyperparameters"
"""Reading and setting the hyperparameters of an optimizer's groups."""


def set_value(group: dict, name: str, value: Any) -> None:
    """Set one; a tensor changes in place: compiled code looks there."""
    if name == "momentum" and "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    elif isinstance(group.get(name), Tensor):
        group[name].fill_(value)
    else:
        group[name] = value


def kept_value(value: Any) -> Any:
    """A value to keep: a copy, if it is a tensor."""
    return value.clone() if isinstance(value, Tensor) else value


def per_group(name: str, optimizer: Any, values: Any) -> list:
    """One value for each parameter group, or the list that was given."""
    n_groups = len(optimizer.param_groups)
    if not isinstance(values, list | tuple):
        return [values] * n_groups
    if len(values) != n_groups:
        raise ValueError(
            f"{len(values)} values of {name} for {n_groups} parameter groups"
        )
    return list(values)


# %%
group = {"lr": torch.tensor(0.1), "betas": (0.9, 0.999)}
held = group["lr"]
set_value(group, "lr", 0.05)
set_value(group, "momentum", 0.8)
assert group["lr"] is held
group

# %% [markdown]
r"""
`Anneal` takes a schedule for each hyperparameter, or a list of schedules, one
for each parameter group.
"""


# %% Schedules in a learner tags=["export"]
class Anneal(Callback):
    """Sets hyperparameters before each batch, by schedules of progress.

    `Anneal(lr=cosine(0.1, 0))`; a list holds a schedule for each group.
    """

    def __init__(self, **schedules: Schedule | list[Schedule]):
        self.schedules = schedules
        self.kept: list[dict] = []  # what the groups held before the fit

    def before_batch(self, run: Run) -> None:
        """Set the values for this batch."""
        if not run.training:
            return
        done, groups = progress_of(run), run.optimizer.param_groups
        for name, schedules in self.schedules.items():
            each = per_group(name, run.optimizer, schedules)
            for group, schedule in zip(groups, each, strict=True):
                set_value(group, name, schedule(done))


# %%
learn = learner(0.1, Anneal(lr=cosine(0.1, 0)))
learn.fit(1)
lrs = learn[Recorder].lrs
lrs[0], lrs[len(lrs) // 2], learn.optimizer.param_groups[0]["lr"]

# %% [markdown]
r"""
It anneals, and a trap is left behind: the rate of the optimizer is 0 now, and
whoever trains on without a schedule trains nothing. The next fit should not
start with the crumbs of this one. So the values are kept before the fit and put
back after it, however it ends; and since we look at the groups then, a name
that they do not have is refused.
"""


# %% tags=["export"]
class Anneal(Anneal):
    def before_fit(self, run: Run) -> None:
        """Check the names, and keep the values."""
        groups = run.optimizer.param_groups
        for name in self.schedules:
            known = {*groups[0], "momentum" if "betas" in groups[0] else "lr"}
            if name not in known:
                raise KeyError(f"no {name!r} in the groups: {sorted(known)}")
            per_group(name, run.optimizer, self.schedules[name])
        self.kept = [
            {k: kept_value(v) for k, v in group.items() if k != "params"}
            for group in groups
        ]

    def after_fit(self, run: Run) -> None:
        """Put the values back."""
        groups = run.optimizer.param_groups
        for group, kept in zip(groups, self.kept, strict=False):
            for name in self.schedules:
                held = name if name in kept else "betas"
                set_value(group, held, kept[held])

    after_cancel_fit = after_fit


# %%
learn = learner(0.1, Anneal(lr=cosine(0.1, 0)))
learn.fit(1)
assert_equal(learn.optimizer.param_groups[0]["lr"], 0.1)
learn.results

# %% [markdown]
r"""
One cycle moves two hyperparameters, the momentum against the rate: when steps
are long, less of the past is added to them. It is used so often that it
deserves a line of its own.
"""


# %% tags=["export"]
class Anneal(Anneal):
    @classmethod
    def one_cycle(
        cls,
        max_lr: float | Sequence[float],
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        momentum: tuple[float, float] | None = (0.95, 0.85),
    ) -> "Anneal":
        """The rate up to `max_lr` and far down, the momentum against it.

        A list gives each group its own peak; `momentum=None` leaves it.
        """
        several = isinstance(max_lr, Sequence)
        shape = pct_start, div_factor, final_div_factor
        peaks = max_lr if several else [max_lr]
        cycles = [one_cycle(peak, *shape) for peak in peaks]
        schedules: dict[str, Any] = {"lr": cycles if several else cycles[0]}
        if momentum is not None:
            high, low = momentum
            schedules["momentum"] = swing(high, low, high, pct_start)
        return cls(**schedules)


# %%
learn = learner(0.1, Anneal.one_cycle(0.1))
learn.fit(3)
lrs = learn[Recorder].lrs
assert_close([lrs[0], max(lrs)], [0.004, 0.1], rtol=1e-3)
assert_close(lrs[-1], 0.1 / 25e4, rtol=1e-6)
assert_equal(learn.optimizer.param_groups[0]["lr"], 0.1)  # put back
learn.results

# %% alt="Two plots over 471 batches. The learning rate rises smoothly from 0.004 to 0.1 in the first third and falls to zero. The training loss falls quickly, then slowly and unevenly while the rate is high, and ends near 0.4, just below the validation's." tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(8, 2.8))
learn[Recorder].plot_lr(axes[0])
learn[Recorder].plot_loss(axes[1])
plt.show()

# %% [markdown]
r"""
Code in the world uses another kind of thing: classes that hold an optimizer and
count its steps. {doc}`/3_training/9_schedulers` builds all of torch's, and a
callback that steps them; nothing before it needs them.

## The rate to begin with

Every schedule needs a largest rate, and it depends on the model, the data and
the loss. {cite:t}`smith2017` finds it with one short run: start far too low,
multiply the rate at each batch, and watch the loss. First nothing happens, then
it falls, then it explodes.

Our finder states its rules:

* the rate goes from `start` to `end` in equal ratios, `n_steps` batches; groups
  keep the ratios of their rates;
* the loss is smoothed by an {term}`exponential moving average`, corrected for
  its start at 0;
* the sweep stops when the smoothed loss is not finite, or has climbed three
  times as high as it had fallen, or three times its lowest value, whichever is
  more (a loss may be negative);
* the suggestion is a tenth of the rate at which the smoothed loss was lowest:
  at the lowest point it is already too late;
* afterwards the model, the optimizer, the random states, other callbacks and
  the learner's counters are exactly what they were before.

First the rate.
"""


# %% The finder tags=["export"] module="training.lr_finder"
"""A search for the learning rate to begin with."""


class LRFinder(Callback):
    """A sweep that leaves no trace: `plot` it and read its `suggestion`.

    Pass it to one `fit`, or call `find_lr`.
    """

    order = -100  # before those that refuse a loss that is not finite

    def __init__(
        self,
        start: float = 1e-5,
        end: float = 10.0,
        n_steps: int = 100,
        smoothing: float = 0.9,
        stop: float = 3.0,
    ):
        self.rate, self.n_steps = exponential(start, end), n_steps
        self.smoothing, self.stop = smoothing, stop
        self.lrs: list[float] = []
        self.losses: list[float] = []  # smoothed
        self.average = 0.0


# %%
finder = LRFinder(1e-4, 1, n_steps=5)
[finder.rate(i / 4) for i in range(5)]


# %% tags=["export"] module="training.lr_finder"
class LRFinder(LRFinder):
    def before_fit(self, run: Run) -> None:
        """Read the rates of the groups."""
        self.initial = [float(g["lr"]) for g in run.optimizer.param_groups]

    def before_batch(self, run: Run) -> None:
        """Set the rate; the group with the largest gets it whole."""
        if not run.training:
            return
        self.lrs.append(self.rate(len(self.lrs) / max(1, self.n_steps - 1)))
        groups, top = run.optimizer.param_groups, max(self.initial)
        for group, lr in zip(groups, self.initial, strict=True):
            set_value(group, "lr", self.lrs[-1] * lr / top)


# %% [markdown]
r"""
Then the loss, and where it ends.
"""


# %% tags=["export"] module="training.lr_finder"
class LRFinder(LRFinder):
    def after_loss(self, run: Run) -> None:
        """Keep the smoothed loss; stop where it has exploded."""
        if not run.training:
            return
        keep, loss = self.smoothing, run.loss.item()
        self.average = keep * self.average + (1 - keep) * loss
        n = len(self.losses) + 1
        smooth = self.average / (1 - keep**n)
        if not math.isfinite(smooth):
            self.lrs.pop()
            raise CancelFit
        self.losses.append(smooth)
        lowest = min(self.losses)
        scale = max(abs(lowest), self.losses[0] - lowest)
        if n >= self.n_steps or smooth - lowest > self.stop * scale:
            raise CancelFit

    def before_validation(self, run: Run) -> None:
        """Leave it out."""
        raise CancelValidation


# %%
learn, finder = learner(0.1), LRFinder()
learn.fit(1, [finder])
learn.optimizer.param_groups[0]["lr"], learn.evaluate()["loss"]

# %% [markdown]
r"""
The sweep works, and has ruined the network: that is what it is for. Restoring
is the delicate part. What do the next steps of a run depend on? On the random
states, for one: those of Python, NumPy and torch, and the loaders' own.
"""


# %% Random states tags=["export", "internal"] module="training.snapshot"
"""All that the next steps of a run depend on, taken and put back."""


def all_random_states(run: Run) -> dict[str, Any]:
    """The random states of Python, NumPy, torch, GPUs and the loaders."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    own = [each.get_state() for each in _generators(run)]
    return {"cpu": random_state(), "gpus": gpus, "loaders": own}


def set_all_random_states(run: Run, state: Mapping[str, Any]) -> None:
    """Put the states of `all_random_states` back."""
    set_random_state(state["cpu"])
    if state["gpus"]:
        torch.cuda.set_rng_state_all(state["gpus"])
    for each, its in zip(_generators(run), state["loaders"], strict=True):
        each.set_state(its)


def _generators(run: Run) -> list[torch.Generator]:
    """The loaders' and their samplers' own generators, each once."""
    parts = [  # of any make, so their attributes are asked for
        part
        for loader in (run.train, run.valid)
        for part in (loader, getattr(loader, "sampler", None))
    ]
    found = [getattr(part, "generator", None) for part in parts]
    return list({id(each): each for each in found if each is not None}.values())


# %%
run = learner(0.1)
before = all_random_states(run)
first = next(iter(run.train))[1]
set_all_random_states(run, before)
assert_equal(next(iter(run.train))[1], first)
first[:10]

# %% [markdown]
r"""
And on the weights, the gradients that wait for a step, the optimizer's numbers,
what callbacks know, and the counters. Callbacks are known by their classes'
names, so that a state is not put into another script.
"""


# %% What a run is tags=["export", "internal"] module="training.snapshot"
def run_state(run: Run) -> dict[str, Any]:
    """Everything that the next steps of a run depend on, but its place."""
    params = run.model.named_parameters()
    grads = {name: p.grad for name, p in params if p.grad is not None}
    return {
        "model": dict(run.model.state_dict()),
        "optimizer": run.optimizer.state_dict(),
        "gradients": grads,
        "callbacks": [[name, c.state_dict()] for name, c in _with_state(run)],
        "step": run.step,
        "results": dict(run.results),
    }


def _with_state(run: Run) -> list[tuple[str, Callback]]:
    """The callbacks that have something to save, with their classes' names."""
    return [
        (type(callback).__name__, callback)
        for callback in run.active
        if type(callback).state_dict is not Callback.state_dict
    ]


# %% And again tags=["export", "internal"] module="training.snapshot"
def load_run_state(run: Run, state: Mapping[str, Any]) -> None:
    """Put a run into the state of `run_state`."""
    saved = [name for name, _ in state["callbacks"]]
    present = [name for name, _ in _with_state(run)]
    if saved != present:
        raise ValueError(
            f"saved with the callbacks {saved}, put back with {present}"
        )
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    for name, param in run.model.named_parameters():
        grad = state["gradients"].get(name)
        param.grad = None if grad is None else grad.to(param.device)
    pairs = zip(_with_state(run), state["callbacks"], strict=True)
    for (_, callback), (_, its) in pairs:
        callback.load_state_dict(its)
    run.step, run.results = state["step"], state["results"]


# %%
one, other = learner(0.1), learner(0.1)
one.fit(1)
other.fit(0)
load_run_state(other, run_state(one))
assert_equal(other.evaluate(), one.results)
other.step, other[Recorder].rows

# %% [markdown]
r"""
The sweep copies all of it when the fit begins and puts it back when the fit
ends, however it ends. The starred chapter {doc}`/3_training/10_checkpoint`
writes the same tree to the disk.
"""


# %% tags=["export"] module="training.lr_finder"
class LRFinder(LRFinder):
    def before_fit(self, run: Run) -> None:
        """Copy everything that the sweep will change."""
        self.initial = [float(g["lr"]) for g in run.optimizer.param_groups]
        names = ("epoch", "start_epoch", "stop_epoch")
        self.counters = {name: getattr(run, name) for name in names}
        self.counters |= {"epoch": run.start_epoch, "fits": run.fits - 1}
        self.state = copy.deepcopy(run_state(run))
        self.random = copy.deepcopy(all_random_states(run))

    def after_fit(self, run: Run) -> None:
        """Put everything back."""
        load_run_state(run, self.state)
        set_all_random_states(run, self.random)
        vars(run).update(self.counters)
        del self.state, self.random

    after_cancel_fit = after_fit


# %%
learn, finder = learner(0.1), LRFinder()
learn.fit(1, [finder])
learn.optimizer.param_groups[0]["lr"], learn.evaluate()["loss"]

# %% [markdown]
r"""
What is left is to read it.
"""


# %% tags=["export"] module="training.lr_finder"
class LRFinder(LRFinder):
    @property
    def suggestion(self) -> float:
        """A tenth of the rate at which the smoothed loss was lowest."""
        if not self.losses:
            raise ValueError("no sweep yet, or its first loss was not finite")
        return self.lrs[self.losses.index(min(self.losses))] / 10

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """The smoothed loss against the rate, with the suggestion."""
        import matplotlib.pyplot as plt

        ax = ax or plt.gca()
        ax.semilogx(self.lrs, self.losses)
        label = f"suggestion {self.suggestion:.2g}"
        ax.axvline(self.suggestion, color="0.5", ls="--", label=label)
        ax.set(xlabel="learning rate", ylabel="smoothed loss")
        ax.legend()
        return ax


# %% [markdown]
r"""
And a function for the usual case. It knows how many epochs the sweep may need,
and which callbacks belong to it. A schedule would set the rate again, early
stopping would end the sweep, a checkpoint would write it down: what neither
shapes a step nor is named stays out.
"""


# %% A sweep of a learner tags=["export"] module="training.lr_finder"
def find_lr(
    learn: Learner,
    keep: Sequence[type[Callback]] = (),
    **options: Any,
) -> LRFinder:
    """Sweep the rate of a learner, and leave it as it was.

    Of the learner's callbacks those that shape a step take part, as clipping
    does, and those of the classes `keep`.  The options are those of `LRFinder`.
    """
    finder, callbacks = LRFinder(**options), learn.callbacks
    active, classes = learn.active, tuple(keep)
    learn.callbacks = [
        c for c in callbacks if c.shapes_step or isinstance(c, classes)
    ]
    n = length(learn.train) or finder.n_steps  # a stream has none
    try:
        learn.fit(math.ceil(finder.n_steps / n), [finder], n_batches=n)
    finally:
        learn.callbacks, learn.active = callbacks, active
    return finder


# %%
learn = learner(0.1)
before = copy.deepcopy(learn.model.state_dict())
finder = find_lr(learn)
for name, tensor in learn.model.state_dict().items():
    assert_equal(tensor, before[name])
assert_equal((learn.epoch, learn.step, learn.fits), (0, 0, 0))
assert_equal(len(learn.callbacks[0].losses), 0)  # the recorder's
assert 0.003 < finder.suggestion < 0.3
finder.suggestion

# %% alt="The smoothed loss against the learning rate on a logarithmic axis: level at 2.3 up to about 0.01, falling to 1.3 near 0.2, then rising steeply. A dashed line marks the suggestion, a tenth of the lowest point's rate." tags=["hide-input"]
finder.plot()
plt.show()

# %% [markdown]
r"""
How good is the suggestion? Train at a tenth of it, at it, and at ten and a
hundred times it:
"""

# %%
reached = {}
for factor in (0.1, 1, 10, 100):
    learn = learner(finder.suggestion * factor)
    learn.fit(2)
    reached[factor] = learn.results["accuracy"]
assert reached[1] > reached[0.1] + 0.03 and reached[100] < 0.5
assert reached[1] > reached[10] - 0.02
reached

# %% [markdown]
r"""
A tenth of it wastes the two epochs, a hundred times it destroys the network.
Between the suggestion and ten times it lies the best; that is as exactly as
such a sweep can tell, and all that is needed to begin.

## What is annealing worth?

Constant, cosine and one-cycle on Fashion-MNIST, 784-50-10, SGD with momentum
0.9, full batches of 64, five epochs of all 50,000 images: equal work for each.
Each gets its own best largest rate of five, chosen on the validation images.
Then the test images decide.
"""

# %%
SCHEDULES = {
    "constant": lambda lr: Anneal(lr=constant(lr)),
    "cosine": lambda lr: Anneal(lr=cosine(lr, 0.0)),
    "one cycle": Anneal.one_cycle,
}


# %% Three schedules, five rates each tags=["record"] record="worth"
def worth(seed: int) -> dict[str, float]:
    """Test accuracy after five epochs, each schedule at its best rate."""
    torch.set_num_threads(1)
    images, kinds = fashion_mnist(train=False)
    x_test = images.view(-1, 784).float() / 255 - 0.286
    test = TensorLoader(x_test, kinds, batch_size=1000)
    whole = TensorLoader(x[:50_000], y[:50_000], **options)
    found = {}
    for name, make in SCHEDULES.items():
        best = (0.0, 0.0)
        for lr in (0.003, 0.01, 0.03, 0.1, 0.3):
            learn = learner(lr, make(lr), train=whole, seed=seed)
            learn.fit(5)
            scores = [
                learn.evaluate(part)["accuracy"] for part in (valid, test)
            ]
            best = max(best, tuple(scores))
        found[name] = best[1]
    for one, other in (("cosine", "constant"), ("one cycle", "cosine")):
        found[f"{one} - {other}"] = found[one] - found[other]
    return found


# %% [markdown]
r"""
A constant rate reaches {record}`worth.constant:.1%`, cosine
{record}`worth.cosine:.1%`, one cycle {record}`worth.one cycle:.1%`. Annealing
is worth about a point at equal work, several times the deviation from seed to
seed, and it costs one line. Which shape one takes matters much less: between
cosine and one cycle lie a few tenths, which here also pay for the warm-up and
the moving momentum.

## What we built

* `constant`, `ramp`, `cosine`, `exponential`, `polynomial`, `combine`,
  `repeat`, `swing`, `one_cycle` (`optim.schedule`): functions of progress.
* `Anneal` and `progress_of` (`training.annealing`): the same in a learner, for
  any hyperparameter.
* `LRFinder`, `find_lr` (`training.lr_finder`): a rate to begin with, and no
  trace of the search.

## Questions

:::{dropdown} Why does a constant rate stop improving?
Each step adds noise in proportion to the rate. Where that balances what the
step gains, the distance from the minimum stays the same on average.
:::

:::{dropdown} Why a function of progress and not of the step?
The same schedule then serves for any number of steps, and for a part of a
longer schedule. Steps come in where it is used.
:::

:::{dropdown} Why does momentum fall while the rate rises?
Momentum m makes the effective step 1/(1 − m) times as long. Together at their
highest they would diverge earlier.
:::

:::{dropdown} Why is the rate at the lowest loss of the sweep not the suggestion?
The loss at a rate lags behind it: the steps that will make it explode have been
taken when the lowest value is seen. A tenth leaves room.
:::

## Exercises

**1.** Make a schedule that warms up for 5 %, holds for 75 % and falls to 0 on a
straight line in the rest.
"""

# %% tags=["solution"]
trapezoid = combine([5, 75, 20], [ramp(0, 1), constant(1), ramp(1, 0)])
values = [trapezoid(p) for p in (0.0, 0.025, 0.5, 0.9, 1.0)]
assert_close(values, [0.0, 0.5, 1.0, 0.5, 0.0])

# %% [markdown]
r"""
**2.** The transformer's schedule is a linear warm-up for a share `w` of the
training, and from there falls with the *inverse square root* of the progress.
Write it as a function that makes a schedule.
"""


# %% tags=["solution"]
def inverse_root(w: float) -> Schedule:
    return lambda progress: min(progress / w, (w / max(progress, w)) ** 0.5)


values = [inverse_root(0.25)(p) for p in (0.0, 0.125, 0.25, 1.0)]
assert_close(values, [0.0, 0.5, 1.0, 0.5])

# %% [markdown]
r"""
**3.** At which rate is the floor of the noisy weight above half its largest
value, 1? Derive it from $v = \eta / (2 - \eta)$ and try it.
"""

# %% tags=["solution"]
# v = 1/4 at eta = 0.4: 0.4 / 1.6
floor = descend(lambda progress: 0.4)[-100:].mean().item()
assert_close(floor, 0.5, rtol=0.05)

# %% [markdown]
r"""
The rate is set, the run can be repeated. What happens *inside* the network
meanwhile is the subject of {doc}`/3_training/6_inside`.
"""

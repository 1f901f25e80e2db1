# %% [markdown] module="optim.lr_scheduler.base"
r"""
# Annealing

A large learning rate is fast and never arrives; a small one arrives and takes
for ever. **How should the rate change over a training run, how large should it
begin, and what is that worth?**

A smith who wants hard steel does not keep one heat: hot enough to move, then
slowly colder. Training borrowed the word. We write schedules as plain functions
first, so that they can be drawn and put together, then torch's classes on top
of them, then callbacks for the learner, and a search for the rate to begin
with.

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
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import fashion_mnist
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.linear import Linear
from groundup.testing import assert_close, assert_equal
from groundup.training.callback import (
    Callback,
    CancelFit,
    CancelValidation,
    Run,
)
from groundup.training.checkpoint import Checkpoint
from groundup.training.learner import Learner
from groundup.training.metrics import Accuracy
from groundup.training.recorder import Recorder
from groundup.training.saving import (
    all_random_states,
    load_run_state,
    run_state,
    set_all_random_states,
)

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


# %% From one value to another tags=["export"] module="optim.schedule" namespace=true
"""Schedules: values as plain functions of progress, from 0 to 1."""

Schedule = Callable[[float], float]


def constant(value: float) -> Schedule:
    """Always the same."""
    return lambda progress: value


def ramp(start: float, end: float) -> Schedule:
    """Equal differences: a straight line."""
    return lambda progress: (end - start) * progress + start


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


def one_cycle(
    peak: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up to the peak and far down, two cosines (Smith, 2018)."""
    start = peak / div_factor
    parts = [cosine(start, peak), cosine(peak, start / final_div_factor)]
    return combine([pct_start, 1 - pct_start], parts)


# %%
warmup = combine([1, 9], [ramp(0, 1), cosine(1, 0)])
assert_equal([warmup(0.0), warmup(0.1), warmup(1.0)], [0.0, 1.0, 0.0])
assert_close(one_cycle(1.0)(0.3), 1.0)
warmup(0.05), warmup(0.55)

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
A warm-up is there because the first gradients, of random weights, are the least
to be trusted. *One cycle* ({cite:t}`smith2018`) goes further: it climbs to a
rate that would be too large to live with, spends the middle of the training
there, and descends to almost nothing.

## Torch's schedulers

Code in the world uses classes that hold an optimizer and count steps:
`scheduler.step()` after each epoch, or each batch. We want them with torch's
names and numbers. Most of them are one formula: a *factor* of the step,

$$\eta_t = \eta_0 \cdot f(t),$$

but torch applies it in a way that can be chained. A step multiplies whatever
rate it finds by $f(t) / f(t-1)$, so that two schedulers on one optimizer
multiply their factors, and a rate that was changed by hand stays changed. One
scheduler has a floor as well, $\eta_\text{min}$, and multiplies the distance
from it. The base class does that once.

First what all schedulers share: they count, they set, they are saved.
"""


# %% Reading and setting tags=["export"]
"""What all learning rate schedulers share: they count, set, are saved."""


def _number(value: Tensor | float) -> Tensor | float:
    """A rate to keep: a copy, if it is a tensor."""
    return value.clone() if isinstance(value, Tensor) else value


def set_lr(group: dict, lr: Tensor | float) -> None:
    """A rate that is a tensor changes in place: compiled code looks there."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def set_momentum(group: dict, momentum: float) -> None:
    """Momentum, or the first of Adam's betas, which is the same thing."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


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


# %% The base of schedulers tags=["export"] earns="torch.optim.lr_scheduler.LRScheduler"
class LRScheduler:
    """Sets every group's learning rate at each `step`: fill in `get_lr`.

    `last_epoch` is the number of the last step: -1 begins, another goes on.
    """

    _is_initial = False

    def __init__(self, optimizer: Any, last_epoch: int = -1):
        if not hasattr(optimizer, "param_groups"):
            kind = type(optimizer).__name__
            raise TypeError(f"an optimizer has param_groups, {kind} has none")
        self.optimizer, self.last_epoch = optimizer, last_epoch
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _number(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"'initial_lr' is not in param_groups[{i}]: load the "
                    "optimizer's state before going on at last_epoch"
                )
        self.base_lrs = [
            group["initial_lr"] for group in optimizer.param_groups
        ]
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count, self._is_initial = 0, True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list:
        """The rate of each group at step `last_epoch`."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_lr")

    def _closed_form(self) -> list:
        return self.get_lr()

    def get_last_lr(self) -> list:
        """The rate of each group, as the last step set it."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go on by one step, or to the one that is given."""
        self._step_count += 1
        self._go_to(epoch)

    def _go_to(self, epoch: int | None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rates = self.get_lr() if epoch is None else self._closed_form()
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_lr(group, lr)
        self._last_lr = self._lrs()

    def _lrs(self) -> list:
        return [_number(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {k: v for k, v in vars(self).items() if k != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another was, ours or torch's."""
        own = vars(self).keys() & state_dict.keys() - {"optimizer"}
        vars(self).update({name: state_dict[name] for name in own})


# %% [markdown]
r"""
Then those with a factor. Where the last factor was 0 there is nothing to
multiply, and the distance from the floor starts anew.

One oddity is torch's own and is kept: a scheduler that is constructed at a
later `last_epoch` finds the rate already right if its factor is a curve, but
performs the jump of that step if it is a staircase.
"""


# %% A factor of the step tags=["export"] module="optim.lr_scheduler.factor"
"""Schedulers that multiply the rate by a factor of the step."""


class Factor(LRScheduler):
    """Multiplies rates, above a floor: fill in `factor`."""

    eta_min: float = 0.0
    _jumps = False

    def factor(self, step: int) -> float:
        """What the rate is multiplied by, from the start up to a step."""
        raise NotImplementedError

    def get_lr(self) -> list:
        """Each group's rate, moved on from what it is now."""
        rates = self._lrs()
        if self._is_initial and self.last_epoch and not self._jumps:
            return rates
        return [
            self._next(lr, base)
            for lr, base in zip(rates, self.base_lrs, strict=True)
        ]

    def _next(self, lr: float, base: float) -> float:
        step, floor = self.last_epoch, self.eta_min
        before = self.factor(step - 1) if step else 1.0
        after = self.factor(step)
        if before == 0:
            return lr + (base - floor) * after
        if after == before:
            return lr
        return floor + (lr - floor) * (after / before)

    def _closed_form(self) -> list:
        after, floor = self.factor(self.last_epoch), self.eta_min
        return [floor + (base - floor) * after for base in self.base_lrs]


# %% [markdown]
r"""
And now they are short.
"""


# %% Staircases tags=["export"] module="optim.lr_scheduler.factor" earns="torch.optim.lr_scheduler.StepLR torch.optim.lr_scheduler.MultiStepLR torch.optim.lr_scheduler.ConstantLR"
class StepLR(Factor):
    """Times `gamma` every `step_size` steps."""

    _jumps = True

    def __init__(
        self,
        optimizer: Any,
        step_size: int,
        gamma: float = 0.1,
        last_epoch: int = -1,
    ):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """A power for each stair."""
        return self.gamma ** (step // self.step_size)


class MultiStepLR(Factor):
    """Times `gamma` at each milestone."""

    _jumps = True

    def __init__(
        self,
        optimizer: Any,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ):
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """A power for each milestone reached."""
        passed = (n for at, n in self.milestones.items() if at <= step)
        return self.gamma ** sum(passed)


# %% tags=["export"] module="optim.lr_scheduler.factor"
class ConstantLR(Factor):
    """Times `factor` for the first `total_iters` steps."""

    _jumps = True

    def __init__(
        self,
        optimizer: Any,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 <= factor <= 1:
            raise ValueError(f"factor is in 0 to 1, got {factor}")
        self._share, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """Less at first, then all."""
        return self._share if step < self.total_iters else 1.0


# %% Curves tags=["export"] module="optim.lr_scheduler.factor" earns="torch.optim.lr_scheduler.LinearLR torch.optim.lr_scheduler.ExponentialLR torch.optim.lr_scheduler.PolynomialLR"
class LinearLR(Factor):
    """From `start_factor` to `end_factor` in equal steps."""

    def __init__(
        self,
        optimizer: Any,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not (0 < start_factor <= 1 and 0 <= end_factor <= 1):
            given = f"start_factor {start_factor}, end_factor {end_factor}"
            raise ValueError(f"factors are in 0 to 1, start not 0; got {given}")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """A straight line, then level."""
        done = min(self.total_iters, step) / self.total_iters
        return ramp(self.start_factor, self.end_factor)(done)


class ExponentialLR(Factor):
    """Times `gamma` at every step."""

    def __init__(self, optimizer: Any, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """A power of the step."""
        return self.gamma**step


# %% tags=["export"] module="optim.lr_scheduler.factor" earns="torch.optim.lr_scheduler.CosineAnnealingLR"
class PolynomialLR(Factor):
    """To 0 as a power of what is left to do."""

    def __init__(
        self,
        optimizer: Any,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """A power that ends at 0 and stays."""
        done = min(self.total_iters, step) / self.total_iters
        return polynomial(1.0, 0.0, self.power)(done)


class CosineAnnealingLR(Factor):
    """To `eta_min` along half a cosine wave of `T_max` steps, and back."""

    def __init__(
        self,
        optimizer: Any,
        T_max: int,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """The wave, which goes on beyond `T_max`."""
        return cosine(1.0, 0.0)(step / self.T_max)


# %% [markdown]
r"""
A function of your own takes the whole rate (`LambdaLR`) or one step's factor
(`MultiplicativeLR`). Functions cannot be saved, objects that are called like
functions can: their attributes.
"""


# %% Any function tags=["export"] module="optim.lr_scheduler.function" earns="torch.optim.lr_scheduler.LambdaLR torch.optim.lr_scheduler.MultiplicativeLR"
"""Schedulers by any function of the step."""


class LambdaLR(LRScheduler):
    """The initial rate times a function of the step, one for each group."""

    def __init__(
        self,
        optimizer: Any,
        lr_lambda: Callable[[int], float] | list[Callable[[int], float]],
        last_epoch: int = -1,
    ):
        self.lr_lambdas = per_group("lr_lambda", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def _factors(self) -> list[float]:
        return [function(self.last_epoch) for function in self.lr_lambdas]

    def get_lr(self) -> list:
        """Each group's initial rate times its function's value."""
        pairs = zip(self.base_lrs, self._factors(), strict=True)
        return [base * factor for base, factor in pairs]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and what are plain functions."""
        kept = [
            None if isinstance(each, type(_number)) else dict(vars(each))
            for each in self.lr_lambdas
        ]
        return {**super().state_dict(), "lr_lambdas": kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another was; functions stay this one's."""
        own = self.lr_lambdas
        super().load_state_dict(state_dict)
        self.lr_lambdas = own
        for function, kept in zip(own, state_dict["lr_lambdas"], strict=True):
            if kept is not None:
                vars(function).update(kept)


class MultiplicativeLR(LambdaLR):
    """At every step, times a function of it."""

    def get_lr(self) -> list:
        """Each group's rate, moved on."""
        rates = self._lrs()
        if self._is_initial:
            return rates
        pairs = zip(rates, self._factors(), strict=True)
        return [lr * factor for lr, factor in pairs]


# %% [markdown]
r"""
## Cycles

*Warm restarts* ({cite:t}`loshchilov2017`) begin the cosine again, each time
`T_mult` times as long. *Cyclic* rates ({cite:t}`smith2017`) go up and down on
straight lines. *One cycle* is one of them, stretched over the whole training,
with a low end. The last two move the momentum against the rate: when steps are
long, less of the past is added to them.
"""


# %% Warm restarts tags=["export"] module="optim.lr_scheduler.restart" earns="torch.optim.lr_scheduler.CosineAnnealingWarmRestarts"
"""Cosines with warm restarts."""


class CosineAnnealingWarmRestarts(LRScheduler):
    """Cosines of `T_0` steps, then `T_mult` times as many, and so on."""

    def __init__(
        self,
        optimizer: Any,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ):
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"T_0 is a positive integer, got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"T_mult is a positive integer, got {T_mult}")
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        self.T_i, self.T_cur = T_0, last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """Each group's place on its cosine."""
        done = self.T_cur / self.T_i
        return [cosine(b, self.eta_min)(done) for b in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on by one step, or to an epoch, which may be broken."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch, self.T_cur = self.last_epoch + 1, self.T_cur + 1
        elif epoch < 0:
            raise ValueError(f"an epoch is not negative, got {epoch}")
        else:
            self.T_cur, self.T_i = epoch, self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur, self.T_i = self.T_cur - self.T_i, self.T_i * self.T_mult
        self._go_to(math.floor(epoch))


# %% Momentum against the rate tags=["export"] module="optim.lr_scheduler.cycle"
"""Cycles: the rate up and down, and the momentum against it."""


class Cycle(LRScheduler):
    """Moves the rate and, against it, the momentum."""

    def _cycle_momentum(
        self, optimizer: Any, base: Any, highest: Any, begin: bool
    ) -> None:
        """Check that there is a momentum to cycle, and set it."""
        if not {"momentum", "betas"} & optimizer.defaults.keys():
            raise ValueError(
                "cycle_momentum needs an optimizer with momentum or betas, "
                f"{type(optimizer).__name__} has {list(optimizer.defaults)}"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        self.base_momentums = per_group("base_momentum", optimizer, base)
        self.max_momentums = per_group("max_momentum", optimizer, highest)
        rows = self.base_momentums, self.max_momentums, optimizer.param_groups
        for low, high, group in zip(*rows, strict=True):
            if begin:
                set_momentum(group, high)
                group["max_momentum"], group["base_momentum"] = high, low


# %% Triangles tags=["export"] module="optim.lr_scheduler.cycle" earns="torch.optim.lr_scheduler.CyclicLR"
class CyclicLR(Cycle):
    """Up to `max_lr` and down to `base_lr` on straight lines, for ever."""

    def __init__(
        self,
        optimizer: Any,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ):
        modes = ("triangular", "triangular2", "exp_range")
        if scale_fn is None and mode not in modes:
            raise ValueError(f"mode is one of {modes}, got {mode!r}")
        lows = per_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, lows, strict=True):
                set_lr(group, lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        own = {"exp_range": "iterations"}.get(mode, "cycle")
        self.scale_mode = own if scale_fn is None else scale_mode
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            ends = base_momentum, max_momentum
            self._cycle_momentum(optimizer, *ends, last_epoch == -1)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lows

    def scale_fn(self, x: float) -> float:
        """The height of a cycle, by its number from 1 or by the step."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        factors = {"triangular2": 0.5 ** (x - 1), "exp_range": self.gamma**x}
        return factors.get(self.mode, 1.0)

    def get_lr(self) -> list:
        """Each group's place on its triangle; sets the momentum."""
        turns = self.last_epoch / self.total_size
        cycle = math.floor(1 + turns)
        x = 1 + turns - cycle
        up = x <= self.step_ratio
        height = x / self.step_ratio if up else (x - 1) / (self.step_ratio - 1)
        by_cycle = self.scale_mode == "cycle"
        height *= self.scale_fn(cycle if by_cycle else self.last_epoch)
        if self.cycle_momentum:
            ends = zip(self.base_momentums, self.max_momentums, strict=True)
            groups = self.optimizer.param_groups
            for group, (low, high) in zip(groups, ends, strict=True):
                set_momentum(group, high - (high - low) * height)
        ends = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (high - low) * height for low, high in ends]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and a plain function."""
        own = self._scale_fn_custom
        plain = own is None or isinstance(own, type(_number))
        kept = None if plain else dict(vars(own))
        return {**super().state_dict(), "_scale_fn_custom": kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another was; the function stays this one's."""
        own, kept = self._scale_fn_custom, state_dict["_scale_fn_custom"]
        super().load_state_dict(state_dict)
        self._scale_fn_custom = own
        if kept is not None:
            vars(own).update(kept)


# %% One cycle tags=["export"] module="optim.lr_scheduler.one_cycle" earns="torch.optim.lr_scheduler.OneCycleLR"
"""One cycle over a whole training run."""


class OneCycleLR(Cycle):
    """Up to `max_lr`, down, and far below where it began (Smith, 2018)."""

    def __init__(
        self,
        optimizer: Any,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        self.total_steps = _total(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start is a float, 0 to 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            given = repr(anneal_strategy)
            raise ValueError(
                f"anneal_strategy is 'cos' or 'linear', not {given}"
            )
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = _phases(
            self.total_steps, pct_start, three_phase
        )
        peaks = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                low = peak / div_factor
                group["initial_lr"], group["max_lr"] = low, peak
                group["min_lr"] = low / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            ends = base_momentum, max_momentum
            self._cycle_momentum(optimizer, *ends, last_epoch == -1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """Each group's place on its cycle; sets the momentum."""
        step, start = self.last_epoch, 0.0
        if step > self.total_steps:
            raise ValueError(f"step {step} of {self.total_steps} in total")
        *others, last = self._schedule_phases
        for phase in others:
            if step <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = last
        done = (step - start) / (phase["end_step"] - start)
        shape = {"cos": cosine, "linear": ramp}
        anneal, rates = shape[self._anneal_func_type], []
        for group in self.optimizer.param_groups:
            ends = group[phase["start_lr"]], group[phase["end_lr"]]
            rates.append(anneal(*ends)(done))
            if self.cycle_momentum:
                ends = phase["start_momentum"], phase["end_momentum"]
                momentum = anneal(*(group[end] for end in ends))(done)
                set_momentum(group, momentum)
        return rates


# %% Its phases tags=["export"] module="optim.lr_scheduler.one_cycle"
def _total(
    total_steps: int | None, epochs: int | None, steps_per_epoch: int | None
) -> int:
    if total_steps is None and None in (epochs, steps_per_epoch):
        raise ValueError("give total_steps, or epochs and steps_per_epoch")
    numbers = (
        (epochs, steps_per_epoch) if total_steps is None else (total_steps,)
    )
    if not all(isinstance(n, int) and n > 0 for n in numbers):
        raise ValueError(
            f"numbers of steps are positive integers, got {numbers}"
        )
    return math.prod(numbers)


def _phases(total: int, pct_start: float, three_phase: bool) -> list[dict]:
    """Where each phase ends, and between which of a group's values it goes."""
    keys = "end_step", "start_lr", "end_lr", "start_momentum", "end_momentum"
    low, high = "base_momentum", "max_momentum"
    top = float(pct_start * total) - 1
    rows: list[tuple] = [(top, "initial_lr", "max_lr", high, low)]
    if three_phase:
        back = float(2 * pct_start * total) - 2
        rows.append((back, "max_lr", "initial_lr", low, high))
        rows.append((total - 1, "initial_lr", "min_lr", high, high))
    else:
        rows.append((total - 1, "max_lr", "min_lr", low, high))
    return [dict(zip(keys, row, strict=True)) for row in rows]


# %% [markdown]
r"""
## By what is measured

`ReduceLROnPlateau` has no schedule. It watches a metric, and lowers the rate
when that has not improved for a while.
"""


# %% On a plateau tags=["export"] module="optim.lr_scheduler.plateau" earns="torch.optim.lr_scheduler.ReduceLROnPlateau"
"""A rate that falls when a metric no longer improves."""


class ReduceLROnPlateau(LRScheduler):
    """Times `factor` after `patience` steps in which a metric is no better."""

    def __init__(
        self,
        optimizer: Any,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ):
        if factor >= 1:
            raise ValueError(f"factor is below 1, got {factor}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            given = f"{mode!r} and {threshold_mode!r}"
            raise ValueError(f"modes are min or max, rel or abs, got {given}")
        self.optimizer, self.mode, self.factor = optimizer, mode, factor
        self.patience, self.cooldown, self.eps = patience, cooldown, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.min_lrs = per_group("min_lr", optimizer, min_lr)
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = self.last_epoch = 0
        self._last_lr = self._lrs()

    @property
    def in_cooldown(self) -> bool:
        """Whether the last reduction is too recent to count bad steps."""
        return self.cooldown_counter > 0

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            bound = self.best * (1 + sign * self.threshold)
        else:
            bound = self.best + sign * self.threshold
        return sign * value > sign * bound

    def step(self, metrics: Tensor | float, epoch: int | None = None) -> None:
        """See another value of the metric."""
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        better = self._is_better(value)
        self.best = value if better else self.best
        self.num_bad_epochs = 0 if better else self.num_bad_epochs + 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._lrs()

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        for group, lowest in zip(groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, lowest)
            if old - new > self.eps:
                set_lr(group, new)


# %% [markdown]
r"""
## Schedulers of schedulers

`ChainedScheduler` steps several at once, and their factors multiply.
`SequentialLR` gives the steps to one after the other. Both hold the states of
those they step.
"""


# %% What both share tags=["export"] module="optim.lr_scheduler.several" earns="torch.optim.lr_scheduler.ChainedScheduler"
"""Schedulers of schedulers."""


class _Several(LRScheduler):
    """Holds schedulers of one optimizer."""

    def _hold(
        self, schedulers: Sequence[LRScheduler], optimizer: Any | None
    ) -> None:
        if not schedulers:
            raise ValueError(f"{type(self).__name__} got no scheduler")
        self.optimizer = optimizer or schedulers[0].optimizer
        for i, each in enumerate(schedulers):
            if isinstance(each, ReduceLROnPlateau):
                raise ValueError(f"scheduler {i} steps by a metric")
            if each.optimizer is not self.optimizer:
                raise ValueError(f"scheduler {i} has another optimizer")
        self._schedulers = schedulers

    def state_dict(self) -> dict[str, Any]:
        """The states of the schedulers too."""
        states = [each.state_dict() for each in self._schedulers]
        return {**super().state_dict(), "_schedulers": states}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where others were."""
        own, states = self._schedulers, state_dict["_schedulers"]
        super().load_state_dict(state_dict)
        self._schedulers = own
        for each, state in zip(own, states, strict=True):
            each.load_state_dict(state)


class ChainedScheduler(_Several):
    """Steps several schedulers at once."""

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Any | None = None
    ):
        self._hold(schedulers, optimizer)
        self._last_lr = self._lrs()

    def step(self) -> None:
        """One step of each."""
        for each in self._schedulers:
            each.step()
        self._last_lr = self._lrs()


# %% One after the other tags=["export"] module="optim.lr_scheduler.several" earns="torch.optim.lr_scheduler.SequentialLR"
class SequentialLR(_Several):
    """Steps one scheduler until its milestone, then the next."""

    def __init__(
        self,
        optimizer: Any,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ):
        self._hold(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            given = (
                f"{len(schedulers)} schedulers, {len(milestones)} milestones"
            )
            raise ValueError(f"a milestone between each two: got {given}")
        self._milestones, self.last_epoch = milestones, last_epoch + 1
        for group in optimizer.param_groups:
            set_lr(group, group["initial_lr"])
        _undo(self)  # all of them took a step when they were made
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        """One step of the one whose turn it is."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        current = self._schedulers[turn]
        if turn and self._milestones[turn - 1] == self.last_epoch:
            current._go_to(0)
        else:
            current.step()
        self._last_lr = current.get_last_lr()


def _undo(scheduler: LRScheduler) -> None:
    if isinstance(scheduler, _Several):
        for each in scheduler._schedulers:
            _undo(each)
    else:
        scheduler.last_epoch -= 1


# %% [markdown]
r"""
Here are nine of them over forty steps.
"""

# %%
from torch.optim import SGD

from groundup.optim import lr_scheduler


def rates(make: Callable, n_steps: int = 40, **options: Any) -> list[float]:
    """The learning rate at each step, beginning with 1."""
    optimizer = SGD([torch.zeros(1)], lr=1.0, momentum=0.9)
    scheduler, found = make(optimizer, **options), []
    for _ in range(n_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


gallery = {
    "StepLR": {"step_size": 10, "gamma": 0.5},
    "MultiStepLR": {"milestones": [5, 30], "gamma": 0.5},
    "LinearLR": {"total_iters": 20},
    "ExponentialLR": {"gamma": 0.9},
    "PolynomialLR": {"total_iters": 30, "power": 2},
    "CosineAnnealingLR": {"T_max": 20},
    "CosineAnnealingWarmRestarts": {"T_0": 6, "T_mult": 2},
    "CyclicLR": {
        "base_lr": 0.1,
        "max_lr": 1,
        "step_size_up": 5,
        "mode": "triangular2",
    },
    "OneCycleLR": {"max_lr": 1, "total_steps": 40},
}

# %% alt="Nine small plots of the learning rate over forty steps: stairs for StepLR and MultiStepLR, a rise for LinearLR, falls for ExponentialLR and PolynomialLR, a wave for CosineAnnealingLR, cosine falls of growing length for warm restarts, triangles of halving height for CyclicLR, and one rise and fall for OneCycleLR." tags=["hide-input"]
figure, axes = plt.subplots(3, 3, figsize=(8, 5), sharex=True, sharey=True)
for ax, (name, options) in zip(axes.flat, gallery.items(), strict=True):
    ax.plot(rates(getattr(lr_scheduler, name), **options))
    ax.set_title(name, fontsize=8)
figure.supxlabel("step")
figure.supylabel("learning rate")
plt.show()

# %% The real ones tags=["reference"]
for name, options in gallery.items():
    theirs = getattr(torch.optim.lr_scheduler, name)
    ours = getattr(lr_scheduler, name)
    assert_close(rates(ours, **options), rates(theirs, **options), rtol=1e-9)

# %% [markdown]
r"""
The tests go further: hundreds of settings, groups with rates of their own,
chains, momentum, and a state dict carried over in the middle, in both
directions.

## In the learner

A callback needs no counting of its own. The learner knows the epoch, the batch
and where the fit ends, and from these follows the progress. So the schedule has
no state, and a resumed run is right by itself.

`Anneal` takes a schedule for each hyperparameter, or a list of schedules, one
for each parameter group. After the fit the values are what they were, so that
the next fit does not start with the crumbs of this one.
"""


# %% Schedules in a learner tags=["export"] module="training.annealing"
"""Hyperparameters that change during a training run."""


class Anneal(Callback):
    """Sets hyperparameters before each batch, by schedules of progress.

    `Anneal(lr=cosine(0.1, 0))`; a list holds a schedule for each group.
    """

    def __init__(self, **schedules: Schedule | list[Schedule]):
        self.schedules = schedules
        self.kept: list[dict] = []  # what the groups held before the fit

    def before_fit(self, run: Run) -> None:
        """Check the names, and keep the values."""
        groups = run.optimizer.param_groups
        for name in self.schedules:
            known = {*groups[0], "momentum" if "betas" in groups[0] else "lr"}
            if name not in known:
                raise KeyError(f"no {name!r} in the groups: {sorted(known)}")
            per_group(name, run.optimizer, self.schedules[name])
        self.kept = [
            {k: _number(v) for k, v in group.items() if k != "params"}
            for group in groups
        ]

    def before_batch(self, run: Run) -> None:
        """Set the values for this batch."""
        if not run.training:
            return
        done = progress_of(run)
        for name, schedules in self.schedules.items():
            each = per_group(name, run.optimizer, schedules)
            for group, value in zip(
                run.optimizer.param_groups, each, strict=True
            ):
                _set(group, name, value(done))

    def after_fit(self, run: Run) -> None:
        """Put the values back."""
        groups = run.optimizer.param_groups
        for group, kept in zip(groups, self.kept, strict=False):
            for name in self.schedules:
                held = "betas" if name not in kept else name
                _set(group, held, kept[held])

    after_cancel_fit = after_fit


# %% Progress tags=["export"] module="training.annealing"
def progress_of(run: Run) -> float:
    """The share of this fit's batches done: 0 at the first, 1 at the last."""
    n_batches = len(run.train)
    done = (run.epoch - run.start_epoch) * n_batches + run.batch_idx
    total = (run.stop_epoch - run.start_epoch) * n_batches
    return min(1.0, done / max(1, total - 1))


def _set(group: dict, name: str, value: Any) -> None:
    if name == "lr":
        set_lr(group, value)
    elif name == "momentum":
        set_momentum(group, value)
    else:
        group[name] = value


# %% One cycle and torch's schedulers tags=["export"] module="training.annealing"
class OneCycle(Anneal):
    """The rate up to `max_lr` and far down, the momentum against it.

    Lists give each parameter group its own peak; `momentum=None` leaves it.
    """

    def __init__(
        self,
        max_lr: float | Sequence[float],
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        momentum: tuple[float, float] | None = (0.95, 0.85),
    ):
        shape = pct_start, div_factor, final_div_factor
        several = isinstance(max_lr, Sequence)
        peaks = max_lr if several else [max_lr]
        cycles = [one_cycle(peak, *shape) for peak in peaks]
        schedules: dict[str, Any] = {"lr": cycles if several else cycles[0]}
        if momentum is not None:
            high, low = momentum
            parts = [cosine(high, low), cosine(low, high)]
            shares = [pct_start, 1 - pct_start]
            schedules["momentum"] = combine(shares, parts)
        super().__init__(**schedules)


class Scheduler(Callback):
    """Steps a scheduler, ours or torch's, after each epoch or each batch.

    `make` makes one of the optimizer. `metric` names the result by which a
    `ReduceLROnPlateau` steps.
    """

    def __init__(
        self,
        make: Callable[[Any], Any],
        each: str = "epoch",
        metric: str | None = None,
    ):
        if each not in ("epoch", "batch"):
            raise ValueError(f"each is 'epoch' or 'batch', got {each!r}")
        self.make, self.each, self.metric = make, each, metric
        self.scheduler: Any = None

    def before_fit(self, run: Run) -> None:
        """Make the scheduler; a second fit goes on with it."""
        if self.scheduler is None:
            self.scheduler = self.make(run.optimizer)

    def after_step(self, run: Run) -> None:
        """Step after a batch that took a step."""
        if self.each == "batch":
            self.scheduler.step()

    def after_epoch(self, run: Run) -> None:
        """Step after an epoch, by the metric if there is one."""
        if self.each == "epoch":
            by = () if self.metric is None else (run.results[self.metric],)
            self.scheduler.step(*by)

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's."""
        return self.scheduler.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """The scheduler's."""
        self.scheduler.load_state_dict(state_dict)


# %% [markdown]
r"""
Fashion-MNIST from now on, ten kinds of clothes: MNIST has become too easy to
tell schedules apart. To keep the page quick we train on the first 10,000
images.
"""

# %%
torch.set_num_threads(1)
images, kinds = fashion_mnist()
x, y = images.view(-1, 784).float() / 255 - 0.286, kinds
small = TensorLoader(x[:10_000], y[:10_000], batch_size=64, shuffle=True)
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


learn = learner(0.1, OneCycle(0.1))
learn.fit(3)
learn.results

# %% alt="Two plots over 471 batches. The learning rate rises smoothly from 0.004 to 0.1 in the first third and falls to zero. The training loss falls quickly, then slowly and unevenly while the rate is high, and ends near 0.4, just below the validation's." tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(8, 2.8))
learn[Recorder].plot_lr(axes[0])
learn[Recorder].plot_loss(axes[1])
plt.show()

# %%
lrs = learn[Recorder].lrs
theirs = rates(
    lr_scheduler.OneCycleLR, len(lrs), max_lr=0.1, total_steps=len(lrs)
)
assert_close([lrs[0], max(lrs)], [0.004, 0.1], rtol=1e-3)
assert_close(lrs[-1], theirs[-1], rtol=1e-6)
assert_equal(learn.optimizer.param_groups[0]["lr"], 0.1)  # put back

# %% [markdown]
r"""
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
* the sweep stops when the smoothed loss is above four times its lowest value,
  or is not finite;
* the suggestion is a tenth of the rate at which the smoothed loss was lowest:
  at the lowest point it is already too late;
* afterwards the model, the optimizer, the random states, other callbacks and
  the learner's counters are exactly what they were before.
"""


# %% The sweep tags=["export"] module="training.annealing"
class _Sweep(Callback):
    """Multiplies the rate at each batch and keeps the losses."""

    order = -100  # before those that refuse a loss that is not finite

    def __init__(
        self,
        start: float = 1e-5,
        end: float = 10.0,
        n_steps: int = 100,
        smoothing: float = 0.9,
        stop: float = 4.0,
    ):
        self.rate, self.n_steps = exponential(start, end), n_steps
        self.smoothing, self.stop = smoothing, stop
        self.lrs: list[float] = []
        self.losses: list[float] = []  # smoothed
        self.average = 0.0

    def before_batch(self, run: Run) -> None:
        """Set the rate; the group with the largest gets it whole."""
        if not run.training:
            return
        self.lrs.append(self.rate(len(self.lrs) / max(1, self.n_steps - 1)))
        top = max(self.initial)
        groups = run.optimizer.param_groups
        for group, lr in zip(groups, self.initial, strict=True):
            set_lr(group, self.lrs[-1] * lr / top)

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
        if n >= self.n_steps or smooth > self.stop * min(self.losses):
            raise CancelFit

    def before_validation(self, run: Run) -> None:
        """Leave it out."""
        raise CancelValidation


# %% [markdown]
r"""
Restoring is the delicate part. Everything a checkpoint would save is copied
when the fit begins and put back when it ends, however it ends.
"""


# %% The finder tags=["export"] module="training.annealing"
class LRFinder(_Sweep):
    """A sweep that leaves no trace: `plot` it and read its `suggestion`.

    Pass it to one `fit`, or call `find_lr`.
    """

    def before_fit(self, run: Run) -> None:
        """Copy everything that the sweep will change."""
        groups = run.optimizer.param_groups
        self.initial = [float(group["lr"]) for group in groups]
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


def find_lr(learn: Learner, **options: Any) -> LRFinder:
    """Sweep the rate of a learner, and leave it as it was.

    The options are those of `LRFinder`; checkpoints are not written.
    """
    finder, callbacks = LRFinder(**options), learn.callbacks
    learn.callbacks = [c for c in callbacks if not isinstance(c, Checkpoint)]
    try:
        learn.fit(math.ceil(finder.n_steps / len(learn.train)), [finder])
    finally:
        learn.callbacks = callbacks
    return finder


# %%
learn = learner(0.1)
before = copy.deepcopy(learn.model.state_dict())
finder = find_lr(learn)
for name, tensor in learn.model.state_dict().items():
    assert_equal(tensor, before[name])
assert_equal((learn.epoch, learn.step, learn.fits), (0, 0, 0))
assert_equal(len(learn[Recorder].losses), 0)
finder.suggestion

# %% alt="The smoothed loss against the learning rate on a logarithmic axis: level at 2.3 up to about 0.01, falling to 1.3 near 0.2, then rising steeply. A dashed line marks the suggestion, a tenth of the lowest point's rate." tags=["hide-input"]
finder.plot()
plt.show()

# %%
assert 0.003 < finder.suggestion < 0.3

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
0.9, batches of 64, five epochs of all 50,000 images: equal work for each. Each
gets its own best largest rate of four, chosen on the validation images. Then
the test images decide.
"""

# %%
SCHEDULES = {
    "constant": lambda lr: Anneal(lr=constant(lr)),
    "cosine": lambda lr: Anneal(lr=cosine(lr, 0.0)),
    "one cycle": lambda lr: OneCycle(lr),
}


# %% Three schedules, four rates each tags=["record"] record="worth"
def worth(seed: int) -> dict[str, float]:
    """Test accuracy after five epochs, each schedule at its best rate."""
    torch.set_num_threads(1)
    images, kinds = fashion_mnist(train=False)
    x_test = images.view(-1, 784).float() / 255 - 0.286
    test = TensorLoader(x_test, kinds, batch_size=1000)
    whole = TensorLoader(x[:50_000], y[:50_000], batch_size=64, shuffle=True)
    results = {}
    for name, make in SCHEDULES.items():
        best = (0.0, 0.0)
        for lr in (0.01, 0.03, 0.1, 0.3):
            learn = learner(lr, make(lr), train=whole, seed=seed)
            learn.fit(5)
            scores = [
                learn.evaluate(part)["accuracy"] for part in (valid, test)
            ]
            best = max(best, tuple(scores))
        results[name] = best[1]
    return results


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
  `repeat`, `one_cycle` (`optim.schedule`): functions of progress.
* `StepLR`, `MultiStepLR`, `ConstantLR`, `LinearLR`, `ExponentialLR`,
  `PolynomialLR`, `CosineAnnealingLR`, `CosineAnnealingWarmRestarts`,
  `LambdaLR`, `MultiplicativeLR`, `CyclicLR`, `OneCycleLR`, `ReduceLROnPlateau`,
  `ChainedScheduler`, `SequentialLR` (`optim.lr_scheduler`): torch's, number by
  number.
* `Anneal`, `OneCycle`, `Scheduler` (`training.schedule`): the same for a
  learner.
* `LRFinder`, `find_lr` (`training.schedule`): a rate to begin with, and no
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

:::{dropdown} Why do torch's schedulers multiply the present rate instead of computing it from the initial one?
So that several can act on one optimizer, and a rate changed from outside is
respected. The price is that a 0 cannot be multiplied back.
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
**2.** Write the *inverse square root* schedule of the transformer as a
`LambdaLR`: a linear warm-up for `w` steps to the full rate, then $\sqrt{w /
t}$.
"""


# %% tags=["solution"]
def inverse_root(w: int) -> Callable[[int], float]:
    return lambda t: min((t + 1) / w, (w / (t + 1)) ** 0.5)


found = rates(lr_scheduler.LambdaLR, 400, lr_lambda=inverse_root(100))
assert_close(found[99], 1.0)
assert_close(found[399], 0.5)

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
**4.** Two `ExponentialLR` with 0.9 and 0.8 on one optimizer, stepped by a
`ChainedScheduler`: what single scheduler does the same?
"""


# %% tags=["solution"]
def chained(optimizer: Any) -> lr_scheduler.ChainedScheduler:
    gammas = (0.9, 0.8)
    parts = [lr_scheduler.ExponentialLR(optimizer, gamma) for gamma in gammas]
    return lr_scheduler.ChainedScheduler(parts)


single = rates(lr_scheduler.ExponentialLR, 20, gamma=0.72)
assert_close(rates(chained, 20), single)

# %% [markdown]
r"""
The rate is set, the run can be repeated. What happens *inside* the network
meanwhile is the subject of {doc}`/3_training/5_inside`.
"""

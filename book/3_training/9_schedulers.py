# %% [markdown] module="optim.lr_scheduler.base" starred=true
r"""
# Every scheduler

This chapter finishes what {doc}`/3_training/5_annealing` began: all schedules
that torch has. You may go on without it.

Chapter {doc}`/3_training/5_annealing` wrote schedules as functions of progress.
Code in the world uses another kind of thing: classes that hold an optimizer and
count, with a `scheduler.step()` after each epoch or each batch. Torch has
fifteen of them. **What do they share, and what does each do, to the last
digit?**

| name | meaning |
| --- | --- |
| step | how often a scheduler has stepped, after epochs or batches: `last_epoch` |
| $\eta_0$ | what a group's rate was when the first scheduler came: `initial_lr` |
| `gamma` | a factor by which the rate falls |
"""

# %% Imports tags=["hide-input"]
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from groundup.data.tensor_loader import TensorLoader
from groundup.nn.linear import Linear
from groundup.optim.hyperparameters import kept_value, per_group, set_value
from groundup.optim.schedule import cosine, polynomial, ramp
from groundup.optim.sgd import SGD
from groundup.testing import assert_close, assert_equal
from groundup.training.annealing import Anneal
from groundup.training.callback import Callback, Run
from groundup.training.learner import Learner
from groundup.training.recorder import Recorder

# %% [markdown]
r"""
## What they share

They count, they set, they are saved. A scheduler begins by writing down each
group's rate, once for all schedulers of an optimizer; and construction counts
as the first step, number 0. One that goes on elsewhere has to find those rates,
and one whose optimizer has got another group since then says so:
"""


# %% As many groups tags=["export", "internal"]
"""What learning rate schedulers share: they count, set, are saved."""


def check_groups(optimizer: Any, known: int) -> None:
    """Raise ValueError if the optimizer has other groups than it had."""
    if (n := len(optimizer.param_groups)) != known:
        raise ValueError(
            f"the optimizer has {n} parameter groups, and had {known} when the "
            "scheduler was made: make it after add_param_group"
        )


# %%
grown = SGD([torch.zeros(1)], lr=1.0)
grown.add_param_group({"params": [torch.zeros(2)]})
try:
    check_groups(grown, 1)
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
A child fills in `get_lr`.
"""


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
                group.setdefault("initial_lr", kept_value(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"'initial_lr' is not in param_groups[{i}]: load the "
                    "optimizer's state before going on at last_epoch"
                )
        groups = optimizer.param_groups
        self.base_lrs = [group["initial_lr"] for group in groups]
        self._initial_step()


# %% tags=["export"]
class LRScheduler(LRScheduler):
    def _initial_step(self) -> None:
        self._step_count, self._is_initial = 0, True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list:
        """The rate of each group at step `last_epoch`."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_lr")

    def _closed_form(self) -> list:
        return self.get_lr()  # where the present rates do not matter

    def step(self, epoch: int | None = None) -> None:
        """Go on by one step, or to the one that is given."""
        check_groups(self.optimizer, len(self.base_lrs))
        self._step_count += 1
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rates = self.get_lr() if epoch is None else self._closed_form()
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_value(group, "lr", lr)
        self._last_lr = self._lrs()

    def get_last_lr(self) -> list:
        """The rate of each group, as the last step set it."""
        return self._last_lr

    def _lrs(self) -> list:
        groups = self.optimizer.param_groups
        return [kept_value(group["lr"]) for group in groups]


# %% [markdown]
r"""
A scheduler is now one method. To see what one does, we take steps that move
nothing.
"""


# %%
def rates(
    make: Callable, n_steps: int = 40, sgd: type = SGD, **options: Any
) -> list[float]:
    """The learning rate at each step, beginning with 1."""
    optimizer = sgd([torch.zeros(1)], lr=1.0, momentum=0.9)
    scheduler, found = make(optimizer, **options), []
    for _ in range(n_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


class Halving(LRScheduler):
    def get_lr(self) -> list:
        return [lr / 2**self.last_epoch for lr in self.base_lrs]


rates(Halving, 5)

# %% [markdown]
r"""
The state of a scheduler is all that it holds but the optimizer. Two kinds of
things stay objects, and only what they hold is saved: other schedulers, and
functions. A plain function holds nothing. An object that is called like a
function has attributes.
"""


# %% Saving and going on tags=["export"]
class LRScheduler(LRScheduler):
    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of functions what they hold."""
        kept = vars(self).items()
        return {k: _saved(v) for k, v in kept if k != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another was, ours or torch's."""
        for name in vars(self).keys() & state_dict.keys() - {"optimizer"}:
            own = getattr(self, name)
            setattr(self, name, _loaded(own, state_dict[name]))


def _saved(value: Any) -> Any:
    if isinstance(value, LRScheduler):
        return value.state_dict()
    if callable(value):
        plain = isinstance(value, FunctionType)
        return None if plain else dict(vars(value))
    return [*map(_saved, value)] if isinstance(value, list) else value


# %% tags=["export"]
def _loaded(own: Any, kept: Any) -> Any:
    """After loading: `own`, if it is an object, or what was kept."""
    if isinstance(own, LRScheduler):
        own.load_state_dict(kept)
    elif callable(own):
        vars(own).update(kept or {})
    elif isinstance(own, list) and any(map(_is_object, own)):
        return [_loaded(*pair) for pair in zip(own, kept, strict=True)]
    else:
        return kept
    return own


def _is_object(value: Any) -> bool:
    return callable(value) or isinstance(value, LRScheduler)


# %% [markdown]
r"""
`Halving` once more, since a class in a notebook keeps the base that it was
given. One of them takes two steps, another goes on from there.
"""


# %%
class Halving(LRScheduler):
    def get_lr(self) -> list:
        return [lr / 2**self.last_epoch for lr in self.base_lrs]


first, second = (Halving(SGD([torch.zeros(1)], lr=1.0)) for _ in range(2))
first.step()
first.step()
second.load_state_dict(first.state_dict())
second.step()
assert_equal(second.get_last_lr(), [0.125])
first.state_dict()

# %% [markdown]
r"""
## A factor of the step

Most schedulers are one formula: a *factor* of the step,

$$\eta_t = \eta_0 \cdot f(t),$$

but torch applies it in a way that can be chained. A step multiplies whatever
rate it finds by $f(t) / f(t-1)$, so that two schedulers on one optimizer
multiply their factors, and a rate that was changed by hand stays changed. One
scheduler has a floor as well, $\eta_\text{min}$, and multiplies the distance
from it. Where the last factor was 0 there is nothing to multiply, and the
distance from the floor starts anew.

One oddity is torch's own and is kept: a scheduler that is constructed at a
later `last_epoch` finds the rate already right if its factor is a curve, but
performs the jump of that step if it is a staircase.
"""


# %% What has a factor tags=["export", "internal"]
class Factor(LRScheduler):
    """Multiplies rates, above a floor: fill in `factor`."""

    eta_min: float = 0.0
    _jumps = False  # a staircase

    def factor(self, step: int) -> float:
        """What the rate is multiplied by, from the start up to a step."""
        raise NotImplementedError(f"{type(self).__name__} defines no factor")

    def get_lr(self) -> list:
        """Each group's rate, moved on from what it is now."""
        pairs = zip(self._lrs(), self.base_lrs, strict=True)
        if self._is_initial and self.last_epoch and not self._jumps:
            return self._lrs()
        return [self._next(lr, base) for lr, base in pairs]

    def _next(self, lr: float, base: float) -> float:
        step, floor = self.last_epoch, self.eta_min
        before = self.factor(step - 1) if step else 1.0
        after = self.factor(step)
        if before == 0:
            return lr + (base - floor) * after
        if after == before:
            return lr
        return floor + (lr - floor) * (after / before)


# %% tags=["export", "internal"]
class Factor(Factor):
    def _closed_form(self) -> list:
        after, floor = self.factor(self.last_epoch), self.eta_min
        return [floor + (base - floor) * after for base in self.base_lrs]


# %%
class Harmonic(Factor):
    def factor(self, step: int) -> float:
        return 1 / (1 + step)


rates(Harmonic, 4)

# %% [markdown]
r"""
Seven of torch's are that short. Two staircases:
"""


# %% Staircases tags=["export"] module="optim.lr_scheduler.factor" earns="torch.optim.lr_scheduler.StepLR"
"""Schedulers that multiply the rate by a factor of the step."""


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


# %% tags=["export"] module="optim.lr_scheduler.factor" earns="torch.optim.lr_scheduler.MultiStepLR"
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


# %%
assert_equal(
    rates(StepLR, step_size=2), rates(MultiStepLR, milestones=range(2, 40, 2))
)
rates(StepLR, 5, step_size=2), rates(MultiStepLR, 5, milestones=[1, 4])

# %% [markdown]
r"""
Two warm-ups, one of a single stair and one on a straight line. (`factor` is
torch's name for the share of the first, and ours for the method: it is kept
under another.)
"""


# %% Warm-ups tags=["export"] module="optim.lr_scheduler.factor" earns="torch.optim.lr_scheduler.ConstantLR"
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


# %% tags=["export"] module="optim.lr_scheduler.factor" earns="torch.optim.lr_scheduler.LinearLR"
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


# %%
rates(ConstantLR, 4, total_iters=2), rates(LinearLR, 4, total_iters=2)

# %% [markdown]
r"""
And three curves. Two of them are schedules of 3.5; the cosine goes on beyond
its end, up again.
"""


# %% Curves tags=["export"] module="optim.lr_scheduler.factor" earns="torch.optim.lr_scheduler.ExponentialLR"
class ExponentialLR(Factor):
    """Times `gamma` at every step."""

    def __init__(self, optimizer: Any, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """A power of the step."""
        return self.gamma**step


# %% tags=["export"] module="optim.lr_scheduler.factor" earns="torch.optim.lr_scheduler.PolynomialLR"
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


# %% tags=["export"] module="optim.lr_scheduler.factor" earns="torch.optim.lr_scheduler.CosineAnnealingLR"
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
A factor of 0 cannot be multiplied, and the wave still comes up again on the
other side:
"""

# %%
wave = rates(CosineAnnealingLR, 9, T_max=4)
assert_close(wave, [(1 + math.cos(math.pi * t / 4)) / 2 for t in range(9)])
[round(lr, 3) for lr in wave]

# %% [markdown]
r"""
## Any function

A function of your own takes the whole rate (`LambdaLR`) or one step's factor
(`MultiplicativeLR`).
"""


# %% The whole rate tags=["export"] module="optim.lr_scheduler.function" earns="torch.optim.lr_scheduler.LambdaLR"
"""Schedulers by any function of the step."""

_Functions = Callable[[int], float] | list[Callable[[int], float]]


class LambdaLR(LRScheduler):
    """The initial rate times a function of the step, one for each group."""

    def __init__(
        self, optimizer: Any, lr_lambda: _Functions, last_epoch: int = -1
    ):
        self.lr_lambdas = per_group("lr_lambda", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """Each group's initial rate times its function's value."""
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [base * function(self.last_epoch) for base, function in pairs]


# %% One step's factor tags=["export"] module="optim.lr_scheduler.function" earns="torch.optim.lr_scheduler.MultiplicativeLR"
class MultiplicativeLR(LRScheduler):
    """At every step, times a function of it, one for each group."""

    def __init__(
        self, optimizer: Any, lr_lambda: _Functions, last_epoch: int = -1
    ):
        self.lr_lambdas = per_group("lr_lambda", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """Each group's rate, moved on."""
        if self._is_initial:
            return self._lrs()
        pairs = zip(self._lrs(), self.lr_lambdas, strict=True)
        return [lr * function(self.last_epoch) for lr, function in pairs]


# %%
whole = rates(LambdaLR, 5, lr_lambda=lambda step: 0.9**step)
assert_close(rates(MultiplicativeLR, 5, lr_lambda=lambda step: 0.9), whole)
whole

# %% [markdown]
r"""
## Cycles

*Warm restarts* ({cite:t}`loshchilov2017`) begin the cosine again, each time
`T_mult` times as long. Their step may be a part of an epoch.
"""


# %% Warm restarts tags=["export"] module="optim.lr_scheduler.cycle" earns="torch.optim.lr_scheduler.CosineAnnealingWarmRestarts"
"""Cycles: warm restarts, triangles, and the momentum against the rate."""


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


# %% tags=["export"] module="optim.lr_scheduler.cycle"
class CosineAnnealingWarmRestarts(CosineAnnealingWarmRestarts):
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
        super().step(math.floor(epoch))


# %%
restarts = rates(CosineAnnealingWarmRestarts, 15, T_0=2, T_mult=2)
assert_equal([t for t, lr in enumerate(restarts) if lr == 1], [0, 2, 6, 14])
restarts[:6]

# %% [markdown]
r"""
*Cyclic* rates ({cite:t}`smith2017`) go up and down on straight lines, and *one
cycle* is one of them, stretched over the whole training, with a low end. Both
move the momentum against the rate, between two ends in each group.
"""


# %% The momentum's ends tags=["export", "internal"] module="optim.lr_scheduler.cycle"
def momentum_ends(
    optimizer: Any, lowest: Any, highest: Any, begin: bool
) -> tuple[list, list]:
    """Where each group's momentum turns; to `begin`, it is set to the top."""
    if not {"momentum", "betas"} & optimizer.defaults.keys():
        raise ValueError(
            "cycle_momentum needs an optimizer with momentum or betas, "
            f"{type(optimizer).__name__} has {list(optimizer.defaults)}"
        )
    lows = per_group("base_momentum", optimizer, lowest)
    highs = per_group("max_momentum", optimizer, highest)
    if begin:
        rows = zip(optimizer.param_groups, lows, highs, strict=True)
        for group, low, high in rows:
            set_value(group, "momentum", high)
            group["base_momentum"], group["max_momentum"] = low, high
    return lows, highs


# %%
optimizer = torch.optim.Adam([torch.zeros(1)])
momentum_ends(optimizer, 0.8, 0.95, begin=True)
optimizer.param_groups[0]["betas"]

# %% [markdown]
r"""
A triangle is a function of the turns done, which may scale by the number of the
cycle or of the step, according to the mode.
"""


# %% Triangles tags=["export", "internal"] module="optim.lr_scheduler.cycle"
def triangle(turns: float, top: float) -> float:
    """From 0 to 1 and back in every turn, highest when `top` of it is done."""
    done = 1 + turns - math.floor(1 + turns)
    return done / top if done <= top else (done - 1) / (top - 1)


def scale_of(mode: str) -> str:
    """What the height of a mode's triangles depends on."""
    modes = ("triangular", "triangular2", "exp_range")
    if mode not in modes:
        raise ValueError(f"mode is one of {modes}, got {mode!r}")
    return "iterations" if mode == "exp_range" else "cycle"


# %%
[triangle(step / 4, top=0.25) for step in range(9)]

# %% [markdown]
r"""
The class has twelve settings, which are torch's, and puts them down.
"""


# %% Triangles: the settings tags=["export", "hide-input"] module="optim.lr_scheduler.cycle" earns="torch.optim.lr_scheduler.CyclicLR"
class CyclicLR(LRScheduler):
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
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        self.scale_mode = scale_of(mode) if scale_fn is None else scale_mode
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        lows = per_group("base_lr", optimizer, base_lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        self.cycle_momentum, begin = cycle_momentum, last_epoch == -1
        if begin:
            for group, lr in zip(optimizer.param_groups, lows, strict=True):
                set_value(group, "lr", lr)
        if cycle_momentum:
            ends = optimizer, base_momentum, max_momentum, begin
            self.base_momentums, self.max_momentums = momentum_ends(*ends)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lows


# %% tags=["export"] module="optim.lr_scheduler.cycle"
class CyclicLR(CyclicLR):
    def get_lr(self) -> list:
        """Each group's place on its triangle; sets the momentum."""
        height = self._height()
        if self.cycle_momentum:
            ends = zip(self.base_momentums, self.max_momentums, strict=True)
            groups = self.optimizer.param_groups
            for group, (low, high) in zip(groups, ends, strict=True):
                set_value(group, "momentum", high - (high - low) * height)
        ends = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (high - low) * height for low, high in ends]

    def _height(self) -> float:
        return triangle(self.last_epoch / self.total_size, self.step_ratio)


# %%
ends = {"base_lr": 0.0, "max_lr": 1.0, "step_size_up": 2}
rates(CyclicLR, 9, **ends, mode="triangular2")

# %% [markdown]
r"""
The mode asks for a second triangle of half the height; so the height is scaled,
by torch's factors or by a function of your own.
"""


# %% tags=["export"] module="optim.lr_scheduler.cycle"
class CyclicLR(CyclicLR):
    def scale_fn(self, x: float) -> float:
        """The height of a cycle, by its number from 1 or by the step."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        factors = {"triangular2": 0.5 ** (x - 1), "exp_range": self.gamma**x}
        return factors.get(self.mode, 1.0)

    def _height(self) -> float:
        turns, step = self.last_epoch / self.total_size, self.last_epoch
        x = math.floor(1 + turns) if self.scale_mode == "cycle" else step
        return triangle(turns, self.step_ratio) * self.scale_fn(x)


# %%
rates(CyclicLR, 9, **ends, mode="triangular2")

# %% [markdown]
r"""
The function `one_cycle` of 3.5 has its peak at `pct_start` of the progress.
Torch's class has it a step before `pct_start` of the steps, may fall in two
phases and on straight lines. So it keeps a table: where each phase ends, and
between which of a group's values it goes.
"""


# %% The phases of one cycle tags=["export"] module="optim.lr_scheduler.one_cycle"
"""One cycle over a whole training run."""


def _phases(total: int, pct_start: float, three_phase: bool) -> list[dict]:
    if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
        raise ValueError(f"pct_start is a float, 0 to 1, got {pct_start}")
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


# %% tags=["export"] module="optim.lr_scheduler.one_cycle"
def _total(
    total_steps: int | None, epochs: int | None, steps_per_epoch: int | None
) -> int:
    if total_steps is None and None in (epochs, steps_per_epoch):
        raise ValueError("give total_steps, or epochs and steps_per_epoch")
    by_epochs = epochs, steps_per_epoch
    numbers = by_epochs if total_steps is None else (total_steps,)
    if not all(isinstance(n, int) and n > 0 for n in numbers):
        raise ValueError(
            f"numbers of steps are positive integers, got {numbers}"
        )
    return math.prod(numbers)


# %%
_phases(_total(None, epochs=6, steps_per_epoch=10), 0.3, three_phase=False)

# %% [markdown]
r"""
At a step, find the phase, and how much of it is done.
"""


# %% tags=["export"] module="optim.lr_scheduler.one_cycle"
def _place(step: int, phases: list[dict]) -> tuple[dict, float]:
    start, (*others, last) = 0.0, phases
    for phase in others:
        if step <= phase["end_step"]:
            break
        start = phase["end_step"]
    else:
        phase = last
    return phase, (step - start) / (phase["end_step"] - start)


# %%
phase, done = _place(38, _phases(60, 0.3, three_phase=False))
phase["end_lr"], done

# %% [markdown]
r"""
Each group goes from one of its values to another, on the `cosine` or the `ramp`
that we have. The rest is bookkeeping again.
"""


# %% One cycle: the settings tags=["export", "hide-input"] module="optim.lr_scheduler.one_cycle" earns="torch.optim.lr_scheduler.OneCycleLR"
class OneCycleLR(LRScheduler):
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
        total = _total(total_steps, epochs, steps_per_epoch)
        if anneal_strategy not in ("cos", "linear"):
            kinds = f"'cos' or 'linear', not {anneal_strategy!r}"
            raise ValueError(f"anneal_strategy is {kinds}")
        self.total_steps, self._anneal_func_type = total, anneal_strategy
        self._schedule_phases = _phases(total, pct_start, three_phase)
        peaks = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                low = peak / div_factor
                group["initial_lr"], group["max_lr"] = low, peak
                group["min_lr"] = low / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            ends = base_momentum, max_momentum
            momentum_ends(optimizer, *ends, begin=last_epoch == -1)
        super().__init__(optimizer, last_epoch)


# %% tags=["export"] module="optim.lr_scheduler.one_cycle"
class OneCycleLR(OneCycleLR):
    def get_lr(self) -> list:
        """Each group's place on its cycle; sets the momentum."""
        step, total = self.last_epoch, self.total_steps
        if step > total:
            raise ValueError(f"step {step} of {total} in total")
        phase, done = _place(step, self._schedule_phases)
        anneal = {"cos": cosine, "linear": ramp}[self._anneal_func_type]
        groups = self.optimizer.param_groups
        if self.cycle_momentum:
            keys = phase["start_momentum"], phase["end_momentum"]
            for group in groups:
                momentum = anneal(*(group[key] for key in keys))(done)
                set_value(group, "momentum", momentum)
        keys = phase["start_lr"], phase["end_lr"]
        return [anneal(*(group[key] for key in keys))(done) for group in groups]


# %%
cycle = rates(OneCycleLR, max_lr=1.0, total_steps=40)
cycle[0], cycle.index(1.0), cycle[-1]

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


# %% [markdown]
r"""
Better means by a threshold, which is a share of the best value or a number of
its own.
"""


# %% tags=["export"] module="optim.lr_scheduler.plateau"
class ReduceLROnPlateau(ReduceLROnPlateau):
    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            bound = self.best * (1 + sign * self.threshold)
        else:
            bound = self.best + sign * self.threshold
        return sign * value > sign * bound


# %%
plateau = ReduceLROnPlateau(SGD([torch.zeros(1)]), threshold=0.1)
plateau.best = 2.0
[plateau._is_better(value) for value in (2.1, 1.9, 1.7)]

# %% [markdown]
r"""
After a reduction, bad steps do not count for a while.
"""


# %% tags=["export"] module="optim.lr_scheduler.plateau"
class ReduceLROnPlateau(ReduceLROnPlateau):
    @property
    def in_cooldown(self) -> bool:
        """Whether the last reduction is too recent to count bad steps."""
        return self.cooldown_counter > 0

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


# %% tags=["export"] module="optim.lr_scheduler.plateau"
class ReduceLROnPlateau(ReduceLROnPlateau):
    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        check_groups(self.optimizer, len(self.min_lrs))
        for group, lowest in zip(groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, lowest)
            if old - new > self.eps:
                set_value(group, "lr", new)


# %%
plateau = ReduceLROnPlateau(SGD([torch.zeros(1)], lr=1.0), patience=1)
falling = {}
for i, loss in enumerate((3.0, 2.0, 2.0, 2.1, 2.0)):
    plateau.step(loss)
    falling[f"{i}: loss {loss}"] = plateau.get_last_lr()
falling

# %% [markdown]
r"""
## Schedulers of schedulers

`ChainedScheduler` steps several at once, and their factors multiply.
`SequentialLR` gives the steps to one after the other. All have to be of one
optimizer, and step by themselves.
"""


# %% Several at once tags=["export"] module="optim.lr_scheduler.several" earns="torch.optim.lr_scheduler.ChainedScheduler"
"""Schedulers of schedulers."""


def _one_optimizer(
    schedulers: Sequence[LRScheduler], optimizer: Any | None = None
) -> Any:
    if not schedulers:
        raise ValueError("got no scheduler")
    optimizer = optimizer or schedulers[0].optimizer
    for i, each in enumerate(schedulers):
        if isinstance(each, ReduceLROnPlateau):
            raise ValueError(f"scheduler {i} steps by a metric")
        if each.optimizer is not optimizer:
            raise ValueError(f"scheduler {i} has another optimizer")
    return optimizer


class ChainedScheduler(LRScheduler):
    """Steps several schedulers at once."""

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Any | None = None
    ):
        self.optimizer = _one_optimizer(schedulers, optimizer)
        self._schedulers = list(schedulers)
        self._last_lr = self._lrs()


# %% tags=["export"] module="optim.lr_scheduler.several"
class ChainedScheduler(ChainedScheduler):
    def step(self) -> None:
        """One step of each."""
        for each in self._schedulers:
            each.step()
        self._last_lr = self._lrs()


# %%
def chain(optimizer: Any) -> ChainedScheduler:
    parts = [ConstantLR(optimizer, 0.5, 3), ExponentialLR(optimizer, 0.9)]
    return ChainedScheduler(parts)


rates(chain, 5)

# %% [markdown]
r"""
A sequence has to undo something: all of its schedulers took a first step when
they were made, and it is the first one's turn.
"""


# %% One after the other tags=["export"] module="optim.lr_scheduler.several" earns="torch.optim.lr_scheduler.SequentialLR"
class SequentialLR(LRScheduler):
    """Steps one scheduler until its milestone, then the next."""

    def __init__(
        self,
        optimizer: Any,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ):
        self.optimizer = _one_optimizer(schedulers, optimizer)
        self._schedulers = list(schedulers)
        if len(milestones) != len(schedulers) - 1:
            given = f"{len(schedulers)} and {len(milestones)} milestones"
            raise ValueError(f"a milestone between two schedulers: got {given}")
        self._milestones, self.last_epoch = milestones, last_epoch + 1
        for group in optimizer.param_groups:
            set_value(group, "lr", group["initial_lr"])
        _undo(self)  # all of them took a step when they were made
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()


# %% tags=["export"] module="optim.lr_scheduler.several"
class SequentialLR(SequentialLR):
    def step(self) -> None:
        """One step of the one whose turn it is."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        current = self._schedulers[turn]
        if turn and self._milestones[turn - 1] == self.last_epoch:
            current.step(0)
        else:
            current.step()
        self._last_lr = current.get_last_lr()


def _undo(scheduler: LRScheduler) -> None:
    if isinstance(scheduler, ChainedScheduler | SequentialLR):
        for each in scheduler._schedulers:
            _undo(each)
    else:
        scheduler.last_epoch -= 1


# %%
def warm_up(optimizer: Any) -> SequentialLR:
    first = LinearLR(optimizer, start_factor=0.25, total_iters=3)
    parts = [first, CosineAnnealingLR(optimizer, T_max=4)]
    return SequentialLR(optimizer, parts, milestones=[3])


rates(warm_up, 8)

# %% [markdown]
r"""
## Beside torch's

Here are nine of them over forty steps.
"""

# %%
triangles = {"base_lr": 0.1, "max_lr": 1, "mode": "triangular2"}
gallery = {
    StepLR: {"step_size": 10, "gamma": 0.5},
    MultiStepLR: {"milestones": [5, 30], "gamma": 0.5},
    LinearLR: {"total_iters": 20},
    ExponentialLR: {"gamma": 0.9},
    PolynomialLR: {"total_iters": 30, "power": 2},
    CosineAnnealingLR: {"T_max": 20},
    CosineAnnealingWarmRestarts: {"T_0": 6, "T_mult": 2},
    CyclicLR: triangles | {"step_size_up": 5},
    OneCycleLR: {"max_lr": 1, "total_steps": 40},
}

# %% alt="Nine small plots of the learning rate over forty steps: stairs for StepLR and MultiStepLR, a rise for LinearLR, falls for ExponentialLR and PolynomialLR, a wave for CosineAnnealingLR, cosine falls of growing length for warm restarts, triangles of halving height for CyclicLR, and one rise and fall for OneCycleLR." tags=["hide-input"]
figure, axes = plt.subplots(
    3, 3, figsize=(5, 5), sharex=True, sharey=True, layout="constrained"
)
for ax, (kind, options) in zip(axes.flat, gallery.items(), strict=True):
    ax.plot(rates(kind, **options))
    title = kind.__name__.replace("WarmRestarts", "\nWarmRestarts")
    ax.set_title(title, fontsize=9)
figure.supxlabel("step")
figure.supylabel("learning rate")
plt.show()

# %% The real ones tags=["reference"]
for kind, options in gallery.items():
    make = getattr(torch.optim.lr_scheduler, kind.__name__)
    theirs = rates(make, sgd=torch.optim.SGD, **options)
    assert_close(rates(kind, **options), theirs, rtol=1e-9)

# %% [markdown]
r"""
The tests go further: hundreds of settings, groups with rates of their own,
chains, momentum, and a state dict carried over in the middle, in both
directions.

## In the learner

What has a state must be made once, stepped at the right places, and saved. A
callback does that, for our schedulers and for torch's. It makes the scheduler
when the fit begins, since only then there is an optimizer.
"""


# %% Schedulers in a learner tags=["export"] module="training.scheduler"
"""Schedulers that count steps, in a learner."""


class Scheduler(Callback):
    """Steps a scheduler, ours or torch's, after each epoch or each batch.

    `make` makes one of the optimizer. `metric` names the result by which a
    `ReduceLROnPlateau` steps, after an epoch.
    """

    def __init__(
        self,
        make: Callable[[Any], Any],
        each: str = "epoch",
        metric: str | None = None,
    ):
        if each not in ("epoch", "batch"):
            raise ValueError(f"each is 'epoch' or 'batch', got {each!r}")
        if not callable(make):
            kind = type(make).__name__
            raise TypeError(
                f"expected `lambda opt: {kind}(opt, …)`, got {kind}"
            )
        self.make, self.each, self.metric = make, each, metric
        self.scheduler: Any = None

    def before_fit(self, run: Run) -> None:
        """Make the scheduler; a second fit goes on with it."""
        if self.scheduler is None:
            self.scheduler = self._made(run.optimizer)


# %% [markdown]
r"""
What does not fit is told before the first batch. A scheduler that counts would
take a metric for the number of its step.
"""


# %% tags=["export"] module="training.scheduler"
class Scheduler(Scheduler):
    def _made(self, optimizer: Any) -> Any:
        try:
            made = self.make(optimizer)
        except TypeError as error:
            if not str(error).endswith("is not an Optimizer"):
                raise
            text = "torch's schedulers take torch's optimizers; those of "
            text += "groundup.optim.lr_scheduler take both"
            raise TypeError(f"{error}: {text}") from None
        kind = type(made).__name__
        theirs = torch.optim.lr_scheduler
        if isinstance(made, ReduceLROnPlateau | theirs.ReduceLROnPlateau):
            if self.metric is None or self.each != "epoch":
                text = 'after epochs and by a result: `metric="loss"`'
                raise ValueError(f"{kind} steps {text}")
        elif isinstance(made, LRScheduler | theirs.LRScheduler) and self.metric:
            raise ValueError(f"{kind} counts, and takes no {self.metric!r}")
        return made


# %%
unfit = Scheduler(lambda opt: StepLR(opt, 1), metric="loss")
try:
    unfit._made(SGD([torch.zeros(1)], lr=1.0))
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
And it steps.
"""


# %% tags=["export"] module="training.scheduler"
class Scheduler(Scheduler):
    def after_step(self, run: Run) -> None:
        """Step after a batch that took a step."""
        if self.each == "batch":
            self.scheduler.step()

    def after_epoch(self, run: Run) -> None:
        """Step after an epoch, by the metric if there is one."""
        if self.each == "epoch":
            by = [] if self.metric is None else [self._result(run)]
            self.scheduler.step(*by)

    def _result(self, run: Run) -> float:
        if self.metric not in run.results:
            found = f"validation gave {list(run.results)}"
            raise KeyError(f"no result {self.metric!r} to step by: {found}")
        return run.results[self.metric]

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's."""
        return self.scheduler.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """The scheduler's."""
        self.scheduler.load_state_dict(state_dict)


# %%
def fitted(callback: Callback, n_epochs: int = 3) -> list[float]:
    """The rates of a small learner, batch by batch: 5 an epoch."""
    x, y = torch.randn(20, 6), torch.arange(20) % 3
    learn = Learner(
        Linear(6, 3),
        TensorLoader(x, y, batch_size=4),
        optim=lambda params, lr: SGD(params, lr, momentum=0.9),
        lr=0.1,
        defaults=[Recorder(), callback],
    )
    learn.fit(n_epochs)
    return learn[Recorder].lrs


fitted(Scheduler(lambda optimizer: StepLR(optimizer, 1)))[::5]

# %% [markdown]
r"""
And one cycle by steps against one cycle by progress. They begin and end alike.
The peak of one lies at 0.3 of the way, that of the other a step before 0.3 of
the steps:
"""

# %%
by_progress = fitted(Anneal.one_cycle(0.1), n_epochs=20)
by_steps = fitted(
    Scheduler(lambda o: OneCycleLR(o, 0.1, total_steps=100), each="batch"),
    n_epochs=20,
)
ends = [0, -1]
assert_close(
    [by_progress[i] for i in ends], [by_steps[i] for i in ends], rtol=1e-6
)
by_progress.index(max(by_progress)), by_steps.index(max(by_steps))

# %% [markdown]
r"""
## What we built

* `LRScheduler` (`optim.lr_scheduler.base`): what all share.
* `StepLR`, `MultiStepLR`, `ConstantLR`, `LinearLR`, `ExponentialLR`,
  `PolynomialLR`, `CosineAnnealingLR` (`optim.lr_scheduler.factor`): a factor of
  the step.
* `LambdaLR`, `MultiplicativeLR` (`optim.lr_scheduler.function`): any function.
* `CosineAnnealingWarmRestarts`, `CyclicLR` (`optim.lr_scheduler.cycle`) and
  `OneCycleLR` (`optim.lr_scheduler.one_cycle`): up and down.
* `ReduceLROnPlateau` (`optim.lr_scheduler.plateau`): by a metric.
* `ChainedScheduler`, `SequentialLR` (`optim.lr_scheduler.several`): schedulers
  of schedulers.
* `Scheduler` (`training.scheduler`): steps one in a learner.

## Questions

:::{dropdown} Why do torch's schedulers multiply the present rate instead of computing it from the initial one?
So that several can act on one optimizer, and a rate changed from outside is
respected. The price is that a 0 cannot be multiplied back.
:::

:::{dropdown} Why is construction a step?
The first batch is to be trained at the rate of step 0, which may differ from
the optimizer's: a warm-up begins below it. So the rate is set before anybody
calls `step`.
:::

:::{dropdown} Why is a plain function not saved?
Its code is in the program, which makes it again. What an object holds, such as
a count, is made by the run and would be lost.
:::

:::{dropdown} Which of the two kinds would you resume after a crash with less care, a scheduler or a schedule of progress?
The schedule: it has no state, and what it needs, the learner's place, is
restored anyway. A scheduler's own count has to be saved at the same moment.
:::

## Exercises

**1.** Write the *inverse square root* schedule of the transformer as a
`LambdaLR`: a linear warm-up for `w` steps to the full rate, then $\sqrt{w /
t}$.
"""


# %% tags=["solution"]
def inverse_root(w: int) -> Callable[[int], float]:
    return lambda t: min((t + 1) / w, (w / (t + 1)) ** 0.5)


found = rates(LambdaLR, 400, lr_lambda=inverse_root(100))
assert_close(found[99], 1.0)
assert_close(found[399], 0.5)

# %% [markdown]
r"""
**2.** Two `ExponentialLR` with 0.9 and 0.8 on one optimizer, stepped by a
`ChainedScheduler`: what single scheduler does the same?
"""


# %% tags=["solution"]
def chained(optimizer: Any) -> ChainedScheduler:
    gammas = (0.9, 0.8)
    parts = [ExponentialLR(optimizer, gamma) for gamma in gammas]
    return ChainedScheduler(parts)


single = rates(ExponentialLR, 20, gamma=0.72)
assert_close(rates(chained, 20), single)

# %% [markdown]
r"""
**3.** Every schedule of progress is a scheduler of `n` steps. Write the
function that turns one into a `LambdaLR`.
"""


# %% tags=["solution"]
def by_steps(schedule: Callable[[float], float], n: int) -> Callable:
    def function(step: int) -> float:
        return schedule(min(1.0, step / (n - 1)))

    return lambda optimizer: LambdaLR(optimizer, function)


assert_close(rates(by_steps(ramp(1, 0), 5), 6), [1, 0.75, 0.5, 0.25, 0, 0])

# %% [markdown]
r"""
That is all of torch's `lr_scheduler`. Nothing that follows needs more than a
schedule of progress.
"""

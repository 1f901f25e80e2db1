# Extracted from book/3_training/9_schedulers.py; edit it there.
"""Cycles: warm restarts, triangles, and the momentum against the rate."""

import math
from collections.abc import Callable
from typing import Any

from groundup.optim.hyperparameters import per_group, set_value
from groundup.optim.lr_scheduler.base import LRScheduler
from groundup.optim.schedule import cosine


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
        super().step(math.floor(epoch))


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
        turns, step = self.last_epoch / self.total_size, self.last_epoch
        x = math.floor(1 + turns) if self.scale_mode == "cycle" else step
        return triangle(turns, self.step_ratio) * self.scale_fn(x)

    def scale_fn(self, x: float) -> float:
        """The height of a cycle, by its number from 1 or by the step."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        factors = {"triangular2": 0.5 ** (x - 1), "exp_range": self.gamma**x}
        return factors.get(self.mode, 1.0)

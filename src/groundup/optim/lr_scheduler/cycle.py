# Extracted from book/3_training/4_annealing.py; edit it there.
"""Cycles: the rate up and down, and the momentum against it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from groundup.optim.lr_scheduler.base import (
    LRScheduler,
    _number,
    per_group,
    set_lr,
    set_momentum,
)


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

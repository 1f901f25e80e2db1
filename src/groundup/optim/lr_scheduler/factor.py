# Extracted from book/3_training/9_schedulers.py; edit it there.
"""Schedulers that multiply the rate by a factor of the step."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from groundup.optim.lr_scheduler.base import Factor
from groundup.optim.schedule import cosine, polynomial, ramp


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

# Extracted from book/3_training/4_annealing.py; edit it there.
"""Cosines with warm restarts."""

import math
from typing import Any

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
        self._go_to(math.floor(epoch))

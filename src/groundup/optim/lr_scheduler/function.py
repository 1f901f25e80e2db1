# Extracted from book/3_training/9_schedulers.py; edit it there.
"""Schedulers by any function of the step."""

from collections.abc import Callable
from typing import Any

from groundup.optim.hyperparameters import per_group
from groundup.optim.lr_scheduler.base import LRScheduler

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

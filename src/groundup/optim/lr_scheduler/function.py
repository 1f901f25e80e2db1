# Extracted from book/3_training/4_annealing.py; edit it there.
"""Schedulers by any function of the step."""

from collections.abc import Callable, Mapping
from typing import Any

from groundup.optim.lr_scheduler.base import LRScheduler, _number, per_group


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

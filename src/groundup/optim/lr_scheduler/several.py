# Extracted from book/3_training/9_schedulers.py; edit it there.
"""Schedulers of schedulers."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from groundup.optim.hyperparameters import set_value
from groundup.optim.lr_scheduler.base import LRScheduler
from groundup.optim.lr_scheduler.plateau import ReduceLROnPlateau


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

    def step(self) -> None:
        """One step of each."""
        for each in self._schedulers:
            each.step()
        self._last_lr = self._lrs()


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

# Extracted from book/3_training/4_annealing.py; edit it there.
"""Schedulers of schedulers."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from groundup.optim.lr_scheduler.base import LRScheduler, set_lr
from groundup.optim.lr_scheduler.plateau import ReduceLROnPlateau


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

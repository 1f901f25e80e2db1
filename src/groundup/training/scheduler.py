# Extracted from book/3_training/9_schedulers.py; edit it there.
"""Schedulers that count steps, in a learner."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from groundup.optim.lr_scheduler.base import LRScheduler
from groundup.optim.lr_scheduler.plateau import ReduceLROnPlateau
from groundup.training.callback import Callback, Run


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

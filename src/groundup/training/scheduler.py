# Extracted from book/3_training/9_schedulers.py; edit it there.
"""Schedulers that count steps, in a learner."""

from collections.abc import Callable, Mapping
from typing import Any

from groundup.training.callback import Callback, Run


class Scheduler(Callback):
    """Steps a scheduler, ours or torch's, after each epoch or each batch.

    `make` makes one of the optimizer. `metric` names the result by which a
    `ReduceLROnPlateau` steps.
    """

    def __init__(
        self,
        make: Callable[[Any], Any],
        each: str = "epoch",
        metric: str | None = None,
    ):
        if each not in ("epoch", "batch"):
            raise ValueError(f"each is 'epoch' or 'batch', got {each!r}")
        self.make, self.each, self.metric = make, each, metric
        self.scheduler: Any = None

    def before_fit(self, run: Run) -> None:
        """Make the scheduler; a second fit goes on with it."""
        if self.scheduler is None:
            self.scheduler = self.make(run.optimizer)

    def after_step(self, run: Run) -> None:
        """Step after a batch that took a step."""
        if self.each == "batch":
            self.scheduler.step()

    def after_epoch(self, run: Run) -> None:
        """Step after an epoch, by the metric if there is one."""
        if self.each == "epoch":
            by = () if self.metric is None else (run.results[self.metric],)
            self.scheduler.step(*by)

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's."""
        return self.scheduler.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """The scheduler's."""
        self.scheduler.load_state_dict(state_dict)

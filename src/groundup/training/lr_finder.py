# Extracted from book/3_training/5_annealing.py; edit it there.
"""A search for the learning rate to begin with."""

import copy
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from groundup.optim.hyperparameters import set_value
from groundup.optim.schedule import exponential
from groundup.training.callback import (
    Callback,
    CancelFit,
    CancelValidation,
    Run,
)
from groundup.training.learner import Learner
from groundup.training.metrics import length
from groundup.training.snapshot import (
    all_random_states,
    load_run_state,
    run_state,
    set_all_random_states,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LRFinder(Callback):
    """A sweep that leaves no trace: `plot` it and read its `suggestion`.

    Pass it to one `fit`, or call `find_lr`.
    """

    order = -100  # before those that refuse a loss that is not finite

    def __init__(
        self,
        start: float = 1e-5,
        end: float = 10.0,
        n_steps: int = 100,
        smoothing: float = 0.9,
        stop: float = 3.0,
    ):
        self.rate, self.n_steps = exponential(start, end), n_steps
        self.smoothing, self.stop = smoothing, stop
        self.lrs: list[float] = []
        self.losses: list[float] = []  # smoothed
        self.average = 0.0

    def before_fit(self, run: Run) -> None:
        """Copy everything that the sweep will change."""
        self.initial = [float(g["lr"]) for g in run.optimizer.param_groups]
        names = ("epoch", "start_epoch", "stop_epoch")
        self.counters = {name: getattr(run, name) for name in names}
        self.counters |= {"epoch": run.start_epoch, "fits": run.fits - 1}
        self.state = copy.deepcopy(run_state(run))
        self.random = copy.deepcopy(all_random_states(run))

    def before_batch(self, run: Run) -> None:
        """Set the rate; the group with the largest gets it whole."""
        if not run.training:
            return
        self.lrs.append(self.rate(len(self.lrs) / max(1, self.n_steps - 1)))
        groups, top = run.optimizer.param_groups, max(self.initial)
        for group, lr in zip(groups, self.initial, strict=True):
            set_value(group, "lr", self.lrs[-1] * lr / top)

    def after_loss(self, run: Run) -> None:
        """Keep the smoothed loss; stop where it has exploded."""
        if not run.training:
            return
        keep, loss = self.smoothing, run.loss.item()
        self.average = keep * self.average + (1 - keep) * loss
        n = len(self.losses) + 1
        smooth = self.average / (1 - keep**n)
        if not math.isfinite(smooth):
            self.lrs.pop()
            raise CancelFit
        self.losses.append(smooth)
        lowest = min(self.losses)
        scale = max(abs(lowest), self.losses[0] - lowest)
        if n >= self.n_steps or smooth - lowest > self.stop * scale:
            raise CancelFit

    def before_validation(self, run: Run) -> None:
        """Leave it out."""
        raise CancelValidation

    def after_fit(self, run: Run) -> None:
        """Put everything back."""
        load_run_state(run, self.state)
        set_all_random_states(run, self.random)
        vars(run).update(self.counters)
        del self.state, self.random

    after_cancel_fit = after_fit

    @property
    def suggestion(self) -> float:
        """A tenth of the rate at which the smoothed loss was lowest."""
        if not self.losses:
            raise ValueError("no sweep yet, or its first loss was not finite")
        return self.lrs[self.losses.index(min(self.losses))] / 10

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """The smoothed loss against the rate, with the suggestion."""
        import matplotlib.pyplot as plt

        ax = ax or plt.gca()
        ax.semilogx(self.lrs, self.losses)
        label = f"suggestion {self.suggestion:.2g}"
        ax.axvline(self.suggestion, color="0.5", ls="--", label=label)
        ax.set(xlabel="learning rate", ylabel="smoothed loss")
        ax.legend()
        return ax


def find_lr(
    learn: Learner,
    keep: Sequence[type[Callback]] = (),
    **options: Any,
) -> LRFinder:
    """Sweep the rate of a learner, and leave it as it was.

    Of the learner's callbacks those that shape a step take part, as clipping
    does, and those of the classes `keep`.  The options are those of `LRFinder`.
    """
    finder, callbacks = LRFinder(**options), learn.callbacks
    active, classes = learn.active, tuple(keep)
    learn.callbacks = [
        c for c in callbacks if c.shapes_step or isinstance(c, classes)
    ]
    n = length(learn.train) or finder.n_steps  # a stream has none
    try:
        learn.fit(math.ceil(finder.n_steps / n), [finder], n_batches=n)
    finally:
        learn.callbacks, learn.active = callbacks, active
    return finder

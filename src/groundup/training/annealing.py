# Extracted from book/3_training/4_annealing.py; edit it there.
"""Hyperparameters that change during a training run."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from groundup.optim.lr_scheduler.base import (
    _number,
    per_group,
    set_lr,
    set_momentum,
)
from groundup.optim.schedule import (
    Schedule,
    combine,
    cosine,
    exponential,
    one_cycle,
)
from groundup.training.callback import (
    Callback,
    CancelFit,
    CancelValidation,
    Run,
)
from groundup.training.checkpoint import Checkpoint
from groundup.training.learner import Learner
from groundup.training.saving import (
    all_random_states,
    load_run_state,
    run_state,
    set_all_random_states,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Anneal(Callback):
    """Sets hyperparameters before each batch, by schedules of progress.

    `Anneal(lr=cosine(0.1, 0))`; a list holds a schedule for each group.
    """

    def __init__(self, **schedules: Schedule | list[Schedule]):
        self.schedules = schedules
        self.kept: list[dict] = []  # what the groups held before the fit

    def before_fit(self, run: Run) -> None:
        """Check the names, and keep the values."""
        groups = run.optimizer.param_groups
        for name in self.schedules:
            known = {*groups[0], "momentum" if "betas" in groups[0] else "lr"}
            if name not in known:
                raise KeyError(f"no {name!r} in the groups: {sorted(known)}")
            per_group(name, run.optimizer, self.schedules[name])
        self.kept = [
            {k: _number(v) for k, v in group.items() if k != "params"}
            for group in groups
        ]

    def before_batch(self, run: Run) -> None:
        """Set the values for this batch."""
        if not run.training:
            return
        done = progress_of(run)
        for name, schedules in self.schedules.items():
            each = per_group(name, run.optimizer, schedules)
            for group, value in zip(
                run.optimizer.param_groups, each, strict=True
            ):
                _set(group, name, value(done))

    def after_fit(self, run: Run) -> None:
        """Put the values back."""
        groups = run.optimizer.param_groups
        for group, kept in zip(groups, self.kept, strict=False):
            for name in self.schedules:
                held = "betas" if name not in kept else name
                _set(group, held, kept[held])

    after_cancel_fit = after_fit


def progress_of(run: Run) -> float:
    """The share of this fit's batches done: 0 at the first, 1 at the last."""
    n_batches = len(run.train)
    done = (run.epoch - run.start_epoch) * n_batches + run.batch_idx
    total = (run.stop_epoch - run.start_epoch) * n_batches
    return min(1.0, done / max(1, total - 1))


def _set(group: dict, name: str, value: Any) -> None:
    if name == "lr":
        set_lr(group, value)
    elif name == "momentum":
        set_momentum(group, value)
    else:
        group[name] = value


class OneCycle(Anneal):
    """The rate up to `max_lr` and far down, the momentum against it.

    Lists give each parameter group its own peak; `momentum=None` leaves it.
    """

    def __init__(
        self,
        max_lr: float | Sequence[float],
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        momentum: tuple[float, float] | None = (0.95, 0.85),
    ):
        shape = pct_start, div_factor, final_div_factor
        several = isinstance(max_lr, Sequence)
        peaks = max_lr if several else [max_lr]
        cycles = [one_cycle(peak, *shape) for peak in peaks]
        schedules: dict[str, Any] = {"lr": cycles if several else cycles[0]}
        if momentum is not None:
            high, low = momentum
            parts = [cosine(high, low), cosine(low, high)]
            shares = [pct_start, 1 - pct_start]
            schedules["momentum"] = combine(shares, parts)
        super().__init__(**schedules)


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


class _Sweep(Callback):
    """Multiplies the rate at each batch and keeps the losses."""

    order = -100  # before those that refuse a loss that is not finite

    def __init__(
        self,
        start: float = 1e-5,
        end: float = 10.0,
        n_steps: int = 100,
        smoothing: float = 0.9,
        stop: float = 4.0,
    ):
        self.rate, self.n_steps = exponential(start, end), n_steps
        self.smoothing, self.stop = smoothing, stop
        self.lrs: list[float] = []
        self.losses: list[float] = []  # smoothed
        self.average = 0.0

    def before_batch(self, run: Run) -> None:
        """Set the rate; the group with the largest gets it whole."""
        if not run.training:
            return
        self.lrs.append(self.rate(len(self.lrs) / max(1, self.n_steps - 1)))
        top = max(self.initial)
        groups = run.optimizer.param_groups
        for group, lr in zip(groups, self.initial, strict=True):
            set_lr(group, self.lrs[-1] * lr / top)

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
        if n >= self.n_steps or smooth > self.stop * min(self.losses):
            raise CancelFit

    def before_validation(self, run: Run) -> None:
        """Leave it out."""
        raise CancelValidation


class LRFinder(_Sweep):
    """A sweep that leaves no trace: `plot` it and read its `suggestion`.

    Pass it to one `fit`, or call `find_lr`.
    """

    def before_fit(self, run: Run) -> None:
        """Copy everything that the sweep will change."""
        groups = run.optimizer.param_groups
        self.initial = [float(group["lr"]) for group in groups]
        names = ("epoch", "start_epoch", "stop_epoch")
        self.counters = {name: getattr(run, name) for name in names}
        self.counters |= {"epoch": run.start_epoch, "fits": run.fits - 1}
        self.state = copy.deepcopy(run_state(run))
        self.random = copy.deepcopy(all_random_states(run))

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


def find_lr(learn: Learner, **options: Any) -> LRFinder:
    """Sweep the rate of a learner, and leave it as it was.

    The options are those of `LRFinder`; checkpoints are not written.
    """
    finder, callbacks = LRFinder(**options), learn.callbacks
    learn.callbacks = [c for c in callbacks if not isinstance(c, Checkpoint)]
    try:
        learn.fit(math.ceil(finder.n_steps / len(learn.train)), [finder])
    finally:
        learn.callbacks = callbacks
    return finder

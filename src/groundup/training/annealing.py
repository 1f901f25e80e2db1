# Extracted from book/3_training/5_annealing.py; edit it there.
"""Hyperparameters that change during a training run."""

from collections.abc import Sequence
from typing import Any

from groundup.optim.hyperparameters import kept_value, per_group, set_value
from groundup.optim.schedule import Schedule, one_cycle, swing
from groundup.training.callback import Callback, Run


def progress_of(run: Run) -> float:
    """The share of this fit's batches done: 0 at the first, 1 at the last."""
    n_batches = run.n_batches
    if n_batches is None:
        raise ValueError(
            "a schedule of progress needs the length of an epoch, which this "
            "loader does not know: `fit(n_epochs, n_batches=...)`"
        )
    done = (run.epoch - run.start_epoch) * n_batches + run.batch_idx
    total = (run.stop_epoch - run.start_epoch) * n_batches
    return min(1.0, done / max(1, total - 1))


class Anneal(Callback):
    """Sets hyperparameters before each batch, by schedules of progress.

    `Anneal(lr=cosine(0.1, 0))`; a list holds a schedule for each group.
    """

    def __init__(self, **schedules: Schedule | list[Schedule]):
        self.schedules = schedules
        self.kept: list[dict] = []  # what the groups held before the fit

    def before_batch(self, run: Run) -> None:
        """Set the values for this batch."""
        if not run.training:
            return
        done, groups = progress_of(run), run.optimizer.param_groups
        for name, schedules in self.schedules.items():
            each = per_group(name, run.optimizer, schedules)
            for group, schedule in zip(groups, each, strict=True):
                set_value(group, name, schedule(done))

    def before_fit(self, run: Run) -> None:
        """Check the names, and keep the values."""
        groups = run.optimizer.param_groups
        for name in self.schedules:
            known = {*groups[0], "momentum" if "betas" in groups[0] else "lr"}
            if name not in known:
                raise KeyError(f"no {name!r} in the groups: {sorted(known)}")
            per_group(name, run.optimizer, self.schedules[name])
        self.kept = [
            {k: kept_value(v) for k, v in group.items() if k != "params"}
            for group in groups
        ]

    def after_fit(self, run: Run) -> None:
        """Put the values back."""
        groups = run.optimizer.param_groups
        for group, kept in zip(groups, self.kept, strict=False):
            for name in self.schedules:
                held = name if name in kept else "betas"
                set_value(group, held, kept[held])

    after_cancel_fit = after_fit

    @classmethod
    def one_cycle(
        cls,
        max_lr: float | Sequence[float],
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        momentum: tuple[float, float] | None = (0.95, 0.85),
    ) -> "Anneal":
        """The rate up to `max_lr` and far down, the momentum against it.

        A list gives each group its own peak; `momentum=None` leaves it.
        """
        several = isinstance(max_lr, Sequence)
        shape = pct_start, div_factor, final_div_factor
        peaks = max_lr if several else [max_lr]
        cycles = [one_cycle(peak, *shape) for peak in peaks]
        schedules: dict[str, Any] = {"lr": cycles if several else cycles[0]}
        if momentum is not None:
            high, low = momentum
            schedules["momentum"] = swing(high, low, high, pct_start)
        return cls(**schedules)

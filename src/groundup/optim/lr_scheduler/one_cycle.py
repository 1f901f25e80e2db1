# Extracted from book/3_training/9_schedulers.py; edit it there.
"""One cycle over a whole training run."""

import math
from typing import Any

from groundup.optim.hyperparameters import per_group, set_value
from groundup.optim.lr_scheduler.base import LRScheduler
from groundup.optim.lr_scheduler.cycle import momentum_ends
from groundup.optim.schedule import cosine, ramp


def _phases(total: int, pct_start: float, three_phase: bool) -> list[dict]:
    if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
        raise ValueError(f"pct_start is a float, 0 to 1, got {pct_start}")
    keys = "end_step", "start_lr", "end_lr", "start_momentum", "end_momentum"
    low, high = "base_momentum", "max_momentum"
    top = float(pct_start * total) - 1
    rows: list[tuple] = [(top, "initial_lr", "max_lr", high, low)]
    if three_phase:
        back = float(2 * pct_start * total) - 2
        rows.append((back, "max_lr", "initial_lr", low, high))
        rows.append((total - 1, "initial_lr", "min_lr", high, high))
    else:
        rows.append((total - 1, "max_lr", "min_lr", low, high))
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _total(
    total_steps: int | None, epochs: int | None, steps_per_epoch: int | None
) -> int:
    if total_steps is None and None in (epochs, steps_per_epoch):
        raise ValueError("give total_steps, or epochs and steps_per_epoch")
    by_epochs = epochs, steps_per_epoch
    numbers = by_epochs if total_steps is None else (total_steps,)
    if not all(isinstance(n, int) and n > 0 for n in numbers):
        raise ValueError(
            f"numbers of steps are positive integers, got {numbers}"
        )
    return math.prod(numbers)


def _place(step: int, phases: list[dict]) -> tuple[dict, float]:
    start, (*others, last) = 0.0, phases
    for phase in others:
        if step <= phase["end_step"]:
            break
        start = phase["end_step"]
    else:
        phase = last
    return phase, (step - start) / (phase["end_step"] - start)


class OneCycleLR(LRScheduler):
    """Up to `max_lr`, down, and far below where it began (Smith, 2018)."""

    def __init__(
        self,
        optimizer: Any,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        total = _total(total_steps, epochs, steps_per_epoch)
        if anneal_strategy not in ("cos", "linear"):
            kinds = f"'cos' or 'linear', not {anneal_strategy!r}"
            raise ValueError(f"anneal_strategy is {kinds}")
        self.total_steps, self._anneal_func_type = total, anneal_strategy
        self._schedule_phases = _phases(total, pct_start, three_phase)
        peaks = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                low = peak / div_factor
                group["initial_lr"], group["max_lr"] = low, peak
                group["min_lr"] = low / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            ends = base_momentum, max_momentum
            momentum_ends(optimizer, *ends, begin=last_epoch == -1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """Each group's place on its cycle; sets the momentum."""
        step, total = self.last_epoch, self.total_steps
        if step > total:
            raise ValueError(f"step {step} of {total} in total")
        phase, done = _place(step, self._schedule_phases)
        anneal = {"cos": cosine, "linear": ramp}[self._anneal_func_type]
        groups = self.optimizer.param_groups
        if self.cycle_momentum:
            keys = phase["start_momentum"], phase["end_momentum"]
            for group in groups:
                momentum = anneal(*(group[key] for key in keys))(done)
                set_value(group, "momentum", momentum)
        keys = phase["start_lr"], phase["end_lr"]
        return [anneal(*(group[key] for key in keys))(done) for group in groups]

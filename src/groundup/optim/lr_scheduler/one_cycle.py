# Extracted from book/3_training/4_annealing.py; edit it there.
"""One cycle over a whole training run."""

import math
from typing import Any

from groundup.optim.lr_scheduler.base import per_group, set_momentum
from groundup.optim.lr_scheduler.cycle import Cycle
from groundup.optim.schedule import cosine, ramp


class OneCycleLR(Cycle):
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
        self.total_steps = _total(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start is a float, 0 to 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            given = repr(anneal_strategy)
            raise ValueError(
                f"anneal_strategy is 'cos' or 'linear', not {given}"
            )
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = _phases(
            self.total_steps, pct_start, three_phase
        )
        peaks = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                low = peak / div_factor
                group["initial_lr"], group["max_lr"] = low, peak
                group["min_lr"] = low / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            ends = base_momentum, max_momentum
            self._cycle_momentum(optimizer, *ends, last_epoch == -1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """Each group's place on its cycle; sets the momentum."""
        step, start = self.last_epoch, 0.0
        if step > self.total_steps:
            raise ValueError(f"step {step} of {self.total_steps} in total")
        *others, last = self._schedule_phases
        for phase in others:
            if step <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = last
        done = (step - start) / (phase["end_step"] - start)
        shape = {"cos": cosine, "linear": ramp}
        anneal, rates = shape[self._anneal_func_type], []
        for group in self.optimizer.param_groups:
            ends = group[phase["start_lr"]], group[phase["end_lr"]]
            rates.append(anneal(*ends)(done))
            if self.cycle_momentum:
                ends = phase["start_momentum"], phase["end_momentum"]
                momentum = anneal(*(group[end] for end in ends))(done)
                set_momentum(group, momentum)
        return rates


def _total(
    total_steps: int | None, epochs: int | None, steps_per_epoch: int | None
) -> int:
    if total_steps is None and None in (epochs, steps_per_epoch):
        raise ValueError("give total_steps, or epochs and steps_per_epoch")
    numbers = (
        (epochs, steps_per_epoch) if total_steps is None else (total_steps,)
    )
    if not all(isinstance(n, int) and n > 0 for n in numbers):
        raise ValueError(
            f"numbers of steps are positive integers, got {numbers}"
        )
    return math.prod(numbers)


def _phases(total: int, pct_start: float, three_phase: bool) -> list[dict]:
    """Where each phase ends, and between which of a group's values it goes."""
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

# Extracted from book/3_training/11_learner.py; edit it there.
"""What people change about training, a class each."""

import csv
import math
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from groundup.data.collate import to_device
from groundup.nn.utils.clip import clip_grad_norm_
from groundup.training.callback import Callback, CancelBatch, Run
from groundup.training.learner import Learner
from groundup.training.metrics import floats
from groundup.training.recorder import Recorder


class Device(Callback):
    """Moves the model, and every batch, to a device."""

    order = -30
    shapes_step = True

    def __init__(self, device: torch.device | str):
        self.device = device

    def before_fit(self, run: Run) -> None:
        """Move the model; the optimizer holds the same parameters."""
        run.model.to(self.device)

    before_validation = before_fit

    def before_batch(self, run: Run) -> None:
        """Move input and target, however they are nested."""
        run.input = to_device(run.input, self.device, non_blocking=True)
        run.target = to_device(run.target, self.device, non_blocking=True)


class FiniteLoss(Callback, default=True):
    """Stops a fit with an error when the loss is not a finite number.

    On the CPU before the step is taken; elsewhere `every` so many batches, so
    that the device need not stop for each.
    """

    order = -20

    def __init__(self, every: int = 100):
        self.every = every
        self.losses: list[Tensor] = []  # not yet read

    def before_training(self, run: Run) -> None:
        """Forget what an epoch that was left has not read."""
        self.losses = []

    def after_loss(self, run: Run) -> None:
        """Look at the loss, or keep it for later."""
        near = run.loss.is_cpu
        if not run.training or (near and math.isfinite(run.loss.item())):
            return
        self.losses.append(run.loss.detach())
        if near or len(self.losses) >= self.every:
            self._read(run)

    def _read(self, run: Run) -> None:
        losses, self.losses = self.losses, []
        values = floats(losses)
        if all(map(math.isfinite, values)):
            return
        first = [*map(math.isfinite, values)].index(False)
        lr, n = run.optimizer.param_groups[0]["lr"], len(values) - first - 1
        since = f"{n} steps after it" if n else "those before it"
        place = f"epoch {run.epoch}, batch {run.batch_idx - n}"
        raise FloatingPointError(
            f"the loss is {values[first]} in {place} "
            f"(learning rate {lr:g}); the weights are {since}"
        )

    def after_training(self, run: Run) -> None:
        """Read what is left, and look at the weights."""
        self._read(run)
        for name, param in run.model.named_parameters():
            if not param.detach().isfinite().all():
                raise FloatingPointError(
                    f"{name} is not finite after {run.place}, though the loss "
                    "was: a gradient was not"
                )


class ClipGradient(Callback):
    """Bounds the norm of the whole gradient; `norm` is the last one's."""

    order = 60  # after accumulation
    shapes_step = True

    def __init__(self, max_norm: float):
        self.max_norm = max_norm
        self.norm: Tensor | None = None

    def before_step(self, run: Run) -> None:
        """Clip."""
        self.norm = clip_grad_norm_(run.model.parameters(), self.max_norm)


class Accumulate(Callback):
    """One step for `n_batches` batches, equal to that of one large batch.

    The last batch of an epoch ends a group, if the epoch's length is known.
    """

    order = 50  # the others see the loss as it is
    shapes_step = True

    def __init__(self, n_batches: int):
        self.n_batches = n_batches
        self.waiting, self.items = 0, 0.0

    def before_fit(self, run: Run) -> None:
        """Begin a group: gradients of an earlier fit are gone."""
        self.waiting, self.items = 0, 0.0

    def after_loss(self, run: Run) -> None:
        """Weight the loss by the items it is the mean of."""
        if run.training:
            self.loss = run.loss
            run.loss = run.loss * run.count

    def before_step(self, run: Run) -> None:
        """Wait for more batches, or divide by all their items."""
        run.loss = self.loss
        self.waiting += 1
        self.items = self.items + run.count
        last = run.batch_idx + 1 == run.n_batches
        if self.waiting < self.n_batches and not last:
            raise CancelBatch
        for param in run.model.parameters():
            if param.grad is not None:
                param.grad /= self.items
        self.waiting, self.items = 0, 0.0

    def state_dict(self) -> dict[str, Any]:
        """How much waits for a step."""
        return {"waiting": self.waiting, "items": float(self.items)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Wait with as much."""
        self.waiting = state_dict["waiting"]
        self.items = state_dict["items"]


def improved(
    run: Run, monitor: str, best: float | None, better: Callable
) -> float | None:
    """The monitored result if it is better than the best so far."""
    if monitor not in run.results:
        raise KeyError(
            f"cannot monitor {monitor!r}: validation gives {list(run.results)}"
        )
    value = run.results[monitor]
    if math.isnan(value) or (best is not None and not better(value, best)):
        return None
    return value


class EarlyStopping(Callback):
    """Ends a fit after `patience` epochs without a better validation result.

    `better(new, best)` compares; `operator.gt` is for accuracies.
    """

    order = 20

    def __init__(
        self,
        monitor: str = "loss",
        patience: int = 3,
        better: Callable[[float, float], bool] = operator.lt,
    ):
        self.monitor, self.patience, self.better = monitor, patience, better
        self.best: float | None = None
        self.waited = 0

    def before_fit(self, run: Run) -> None:
        """Forget other fits."""
        self.best, self.waited = None, 0

    def after_epoch(self, run: Run) -> None:
        """Compare, and lower `stop_epoch` if it is enough."""
        value = improved(run, self.monitor, self.best, self.better)
        self.best = self.best if value is None else value
        self.waited = self.waited + 1 if value is None else 0
        if self.waited >= self.patience:
            run.stop_epoch = run.epoch + 1

    def state_dict(self) -> dict[str, Any]:
        """The best result and how long ago it was."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on waiting."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]


class SaveBest(Callback):
    """Writes the model's weights when validation has never been better."""

    order = 20

    def __init__(
        self,
        path: str | Path,
        monitor: str = "loss",
        better: Callable[[float, float], bool] = operator.lt,
    ):
        self.path, self.monitor, self.better = Path(path), monitor, better
        self.best: float | None = None

    def after_epoch(self, run: Learner) -> None:
        """Compare, and save."""
        value = improved(run, self.monitor, self.best, self.better)
        if value is not None:
            self.best = value
            run.save(self.path)

    def state_dict(self) -> dict[str, Any]:
        """The best result so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.best = state_dict["best"]


class CSVLog(Callback):
    """Writes the recorder's rows as comma-separated values, names first."""

    order = 15  # after the recorder

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def after_epoch(self, run: Run) -> None:
        """Write all rows so far."""
        rows = run[Recorder].rows
        names = dict.fromkeys(name for row in rows for name in row)
        new = self.path.with_name(f"{self.path.name}.tmp")
        with new.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*names])
            writer.writeheader()
            writer.writerows(rows)
        new.replace(self.path)

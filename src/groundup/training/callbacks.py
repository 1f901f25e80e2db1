# Extracted from book/3_training/4_learner.py; edit it there.
"""What people change about training, a class each."""

import math
import operator
from collections.abc import Callable, Mapping, Sized
from typing import Any

import torch
from torch import Tensor

from groundup.data.collate import to_device
from groundup.nn.utils.clip import clip_grad_norm_
from groundup.training.callback import Callback, CancelBatch, Run


class Device(Callback):
    """Moves the model, and every batch, to a device."""

    order = -30

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


class FiniteLoss(Callback):
    """Stops a fit with an error when the loss is not a finite number."""

    order = -20

    def after_loss(self, run: Run) -> None:
        """Look at the loss, before a step is taken along its gradient."""
        if run.training and not math.isfinite(run.loss.item()):
            lr = run.optimizer.param_groups[0]["lr"]
            raise FloatingPointError(
                f"the loss is {run.loss.item()} in {run.place} "
                f"(learning rate {lr:g}); the weights are those before it"
            )


class ClipGradient(Callback):
    """Bounds the norm of the whole gradient; `norm` is the last one's."""

    order = 60  # after accumulation

    def __init__(self, max_norm: float):
        self.max_norm = max_norm
        self.norm: Tensor | None = None

    def before_step(self, run: Run) -> None:
        """Clip."""
        self.norm = clip_grad_norm_(run.model.parameters(), self.max_norm)


class Accumulate(Callback):
    """One step for `n_batches` batches, equal to that of one large batch.

    The last batch of an epoch ends a group, if the loader knows its length.
    """

    order = 50  # the others see the loss as it is

    def __init__(self, n_batches: int):
        self.n_batches, self.waiting, self.examples = n_batches, 0, 0

    def after_loss(self, run: Run) -> None:
        """Weight the loss by the examples it is the mean of."""
        if run.training:
            self.loss = run.loss
            run.loss = run.loss * len(run.target)

    def before_step(self, run: Run) -> None:
        """Wait for more batches, or divide by all their examples."""
        run.loss = self.loss
        self.waiting += 1
        self.examples += len(run.target)
        sized = isinstance(run.train, Sized)
        last = sized and run.batch_idx + 1 == len(run.train)
        if self.waiting < self.n_batches and not last:
            raise CancelBatch
        for param in run.model.parameters():
            if param.grad is not None:
                param.grad /= self.examples
        self.waiting = self.examples = 0

    def state_dict(self) -> dict[str, Any]:
        """How much waits for a step."""
        return {"waiting": self.waiting, "examples": self.examples}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Wait with as much."""
        self.waiting = state_dict["waiting"]
        self.examples = state_dict["examples"]


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

    def after_epoch(self, run: Run) -> None:
        """Compare, and lower `stop_epoch` if it is enough."""
        if self.monitor not in run.results:
            raise KeyError(
                f"cannot monitor {self.monitor!r}: validation gives "
                f"{list(run.results)}"
            )
        value = run.results[self.monitor]
        if self.best is None or self.better(value, self.best):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.waited >= self.patience:
            run.stop_epoch = run.epoch + 1

    def state_dict(self) -> dict[str, Any]:
        """The best result and how long ago it was."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on waiting."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]

# Extracted from book/3_training/4_learner.py; edit it there.
"""The training loop: five levels, and an event at every place in it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from groundup.nn.functional.loss import cross_entropy
from groundup.training.callback import (
    EVENTS,
    Callback,
    CancelBatch,
    CancelEpoch,
    CancelFit,
    CancelTraining,
    CancelValidation,
    Run,
)
from groundup.training.callbacks import FiniteLoss
from groundup.training.metrics import Mean, Metric, as_metric
from groundup.training.progress import Progress
from groundup.training.recorder import Recorder


def default_callbacks() -> list[Callback]:
    """What a learner has if it is not told: record, check, show."""
    return [Recorder(), FiniteLoss(), Progress()]


class Learner(Run):
    """Trains a model, and tells callbacks of every event on the way.

    `train` and `valid` give batches (input, target); `optim` makes an optimizer
    of parameters and `lr`; `callbacks` come on top of the `defaults`.
    """

    def __init__(
        self,
        model: Any,
        train: Iterable,
        valid: Iterable | None = None,
        *,
        optim: Callable,
        lr: float,
        loss: Callable = cross_entropy,
        backward: Callable[[Tensor], None] = Tensor.backward,
        metrics: Iterable[Metric | Callable] = (),
        callbacks: Iterable[Callback] = (),
        defaults: Iterable[Callback] | None = None,
    ):
        self.model, self.train, self.valid = model, train, valid
        self.optimizer = optim(model.parameters(), lr)
        self.loss_function, self.backward = loss, backward
        self.metrics = [Mean(loss, "loss"), *map(as_metric, metrics)]
        first = default_callbacks() if defaults is None else defaults
        self.callbacks = [*first, *callbacks]

    def _resolve(self, callbacks: Sequence[Callback]) -> None:
        """Find each event's handlers, in order."""
        self.active = sorted(callbacks, key=lambda each: each.order)
        self._handlers: Mapping[str, Sequence[Callable]] = {
            event: [
                handle
                for callback in self.active
                if (handle := getattr(callback, event)) != callback.ignore
            ]
            for event in EVENTS
        }

    def _call(self, event: str) -> None:
        for handle in self._handlers[event]:
            handle(self)

    def _level(
        self, name: str, cancel: type, body: Callable, *args: Any
    ) -> None:
        """`before`, the body, then either `after` or `after_cancel`."""
        try:
            self._call(f"before_{name}")
            body(*args)
        except BaseException as error:
            self._call(f"after_cancel_{name}")
            if not isinstance(error, cancel):
                raise
        else:
            self._call(f"after_{name}")

    def fit(self, n_epochs: int, callbacks: Iterable[Callback] = ()) -> None:
        """Train for more epochs, with more callbacks for this time only."""
        self.start_epoch, self.stop_epoch = self.epoch, self.epoch + n_epochs
        self.fits += 1
        self.optimizer.zero_grad()
        self._resolve([*self.callbacks, *callbacks])
        try:
            self._level("fit", CancelFit, self._fit)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped in {self.place}; the model is trained so far, "
                "and `fit` goes on with it"
            ) from None

    def _fit(self) -> None:
        while self.epoch < self.stop_epoch:
            self.first_batch, self.loader = 0, self.train
            self._level("epoch", CancelEpoch, self._epoch)
            self.epoch += 1

    def _epoch(self) -> None:
        self.training = True
        self.model.train()
        self._level("training", CancelTraining, self._train)
        if self.valid is not None:
            self.results = self._evaluate(self.valid)

    def _train(self) -> None:
        self._batches(self.loader, self.first_batch, self._train_batch)

    def _batches(self, loader: Iterable, first: int, body: Callable) -> None:
        for self.batch_idx, self.batch in enumerate(loader, first):
            self.input, self.target = self.batch
            self._level("batch", CancelBatch, body)

    def _train_batch(self) -> None:
        self._forward()
        self.backward(self.loss)
        self._call("before_step")
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self._call("after_step")

    def _forward(self) -> None:
        self.prediction = self.model(self.input)
        self._call("after_predict")
        self.loss = self.loss_function(self.prediction, self.target)
        self._call("after_loss")

    def predict(self, loader: Iterable) -> Tensor:
        """The model's outputs for all batches of a loader: (n, ...)."""
        outputs: list[Tensor] = []
        self._resolve(self.callbacks)
        self._without_training(loader, partial(self._predict_batch, outputs))
        return torch.cat(outputs)

    def _predict_batch(self, outputs: list[Tensor]) -> None:
        self.prediction = self.model(self.input)
        self._call("after_predict")
        outputs.append(self.prediction)

    def _without_training(self, loader: Iterable, body: Callable) -> None:
        batches = self._batches, loader, 0, body
        self.training, mode = False, self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                self._level("validation", CancelValidation, *batches)
        finally:
            self.model.train(mode)

    def evaluate(self, loader: Iterable | None = None) -> dict[str, float]:
        """Loss and metrics by name over a loader, `valid` by default."""
        self._resolve(self.callbacks)
        return self._evaluate(self.valid if loader is None else loader)

    def _evaluate(self, loader: Iterable) -> dict[str, float]:
        for metric in self.metrics:
            metric.reset()
        self._without_training(loader, self._valid_batch)
        return {metric.name: metric.compute() for metric in self.metrics}

    def _valid_batch(self) -> None:
        self._forward()
        self.metrics[0].add(self.loss, len(self.target))
        for metric in self.metrics[1:]:
            metric.update(self.prediction, self.target)

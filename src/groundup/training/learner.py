# Extracted from book/3_training/4_learner.py; edit it there.
"""The training loop: five levels, and an event at every place in it."""

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from groundup.data.collate import to_device
from groundup.nn.functional.loss import cross_entropy
from groundup.optim.parts import make_optimizer
from groundup.training.callback import (
    CANCELS,
    DEFAULTS,
    EVENTS,
    Callback,
    Cancel,
    Run,
    gravest,
)
from groundup.training.metrics import (
    Mean,
    Metric,
    as_metric,
    by_name,
    counter,
    join,
    length,
)


class Learner(Run):
    """Trains a model, and tells callbacks of every event on the way.

    `optim` makes an optimizer of parameters and `lr`; `callbacks` come on top
    of the `defaults`. Override `unpack` for batches that are no pairs, and
    `train_step` for a step of another kind.
    """

    def unpack(self, batch: Any) -> tuple:
        """Input and target of a batch; a third is what the loss counts."""
        if not isinstance(batch, tuple | list):
            return batch, None
        if len(batch) > 2:
            raise ValueError(
                f"a batch of {len(batch)} parts: which go into the model? "
                "Override `unpack(batch)`: `return batch[:2], batch[2]`"
            )
        return (batch[0], batch[1]) if len(batch) == 2 else (batch[0], None)

    def __init__(
        self,
        model: Any,
        train: Iterable,
        valid: Iterable | None = None,
        *,
        optim: Callable,
        lr: float | Sequence[float],
        loss: Callable = cross_entropy,
        backward: Callable[[Tensor], None] = Tensor.backward,
        metrics: Iterable[Metric | Callable] = (),
        callbacks: Iterable["Callback"] = (),
        defaults: Iterable["Callback"] | None = None,
        splitter: Callable[[Any], Iterable] | None = None,
        device: torch.device | str | None = None,
    ):
        self.model = model if device is None else model.to(device)
        self.train, self.valid, self.device = train, valid, device
        self.optimizer = make_optimizer(self.model, optim, lr, splitter)
        self.loss_function, self.backward = loss, backward
        self.metrics = [Mean(loss, "loss"), *map(as_metric, metrics)]
        by_name(self.metrics)
        self.count_items = counter(loss)
        first = default_callbacks() if defaults is None else defaults
        self.active = self.callbacks = [*first, *callbacks]

    def call(self, event: str) -> None:
        """Tell the callbacks of an event."""
        for _, handle in self._handlers[event]:
            handle(self)

    def _resolve(self, callbacks: Sequence["Callback"]) -> None:
        for name in (c.__name__ for c in callbacks if isinstance(c, type)):
            raise TypeError(f"{name} is a class, not a callback: {name}()")
        self.active = sorted(callbacks, key=lambda each: each.order)
        self._handlers: Mapping[str, Sequence[tuple[int, Callable]]] = {
            event: [
                (place, handle)
                for place, callback in enumerate(self.active)
                if (handle := getattr(callback, event)) != callback.ignore
            ]
            for event in EVENTS
        }

    def _level(self, name: str, body: Callable, *args: Any) -> None:
        begun = ended = -1
        try:
            for place, handle in self._handlers[f"before_{name}"]:
                begun = place
                handle(self)
            begun = len(self.active)
            body(*args)
            for place, handle in self._handlers[f"after_{name}"]:
                ended = place
                handle(self)
        except BaseException as error:
            self._cancelled(name, error, range(ended + 1, begun))

    def fit(
        self,
        n_epochs: int,
        callbacks: Iterable["Callback"] = (),
        n_batches: int | None = None,
    ) -> None:
        """Train for more epochs, with more callbacks for this time only.

        `n_batches` cuts epochs to a length, for streams that have none.
        """
        self.start_epoch, self.stop_epoch = self.epoch, self.epoch + n_epochs
        self.fits, self._fits, self._cut = self.fits + 1, True, n_batches
        known = (n for n in (length(self.train), n_batches) if n)
        self.n_batches = min(known, default=None)
        self.optimizer.zero_grad()
        self._resolve([*self.callbacks, *callbacks])
        try:
            self._level("fit", self._fit)
        except Cancel as error:
            wrong = f"{type(error).__name__} in {self.place}: nothing to leave"
            raise RuntimeError(wrong) from error
        except KeyboardInterrupt:
            told = f"stopped in {self.place}; the model is trained so far"
            raise KeyboardInterrupt(told) from None
        finally:
            self._fits = False

    def train_step(self) -> None:
        """What a batch of training does; override it for another kind."""
        self.compute_loss()
        self.backward(self.loss)
        self.update()

    def compute_loss(self) -> None:
        """Set `prediction` and `loss`, and say so."""
        self._predict()
        loss = self.loss_function(self.prediction, self.target)
        if isinstance(loss, tuple):
            loss, self._count = loss
        if not isinstance(loss, Tensor) or loss.ndim:
            raise ValueError(
                f"the loss is {getattr(loss, 'shape', loss)!r}; wanted is "
                "one number in a tensor: return the mean, `loss.mean()`"
            )
        self.loss = loss
        self.call("after_loss")

    def update(self, optimizer: Any = None) -> None:
        """Step an optimizer, by default the only one; drop all gradients."""
        self.call("before_step")
        (self.optimizer if optimizer is None else optimizer).step()
        self.optimizer.zero_grad()
        self.step += 1
        self.call("after_step")

    def _predict(self) -> None:
        """A tuple or a dictionary holds the model's arguments."""
        input, model = self.input, self.model
        if isinstance(input, tuple | list):
            self.prediction = model(*input)
        elif isinstance(input, Mapping):
            self.prediction = model(**input)
        else:
            self.prediction = model(input)
        self.call("after_predict")

    @property
    def count(self) -> Any:
        """Items that the loss is the mean of."""
        if self._count is None:
            self._count = self.count_items(self.target)
        return self._count

    def _fit(self) -> None:
        while self.epoch < self.stop_epoch:
            self.first_batch, self.loader = 0, self.train
            self._level("epoch", self._epoch)
            self.epoch += 1

    def _epoch(self) -> None:
        self.training = True
        if not self.model.training:
            self.model.train()
        self._level("training", self._train)
        if self.valid is not None:
            self.results = self._evaluate(self.valid)

    def _train(self) -> None:
        loader, first = self.loader, self.first_batch
        if self._cut is not None:
            loader = islice(loader, max(0, self._cut - first))
        self._batches(loader, first, self.train_step)

    def _batches(self, loader: Iterable, first: int, body: Callable) -> None:
        self.batch_idx = first - 1
        for self.batch_idx, batch in enumerate(loader, first):
            if self.device is not None:
                batch = to_device(batch, self.device, non_blocking=True)
            self.batch = batch
            self.input, self.target, *count = self.unpack(batch)
            self._count = count[0] if count else None
            self._level("batch", body)
        if self.batch_idx < 0:
            kind = "training" if self.training else "validation"
            wrong = f"the {kind} loader gave no batch: empty, at its end, or "
            raise ValueError(f"{wrong}all dropped by `drop_last`?")

    _fits = False  # whether a fit runs now

    @contextmanager
    def _aside(self) -> Iterator[None]:
        held = {n: vars(self)[n] for n in _CURRENT + _PLACE if n in vars(self)}
        if self._fits:
            self.metrics = [*map(copy.copy, self.metrics)]
        else:
            self._resolve(self.callbacks)
        try:
            yield
        finally:
            vars(self).update(held)

    def _without_training(self, loader: Iterable, body: Callable) -> None:
        modes = [(module, module.training) for module in self.model.modules()]
        self.training, self.loader = False, loader
        self.model.eval()
        try:
            with torch.no_grad():
                self._level("validation", self._batches, loader, 0, body)
        finally:
            for module, mode in modes:
                module.training = mode

    def evaluate(self, loader: Iterable | None = None) -> dict[str, float]:
        """Loss and metrics by name over a loader, `valid` by default."""
        loader = self.valid if loader is None else loader
        if loader is None:
            raise ValueError("the learner has no `valid`: pass a loader")
        with self._aside():
            return self._evaluate(loader)

    def _evaluate(self, loader: Iterable) -> dict[str, float]:
        metrics = by_name(self.metrics)
        for metric in self.metrics:
            metric.reset()
        self._without_training(loader, self._valid_batch)
        return {name: metric.compute() for name, metric in metrics.items()}

    def _valid_batch(self) -> None:
        self.compute_loss()
        self.metrics[0].add(self.loss, self.count)
        for metric in self.metrics[1:]:
            metric.update(self.prediction, self.target)

    def predict(self, loader: Iterable, with_targets: bool = False) -> Any:
        """The model's outputs for all batches of a loader, as (n, ...)."""
        seen: list[tuple[Any, Any]] = []
        with self._aside():
            body = partial(self._predict_batch, seen)
            self._without_training(loader, body)
        outputs, targets = zip(*seen, strict=True)
        joined = join(outputs)
        return (joined, join(targets)) if with_targets else joined

    def _predict_batch(self, seen: list) -> None:
        self._predict()
        seen.append((self.prediction, self.target))

    def save(self, path: str | Path) -> None:
        """Write the model's weights and buffers, whole or not at all."""
        state = self.model.state_dict().items()
        own = {n: t.detach().cpu().contiguous().clone() for n, t in state}
        safetensors.torch.save_file(own, f"{path}.tmp")
        os.replace(f"{path}.tmp", path)

    def load(self, path: str | Path) -> None:
        """Read into the model what `save` wrote."""
        self.model.load_state_dict(safetensors.torch.load_file(path))

    def _cancelled(self, name: str, error: Any, places: range) -> None:
        for place, handle in self._handlers[f"after_cancel_{name}"]:
            if place in places:
                try:
                    handle(self)
                except BaseException as other:
                    error = gravest(error, other)
        if not isinstance(error, CANCELS[name]):
            raise error


_CURRENT = "batch", "input", "target", "prediction", "loss", "_count"
_PLACE = "loader", "batch_idx", "training", "active", "_handlers", "metrics"


def default_callbacks() -> list[Callback]:
    """What a learner has if it is not told: one of each default class."""
    return [make() for make in DEFAULTS.values()]

# Extracted from book/4_convnets/11_augmentation.py; edit it there.
"""Models that hold averages of weights, under torch's names."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from groundup.nn.module import Module


def _check_decay(decay: float) -> None:
    if not 0 <= decay <= 1:
        raise ValueError(f"expected a decay in 0 to 1, got {decay}")


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """A running average: `decay` of the old, the rest of the new."""
    _check_decay(decay)

    @torch.no_grad()
    def ema_update(averaged: Tensor, current: Tensor, n: Any) -> Tensor:
        return decay * averaged + (1 - decay) * current

    return ema_update


def get_swa_avg_fn() -> Callable:
    """The mean of all, each with the same weight."""

    @torch.no_grad()
    def swa_update(averaged: Tensor, current: Tensor, n: Any) -> Tensor:
        return averaged + (current - averaged) / (n + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """The running average of a list of tensors, in place."""
    _check_decay(decay)

    @torch.no_grad()
    def ema_update(averaged: Iterable, current: Iterable, n: Any) -> None:
        for old, new in zip(averaged, current, strict=True):
            if old.is_floating_point() or old.is_complex():
                old.lerp_(new, 1 - decay)
            else:
                old.copy_(old * decay + new * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> Callable:
    """The mean of a list of tensors with those before, in place."""

    @torch.no_grad()
    def swa_update(averaged: Iterable, current: Iterable, n: Any) -> None:
        for old, new in zip(averaged, current, strict=True):
            if old.is_floating_point() or old.is_complex():
                old.lerp_(new, float(1 / (n + 1)))
            else:
                old.add_((new - old) / (n + 1))

    return swa_update


class AveragedModel(Module):
    """A copy of a model that holds averages of its weights.

    The equal mean of all updates, unless a function says how to average.
    """

    def __init__(
        self,
        model: Any,
        device: torch.device | int | None = None,
        avg_fn: Callable | None = None,
        multi_avg_fn: Callable | None = None,
        use_buffers: bool = False,
    ):
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("avg_fn and multi_avg_fn: expected one, got 2")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", torch.tensor(0, device=device))
        self.avg_fn, self.multi_avg_fn = avg_fn, multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model answers."""
        return self.module(*args, **kwargs)

    @torch.no_grad()
    def update_parameters(self, model: Any) -> None:
        """Take in the weights of `model`; the first are copied."""
        own = [*self.module.parameters()]
        new = [*model.parameters()]
        buffers = [*self.module.buffers()], [*model.buffers()]
        if self.use_buffers:
            own, new = own + buffers[0], new + buffers[1]
        else:
            _copy_all(*buffers)
        if self.n_averaged == 0:
            _copy_all(own, new)
        elif own:
            self._average(own, new)
        self.n_averaged += 1

    def _average(self, own: list[Tensor], new: list[Tensor]) -> None:
        if self.multi_avg_fn is not None:
            for group in _alike(own, new):
                self.multi_avg_fn(*group, self.n_averaged)
            return
        average = self.avg_fn or get_swa_avg_fn()
        for old, current in zip(own, new, strict=True):
            there = current.to(old.device)
            old.copy_(average(old, there, self.n_averaged))


def _copy_all(own: Iterable[Tensor], new: Iterable[Tensor]) -> None:
    for old, current in zip(own, new, strict=True):
        old.copy_(current)


def _alike(own: list[Tensor], new: list[Tensor]) -> Iterable[list]:
    groups: dict[tuple, list] = {}
    for old, current in zip(own, new, strict=True):
        pair = groups.setdefault((old.device, old.dtype), [[], []])
        pair[0].append(old)
        pair[1].append(current.to(old.device))
    return groups.values()


def _is_batch_norm(module: Any) -> bool:
    """Ours or torch's, of any number of axes."""
    return any("BatchNorm" in kind.__name__ for kind in type(module).__mro__)


@torch.no_grad()
def update_bn(
    loader: Iterable, model: Any, device: torch.device | int | None = None
) -> None:
    """Batch norms' averages anew, as plain means over a loader's batches."""
    norms = [each for each in model.modules() if _is_batch_norm(each)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for batch in loader:
        input = batch[0] if isinstance(batch, list | tuple) else batch
        model(input if device is None else input.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(training)

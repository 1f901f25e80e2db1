# Extracted from book/3_training/4_learner.py; edit it there.
"""What a training run tells, to whom, and how it is stopped."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from torch import Tensor


class Cancel(Exception):
    """Leaves a level of the loop; raise one of those below."""


class CancelBatch(Cancel):
    """Leaves the rest of this batch out; gradients stay as they are."""


class CancelTraining(Cancel):
    """Leaves the other training batches of this epoch out."""


class CancelValidation(Cancel):
    """Leaves the other validation batches out; metrics are of those seen."""


class CancelEpoch(Cancel):
    """Leaves the rest of the epoch out, its validation too."""


class CancelFit(Cancel):
    """Ends the training."""


class Run:
    """What is current while a learner trains: callbacks read and change it."""

    model: Any
    optimizer: Any
    train: Iterable  # the batches of an epoch
    valid: Iterable | None
    loader: Iterable  # the batches of this epoch, `train` unless changed
    batch: Any  # what the loader gave
    input: Any
    target: Any
    prediction: Any
    loss: Tensor
    training: bool = False  # or validation
    batch_idx: int = 0  # this batch's place in the loader, from 0
    first_batch: int = 0  # where the epoch begins: not 0 after a resume
    step: int = 0  # updates of the weights so far
    epoch: int = 0  # epochs completed so far, over all fits
    start_epoch: int = 0  # where this fit began
    stop_epoch: int = 0  # where it ends; lower it to stop early
    fits: int = 0  # calls of `fit` so far
    results: Mapping[str, float] = MappingProxyType({})  # last validation's
    active: Sequence["Callback"] = ()  # those of this fit, in order

    @property
    def place(self) -> str:
        """Where the run is, for messages."""
        kind = "" if self.training else "validation "
        return f"epoch {self.epoch}, {kind}batch {self.batch_idx}"

    def __getitem__(self, kind: type) -> Any:
        """The callback of a class: `learn[Recorder]`."""
        for callback in self.active:
            if isinstance(callback, kind):
                return callback
        held = [type(callback).__name__ for callback in self.active]
        raise KeyError(f"no {kind.__name__} among the callbacks {held}")


class Callback:
    """Methods named after events, each called with the run."""

    order: int = 0  # lower is called first

    def ignore(self, run: Run) -> None:
        """What a callback does at an event that it does not define."""

    before_fit = after_fit = after_cancel_fit = ignore
    before_epoch = after_epoch = after_cancel_epoch = ignore
    before_training = after_training = after_cancel_training = ignore
    before_validation = after_validation = after_cancel_validation = ignore
    before_batch = after_batch = after_cancel_batch = ignore
    after_predict = after_loss = before_step = after_step = ignore

    def __init_subclass__(cls) -> None:
        for name in vars(cls):
            if name.startswith(("before_", "after_")) and name not in EVENTS:
                events = ", ".join(sorted(EVENTS))
                raise TypeError(
                    f"{cls.__name__}.{name}: no such event; events are {events}"
                )

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints: tensors, numbers, text; lists, tuples, dicts."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""


EVENTS = frozenset(
    name
    for name, value in vars(Callback).items()
    if value is Callback.ignore and name != "ignore"
)

# Extracted from book/3_training/4_learner.py; edit it there.
"""What a training run tells, to whom, and how it is stopped."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from torch import Tensor


class Run:
    """What is current while a learner trains: callbacks read and change it."""

    model: Any
    optimizer: Any
    train: Iterable  # the batches of an epoch
    valid: Iterable | None
    loader: Iterable  # what is gone through now: of an epoch, `train`
    batch: Any  # what the loader gave
    input: Any
    target: Any
    prediction: Any
    loss: Tensor
    count: Any  # items that the loss is the mean of
    training: bool = False  # or validation
    batch_idx: int = 0  # this batch's place in the loader, from 0
    first_batch: int = 0  # where the epoch begins: not 0 after a resume
    n_batches: int | None = None  # of an epoch, if that is known
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


_TRAIN = {"batch": CancelBatch, "training": CancelTraining}
_WIDER = {"validation": CancelValidation, "epoch": CancelEpoch}
CANCELS = {**_TRAIN, **_WIDER, "fit": CancelFit}


def gravest(*errors: BaseException) -> BaseException:
    """That which decides: any error, else the widest cancel; else the first."""
    kinds = tuple(CANCELS.values())
    found = [[isinstance(e, kind) for kind in kinds] for e in errors]
    widths = [row.index(True) if any(row) else len(kinds) for row in found]
    return errors[widths.index(max(widths))]


class Callback:
    """Methods named after events, each called with the run."""

    order: int = 0  # lower is called first
    shapes_step: bool = False  # changes what a step does: `find_lr` keeps it

    def __init_subclass__(cls, default: bool = False) -> None:
        register(cls, default)

    def ignore(self, run: Run) -> None:
        """What a callback does at an event that it does not define."""

    before_fit = after_fit = after_cancel_fit = ignore
    before_epoch = after_epoch = after_cancel_epoch = ignore
    before_training = after_training = after_cancel_training = ignore
    before_validation = after_validation = after_cancel_validation = ignore
    before_batch = after_batch = after_cancel_batch = ignore
    after_predict = after_loss = before_step = after_step = ignore

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
DEFAULTS: dict[str, type] = {}  # by name, so that a class may be continued


def register(kind: type, default: bool) -> None:
    """Refuse events that are none; note a class that learners have."""
    for name in vars(kind):
        if name.startswith(("before_", "after_")) and name not in EVENTS:
            events = ", ".join(sorted(EVENTS))
            raise TypeError(
                f"{kind.__name__}.{name}: no such event; events are {events}"
            )
    if default or DEFAULTS.get(kind.__name__) is kind.__base__:
        DEFAULTS[kind.__name__] = kind

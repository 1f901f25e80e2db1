# Extracted from book/3_training/9_schedulers.py; edit it there.
"""What learning rate schedulers share: they count, set, are saved."""

from collections.abc import Mapping
from types import FunctionType
from typing import Any

from groundup.optim.hyperparameters import kept_value, set_value


def check_groups(optimizer: Any, known: int) -> None:
    """Raise ValueError if the optimizer has other groups than it had."""
    if (n := len(optimizer.param_groups)) != known:
        raise ValueError(
            f"the optimizer has {n} parameter groups, and had {known} when the "
            "scheduler was made: make it after add_param_group"
        )


class LRScheduler:
    """Sets every group's learning rate at each `step`: fill in `get_lr`.

    `last_epoch` is the number of the last step: -1 begins, another goes on.
    """

    _is_initial = False

    def __init__(self, optimizer: Any, last_epoch: int = -1):
        if not hasattr(optimizer, "param_groups"):
            kind = type(optimizer).__name__
            raise TypeError(f"an optimizer has param_groups, {kind} has none")
        self.optimizer, self.last_epoch = optimizer, last_epoch
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", kept_value(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"'initial_lr' is not in param_groups[{i}]: load the "
                    "optimizer's state before going on at last_epoch"
                )
        groups = optimizer.param_groups
        self.base_lrs = [group["initial_lr"] for group in groups]
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count, self._is_initial = 0, True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list:
        """The rate of each group at step `last_epoch`."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_lr")

    def _closed_form(self) -> list:
        return self.get_lr()  # where the present rates do not matter

    def step(self, epoch: int | None = None) -> None:
        """Go on by one step, or to the one that is given."""
        check_groups(self.optimizer, len(self.base_lrs))
        self._step_count += 1
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rates = self.get_lr() if epoch is None else self._closed_form()
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_value(group, "lr", lr)
        self._last_lr = self._lrs()

    def get_last_lr(self) -> list:
        """The rate of each group, as the last step set it."""
        return self._last_lr

    def _lrs(self) -> list:
        groups = self.optimizer.param_groups
        return [kept_value(group["lr"]) for group in groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of functions what they hold."""
        kept = vars(self).items()
        return {k: _saved(v) for k, v in kept if k != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another was, ours or torch's."""
        for name in vars(self).keys() & state_dict.keys() - {"optimizer"}:
            own = getattr(self, name)
            setattr(self, name, _loaded(own, state_dict[name]))


def _saved(value: Any) -> Any:
    if isinstance(value, LRScheduler):
        return value.state_dict()
    if callable(value):
        plain = isinstance(value, FunctionType)
        return None if plain else dict(vars(value))
    return [*map(_saved, value)] if isinstance(value, list) else value


def _loaded(own: Any, kept: Any) -> Any:
    """After loading: `own`, if it is an object, or what was kept."""
    if isinstance(own, LRScheduler):
        own.load_state_dict(kept)
    elif callable(own):
        vars(own).update(kept or {})
    elif isinstance(own, list) and any(map(_is_object, own)):
        return [_loaded(*pair) for pair in zip(own, kept, strict=True)]
    else:
        return kept
    return own


def _is_object(value: Any) -> bool:
    return callable(value) or isinstance(value, LRScheduler)


class Factor(LRScheduler):
    """Multiplies rates, above a floor: fill in `factor`."""

    eta_min: float = 0.0
    _jumps = False  # a staircase

    def factor(self, step: int) -> float:
        """What the rate is multiplied by, from the start up to a step."""
        raise NotImplementedError(f"{type(self).__name__} defines no factor")

    def get_lr(self) -> list:
        """Each group's rate, moved on from what it is now."""
        pairs = zip(self._lrs(), self.base_lrs, strict=True)
        if self._is_initial and self.last_epoch and not self._jumps:
            return self._lrs()
        return [self._next(lr, base) for lr, base in pairs]

    def _next(self, lr: float, base: float) -> float:
        step, floor = self.last_epoch, self.eta_min
        before = self.factor(step - 1) if step else 1.0
        after = self.factor(step)
        if before == 0:
            return lr + (base - floor) * after
        if after == before:
            return lr
        return floor + (lr - floor) * (after / before)

    def _closed_form(self) -> list:
        after, floor = self.factor(self.last_epoch), self.eta_min
        return [floor + (base - floor) * after for base in self.base_lrs]

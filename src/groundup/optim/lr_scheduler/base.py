# Extracted from book/3_training/4_annealing.py; edit it there.
"""What all learning rate schedulers share: they count, set, are saved."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def _number(value: Tensor | float) -> Tensor | float:
    """A rate to keep: a copy, if it is a tensor."""
    return value.clone() if isinstance(value, Tensor) else value


def set_lr(group: dict, lr: Tensor | float) -> None:
    """A rate that is a tensor changes in place: compiled code looks there."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def set_momentum(group: dict, momentum: float) -> None:
    """Momentum, or the first of Adam's betas, which is the same thing."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


def per_group(name: str, optimizer: Any, values: Any) -> list:
    """One value for each parameter group, or the list that was given."""
    n_groups = len(optimizer.param_groups)
    if not isinstance(values, list | tuple):
        return [values] * n_groups
    if len(values) != n_groups:
        raise ValueError(
            f"{len(values)} values of {name} for {n_groups} parameter groups"
        )
    return list(values)


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
                group.setdefault("initial_lr", _number(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"'initial_lr' is not in param_groups[{i}]: load the "
                    "optimizer's state before going on at last_epoch"
                )
        self.base_lrs = [
            group["initial_lr"] for group in optimizer.param_groups
        ]
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count, self._is_initial = 0, True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list:
        """The rate of each group at step `last_epoch`."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_lr")

    def _closed_form(self) -> list:
        return self.get_lr()

    def get_last_lr(self) -> list:
        """The rate of each group, as the last step set it."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go on by one step, or to the one that is given."""
        self._step_count += 1
        self._go_to(epoch)

    def _go_to(self, epoch: int | None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rates = self.get_lr() if epoch is None else self._closed_form()
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_lr(group, lr)
        self._last_lr = self._lrs()

    def _lrs(self) -> list:
        return [_number(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {k: v for k, v in vars(self).items() if k != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another was, ours or torch's."""
        own = vars(self).keys() & state_dict.keys() - {"optimizer"}
        vars(self).update({name: state_dict[name] for name in own})

# Extracted from book/3_training/5_annealing.py; edit it there.
"""Reading and setting the hyperparameters of an optimizer's groups."""

from typing import Any

from torch import Tensor


def set_value(group: dict, name: str, value: Any) -> None:
    """Set one; a tensor changes in place: compiled code looks there."""
    if name == "momentum" and "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    elif isinstance(group.get(name), Tensor):
        group[name].fill_(value)
    else:
        group[name] = value


def kept_value(value: Any) -> Any:
    """A value to keep: a copy, if it is a tensor."""
    return value.clone() if isinstance(value, Tensor) else value


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

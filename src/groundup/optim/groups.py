# Extracted from book/3_training/6_optim.py; edit it there.
"""Parameters in groups: options and state, checked, saved and loaded."""

import warnings
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from torch import Tensor


def require_nonnegative(group: dict, *names: str) -> None:
    """Raise ValueError for a named option that is negative or not a number."""
    words = {"lr": "learning rate", "eps": "epsilon value"}
    for name in names:
        if isinstance(group[name], Tensor) and group[name].numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element")
        if not group[name] >= 0:
            what = words.get(name, f"{name} value")
            raise ValueError(f"Invalid {what}: {group[name]}")


def require_betas(group: dict) -> None:
    """Raise ValueError for a beta that is not in [0, 1)."""
    for i, beta in enumerate(group["betas"]):
        if isinstance(beta, Tensor) and beta.numel() != 1:
            raise ValueError(f"Tensor betas[{i}] must be 1-element")
        if not 0 <= beta < 1:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


class Groups:
    """Parameters in groups, each group with its options."""

    def __init__(self, params: Iterable, defaults: dict[str, Any]):
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable "
                f"of Tensors or dicts, but got {type(params).__name__}"
            )
        self.defaults = defaults
        self.state: dict[Tensor, dict] = defaultdict(dict)
        self.param_groups: list[dict] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Step these parameters too; options left out are the defaults."""
        if not isinstance(param_group, dict):
            kind = type(param_group).__name__
            raise TypeError(f"param_group must be a dict, but got {kind}")
        group = {**self.defaults, **param_group, **_listed(param_group)}
        _refuse_params(group, self.param_groups)
        self.check(group)
        self.param_groups.append(group)

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError for options that make no sense; to be extended."""
        names = [name for name in ("lr", "weight_decay") if name in group]
        require_nonnegative(group, *names)
        for name in names:
            if isinstance(group[name], Tensor) and group[name].requires_grad:
                raise ValueError(f"no gradient reaches {name}: detach it")
        if group.get("fused") and group.get("foreach"):
            raise RuntimeError(
                "`fused` and `foreach` cannot be `True` together."
            )
        if group.get("fused") and group.get("differentiable"):
            raise RuntimeError("`fused` does not support `differentiable`")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients, or fill them with zeros."""
        for group in self.param_groups:
            for param in group["params"]:
                if set_to_none:
                    param.grad = None
                elif param.grad is not None:
                    param.grad = param.grad.detach().zero_()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            for key in sorted(group.keys() - {"params"}):
                lines.append(f"    {key}: {group[key]}")
        return "\n".join([*lines, ")"])


def _listed(group: dict) -> dict[str, list]:
    """A group's parameters as a list, and their names if they have any."""
    params = group["params"]
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, "
            "but the order of a set changes between runs: use a list"
        )
    params = [params] if isinstance(params, Tensor) else list(params)
    names = [pair[0] for pair in params if isinstance(pair, tuple)]
    if names and len(names) < len(params):
        raise ValueError(
            "all optimizer params should be with/without names. "
            "Some param names are missing"
        )
    if names:
        return {"params": [param for _, param in params], "param_names": names}
    return {"params": params}


def _refuse_params(group: dict, others: list[dict]) -> None:
    """Raise for what cannot be optimized, or is optimized already."""
    for param in group["params"]:
        if not isinstance(param, Tensor):
            kind = type(param).__name__
            message = f"optimizer can only optimize Tensors, got {kind}"
            raise TypeError(message)
        if not (group.get("differentiable") or param.is_leaf):
            raise ValueError("can't optimize a non-leaf Tensor")
    unique = set(group["params"])
    if len(unique) < len(group["params"]):
        message = (
            "optimizer contains a parameter group with duplicate parameters"
        )
        warnings.warn(message, stacklevel=4)
    named = "param_names" in group
    for other in others:
        if named != ("param_names" in other):
            raise ValueError(
                "all optimizer param groups should be with/without names. "
                "cannot add param group "
                f"{'with' if named else 'without'} names to the optimizer"
            )
        if unique & set(other["params"]):
            raise ValueError(
                "some parameters appear in more than one parameter group"
            )

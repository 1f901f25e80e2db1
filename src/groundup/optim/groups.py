# Extracted from book/2_backward/8_optimizer.py; edit it there.
"""Groups of parameters: listed, and refused where a step would go wrong."""

import warnings

from torch import Tensor


def listed(group: dict) -> dict[str, list]:
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


def require_params(group: dict, others: list[dict]) -> None:
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
        warnings.warn(message, stacklevel=5)
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


def require_fusable(group: dict) -> None:
    """Raise RuntimeError where `fused=True` cannot be kept."""
    if group.get("foreach"):
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if group.get("differentiable"):
        raise RuntimeError("`fused` does not support `differentiable`")
    for param in group["params"]:
        if not param.is_floating_point():
            raise RuntimeError(
                "`fused=True` requires all the params to be floating point "
                f"Tensors, got {param.dtype}"
            )


def require_sizes(saved: list[dict], own: list[dict]) -> None:
    """Raise ValueError for saved groups of other sizes than one's own."""
    sizes, saved_sizes = (
        [len(group["params"]) for group in groups] for groups in (own, saved)
    )
    if len(sizes) != len(saved_sizes):
        raise ValueError(
            "loaded state dict has a different number of parameter groups: "
            f"{len(saved_sizes)}, the optimizer has {len(sizes)}"
        )
    if sizes != saved_sizes:
        raise ValueError(
            "loaded state dict contains a parameter group that doesn't match "
            f"the size of optimizer's group: it has groups of {saved_sizes}, "
            f"the optimizer of {sizes}"
        )

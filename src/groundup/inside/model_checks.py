# Extracted from book/3_training/6_inside.py; edit it there.
"""Checks of a model: a sentence about what is wrong, or None."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from groundup.inside.hooks import Handles, leaf_modules
from groundup.nn.linear import Linear
from groundup.nn.module import Module


def call_model(model: Module, input: Any) -> Any:
    """The model's output; a tuple or a dictionary holds its arguments."""
    if isinstance(input, Mapping):
        return model(**input)
    return model(*input) if isinstance(input, tuple | list) else model(input)


@torch.no_grad()
def check_activations(
    model: Module, input: Any, low: float = 0.001, high: float = 10.0
) -> str | None:
    """Do rows differ by `low` to `high`, in every module's output?

    Outputs that are no tensors of numbers are not judged.
    """
    stds: dict[str, float] = {}

    def hook(name: str, module: Module, args: tuple, output: Any) -> None:
        if isinstance(output, Tensor) and output.is_floating_point():
            if output.ndim and len(output) > 1:
                stds[name] = _std(output)

    with Handles(
        module.register_forward_hook(partial(hook, name))
        for name, module in leaf_modules(model).items()
    ):
        call_model(model, input)
    wrong = [f"{v:.2g} in {k}" for k, v in stds.items() if not low <= v <= high]
    if not wrong:
        return None
    return f"rows should differ by {low:g} to {high:g}, not {', '.join(wrong)}"


def _std(output: Tensor) -> float:
    """The deviation from row to row, over all units."""
    return output.float().var(0, correction=0).mean().sqrt().item()


@torch.no_grad()
def check_nonlinear(model: Module, input: Any) -> str | None:
    """Is there something between any two linear layers?"""
    made: list[tuple[str, Tensor, Tensor]] = []  # as it is, as it was
    found: list[str] = []

    def hook(name: str, module: Module, args: tuple, output: Tensor) -> None:
        found.extend(
            f"{before} and {name}"
            for before, now, then in made
            if args and now is args[0] and now.equal(then)
        )
        made.append((name, output, output.clone()))

    with Handles(
        module.register_forward_hook(partial(hook, name))
        for name, module in model.named_modules()
        if isinstance(module, Linear | torch.nn.Linear)
    ):
        call_model(model, input)
    return f"nothing lies between {', '.join(found)}" if found else None

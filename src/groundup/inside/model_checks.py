# Extracted from book/3_training/6_inside.py; edit it there.
"""Checks of a model and its loss: a sentence about what is wrong, or None."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from groundup.inside.hooks import Handles, leaf_modules, watch_outputs
from groundup.nn.linear import Linear
from groundup.nn.module import Module


@torch.no_grad()
def check_rows(
    predict: Callable[[Tensor], Tensor], input: Tensor
) -> str | None:
    """Is the answer for a row the same when it comes alone?"""
    together, alone = predict(input)[:1], predict(input[:1])
    if together.shape != alone.shape:
        shapes = f"{tuple(alone.shape)}, not {tuple(together.shape)}"
        return f"a batch of one row gives {shapes}"
    gap = (together - alone).abs().max().item()
    if gap <= 1e-4 * (1 + together.abs().max().item()):
        return None
    return f"a row alone is answered differently, by up to {gap:.2g}"


@torch.no_grad()
def check_repeats(
    predict: Callable[[Tensor], Tensor], input: Tensor
) -> str | None:
    """Is the answer the same when asked twice?"""
    gap = (predict(input) - predict(input)).abs().max().item()
    if gap == 0:
        return None
    return (
        f"asked twice, the answers differ by up to {gap:.2g}: "
        "evaluate in evaluation mode"
    )


@torch.no_grad()
def check_activations(
    model: Module, input: Tensor, low: float = 0.02, high: float = 10.0
) -> str | None:
    """Do rows differ by `low` to `high`, in every module's output?"""
    stds: dict[str, float] = {}
    with watch_outputs(
        leaf_modules(model), lambda name, out: stds.update({name: _std(out)})
    ):
        model(input)
    wrong = [f"{v:.2g} in {k}" for k, v in stds.items() if not low <= v <= high]
    if not wrong:
        return None
    return f"rows should differ by {low:g} to {high:g}, not {', '.join(wrong)}"


def _std(output: Tensor) -> float:
    """The deviation from row to row, over all units."""
    return output.float().var(0, correction=0).mean().sqrt().item()


@torch.no_grad()
def check_nonlinear(model: Module, input: Tensor) -> str | None:
    """Is there something between any two linear layers?"""
    made: list[tuple[str, Tensor, Tensor]] = []  # as it is, as it was
    found: list[str] = []

    def hook(name: str, module: Module, args: tuple, output: Tensor) -> None:
        found.extend(
            f"{before} and {name}"
            for before, now, then in made
            if now is args[0] and now.equal(then)
        )
        made.append((name, output, output.clone()))

    linear = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, Linear | torch.nn.Linear)
    }
    with Handles(
        module.register_forward_hook(partial(hook, name))
        for name, module in linear.items()
    ):
        model(input)
    return f"nothing lies between {', '.join(found)}" if found else None


def check_scores(output: Tensor) -> str | None:
    """Are scores for a cross-entropy (n, k) not yet probabilities?"""
    sums = output.sum(-1)
    if (output < 0).any() or ((sums - 1).abs() > 1e-3).any():
        return None
    return (
        "the scores are positive and each row sums to 1: cross-entropy "
        "applies softmax itself"
    )


def check_loss(
    loss: Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor
) -> str | None:
    """Is the mean loss of a batch the mean of its rows' losses?

    Not so for a loss that sums, or that weighs the classes.
    """
    rows = zip(output.split(1), target.split(1), strict=True)
    apart = sum(loss(o, t).item() for o, t in rows) / len(output)
    together = loss(output, target).item()
    if abs(together - apart) <= 1e-3 * abs(apart) + 1e-6:
        return None
    return f"the batch's loss is {together:.4g}, its rows' mean is {apart:.4g}"

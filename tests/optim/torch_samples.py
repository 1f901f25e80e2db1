"""Torch's own official configurations of its optimizers, and a comparison."""

import copy
from itertools import product

import pytest
import torch
from torch.testing._internal.common_optimizers import (
    OptimizerErrorEnum,
    optim_db,
)

FLOATS = torch.float32, torch.float64
TOLERANCES = {
    torch.float32: {"rtol": 1e-4, "atol": 1e-5},
    torch.float64: {"rtol": 1e-9, "atol": 1e-12},
}


def info(name: str):
    (found,) = [i for i in optim_db if i.optim_cls.__name__ == name]
    return found


def configurations(name: str) -> list[dict]:
    """Every set of options in `optim_db` that does not need a GPU."""
    inputs = info(name).optim_inputs_func(device="mps", dtype=torch.float32)
    assert len(inputs) >= 5, f"torch has only {len(inputs)} of {name}"
    return [sample.kwargs for sample in inputs]


def samples(name: str, *extra: dict) -> list:
    """Options and a dtype as pytest parameters; `extra` options crossed in."""
    return [
        pytest.param({**options, **more}, dtype, id=f"{options}{more}{dtype}")
        for options, more, dtype in product(
            configurations(name), extra or ({},), FLOATS
        )
    ]


def bad_inputs(name: str) -> list:
    """What torch refuses when it makes the optimizer."""
    errors = info(name).optim_error_inputs_func(
        device="cpu", dtype=torch.float32
    )
    return [
        pytest.param(error, id=error.optimizer_error_input.desc)
        for error in errors
        if error.error_on is OptimizerErrorEnum.CONSTRUCTION_ERROR
    ]


def tensors(dtype: torch.dtype, matrices: bool = False) -> list[torch.Tensor]:
    """Parameters of many kinds: strided, empty, of no axis, complex."""
    generator = torch.Generator().manual_seed(0)

    def randn(*shape):
        return torch.randn(shape, generator=generator, dtype=dtype)

    made = [randn(3, 4), randn(6, 2), randn(2, 5).T]
    if not matrices:
        images = randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
        numbers = torch.complex(randn(2, 3), randn(2, 3))
        made += [randn(5), randn(), randn(0, 3), images, numbers, randn(7)[::2]]
    return [x.requires_grad_() for x in made]


def groups(params: list, **second) -> list[dict]:
    """The first parameters in one group, the rest in another."""
    return [{"params": params[:2]}, {"params": params[2:], **second}]


def give_gradients(params: list, step: int) -> None:
    """Random gradients, the same for the same step; one stays None."""
    generator = torch.Generator().manual_seed(step)
    for i, param in enumerate(params):
        grad = torch.empty_like(param).copy_(
            torch.randn(param.shape, generator=generator, dtype=param.dtype)
        )
        param.grad = None if i == 1 and step == 2 else grad


def assert_same_state(ours, theirs, **tolerance) -> None:
    """The same options and the same state, by number and by name."""
    mine, judge = ours.state_dict(), theirs.state_dict()
    for group, expected in zip(
        mine["param_groups"], judge["param_groups"], strict=True
    ):
        assert group == expected
    assert mine["state"].keys() == judge["state"].keys()
    for number, expected in judge["state"].items():
        assert mine["state"][number].keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(
                mine["state"][number][key], value, **tolerance
            )


def assert_same_trajectory(ours, theirs, options, dtype, matrices=False):
    """Values and state after every step, and after an exchange in mid-course."""
    mine, judged = tensors(dtype, matrices), tensors(dtype, matrices)
    optimizer = ours(groups(mine, lr=0.02), **options)
    judge = theirs(groups(judged, lr=0.02), **options)
    tolerance = TOLERANCES[dtype]
    if any(isinstance(value, torch.Tensor) for value in options.values()):
        tolerance = TOLERANCES[torch.float32]  # torch then computes with it
    for step in range(6):
        for params, each in ((mine, optimizer), (judged, judge)):
            give_gradients(params, step)
            each.step()
        torch.testing.assert_close(mine, judged, **tolerance)
        assert_same_state(optimizer, judge, **tolerance)
        if step == 2:  # each goes on from where the other was
            from_judge = copy.deepcopy(judge.state_dict())
            new_judge = theirs(groups(judged), **options)
            new_judge.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            optimizer = ours(groups(mine), **options)
            optimizer.load_state_dict(from_judge)
            judge = new_judge

import pytest
import torch

from groundup.optim.steps import (
    add_l2,
    loaded,
    new_counter,
    new_state,
    real_views,
    root_plus,
)
from tests.optim.kinds import parameter


def test_steps_are_counted_where_the_step_happens():
    param = torch.empty(2, device="meta")
    kernel = {"fused": None, "foreach": None, "differentiable": False}
    assert new_counter(param, kernel).device.type == "meta"
    assert new_counter(param, {"capturable": True}).device.type == "meta"
    count = new_counter(param, kernel | {"fused": False})
    assert (count.device.type, count.dtype, count) == ("cpu", torch.float32, 0)


def test_a_new_state_is_a_count_and_zeros_like_the_parameter():
    param = torch.ones(2, 3).double().T
    state = new_state(param, {}, "mean")
    assert list(state) == ["step", "mean"] and state["step"] == 0
    assert torch.equal(state["mean"], torch.zeros(3, 2).double())
    assert state["mean"].stride() == param.stride()


@pytest.mark.parametrize("value", [None, 3, "text", [1, 2]])
def test_what_is_no_tensor_is_loaded_as_it_is(value):
    assert loaded(torch.ones(2), "n", value, {}) == value


def test_a_loaded_number_is_a_copy():
    number = torch.tensor(2.0)
    copied = loaded(torch.ones(3), "mean", number, {})
    number += 1
    assert copied == 2


def test_complex_numbers_are_seen_as_pairs():
    numbers = torch.zeros(3, dtype=torch.complex64)
    views = real_views(numbers, torch.zeros(2))
    views[0][:, 1] = 1
    assert torch.equal(numbers, torch.full((3,), 1j)) and views[1].shape == (2,)


def test_root_plus_keeps_what_autograd_needs():
    square = torch.full((2,), 4.0, requires_grad=True)
    root_plus(square, 1.0).sum().backward()
    torch.testing.assert_close(square.grad, torch.full((2,), 0.25))
    with torch.no_grad():
        assert root_plus(square, 1.0).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("weight_decay", [0, 0.3, torch.tensor(0.3)])
def test_l2_is_the_gradient_of_a_penalty(weight_decay):
    param = parameter(3, 2)
    loss = (param**3).sum()
    penalty = weight_decay / 2 * (param**2).sum()
    (grad,) = torch.autograd.grad(loss, param)
    (expected,) = torch.autograd.grad((param**3).sum() + penalty, param)
    torch.testing.assert_close(
        add_l2(grad, param.detach(), weight_decay), expected
    )

"""Tests of groundup.manual: autograd is the judge."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from groundup.manual.layers import (
    Layer,
    LinearLayer,
    Model,
    MSELayer,
    ReLULayer,
)

SHAPES = {"w1": (3, 4), "b1": (3,), "w2": (1, 3), "b2": (1,)}


@pytest.fixture
def parameters() -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape).double() for shape in SHAPES.values()]


def network(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Model:
    return Model(
        [LinearLayer(w1, b1), ReLULayer(), LinearLayer(w2, b2)], MSELayer()
    )


def by_autograd(
    parameters: list[Tensor], x: Tensor, target: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    leaves = w1, b1, w2, b2 = [p.clone().requires_grad_() for p in parameters]
    out = (x @ w1.T + b1).relu() @ w2.T + b2
    loss = torch.nn.functional.mse_loss(out.squeeze(-1), target)
    return loss.detach(), torch.autograd.grad(loss, leaves)


def batch(n: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(n)
    return torch.randn(n, 4).double(), torch.randn(n).double()


@pytest.mark.parametrize("n", [1, 2, 64])
def test_model_gives_autograds_loss_and_gradients(parameters, n):
    x, target = batch(n)
    model = network(*parameters)

    loss = model(x, target)
    model.backward()

    expected_loss, expected = by_autograd(parameters, x, target)
    assert_close(loss, expected_loss)
    assert_close(tuple(p.grad for p in parameters), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [0, 1, 5])
@pytest.mark.parametrize("kind", [ReLULayer, LinearLayer])
def test_input_gradient_is_autograds(kind, n, dtype):
    torch.manual_seed(0)
    owned = [torch.randn(2, 3), torch.randn(2)] if kind is LinearLayer else []
    layer = kind(*(p.to(dtype) for p in owned))
    x = torch.randn(n, 3, dtype=dtype, requires_grad=True)
    y = layer(x)
    grad_y = torch.randn_like(y)
    (expected,) = torch.autograd.grad(y, x, grad_y)
    layer(x.detach())
    assert_close(layer.input_gradient(grad_y), expected)


def test_relu_passes_nothing_at_zero_and_keeps_grad_y():
    layer, grad_y = ReLULayer(), torch.tensor([5.0, 5.0, 5.0])
    layer(torch.tensor([-1.0, 0.0, 2.0]))
    assert layer.input_gradient(grad_y).tolist() == [0, 0, 5]
    assert grad_y.tolist() == [5, 5, 5]


@pytest.mark.parametrize("grad_y", [float("inf"), float("nan"), -1.0])
def test_relu_chooses_and_does_not_multiply(grad_y):
    layer = ReLULayer()
    layer(torch.tensor([-1.0, 0.0, -0.0, -torch.inf]))
    assert layer.input_gradient(torch.full((4,), grad_y)).tolist() == [0] * 4


@pytest.mark.parametrize("n", [0, 1, 5])
def test_mse_scales_the_gradient_that_comes(n):
    out = torch.randn(n, 1).double().requires_grad_()
    target, layer = torch.randn(n).double(), MSELayer()
    for grad_y in (1.0, 2.5, torch.tensor(0.5).double()):
        layer(out.detach(), target)
        loss = torch.nn.functional.mse_loss(out.squeeze(-1), target)
        (expected,) = torch.autograd.grad(loss * grad_y, out)
        assert_close(layer.input_gradient(grad_y), expected)


def test_a_second_pass_replaces_the_gradients(parameters):
    model = network(*parameters)
    for n in (7, 10):
        model(*batch(n))
        model.backward()
    _, expected = by_autograd(parameters, *batch(10))
    assert_close(tuple(p.grad for p in parameters), expected)


def test_a_gradient_may_be_asked_for_twice(parameters):
    model = network(*parameters)
    model(*batch(10))
    model.backward()
    first = [p.grad.clone() for p in parameters]
    model.backward()
    assert_close([p.grad for p in parameters], first)


def test_the_gradient_of_the_data_is_left_out(parameters):
    class Watched(LinearLayer):
        def input_gradient(self, grad_y: Tensor) -> Tensor:
            raise AssertionError("nobody asked for it")

    w1, b1, w2, b2 = parameters
    model = Model(
        [Watched(w1, b1), ReLULayer(), LinearLayer(w2, b2)], MSELayer()
    )
    model(*batch(5))
    model.backward()
    assert w1.grad.shape == w1.shape


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_any_optimizer_of_torch_steps_these_parameters(parameters, optimizer):
    x, target = batch(64)
    model = network(*parameters)
    steps = optimizer(parameters, lr=0.01)
    before = model(x, target)
    for _ in range(20):
        steps.zero_grad()
        model(x, target)
        model.backward()
        steps.step()
    assert model(x, target) < 0.9 * before


@pytest.mark.parametrize("target", [(5, 1), (4,), (), (5, 5)])
def test_mse_refuses_shapes_that_would_broadcast(target):
    with pytest.raises(ValueError) as error:
        MSELayer()(torch.ones(5, 1), torch.ones(target))
    assert "(5, 1)" in str(error.value) and str(target) in str(error.value)


def test_a_wrong_width_shows_both_shapes(parameters):
    with pytest.raises(RuntimeError, match=r"5x7.*4x3"):
        network(*parameters)(torch.ones(5, 7).double(), torch.ones(5).double())


def test_the_base_class_asks_for_its_methods():
    with pytest.raises(NotImplementedError):
        Layer()(torch.ones(1))
    with pytest.raises(NotImplementedError):
        Layer().backward(torch.ones(1))

import pytest
import torch
from torch.nn import functional as F

from groundup import nn
from groundup.inside.model_checks import check_activations, check_nonlinear

seeds = pytest.mark.parametrize("seed", range(5))


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        self.function = function

    def forward(self, input):
        return self.function(input)


def network(seed, *more, middle=None, kind=nn):
    torch.manual_seed(seed)
    layers = [kind.Linear(8, 16), middle or kind.ReLU(), kind.Linear(16, 4)]
    return kind.Sequential(*layers, *more)


def data(seed, n=64):
    torch.manual_seed(seed + 100)
    return torch.randn(n, 8), torch.randint(4, (n,))


@seeds
@pytest.mark.parametrize("scale", [0.0, 1e-3, 100.0])
def test_weights_of_the_wrong_size_are_found(seed, scale):
    x, _ = data(seed)
    net = network(seed)
    assert check_activations(net, x) is None
    net[0].weight.data *= scale  # the units still differ, by their biases
    assert " in 0" in check_activations(net, x)


def test_deviations_that_are_no_number_are_found():
    net = network(0)
    net[0].bias.data[0] = torch.nan
    assert "nan" in check_activations(net, data(0)[0])


@seeds
@pytest.mark.parametrize("kind", [nn, torch.nn])
def test_a_forgotten_nonlinearity_is_found(seed, kind):
    x, _ = data(seed)
    assert check_nonlinear(network(seed, kind=kind), x) is None
    net = kind.Sequential(kind.Linear(8, 16), kind.Linear(16, 4))
    assert "between 0 and 1" in check_nonlinear(net, x)


def test_a_nonlinearity_in_forward_counts_in_place_too():
    for inplace in (False, True):
        middle = Apply(lambda x, i=inplace: F.relu(x, i))
        assert check_nonlinear(network(0, middle=middle), data(0)[0]) is None


@pytest.mark.parametrize("check", [check_activations, check_nonlinear])
def test_checks_record_no_graph(check):
    enabled = []
    last = Apply(lambda x: enabled.append(torch.is_grad_enabled()) or x)
    check(network(0, last), data(0)[0])
    assert enabled and not any(enabled)


@seeds
def test_checks_leave_no_hook_and_no_gradient(seed):
    x, _ = data(seed)
    net = network(seed)
    check_activations(net, x)
    check_nonlinear(net, x)
    assert not any(module._hooks for module in net.modules())
    assert all(param.grad is None for param in net.parameters())


def test_what_is_no_tensor_of_numbers_is_not_judged():
    class Odd(nn.Module):
        def __init__(self):
            self.recurrent = torch.nn.LSTM(8, 4)
            self.flags = Apply(lambda x: x > 0)
            self.total = Apply(lambda x: x.sum())

        def forward(self, x):
            out, _ = self.recurrent(x)
            return self.flags(out), self.total(out)

    assert check_activations(Odd(), data(0)[0]) is None


def test_inputs_may_be_named():
    class Two(nn.Module):
        def __init__(self):
            self.first, self.second = nn.Linear(8, 4), nn.Linear(4, 4)

        def forward(self, a, b):
            return self.second(self.first(a)) + b

    x, _ = data(0)
    found = check_nonlinear(Two(), {"a": x, "b": x[:, :4]})
    assert "between first and second" in found

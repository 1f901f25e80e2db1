"""LSUV: what a batch makes of each layer has mean 0 and deviation 1."""

import copy

import pytest
import torch

from groundup import nn
from groundup.nn.init import lsuv_


def network(act=nn.GeneralReLU):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), act(), nn.Conv2d(8, 8, 3), act()
    )


def pairs(model):
    return [(model[i], model[i + 1]) for i in range(0, len(model), 2)]


def measured(model, x):
    stats = []
    for layer in model:
        x = layer(x)
        stats.append((x.mean().item(), x.std().item()))
    return stats[1::2]


def assert_refused(model, x, layers, error, match, **options):
    """An error, after which nothing is left of the attempt."""
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=match):
        lsuv_(model, x, layers, **options)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(module._hooks for module in model)


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_each_bend_has_mean_0_and_deviation_1_on_the_batch(shift):
    model, x = network(), torch.randn(64, 1, 16, 16) * 3 + shift
    lsuv_(model, x, pairs(model))
    for mean, deviation in measured(model, x):
        assert abs(mean) <= 1e-3 and abs(deviation - 1) <= 1e-3
    assert all(p.requires_grad for p in model.parameters())
    assert not any(module._hooks for module in model)


def test_the_tolerance_decides_how_near():
    x, rough = torch.randn(64, 1, 16, 16), network()
    lsuv_(rough, x, pairs(rough), tolerance=0.1)
    far = [max(abs(m), abs(d - 1)) for m, d in measured(rough, x)]
    assert 1e-3 < max(far) <= 0.1


def test_what_cannot_be_reached_ends_with_the_weights_as_they_were():
    model, x = network(nn.ReLU), torch.randn(64, 1, 16, 16)
    message = "layer 0 cannot leave mean 0"
    assert_refused(model, x, pairs(model), ValueError, message)


class Loud(nn.Module):
    """Deviation 2 whatever the weights are; raises at its last call."""

    def __init__(self, calls, error):
        self.calls, self.error = calls, error

    def forward(self, x):
        self.calls -= 1
        if not self.calls:
            raise self.error
        return 2 * (x - x.mean()) / x.std()


def test_after_the_last_round_it_gives_up():
    model, x = network(), torch.randn(64, 1, 16, 16)
    model[3] = Loud(7, AssertionError("more rounds than it may take"))
    message = "layer 0 cannot leave mean .*, deviation 2"
    layers = pairs(model)[1:]
    assert_refused(model, x, layers, ValueError, message, max_rounds=5)
    assert model[3].calls == 1  # once before each round, and once after all


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_whatever_ends_it_the_weights_are_as_they_were(error):
    model, x = network(), torch.randn(64, 1, 16, 16)
    model[3] = Loud(3, error("in the middle"))
    assert_refused(model, x, pairs(model), error, "in the middle")


def test_a_pair_that_is_not_called_leaves_those_before_it_alone():
    model, x = network(), torch.randn(64, 1, 16, 16)
    other = nn.Conv2d(8, 8, 3)
    first, second = pairs(model)
    for wrong in (
        (second[0], nn.GeneralReLU()),
        (other, second[1]),
        second[::-1],
    ):
        message = "does not call .* and then"
        assert_refused(model, x, [first, wrong], ValueError, message)


def test_what_comes_after_the_measured_module_is_not_run():
    model, x = network(), torch.randn(64, 1, 16, 16)
    model.append(Loud(1, AssertionError("run for nothing")))
    lsuv_(model, x, pairs(model[:4]))
    mean, deviation = measured(model[:4], x)[-1]
    assert abs(mean) <= 1e-3 and abs(deviation - 1) <= 1e-3


def test_torchs_modules_do():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh())
    x = torch.randn(500, 4)
    lsuv_(model, x, [(model[0], model[0])])
    assert abs(model[0](x).std() - 1) < 1e-2
    with pytest.raises(ValueError, match="does not call .* and then Tanh"):
        lsuv_(model, x, [(model[0], torch.nn.Tanh())])

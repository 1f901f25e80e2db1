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


def measured(model, x):
    stats = []
    for layer in model:
        x = layer(x)
        stats.append((x.mean().item(), x.std().item()))
    return stats[1::2]


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_each_bend_has_mean_0_and_deviation_1_on_the_batch(shift):
    model, x = network(), torch.randn(64, 1, 16, 16) * 3 + shift
    lsuv_(model, x, [(model[0], model[1]), (model[2], model[3])])
    for mean, deviation in measured(model, x):
        assert abs(mean) <= 1e-3 and abs(deviation - 1) <= 1e-3
    assert all(p.requires_grad for p in model.parameters())
    assert not model[1]._hooks


def test_what_cannot_be_reached_ends_with_the_weights_as_they_were():
    model, x = network(nn.ReLU), torch.randn(64, 1, 16, 16)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="layer 0 cannot leave mean 0"):
        lsuv_(model, x, [(model[0], model[1])])
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not model[1]._hooks


def test_a_layer_that_is_not_called_is_named_and_torchs_modules_do():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh())
    x = torch.randn(500, 4)
    lsuv_(model, x, [(model[0], model[0])])
    assert abs(model[0](x).std() - 1) < 1e-2
    with pytest.raises(ValueError, match="does not call Tanh"):
        lsuv_(model, x, [(model[0], torch.nn.Tanh())])

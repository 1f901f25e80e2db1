import pytest
import torch
from torch import nn

from groundup.nn import Linear
from groundup.optim import SGD, Adam
from groundup.optim.parts import make_optimizer, parameter_groups


def both(model):
    return [[model.weight], [model.bias]]


@pytest.mark.parametrize(
    "optim", [SGD, Adam, torch.optim.SGD, torch.optim.AdamW]
)
@pytest.mark.parametrize("layer", [Linear, nn.Linear])
def test_each_part_is_a_group_with_its_rate(optim, layer):
    model = layer(3, 2)
    optimizer = make_optimizer(model, optim, [0.1, 0.5], both)
    first, second = optimizer.param_groups
    assert (first["lr"], second["lr"]) == (0.1, 0.5)
    assert first["params"][0] is model.weight
    assert second["params"][0] is model.bias


def test_one_rate_is_for_all_parts():
    model = Linear(3, 2)
    groups = parameter_groups(model, both, 0.2)
    assert [group["lr"] for group in groups] == [0.2, 0.2]
    (group,) = make_optimizer(model, SGD, 0.2, None).param_groups
    assert len(group["params"]) == 2


def test_what_is_left_out_or_has_no_rate_is_told():
    model = Linear(3, 2)
    with pytest.raises(ValueError, match=r"leaves out \['weight'\]"):
        parameter_groups(model, lambda model: [[model.bias]], 0.1)
    with pytest.raises(ValueError, match="3 rates for 2 parts"):
        parameter_groups(model, both, [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="2 rates need a splitter"):
        make_optimizer(model, SGD, [0.1, 0.2], None)
    twice = lambda model: [[model.weight], model.parameters()]
    with pytest.raises(ValueError, match="more than one parameter group"):
        make_optimizer(model, SGD, 0.1, twice)

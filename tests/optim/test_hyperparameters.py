"""Tests of groundup.optim.hyperparameters: values in parameter groups."""

import pytest
import torch

from groundup.optim.hyperparameters import kept_value, per_group, set_value


def test_a_value_that_is_a_tensor_changes_in_place():
    lr = torch.tensor(0.5)
    group = {"lr": lr}
    kept = kept_value(lr)
    set_value(group, "lr", 0.25)
    assert group["lr"] is lr and lr == 0.25 and kept == 0.5


def test_adams_momentum_is_the_first_of_its_betas():
    group = {"betas": (0.9, 0.999)}
    set_value(group, "momentum", 0.8)
    assert group == {"betas": (0.8, 0.999)}


def test_any_other_value_is_replaced():
    group = {"momentum": 0.9}
    set_value(group, "momentum", 0.8)
    set_value(group, "weight_decay", kept_value(0.1))
    assert group == {"momentum": 0.8, "weight_decay": 0.1}


def test_one_value_serves_all_groups_and_a_list_has_one_for_each():
    weight, bias = torch.zeros(2), torch.zeros(2)
    groups = [{"params": [weight]}, {"params": [bias]}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    assert per_group("lr", optimizer, 0.5) == [0.5, 0.5]
    assert per_group("lr", optimizer, (0.5, 0.1)) == [0.5, 0.1]
    with pytest.raises(ValueError, match="3 values of lr for 2"):
        per_group("lr", optimizer, [0.5, 0.1, 0.2])

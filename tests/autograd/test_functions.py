"""Masks choose: where a slope is 0, no gradient makes it nan."""

import pytest
import torch

from groundup.autograd import Variable, functions, rules, where
from groundup.testing import assert_equal

INF, FLAT = float("inf"), [-2.0, 0.0]


@pytest.mark.parametrize(
    "flat",
    [
        lambda x: x.relu(),
        lambda x: (x - 3).clamp(min=-1),
        lambda x: where(x > 1, x, torch.zeros(2)),
    ],
)
@pytest.mark.parametrize("grad", [INF, float("nan"), 1.0])
def test_nothing_comes_through_where_the_slope_is_0(flat, grad):
    x = Variable(FLAT, requires_grad=True)
    flat(x).backward(torch.full((2,), grad))
    assert_equal(x.grad, torch.zeros(2))


def test_the_corner_of_the_absolute_value_passes_nothing():
    _, rule = functions.abs_rule(torch.tensor([-1.0, 0.0, 1.0]))
    assert_equal(rule(torch.full((3,), INF)), torch.tensor([-INF, 0.0, INF]))


def test_every_rule_of_the_story_is_offered_by_its_module():
    names = {"add_rule", "sub_rule", "mul_rule", "div_rule", "relu_rule"}
    assert names <= set(vars(rules))

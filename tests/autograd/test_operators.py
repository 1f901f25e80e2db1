"""Changes in place and comparisons."""

import pytest
import torch

from groundup.autograd import Variable, no_grad
from groundup.testing import assert_equal


def test_a_change_in_place_is_refused_while_recording():
    x = Variable(torch.randn(3), requires_grad=True)
    with pytest.raises(RuntimeError, match="no_grad"):
        x -= 1


@pytest.mark.parametrize("operator", ["iadd", "isub", "imul", "itruediv"])
def test_changes_in_place_under_no_grad_are_torchs(operator: str):
    x, expected = Variable(torch.randn(3), requires_grad=True), None
    data, expected = x.data, x.data.clone()
    with no_grad():
        assert getattr(x, f"__{operator}__")(2.0) is x
    getattr(expected, f"__{operator}__")(2.0)
    assert x.data is data and x.is_leaf
    assert_equal(x.data, expected)


def test_comparisons_are_plain_truth_values():
    x = Variable([1.0, 2.0])
    assert_equal(x == torch.tensor([1.0, 3.0]), torch.tensor([True, False]))
    assert_equal(torch.tensor([1.0, 3.0]) == x, torch.tensor([True, False]))
    assert_equal(x > Variable(1.0), torch.tensor([False, True]))
    assert len({x, x, Variable([1.0, 2.0])}) == 2

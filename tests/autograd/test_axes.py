"""Steps along axes: masks that choose, indices that nobody else can change."""

import pytest
import torch

from groundup.autograd import Variable
from groundup.testing import assert_equal

INF = float("inf")


def test_the_maximum_passes_nothing_to_the_losers_even_if_it_is_infinite():
    x = Variable([1.0, 3.0, 2.0], requires_grad=True)
    (x.amax() * Variable(INF)).backward()
    assert_equal(x.grad, torch.tensor([0.0, INF, 0.0]))


@pytest.mark.parametrize("wrap", [lambda i: i, lambda i: (i,), lambda i: [i]])
def test_an_index_list_may_change_before_the_way_back(wrap):
    x = Variable([[1.0], [2.0], [3.0]], requires_grad=True)
    index = [0, 2]
    picked = x[wrap(index)]
    index[:] = [1, 1]
    picked.sum().backward()
    assert_equal(x.grad.flatten(), torch.tensor([1.0, 0.0, 1.0]))


def test_an_index_tensor_that_changes_is_noticed():
    x, index = Variable([1.0, 2.0], requires_grad=True), torch.tensor([0])
    picked = x[index]
    index += 1
    with pytest.raises(RuntimeError, match="changed in place"):
        picked.sum().backward()

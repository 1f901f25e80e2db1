"""Un-broadcasting: the transpose of broadcasting."""

import pytest
import torch

from groundup.autograd.broadcasting import unbroadcast
from groundup.testing import assert_close

PAIRS = [
    ((), (3,)),
    ((1,), (3,)),
    ((3,), (4, 3)),
    ((4, 1), (4, 3)),
    ((1, 3), (2, 4, 3)),
    ((2, 1, 3), (2, 4, 3)),
    ((3,), (0, 3)),
    ((2, 3), (2, 3)),
]


@pytest.mark.parametrize("shape, wide", PAIRS, ids=str)
def test_it_is_the_transpose_of_expand(shape: tuple, wide: tuple):
    """<expand x, g> = <x, unbroadcast g>, for every x and g."""
    torch.manual_seed(0)
    x, grad = torch.randn(shape).double(), torch.randn(wide).double()
    narrow = unbroadcast(grad, x.shape)
    assert narrow.shape == x.shape
    assert_close((x.expand(wide) * grad).sum(), (x * narrow).sum())


@pytest.mark.parametrize(
    "shape, found", [((3,), (2,)), ((2, 3), (3,)), ((2, 3), (3, 3)), ((3,), ())]
)
def test_shapes_that_no_broadcast_explains_are_refused(
    shape: tuple, found: tuple
):
    with pytest.raises(RuntimeError, match="for a value of"):
        unbroadcast(torch.ones(found), torch.Size(shape))

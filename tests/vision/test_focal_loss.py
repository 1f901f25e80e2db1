"""Focal loss: cross-entropy at gamma 0, and its definition, are the judges."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.vision import sigmoid_focal_loss


def defined(x, t, alpha, gamma):
    """Lin et al., 2017, equations 2 to 5."""
    p = torch.sigmoid(x)
    right = p * t + (1 - p) * (1 - t)
    entropy = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    weight = alpha * t + (1 - alpha) * (1 - t) if alpha >= 0 else 1
    return weight * (1 - right) ** gamma * entropy


@given(
    st.lists(
        st.tuples(st.floats(-30, 30), st.sampled_from([0.0, 0.25, 1.0])),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([-1, 0, 0.25, 0.75, 1]),
    st.sampled_from([0, 0.5, 1, 2, 5]),
)
def test_focal_loss_is_as_defined(pairs, alpha, gamma):
    x, t = torch.tensor(pairs, dtype=torch.float64).T
    actual = sigmoid_focal_loss(x, t, alpha, gamma)
    assert_close(actual, defined(x, t, alpha, gamma), rtol=1e-6, atol=1e-9)


def test_gradients_are_those_of_the_definition():
    torch.manual_seed(0)
    x = torch.randn(20, dtype=torch.float64).requires_grad_()
    t = torch.randint(0, 2, (20,)).double()
    (ours,) = torch.autograd.grad(sigmoid_focal_loss(x, t).sum(), x)
    (expected,) = torch.autograd.grad(defined(x, t, 0.25, 2).sum(), x)
    assert_close(ours, expected)


def test_large_logits_give_numbers():
    x = torch.tensor([-1000.0, 1000.0, -1000.0, 1000.0]).requires_grad_()
    losses = sigmoid_focal_loss(x, torch.tensor([0.0, 1.0, 1.0, 0.0]))
    losses.sum().backward()
    assert_close(losses, torch.tensor([0.0, 0.0, 250.0, 750.0]))
    assert x.grad.isfinite().all()


def test_alpha_weights_yes_and_the_rest_no():
    even = sigmoid_focal_loss(torch.zeros(2), torch.tensor([1.0, 0.0]), 0.25)
    assert_close(3 * even[0], even[1])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_reductions(reduction):
    x, t = torch.randn(3, 4), torch.randint(0, 2, (3, 4)).float()
    each = sigmoid_focal_loss(x, t)
    actual = sigmoid_focal_loss(x, t, reduction=reduction)
    assert_close(actual, getattr(each, reduction)())


def test_what_is_wrong_is_said():
    x = torch.zeros(2)
    with pytest.raises(ValueError, match="got 2"):
        sigmoid_focal_loss(x, x, alpha=2)
    with pytest.raises(ValueError, match="'median'"):
        sigmoid_focal_loss(x, x, reduction="median")
    with pytest.raises(ValueError):
        sigmoid_focal_loss(x, torch.zeros(3))

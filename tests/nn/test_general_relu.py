"""GeneralReLU: torch's leaky ReLU, moved and cut."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.nn import GeneralReLU


@given(
    leak=st.floats(0, 1),
    sub=st.floats(-2, 2),
    maxv=st.one_of(st.none(), st.floats(-1, 3)),
)
def test_it_is_a_leaky_relu_moved_and_cut(leak, sub, maxv):
    x = torch.linspace(-4, 4, 41).double().requires_grad_()
    expected = torch.nn.functional.leaky_relu(x, leak) - sub
    expected = expected if maxv is None else expected.clamp(max=maxv)
    actual = GeneralReLU(leak, sub, maxv)(x)
    assert_close(actual, expected)
    grads = [torch.autograd.grad(y.sum(), x)[0] for y in (actual, expected)]
    assert_close(*grads)


def test_the_defaults_bring_a_normal_input_near_mean_0():
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    assert abs(GeneralReLU()(x).mean()) < 0.05 < 0.3 < torch.relu(x).mean()
    assert repr(GeneralReLU()) == "GeneralReLU(leak=0.1, sub=0.4, maxv=None)"

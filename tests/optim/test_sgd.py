import pytest
import torch

from groundup.optim import SGD
from tests.optim.torch_samples import (
    assert_same_trajectory,
    bad_inputs,
    samples,
)


@pytest.mark.earns("torch.optim.SGD")
@pytest.mark.parametrize("options, dtype", samples("SGD"))
def test_sgd_takes_torchs_path(options, dtype):
    assert_same_trajectory(SGD, torch.optim.SGD, options, dtype)


@pytest.mark.parametrize("options, dtype", samples("SGD", {"fused": False}))
def test_the_readable_sgd_takes_torchs_path(options, dtype):
    assert_same_trajectory(SGD, torch.optim.SGD, options, dtype)


@pytest.mark.parametrize("error", bad_inputs("SGD"))
def test_sgd_refuses_what_torch_refuses(error, refuses):
    refuses(SGD, error)


def test_nesterov_needs_a_momentum():
    with pytest.raises(ValueError, match="Nesterov"):
        SGD([torch.zeros(1)], nesterov=True)
    with pytest.raises(ValueError, match="Nesterov"):
        SGD([torch.zeros(1)], nesterov=True, momentum=0.9, dampening=0.1)


def test_momentum_may_be_switched_on_and_off():
    ours, theirs = (torch.ones(3).requires_grad_() for _ in range(2))
    pair = SGD([ours], lr=0.1), torch.optim.SGD([theirs], lr=0.1)
    for step, momentum in enumerate([0, 0.9, 0.9, 0, 0.5]):
        for param, optimizer in zip((ours, theirs), pair, strict=True):
            optimizer.param_groups[0]["momentum"] = momentum
            param.grad = torch.full((3,), step + 1.0)
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_momentum_moves_half_precision(half):
    param = torch.zeros(100, dtype=half)
    optimizer = SGD([param], lr=0.1, momentum=0.9)
    for _ in range(2):
        param.grad = torch.ones_like(param)
        optimizer.step()
    expected = torch.full((100,), -0.1 - 0.19)
    torch.testing.assert_close(param.float(), expected, rtol=1e-2, atol=0)


def test_a_buffer_that_an_old_torch_saved_as_none_begins_anew():
    param = torch.zeros(3)
    optimizer = SGD([param], lr=0.1, momentum=0.9)
    saved = optimizer.state_dict()
    optimizer.load_state_dict(saved | {"state": {0: {"momentum_buffer": None}}})
    for _ in range(2):
        param.grad = torch.ones(3)
        optimizer.step()
    torch.testing.assert_close(param, torch.full((3,), -0.1 - 0.19))

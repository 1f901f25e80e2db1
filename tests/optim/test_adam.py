import pytest
import torch

from groundup.optim import Adam, AdamW
from tests.optim.torch_samples import (
    assert_same_trajectory,
    bad_inputs,
    samples,
)

# What torch refuses and ours can do: numbers in tensors, in any mixture.
MORE = "lr as Tensor", "betas must be either", "as a Tensor is not supported"


@pytest.mark.earns("torch.optim.Adam")
@pytest.mark.parametrize("options, dtype", samples("Adam"))
def test_adam_takes_torchs_path(options, dtype):
    assert_same_trajectory(Adam, torch.optim.Adam, options, dtype)


@pytest.mark.earns("torch.optim.AdamW")
@pytest.mark.parametrize("options, dtype", samples("AdamW"))
def test_adamw_takes_torchs_path(options, dtype):
    assert_same_trajectory(AdamW, torch.optim.AdamW, options, dtype)


@pytest.mark.parametrize("ours", [Adam, AdamW])
@pytest.mark.parametrize("options, dtype", samples("Adam", {"fused": False}))
def test_the_readable_step_takes_torchs_path(ours, options, dtype):
    theirs = getattr(torch.optim, ours.__name__)
    assert_same_trajectory(ours, theirs, options, dtype)


@pytest.mark.parametrize("ours", [Adam, AdamW])
@pytest.mark.parametrize("error", bad_inputs("Adam"))
def test_adam_refuses_what_torch_refuses(ours, error, refuses):
    sample = error.optimizer_error_input
    if not any(part in sample.desc for part in MORE):
        return refuses(ours, error)
    options, judge = dict(sample.kwargs), {"lr": float(sample.kwargs["lr"])}
    if "betas" in options:
        judge["betas"] = tuple(map(float, options["betas"]))
    params = [torch.ones(3).requires_grad_() for _ in range(2)]
    theirs = getattr(torch.optim, ours.__name__)
    pair = ours(params[:1], **options), theirs(params[1:], **judge)
    for step in range(4):
        for param, optimizer in zip(params, pair, strict=True):
            param.grad = torch.tensor([1.0, -2.0, 0.1]) * step
            optimizer.step()
    torch.testing.assert_close(*params)


def test_adamw_stays_decoupled_whatever_it_loads():
    param = torch.ones(3).requires_grad_()
    optimizer = AdamW([param])
    optimizer.load_state_dict(Adam([param]).state_dict())
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is True


def test_l2_and_decoupled_decay_differ():
    params = [torch.ones(3).requires_grad_() for _ in range(2)]
    for kind, param in zip((Adam, AdamW), params, strict=True):
        param.grad = torch.tensor([1e-3, 1.0, 1e3])
        kind([param], lr=0.1, weight_decay=0.5).step()
    assert params[0].allclose(torch.tensor(0.9), atol=1e-4)  # sign only
    assert params[1].allclose(torch.tensor(0.95 - 0.1), atol=1e-4)

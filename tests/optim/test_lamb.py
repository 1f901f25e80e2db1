import pytest
import torch

from groundup.optim import LAMB
from groundup.optim.lamb import trust_ratio
from tests.optim.torch_samples import (
    FLOATS,
    TOLERANCES,
    give_gradients,
    tensors,
)


def paper(x, g, m, v, t, lr, betas, eps, weight_decay):
    """Algorithm 2 of You et al. (2020), line by line."""
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * g**2
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    r = m_hat / (v_hat.sqrt() + eps)
    update = r + weight_decay * x
    norm_x, norm_update = x.norm(), update.norm()
    ratio = norm_x / norm_update if norm_x > 0 and norm_update > 0 else 1.0
    return x - lr * ratio * update, m, v


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lr": 0.1},
        {"weight_decay": 0.0},
        {"betas": (0.5, 0.9), "eps": 0.1},
        {"maximize": True},
    ],
)
def test_lamb_follows_the_paper(options, dtype):
    params = [p for p in tensors(dtype) if not p.is_complex()]
    optimizer = LAMB(params, **options)
    filled = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-6}
    filled |= {"weight_decay": 0.01} | options
    sign = -1 if filled.pop("maximize", False) else 1
    judged = [(p.detach().clone(), 0, 0) for p in params]
    for t in range(1, 6):
        give_gradients(params, t + 2)
        judged = [
            paper(x, sign * p.grad, m, v, t, **filled)
            for p, (x, m, v) in zip(params, judged, strict=True)
        ]
        optimizer.step()
        for param, (x, _, _) in zip(params, judged, strict=True):
            torch.testing.assert_close(param.detach(), x, **TOLERANCES[dtype])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_step_is_as_long_as_lr_times_the_weights(scale):
    torch.manual_seed(0)
    param = torch.randn(20, 30).requires_grad_()
    before = param.detach().clone()
    param.grad = scale * torch.randn(20, 30)
    LAMB([param], lr=0.05, weight_decay=0.0).step()
    moved = (param.detach() - before).norm() / before.norm()
    torch.testing.assert_close(moved, torch.tensor(0.05))


def test_the_ratio_of_nothing_is_one():
    zero, one = torch.zeros(3), torch.ones(3)
    assert trust_ratio(zero, one) == trust_ratio(one, zero) == 1
    assert trust_ratio(2 * one, one) == 2


def test_a_bias_that_starts_at_zero_moves():
    bias = torch.zeros(4).requires_grad_()
    bias.grad = torch.ones(4)
    LAMB([bias], lr=0.1).step()
    assert bias.detach().allclose(torch.full((4,), -0.1), atol=1e-5)


def test_bad_options_are_refused():
    param = torch.zeros(1).requires_grad_()
    with pytest.raises(ValueError, match="beta parameter at index 1: 1.0"):
        LAMB([param], betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="learning rate: -1"):
        LAMB([param], lr=-1)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [1e-4, 1.0, 300.0])
def test_the_ratio_of_half_precision_neither_overflows_nor_vanishes(half, size):
    layer = torch.full((1000,), size, dtype=half)
    ratio = trust_ratio(layer, torch.ones(1000, dtype=half))
    torch.testing.assert_close(ratio, torch.tensor(size), rtol=1e-2, atol=0)

import pytest
import torch

from groundup import optim
from groundup.optim import SGD, Adam
from groundup.optim.groups import require_betas, require_nonnegative
from tests.optim.kinds import (
    ALL,
    TORCHS,
    parameter,
)


@pytest.mark.parametrize("kind", TORCHS)
def test_options_print_as_torchs(kind):
    params = [parameter(2, 2)]
    theirs = getattr(torch.optim, kind.__name__)(params)
    assert repr(kind(params)) == repr(theirs)


@pytest.mark.parametrize(
    "params, error, message",
    [
        ([], ValueError, "empty parameter list"),
        (torch.zeros(2), TypeError, "iterable of Tensors or dicts.* Tensor"),
        ([1.0], TypeError, "can only optimize Tensors, got float"),
        ([{"params": {torch.zeros(2)}}], TypeError, "ordered collections"),
        ([torch.ones(2, requires_grad=True) * 2], ValueError, "non-leaf"),
    ],
)
def test_bad_parameters_are_refused_as_by_torch(params, error, message):
    with pytest.raises(error):
        torch.optim.SGD(params)
    with pytest.raises(error, match=message):
        SGD(params)


def test_a_group_that_is_refused_leaves_the_optimizer_as_it_was():
    optimizer = SGD([parameter(2)])
    with pytest.raises(TypeError, match="must be a dict, but got list"):
        optimizer.add_param_group([parameter(2)])
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        optimizer.add_param_group({"params": parameter(2), "lr": -1})
    assert len(optimizer.param_groups) == 1


def test_the_users_group_is_not_written_to():
    group = {"params": parameter(2)}
    SGD([group])
    assert list(group) == ["params"]


@pytest.mark.parametrize("kind", ALL)
def test_a_bad_learning_rate_is_refused(kind):
    for lr in (-0.1, float("nan"), torch.tensor(-1.0)):
        with pytest.raises(ValueError, match="Invalid learning rate"):
            kind([parameter(2, 2)], lr=lr)
    learned = torch.tensor(0.1, requires_grad=True)
    with pytest.raises(ValueError, match="no gradient reaches lr"):
        kind([parameter(2, 2)], lr=learned)


def test_fused_and_foreach_exclude_each_other():
    for kind in (SGD, Adam, optim.AdamW, optim.Adagrad):
        with pytest.raises(RuntimeError, match="`fused` and `foreach`"):
            kind([parameter(2)], fused=True, foreach=True)
        with pytest.raises(RuntimeError, match="`fused` does not support"):
            kind([parameter(2)], fused=True, differentiable=True)


@pytest.mark.parametrize("value", [-1, float("nan"), torch.tensor(-1.0)])
def test_what_is_not_at_least_zero_is_refused_by_name(value):
    require_nonnegative({"eps": 0.0, "lr": torch.tensor([1.0])}, "eps", "lr")
    with pytest.raises(ValueError, match="Invalid epsilon value: "):
        require_nonnegative({"eps": value}, "eps")
    with pytest.raises(ValueError, match="Tensor eps must be 1-element"):
        require_nonnegative({"eps": torch.ones(2)}, "eps")


@pytest.mark.parametrize("beta", [-0.1, 1.0, float("nan"), torch.tensor(1.0)])
def test_a_beta_outside_of_zero_to_one_is_refused(beta):
    require_betas({"betas": (0.0, torch.tensor(0.99))})
    with pytest.raises(ValueError, match="Invalid beta parameter at index 1"):
        require_betas({"betas": (0.9, beta)})

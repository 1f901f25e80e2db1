import copy
import pickle

import pytest
import torch

from groundup import optim
from groundup.optim import Optimizer
from groundup.optim.optimizer import add_l2, real_views, root_plus
from tests.optim.kinds import (
    ALL,
    TORCHS,
    assert_equal_states,
    parameter,
    run,
)


@pytest.mark.earns("torch.optim.Optimizer")
@pytest.mark.parametrize("kind", TORCHS)
def test_the_contract_is_torchs(kind):
    made = []
    for cls in (kind, getattr(torch.optim, kind.__name__)):
        torch.manual_seed(0)
        params = [torch.randn(3, 2).requires_grad_() for _ in range(3)]
        named = list(zip("abc", params, strict=True))
        optimizer = cls(
            [{"params": named[:1], "lr": 0.5}, {"params": named[1:2]}]
        )
        optimizer.add_param_group({"params": [named[2]], "weight_decay": 0.3})
        loss = optimizer.step(lambda params=params: loss_of(params))
        kept = optimizer.state_dict()
        optimizer.zero_grad(set_to_none=False)
        zeros = [param.grad.clone() for param in params]
        optimizer.zero_grad()
        assert [param.grad for param in params] == [None] * 3
        made.append(
            (optimizer.defaults, kept["param_groups"], loss, zeros, params)
        )
    assert made[0][:2] == made[1][:2]
    torch.testing.assert_close(made[0][2:], made[1][2:])


def loss_of(params):
    loss = sum((param**2).sum() for param in params)
    loss.backward()
    return loss


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, "pickle"])
def test_copies_and_pickles_go_on_alone(kind, duplicate):
    if duplicate == "pickle":
        duplicate = lambda value: pickle.loads(pickle.dumps(value))
    params = [parameter(4, 3)]
    optimizer = kind(params)
    run(optimizer, params, 2)
    others, twin = duplicate((params, optimizer))
    run(twin, others, 2, first=2)
    run(optimizer, params, 2, first=2)
    assert torch.equal(params[0], others[0]) and params[0] is not others[0]


@pytest.mark.parametrize("kind", ALL)
def test_sparse_gradients_are_refused(kind):
    param = parameter(2, 2)
    param.grad = torch.eye(2).to_sparse()
    before = param.detach().clone()
    with pytest.raises(RuntimeError, match=f"{kind.__name__} does not support"):
        kind([param]).step()
    assert torch.equal(param, before)


@pytest.mark.parametrize("kind", ALL)
def test_a_parameter_without_a_gradient_keeps_value_and_state(kind):
    param = parameter(2, 2)
    optimizer = kind([param])
    run(optimizer, [param], 1)
    before = param.detach().clone(), copy.deepcopy(optimizer.state_dict())
    optimizer.zero_grad()
    optimizer.step()
    assert torch.equal(param, before[0])
    assert_equal_states(optimizer.state_dict(), before[1])


@pytest.mark.parametrize("kind", ALL)
def test_the_closure_records_and_the_step_does_not(kind):
    param = parameter(3, 3)
    optimizer = kind([param])
    with torch.no_grad():
        loss = optimizer.step(lambda: loss_of([param]))
    assert loss.grad_fn is not None and param.is_leaf
    assert all(
        not getattr(value, "requires_grad", False)
        for value in optimizer.state[param].values()
    )


@pytest.mark.parametrize(
    "kind, options",
    [
        (optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        (optim.RMSprop, {"centered": True, "momentum": 0.5}),
        (optim.Adagrad, {"weight_decay": 0.1}),
        (optim.Adam, {"amsgrad": True}),
        (optim.AdamW, {}),
    ],
)
def test_gradients_flow_through_differentiable_steps(kind, options):
    def end(start, grads):
        param = start.clone()
        optimizer = kind([param], lr=0.1, differentiable=True, **options)
        for grad in grads.unbind():
            param.grad = grad
            optimizer.step()
        return param

    torch.manual_seed(0)
    given = [torch.randn(2, 3), torch.randn(3, 2, 3)]
    given = [x.double().requires_grad_() for x in given]
    assert torch.autograd.gradcheck(end, given)


def test_a_subclass_fills_in_update():
    class Sign(Optimizer):
        def update(self, param, grad, state, group):
            state["n"] = state.get("n", 0) + 1
            param.sub_(grad.sign(), alpha=group["lr"])

    param = torch.zeros(3).requires_grad_()
    optimizer = Sign([param], {"lr": 0.5})
    run(optimizer, [param], 2)
    assert optimizer.state_dict()["state"] == {0: {"n": 2}}
    assert set(param.abs().tolist()) <= {0.0, 1.0}
    with pytest.raises(NotImplementedError):
        run(Optimizer([param], {"lr": 0.5}), [param], 1)


def test_complex_numbers_are_seen_as_pairs():
    numbers = torch.zeros(3, dtype=torch.complex64)
    views = real_views(numbers, torch.zeros(2))
    views[0][:, 1] = 1
    assert torch.equal(numbers, torch.full((3,), 1j)) and views[1].shape == (2,)


def test_root_plus_keeps_what_autograd_needs():
    square = torch.full((2,), 4.0, requires_grad=True)
    root_plus(square, 1.0).sum().backward()
    torch.testing.assert_close(square.grad, torch.full((2,), 0.25))
    with torch.no_grad():
        assert root_plus(square, 1.0).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("weight_decay", [0, 0.3, torch.tensor(0.3)])
def test_l2_is_the_gradient_of_a_penalty(weight_decay):
    param = parameter(3, 2)
    loss = (param**3).sum()
    penalty = weight_decay / 2 * (param**2).sum()
    (grad,) = torch.autograd.grad(loss, param)
    (expected,) = torch.autograd.grad((param**3).sum() + penalty, param)
    torch.testing.assert_close(
        add_l2(grad, param.detach(), weight_decay), expected
    )

import copy
import io
import pickle

import pytest
import torch

from groundup import optim
from groundup.optim import SGD, Adam, Optimizer
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


@pytest.mark.parametrize("kind", ALL)
def test_resuming_from_a_saved_state_changes_nothing(kind):
    whole, first, second = ([parameter(4, 3)] for _ in range(3))
    run(kind(whole, lr=0.1), whole, 7)
    before = kind(first, lr=0.1)
    run(before, first, 4)
    second[0].data.copy_(first[0].data)
    file = io.BytesIO()
    torch.save(before.state_dict(), file)
    file.seek(0)
    after = kind(second, lr=0.7)
    after.load_state_dict(torch.load(file))
    run(after, second, 3, first=4)
    assert torch.equal(second[0], whole[0])


@pytest.mark.parametrize("kind", ALL)
def test_loading_shares_no_memory(kind):
    params, others = [parameter(4, 3)], [parameter(4, 3)]
    source, copied = kind(params), kind(others)
    run(source, params, 2)
    copied.load_state_dict(source.state_dict())
    kept = copy.deepcopy(copied.state_dict())
    run(source, params, 2)
    assert_equal_states(copied.state_dict(), kept)


def test_state_takes_the_type_and_the_layout_of_its_parameter():
    image = parameter(2, 3, 4, 4)
    source = Adam([image])
    run(source, [image], 1)
    moved = image.detach().double().to(memory_format=torch.channels_last)
    target = Adam([moved.requires_grad_()])
    target.load_state_dict(source.state_dict())
    state = target.state[moved]
    assert state["exp_avg"].dtype is torch.float64
    assert state["exp_avg"].stride() == moved.stride()
    assert state["step"].dtype is torch.float32 and state["step"] == 1
    expected = source.state[image]["exp_avg"].double()
    torch.testing.assert_close(state["exp_avg"], expected, check_stride=False)


def test_a_step_count_from_old_torch_is_a_number():
    param = parameter(2)
    optimizer = Adam([param])
    saved = optimizer.state_dict()
    zeros = torch.zeros(2)
    saved["state"][0] = {"step": 3, "exp_avg": zeros, "exp_avg_sq": zeros}
    optimizer.load_state_dict(saved)
    assert torch.equal(optimizer.state[param]["step"], torch.tensor(3.0))


def test_what_an_old_state_dict_lacks_stays_as_it_is():
    optimizer = SGD([("weight", parameter(2))], lr=0.3, maximize=True)
    saved = optimizer.state_dict()
    saved["param_groups"] = [{"lr": 0.7, "params": [0]}]
    optimizer.load_state_dict(saved)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["maximize"]) == (0.7, True)
    assert group["param_names"] == ["weight"]


@pytest.mark.parametrize(
    "saved, message",
    [
        ([[2], [3]], "different number of parameter groups: 2, .* has 1"),
        ([[2, 3]], r"doesn't match the size .* \[2\], the optimizer of \[1\]"),
        ([[3]], r"exp_avg has the shape \(3,\), its parameter \(2,\)"),
    ],
)
def test_what_does_not_fit_is_not_loaded_at_all(saved, message):
    params = [[parameter(size) for size in sizes] for sizes in saved]
    source = Adam([{"params": group, "lr": 0.5} for group in params])
    run(source, [p for group in params for p in group], 1)
    own = parameter(2)
    optimizer = Adam([own])
    run(optimizer, [own], 2)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(source.state_dict())
    assert_equal_states(optimizer.state_dict(), before)


def test_a_kernel_takes_what_lies_alike_and_the_step_the_rest():
    calls = []

    class Counted(Optimizer):
        def update(self, param, grad, state, group):
            calls.append(param)

        def fused_update(self, params, states, group):
            calls.append(params)

    params = [torch.ones(2), torch.ones(3), torch.ones(2).double()]
    params.append(torch.ones(2, 3))
    for param in params:
        param.grad = torch.ones_like(param)
    params[-1].grad = torch.ones(3, 2).T
    Counted(params, {"fused": None}).step()
    assert list(map(len, calls[:2])) == [2, 1] and calls[2] is params[-1]
    calls.clear()
    Counted(params, {"lr": 1.0}).step()
    assert [id(call) for call in calls] == [id(param) for param in params]


@pytest.mark.parametrize("recorded", [False, True])
def test_gradients_are_set_to_zero_in_place_and_forget_their_graph(recorded):
    param = parameter(3)
    optimizer = SGD([param])
    loss = (param**3).sum()
    (param.grad,) = torch.autograd.grad(loss, param, create_graph=recorded)
    held = param.grad
    optimizer.zero_grad(set_to_none=False)
    assert param.grad is held and held.eq(0).all()
    assert not held.requires_grad and held.grad_fn is None


def test_a_gradient_that_is_a_view_is_set_to_zero():
    param, whole = parameter(3), torch.ones(5)
    param.grad = whole[1:4]
    SGD([param]).zero_grad(set_to_none=False)
    assert whole.tolist() == [1, 0, 0, 0, 1]


def test_torchs_schedulers_refuse_ours_at_once():
    with pytest.raises(TypeError, match="SGD is not an Optimizer"):
        torch.optim.lr_scheduler.StepLR(SGD([parameter(1)]), 1)

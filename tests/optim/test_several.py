import copy
import pickle

import pytest
import torch

from groundup import nn
from groundup.data import TensorLoader
from groundup.optim import SGD, AdamW, CombinedOptimizer, Muon
from groundup.optim.lr_scheduler import StepLR
from groundup.training import (
    Anneal,
    Callback,
    Checkpoint,
    Learner,
    Recorder,
    find_lr,
)
from tests.optim.kinds import assert_equal_states, parameter, run


def muon_and_adamw(params, lr, adamw=AdamW):
    params = list(params)
    matrices = [p for p in params if p.ndim == 2]
    rest = [p for p in params if p.ndim != 2]
    return CombinedOptimizer(Muon(matrices, lr), adamw(rest, lr=lr / 2))


def learner(optim=muon_and_adamw, callbacks=(), seed=0):
    torch.manual_seed(0)
    x, y = torch.randn(64, 4), torch.randint(3, (64,))
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    train = TensorLoader(x, y, batch_size=16, shuffle=True)
    valid = TensorLoader(x, y, batch_size=32)
    return Learner(
        model, train, valid, optim=optim, lr=0.02, callbacks=callbacks
    )


def assert_same_weights(ours, theirs):
    ours, theirs = ours.state_dict(), theirs.state_dict()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name])


def pair(*kinds):
    params = [parameter(3, 2), parameter(5)]
    return params, CombinedOptimizer(
        *(kind([param]) for kind, param in zip(kinds, params))
    )


@pytest.mark.parametrize("adamw", [AdamW, torch.optim.AdamW])
def test_several_step_as_each_alone(adamw):
    params, both = pair(Muon, adamw)
    alone = [param.detach().clone().requires_grad_() for param in params]
    apart = Muon(alone[:1]), AdamW(alone[1:])
    for step in range(3):
        run(both, params, 1, first=step)
        for param, twin in zip(params, alone):
            twin.grad = param.grad
        for each in apart:
            each.step()
    torch.testing.assert_close(params, alone)
    assert set(both.state) == set(params)
    both.zero_grad()
    assert [param.grad for param in params] == [None, None]


def test_the_groups_are_those_of_all():
    _, both = pair(SGD, AdamW)
    both.param_groups[1]["lr"] = 0.5
    first, second = both.optimizers
    assert second.param_groups[0]["lr"] == 0.5
    first.add_param_group({"params": parameter(2), "lr": 0.25})
    assert [group["lr"] for group in both.param_groups] == [1e-3, 0.25, 0.5]


def test_the_defaults_are_what_all_of_them_have():
    _, both = pair(SGD, AdamW)
    assert both.defaults["lr"] == 1e-3
    assert not both.defaults.keys() & {"momentum", "betas"}
    assert pair(SGD, SGD)[1].defaults == SGD([parameter(1)]).defaults


def test_the_closure_is_called_once_and_records():
    params, both = pair(SGD, AdamW)
    calls = []

    def closure():
        calls.append(1)
        loss = sum((param**2).sum() for param in params)
        loss.backward()
        return loss

    before = [param.detach().clone() for param in params]
    with torch.no_grad():
        loss = both.step(closure)
    assert calls == [1] and loss.grad_fn is not None
    assert not any(map(torch.equal, params, before))


def test_none_and_twice_the_same_are_refused():
    shared = parameter(2, 2)
    with pytest.raises(ValueError, match="no optimizers"):
        CombinedOptimizer()
    with pytest.raises(ValueError, match="more than one optimizer"):
        CombinedOptimizer(SGD([parameter(1), shared]), AdamW([shared]))


@pytest.mark.parametrize("adamw", [AdamW, torch.optim.AdamW])
def test_a_loaded_state_goes_on_as_the_saved_one(adamw):
    params, both = pair(Muon, adamw)
    run(both, params, 2)
    others, twin = pair(Muon, adamw)
    twin.load_state_dict(copy.deepcopy(both.state_dict()))
    for param, other in zip(params, others):
        other.data.copy_(param.data)
    run(both, params, 2, first=2)
    run(twin, others, 2, first=2)
    assert torch.equal(params[0], others[0])
    assert torch.equal(params[1], others[1])


@pytest.mark.parametrize(
    "saved, message",
    [
        (SGD, "2 optimizers|of 3|shape"),
        (None, "saved from 1 optimizers, loaded into 2"),
    ],
)
def test_what_one_refuses_none_loads(saved, message):
    params, both = pair(SGD, AdamW)
    both.optimizers[0].param_groups[0]["momentum"] = 0.9
    run(both, params, 2)
    before = copy.deepcopy(both.state_dict())
    wrong = copy.deepcopy(before)
    if saved is None:
        wrong["optimizers"].pop()
    else:
        wrong["optimizers"][0]["param_groups"][0]["lr"] = 7.0
        wrong["optimizers"][1]["state"][0]["exp_avg"] = torch.zeros(3)
    with pytest.raises(ValueError, match=message):
        both.load_state_dict(wrong)
    for after, kept in zip(
        both.state_dict()["optimizers"], before["optimizers"]
    ):
        assert_equal_states(after, kept)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, "pickle"])
def test_copies_and_pickles_go_on_alone(duplicate):
    if duplicate == "pickle":
        duplicate = lambda value: pickle.loads(pickle.dumps(value))
    params, both = pair(Muon, AdamW)
    run(both, params, 1)
    others, twin = duplicate((params, both))
    run(both, params, 1, first=1)
    run(twin, others, 1, first=1)
    assert all(map(torch.equal, params, others))
    assert params[0] is not others[0]


def test_it_prints_what_it_holds():
    text = repr(pair(Muon, AdamW)[1])
    assert text.startswith("CombinedOptimizer(\nMuon (")
    assert "AdamW (\nParameter Group 0" in text


def test_a_learner_takes_it_with_all_its_default_callbacks():
    learn = learner()
    before = learn.evaluate()["loss"]
    learn.fit(3)
    assert learn.evaluate()["loss"] < before
    assert learn[Recorder].lrs[0] == 0.02


@pytest.mark.parametrize("adamw", [AdamW, torch.optim.AdamW])
def test_a_run_goes_on_where_it_was_killed(tmp_path, adamw):
    optim = lambda params, lr: muon_and_adamw(params, lr, adamw)

    class Killed(Exception):
        pass

    class Kill(Callback):
        def after_step(self, run):
            if run.step == 7:
                raise Killed

    whole = learner(optim)
    whole.fit(3)
    with pytest.raises(Killed):
        learner(optim, [Checkpoint(tmp_path, every=2)]).fit(3, [Kill()])
    resumed = learner(optim, [Checkpoint(tmp_path, every=2)], seed=1)
    resumed.fit(3)
    assert_same_weights(resumed.model, whole.model)


def test_schedules_and_the_search_for_a_rate_see_one_optimizer():
    learn = learner()
    before = copy.deepcopy(learn.model.state_dict())
    find_lr(learn, n_steps=8)
    for name, value in learn.model.state_dict().items():
        assert torch.equal(value, before[name])
    learn.fit(2, [Anneal.one_cycle([0.02, 0.01])])
    rates = [group["lr"] for group in learn.optimizer.param_groups]
    assert rates == [0.02, 0.01]
    scheduler = StepLR(learn.optimizer, 1, gamma=0.1)
    scheduler.step()
    rates = [group["lr"] for group in learn.optimizer.param_groups]
    assert rates == pytest.approx([0.002, 0.001])

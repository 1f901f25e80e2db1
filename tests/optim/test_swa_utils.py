"""Averages of weights: torch's numbers, step for step."""

import copy
import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import swa_utils as theirs
from torch.testing import assert_close

from groundup import nn
from groundup.optim import swa_utils as ours
from groundup.optim.swa_utils import AveragedModel

FUNCTIONS = ["get_ema_avg_fn", "get_swa_avg_fn"]
MULTI = ["get_ema_multi_avg_fn", "get_swa_multi_avg_fn"]
SWA_NAMES = [*FUNCTIONS, *MULTI, "AveragedModel", "update_bn"]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.complex64]


def options(name: str, decay: float) -> dict:
    return {"decay": decay} if "ema" in name else {}


tensors = st.tuples(
    st.integers(0, 99), st.sampled_from(DTYPES), st.integers(1, 9)
)


@pytest.mark.earns(
    "torch.optim.swa_utils.get_ema_avg_fn",
    "torch.optim.swa_utils.get_swa_avg_fn",
)
@pytest.mark.parametrize("name", FUNCTIONS)
@given(made=tensors, decay=st.floats(0, 1), n=st.integers(1, 1000))
def test_averages_of_two_tensors_are_torchs(name, made, decay, n):
    seed, dtype, size = made
    torch.manual_seed(seed)
    old, new = torch.randn(2, size, dtype=dtype)
    for count in (n, torch.tensor(n)):
        found = [
            getattr(home, name)(**options(name, decay))(old, new, count)
            for home in (ours, theirs)
        ]
        assert torch.equal(*found) and found[0].dtype == found[1].dtype


@pytest.mark.earns(
    "torch.optim.swa_utils.get_ema_multi_avg_fn",
    "torch.optim.swa_utils.get_swa_multi_avg_fn",
)
@pytest.mark.parametrize("name", MULTI)
@given(made=tensors, decay=st.floats(0, 1), n=st.integers(1, 1000))
def test_averages_of_many_tensors_are_torchs(name, made, decay, n):
    seed, dtype, size = made
    torch.manual_seed(seed)
    old = [torch.randn(size, dtype=dtype), torch.randn(2, size, dtype=dtype)]
    new = [torch.randn_like(each) for each in old]
    for count in (n, torch.tensor(n)):
        found = []
        for home in (ours, theirs):
            held = [each.clone() for each in old]
            getattr(home, name)(**options(name, decay))(held, new, count)
            found.append(held)
        for one, other in zip(*found, strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["get_ema_avg_fn", "get_ema_multi_avg_fn"])
@pytest.mark.parametrize("decay", [-0.1, 1.1])
def test_a_decay_is_a_share(name, decay):
    for home in (ours, theirs):
        with pytest.raises(ValueError, match=str(decay)):
            getattr(home, name)(decay)


@pytest.mark.parametrize("name", SWA_NAMES)
def test_parameters_are_torchs(name):
    signatures = [
        [
            (p.name, p.default)
            for p in inspect.signature(each).parameters.values()
        ]
        for each in (getattr(home, name) for home in (ours, theirs))
    ]
    assert signatures[0] == signatures[1]


def network(seed: int = 0, home=torch.nn):
    """Parameters of two types, and buffers of floats and of integers."""
    torch.manual_seed(seed)
    double = home.Linear(3, 2).double()
    return home.Sequential(home.Linear(4, 3), home.BatchNorm1d(3), double)


def moved(model, seed: int):
    torch.manual_seed(seed)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor += torch.rand_like(tensor)
            else:
                tensor += seed + 1


SETTINGS = {
    "mean": lambda home: {},
    "ema": lambda home: {"avg_fn": home.get_ema_avg_fn(0.7)},
    "swa": lambda home: {"avg_fn": home.get_swa_avg_fn()},
    "many": lambda home: {"multi_avg_fn": home.get_ema_multi_avg_fn(0.7)},
    "all": lambda home: {
        "multi_avg_fn": home.get_ema_multi_avg_fn(0.7),
        "use_buffers": True,
    },
    "all, singly": lambda home: {
        "avg_fn": home.get_ema_avg_fn(0.7),
        "use_buffers": True,
    },
    "own": lambda home: {"avg_fn": lambda old, new, n: old * n + new},
}


@pytest.mark.earns("torch.optim.swa_utils.AveragedModel")
@pytest.mark.parametrize("name", SETTINGS)
def test_averaged_models_are_torchs_after_every_update(name):
    model = network()
    both = [
        home.AveragedModel(model, **SETTINGS[name](home))
        for home in (ours, theirs)
    ]
    for seed in range(5):
        moved(model, seed)
        for each in both:
            each.update_parameters(model)
        states = [each.state_dict() for each in both]
        assert list(states[0]) == list(states[1])
        for key, tensor in states[0].items():
            assert torch.equal(tensor, states[1][key]), key
    x = torch.randn(5, 4)
    run = [each.module[:2].eval()(x) for each in both]
    assert torch.equal(*run)


@pytest.mark.parametrize("home", [nn, torch.nn], ids=["ours", "torch's"])
def test_the_model_may_be_ours_or_torchs(home):
    model = network(home=home)
    averaged = AveragedModel(model)
    for seed in range(3):
        moved(model, seed)
        averaged.update_parameters(model)
    judge = theirs.AveragedModel(network())
    other = network()
    for seed in range(3):
        moved(other, seed)
        judge.update_parameters(other)
    for one, same in zip(
        averaged.parameters(), judge.parameters(), strict=True
    ):
        assert torch.equal(one, same)


def test_the_equal_mean_is_the_mean():
    model, seen = network(), []
    averaged = AveragedModel(model)
    for seed in range(6):
        moved(model, seed)
        averaged.update_parameters(model)
        seen.append(model[0].weight.detach().clone())
    assert_close(averaged.module[0].weight, torch.stack(seen).mean(0))
    assert averaged.n_averaged == 6


def test_two_ways_to_average_are_refused():
    for home in (ours, theirs):
        with pytest.raises(AssertionError, match="avg_fn"):
            home.AveragedModel(
                network(),
                avg_fn=home.get_swa_avg_fn(),
                multi_avg_fn=home.get_swa_multi_avg_fn(),
            )


def test_the_average_is_no_part_of_the_models_graph_and_a_copy():
    model = network()
    averaged = AveragedModel(model)
    averaged.update_parameters(model)
    moved(model, 3)
    assert not torch.equal(averaged.module[0].weight, model[0].weight)
    twin = copy.deepcopy(averaged)
    assert list(twin.state_dict()) == list(averaged.state_dict())
    assert averaged.module[0].weight.grad_fn is None


@pytest.mark.earns("torch.optim.swa_utils.update_bn")
@pytest.mark.parametrize("kind", ["tensors", "pairs"])
@pytest.mark.parametrize("home", [nn, torch.nn], ids=["ours", "torch's"])
@given(sizes=st.lists(st.integers(2, 7), min_size=1, max_size=4))
def test_update_bn_is_torchs(kind, home, sizes):
    torch.manual_seed(0)
    batches = [3 + torch.randn(n, 4) for n in sizes]
    if kind == "pairs":
        batches = [(batch, 0) for batch in batches]
    found = []
    for library, layers in ((ours, home), (theirs, torch.nn)):
        torch.manual_seed(0)
        model = layers.Sequential(layers.Linear(4, 3), layers.BatchNorm1d(3))
        model[1](torch.randn(5, 3))
        library.update_bn(batches, model.eval())
        assert not model.training and not model[1].training
        assert model[1].momentum == 0.1
        found.append(model.state_dict())
    assert list(found[0]) == list(found[1])
    for name, tensor in found[1].items():
        assert_close(found[0][name], tensor)


def test_without_norms_no_batch_is_asked_for():
    ours.update_bn((1 / 0 for _ in "1"), torch.nn.Linear(2, 2))

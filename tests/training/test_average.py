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
from groundup.training import average as ours
from groundup.training.average import EMA, AveragedModel
from groundup.training.callback import Callback, CancelFit
from groundup.training.checkpoint import Checkpoint
from tests.training.small_run import assert_resumes_exactly, learner, loader

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


class Steps(Callback):
    """The weights after each step, and those that validation saw."""

    order = 50

    def __init__(self):
        self.steps, self.judged = [], []

    def after_step(self, run):
        self.steps.append(run.model.weight.detach().clone())

    def before_validation(self, run):
        self.judged.append(run.model.weight.detach().clone())


def mean_of(steps, decay: float):
    mean = steps[0]
    for step in steps[1:]:
        mean = decay * mean + (1 - decay) * step
    return mean


@pytest.mark.parametrize("decay", [0.0, 0.8])
def test_validation_sees_the_averages_and_training_the_weights(decay):
    plain = learner(watch := Steps())
    plain.fit(3)
    learn = learner(EMA(decay), seen := Steps(), valid=loader())
    learn.fit(3)
    for one, other in zip(seen.steps, watch.steps, strict=True):
        assert torch.equal(one, other)
    for epoch, judged in enumerate(seen.judged, 1):
        assert_close(judged, mean_of(seen.steps[: 5 * epoch], decay))
    assert torch.equal(learn.model.weight, seen.judged[-1])
    assert_close(learn.evaluate(), learn.results)


def test_without_validation_the_averages_are_left_in_the_model():
    learn = learner(EMA(0.8), seen := Steps())
    learn.fit(2)
    assert_close(learn.model.weight, mean_of(seen.steps, 0.8))


class Ask(Callback):
    """Evaluates in the middle of an epoch."""

    def __init__(self, order):
        self.order = order

    def after_step(self, run):
        run.evaluate()


@pytest.mark.parametrize("order", [0, 20])
def test_an_evaluation_amid_an_epoch_changes_no_step(order):
    learn = learner(EMA(0.8), seen := Steps(), valid=loader())
    learn.fit(2)
    asked = learner(EMA(0.8), Ask(order), same := Steps(), valid=loader())
    asked.fit(2)
    assert torch.equal(asked.model.weight, learn.model.weight)
    assert torch.equal(same.judged[-1], seen.judged[-1])


class Stop(Callback):
    def after_step(self, run):
        if run.step == 7:
            raise CancelFit


def test_a_fit_that_is_left_leaves_the_averages_too():
    learn = learner(EMA(0.8), Stop(), seen := Steps())
    learn.fit(2)
    assert not torch.equal(learn.model.weight, seen.steps[-1])


def test_each_fit_has_its_own_average():
    learn = learner(EMA(0.8), seen := Steps())
    learn.fit(1)
    learn.fit(1)
    assert_close(learn.model.weight, mean_of(seen.steps[5:], 0.8))


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_a_killed_run_goes_on_with_its_averages(decay, tmp_path):
    assert_resumes_exactly(lambda: EMA(decay), tmp_path)


def test_a_finished_run_that_is_resumed_keeps_the_averages(tmp_path):
    learn = learner(EMA(0.8), Checkpoint(tmp_path))
    learn.fit(2)
    again = learner(EMA(0.8), Checkpoint(tmp_path))
    with pytest.warns(RuntimeWarning, match="was over"):
        again.fit(2)
    assert torch.equal(again.model.weight, learn.model.weight)

"""The fast network and its recipe."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.vision.fast import (
    FastResNet,
    LowPrecision,
    Recipe,
    fast_learner,
    kernels_and_rest,
)

SMALL = Recipe(epochs=2, width=4, batch_size=10, low_precision=False)


def data(n: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.rand(n, 1, 12, 12), torch.arange(n) % 4


@settings(deadline=None, max_examples=20)
@given(
    st.integers(1, 3), st.integers(1, 4), st.integers(4, 9), st.integers(4, 9)
)
def test_any_even_size_gives_a_score_for_each_class(n, channels, h, w):
    model = FastResNet(channels, num_classes=7, width=2).eval()
    x = torch.rand(n, channels, 2 * h, 2 * w)
    scores = model(x)
    assert scores.shape == (n, 7)
    assert_close(model(x[:1]), scores[:1])


def test_odd_sizes_are_refused_with_their_size():
    with pytest.raises(RuntimeError, match="13 x 12"):
        FastResNet(width=2)(torch.rand(1, 1, 13, 12))


def test_channels_stay_last_from_layer_to_layer():
    model = FastResNet(width=4).to(memory_format=torch.channels_last)
    maps = model.levels(model.stem(data()[0]))
    assert maps.is_contiguous(memory_format=torch.channels_last)


def test_low_precision_answers_in_single_precision_and_nearly_alike():
    model = FastResNet(width=4).eval()
    exact, coarse = model(data()[0]), LowPrecision(model)(data()[0])
    assert coarse.dtype == torch.float32
    assert not torch.equal(exact, coarse)
    assert_close(exact, coarse, rtol=0.05, atol=0.05)


def test_each_parameter_has_one_optimizer_and_kernels_have_muon():
    model = FastResNet(width=4)
    muon, adamw = kernels_and_rest(model.parameters(), 0.1).param_groups
    assert {p.ndim for p in muon["params"]} == {4}
    assert {p.ndim for p in adamw["params"]} == {1, 2}
    assert len(muon["params"]) + len(adamw["params"]) == len(
        [*model.parameters()]
    )
    assert (muon["lr"], adamw["lr"]) == (0.1, 0.05)


def weights(recipe: Recipe, seed: int, **options) -> torch.Tensor:
    learn = fast_learner(recipe, *data(), seed, defaults=[], **options)
    learn.fit(recipe.epochs)
    return torch.cat([p.detach().flatten() for p in learn.model.parameters()])


def test_a_seed_decides_everything():
    first = weights(SMALL, 0)
    torch.manual_seed(99)
    assert torch.equal(first, weights(SMALL, 0))
    assert not torch.equal(first, weights(SMALL, 1))


@pytest.mark.parametrize(
    "change",
    [
        {"smoothing": 0.0},
        {"padding": 1},
        {"hole": 3},
        {"flips": False},
        {"warm_up": 0.5},
        {"lr": 0.1},
        {"batch_size": 20},
        {"low_precision": True},
    ],
)
def test_each_setting_matters(change):
    changed = weights(SMALL._replace(**change), 0)
    assert not torch.equal(weights(SMALL, 0), changed)


def test_images_are_changed_in_training_alone():
    recipe = SMALL._replace(epochs=0, padding=2, hole=3)
    learn = fast_learner(recipe, *data(), 0, defaults=[])
    looks = [learn.predict([data()]) for _ in range(2)]
    assert torch.equal(*looks)


def test_rates_rise_and_fall_to_nothing():
    seen = []

    def note(params, lr):
        made = kernels_and_rest(params, lr)
        step = made.step
        made.step = lambda: (seen.append(made.param_groups[1]["lr"]), step())
        return made

    weights(SMALL._replace(warm_up=0.25), 0, optim=note)
    top = max(range(len(seen)), key=seen.__getitem__)
    assert seen[0] == seen[-1] == 0 and 0 < top < len(seen) / 2
    assert max(seen) <= SMALL.lr / 2
    assert len(seen) == SMALL.epochs * 4

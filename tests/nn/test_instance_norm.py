"""Instance normalisation as layers: torch is the judge."""

import warnings

import pytest
import torch
from torch.testing import assert_close

from groundup import nn
from tests.nn.test_norm import assert_same_state, check_samples, pair


@pytest.mark.earns("torch.nn.InstanceNorm1d")
def test_instance_norm_of_sequences_is_torchs_on_its_samples():
    check_samples("InstanceNorm1d", 6)


@pytest.mark.earns("torch.nn.InstanceNorm2d")
def test_instance_norm_of_images_is_torchs_on_its_samples():
    check_samples("InstanceNorm2d", 6)


@pytest.mark.parametrize("momentum", [0.1, None, 1.0])
@pytest.mark.parametrize("batched", [True, False])
def test_averages_over_steps_and_in_evaluation(momentum, batched):
    layers = pair("InstanceNorm2d", 3, 1e-5, momentum, True, True)
    shape = (4, 3, 5, 5) if batched else (3, 5, 5)
    for seed in range(4):
        torch.manual_seed(seed)
        x = 2 + torch.randn(shape)
        assert_close(*[layer(x) for layer in layers])
        assert_same_state(*layers)
    assert_close(*[layer.eval()(x) for layer in layers])
    assert layers[0].num_batches_tracked.item() == 0


@pytest.mark.parametrize(
    ("name", "shape", "settings"),
    [
        ("InstanceNorm1d", (4,), {}),
        ("InstanceNorm1d", (4, 3, 2, 2), {}),
        ("InstanceNorm2d", (4, 3), {}),
        ("InstanceNorm2d", (2, 4, 3, 5, 5), {}),
        ("InstanceNorm1d", (4, 5, 6), {"affine": True}),
        ("InstanceNorm2d", (5, 6, 6), {"affine": True}),
        ("InstanceNorm1d", (4, 3, 1), {}),
    ],
)
def test_what_torch_refuses_is_refused_alike(name, shape, settings):
    ours, theirs = pair(name, 3, **settings)
    x = torch.randn(shape)
    with pytest.raises((RuntimeError, ValueError)) as judge:
        theirs(x)
    with pytest.raises(judge.type) as found:
        ours(x)
    assert found.type is judge.type
    assert str(list(shape))[1:-1] in str(found.value)


def test_a_number_of_channels_that_does_not_matter_is_a_warning():
    for layer in pair("InstanceNorm1d", 3):
        with pytest.warns(UserWarning, match="3|num_features"):
            layer(torch.randn(4, 5, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.InstanceNorm1d(3)(torch.randn(4, 3, 6))


def test_averages_of_other_channels_are_refused():
    layer = nn.InstanceNorm1d(3, track_running_stats=True)
    with (
        pytest.warns(UserWarning),
        pytest.raises(RuntimeError, match=r"\(5,\)"),
    ):
        layer(torch.randn(4, 5, 6))

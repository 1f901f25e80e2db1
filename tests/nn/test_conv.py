"""Convolutions as layers: torch is the judge, over its own samples."""

import pytest
import torch
from torch.testing import assert_close

from groundup import nn
from tests.nn.torch_samples import assert_same_module, samples

both = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@pytest.mark.earns("torch.nn.Conv2d")
@pytest.mark.parametrize(
    "sample",
    [s for d in (torch.float32, torch.float64) for s in samples("Conv2d", d)],
)
def test_conv2d_equals_torch_on_its_own_samples(sample):
    assert_same_module(nn.Conv2d, torch.nn.Conv2d, sample)


OPTIONS = [
    {},
    {"stride": 2, "padding": (1, 2)},
    {"padding": "same", "dilation": 2},
    {"padding": "valid", "bias": False},
    {"groups": 2, "padding": 1, "padding_mode": "reflect"},
    {"padding": "same", "padding_mode": "circular", "dilation": (1, 2)},
    {"padding": 2, "padding_mode": "replicate", "stride": 2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_layer_prints_starts_and_calculates_as_torchs(options):
    layers = []
    for kind in (nn.Conv2d, torch.nn.Conv2d):
        torch.manual_seed(3)
        layers.append(kind(4, 6, (3, 2), **options))
    ours, theirs = layers
    assert repr(ours) == repr(theirs)
    assert_close(ours.state_dict(), dict(theirs.state_dict()), rtol=0, atol=0)
    for shape in ((2, 4, 9, 8), (4, 9, 8)):
        x = torch.randn(shape)
        assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    "args, options, message",
    [
        ((3, 4, 3), {"groups": 2}, "3, 4.*2 groups"),
        ((4, 3, 3), {"groups": 2}, "4, 3.*2 groups"),
        ((2, 2, 3), {"groups": 0}, "0 groups"),
        ((2, 2, 3), {"padding": "some"}, "'some'"),
        ((2, 2, 3), {"padding": "same", "stride": 2}, "stride of 1"),
        ((2, 2, 3), {"padding_mode": "mirror"}, "'mirror'"),
    ],
)
def test_what_cannot_work_is_refused_when_made(args, options, message):
    with pytest.raises(ValueError):
        torch.nn.Conv2d(*args, **options)
    with pytest.raises(ValueError, match=message):
        nn.Conv2d(*args, **options)


def test_weights_go_both_ways_through_a_state_dict():
    ours, theirs = nn.Conv2d(2, 3, 3), torch.nn.Conv2d(2, 3, 3)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 2, 5, 5)
    assert_close(ours(x), theirs(x))
    other = torch.nn.Conv2d(2, 3, 3)
    ours.load_state_dict(other.state_dict())
    assert_close(ours(x), other(x))


def test_keywords_devices_and_types():
    layer = nn.Conv2d(
        in_channels=1,
        out_channels=2,
        kernel_size=3,
        device="meta",
        dtype=torch.bfloat16,
    )
    assert layer.weight.is_meta and layer.bias.dtype == torch.bfloat16


def test_channels_last_stays_channels_last():
    layer = nn.Conv2d(4, 8, 3)
    x = torch.randn(2, 4, 8, 8).to(memory_format=torch.channels_last)
    assert layer(x).is_contiguous(memory_format=torch.channels_last)

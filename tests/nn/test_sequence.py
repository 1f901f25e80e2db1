"""Layers along one axis: torch is the judge, over its own samples."""

import pytest
import torch
from torch.testing import assert_close

from groundup import nn
from tests.nn.torch_samples import assert_same_module, samples_of

NAMES = "Conv1d", "MaxPool1d", "AvgPool1d"


@pytest.mark.earns(
    "torch.nn.Conv1d", "torch.nn.MaxPool1d", "torch.nn.AvgPool1d"
)
@pytest.mark.parametrize("name, sample", samples_of(*NAMES))
def test_layers_of_signals_equal_torch_on_its_own_samples(name, sample):
    kinds = getattr(nn, name), getattr(torch.nn, name)
    assert_same_module(*kinds, sample, rtol=0, atol=0)  # one kernel


OPTIONS = [
    {},
    {"stride": 2, "padding": (1,)},
    {"padding": "same", "dilation": 2},
    {"padding": "valid", "bias": False},
    {"groups": 2, "padding": 1, "padding_mode": "reflect"},
    {"padding": "same", "padding_mode": "circular", "dilation": 2},
    {"padding": 2, "padding_mode": "replicate", "stride": 2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_layer_prints_starts_and_calculates_as_torchs(options):
    layers = []
    for kind in (nn.Conv1d, torch.nn.Conv1d):
        torch.manual_seed(3)
        layers.append(kind(4, 6, 3, **options))
    ours, theirs = layers
    assert repr(ours) == repr(theirs)
    assert_close(ours.state_dict(), dict(theirs.state_dict()), rtol=0, atol=0)
    theirs.load_state_dict(ours.state_dict())
    for shape in ((2, 4, 9), (4, 9)):
        x = torch.randn(shape)
        assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    "args, options, message",
    [
        ((3, 4, 3), {"groups": 2}, "3, 4.*2 groups"),
        ((2, 2, 3), {"padding": "some"}, "'some'"),
        ((2, 2, 3), {"padding": "same", "stride": 2}, "stride of 1"),
        ((2, 2, 3), {"padding_mode": "mirror"}, "'mirror'"),
    ],
)
def test_what_cannot_work_is_refused_when_made(args, options, message):
    with pytest.raises(ValueError):
        torch.nn.Conv1d(*args, **options)
    with pytest.raises(ValueError, match=message):
        nn.Conv1d(*args, **options)


@pytest.mark.parametrize(
    "name, args, options",
    [
        ("MaxPool1d", (3,), {}),
        ("MaxPool1d", (3, 2, 1), {"ceil_mode": True}),
        ("MaxPool1d", (2,), {"return_indices": True, "dilation": 2}),
        ("AvgPool1d", (3, 2, 1), {"count_include_pad": False}),
        ("AvgPool1d", (2,), {"ceil_mode": True}),
        ("AvgPool1d", (3, 2, 1), {"ceil_mode": True}),
    ],
)
def test_a_pool_prints_and_calculates_as_torchs(name, args, options):
    ours = getattr(nn, name)(*args, **options)
    theirs = getattr(torch.nn, name)(*args, **options)
    assert repr(ours) == repr(theirs)
    for length in (9, 10):  # the windows end with it, or do not
        x = torch.randn(2, 3, length)
        assert_close(ours(x), theirs(x))
    assert not list(ours.state_dict())

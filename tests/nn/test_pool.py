"""Pools as layers: torch is the judge, over its own samples."""

import pytest
import torch
from torch.testing import assert_close

from groundup import nn
from tests.nn.torch_samples import assert_same_module, samples_of

NAMES = "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d"


@pytest.mark.earns(
    "torch.nn.MaxPool2d", "torch.nn.AvgPool2d", "torch.nn.AdaptiveAvgPool2d"
)
@pytest.mark.parametrize("name, sample", samples_of(*NAMES))
def test_pools_equal_torch_on_its_own_samples(name, sample):
    kinds = getattr(nn, name), getattr(torch.nn, name)
    assert_same_module(*kinds, sample, rtol=0, atol=0)  # one kernel


@pytest.mark.parametrize(
    "name, args, options",
    [
        ("MaxPool2d", (3,), {}),
        ("MaxPool2d", ((3, 2), 2, 1), {"ceil_mode": True}),
        ("MaxPool2d", (2,), {"return_indices": True, "dilation": 2}),
        ("AvgPool2d", (3, 2, 1), {"count_include_pad": False}),
        ("AvgPool2d", (3, 2, 1), {"ceil_mode": True}),
        ("AvgPool2d", (2,), {"divisor_override": 3}),
        ("AdaptiveAvgPool2d", (1,), {}),
        ("AdaptiveAvgPool2d", ((3, None),), {}),
    ],
)
def test_a_pool_prints_and_calculates_as_torchs(name, args, options):
    ours = getattr(nn, name)(*args, **options)
    theirs = getattr(torch.nn, name)(*args, **options)
    assert repr(ours) == repr(theirs)
    for size in ((9, 8), (10, 7)):  # the windows end with them, or do not
        x = torch.randn(2, 3, *size)
        assert_close(ours(x), theirs(x))
    assert not list(ours.state_dict())

"""Adaptive pools as layers: torch is the judge, over its own samples."""

import pytest
import torch
from torch.testing import assert_close

from groundup import nn
from tests.nn.torch_samples import assert_same_module, samples_of

NAMES = "AdaptiveAvgPool1d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d"


@pytest.mark.earns(
    "torch.nn.AdaptiveAvgPool1d",
    "torch.nn.AdaptiveMaxPool1d",
    "torch.nn.AdaptiveMaxPool2d",
)
@pytest.mark.parametrize("name, sample", samples_of(*NAMES))
def test_adaptive_layers_equal_torch_on_its_own_samples(name, sample):
    assert_same_module(getattr(nn, name), getattr(torch.nn, name), sample)


@pytest.mark.parametrize(
    "name, args",
    [
        ("AdaptiveAvgPool1d", (3,)),
        ("AdaptiveMaxPool1d", (2, True)),
        ("AdaptiveMaxPool2d", ((3, None),)),
        ("AdaptiveMaxPool2d", (2, True)),
    ],
)
def test_a_pool_prints_and_calculates_as_torchs(name, args):
    ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
    x = torch.randn(2, 3, 9, 8) if name.endswith("2d") else torch.randn(3, 9)
    assert repr(ours) == repr(theirs)
    assert_close(ours(x), theirs(x))

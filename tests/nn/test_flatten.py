"""Flatten beside torch's, which has no samples of it."""

import pytest
import torch

from groundup import nn


@pytest.mark.earns("torch.nn.Flatten")
@pytest.mark.parametrize(
    "axes", [(), (0,), (1, 2), (-3, -2), (2,), (0, 0)], ids=str
)
def test_any_axes_are_joined_and_shown_as_torchs(axes):
    ours, theirs = nn.Flatten(*axes), torch.nn.Flatten(*axes)
    x = torch.arange(24.0).view(2, 3, 2, 2)
    assert torch.equal(ours(x), theirs(x)) and repr(ours) == repr(theirs)

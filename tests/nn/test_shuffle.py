"""PixelShuffle and PixelUnshuffle beside torch's, which has no samples."""

import pytest
import torch

from groundup import nn


@pytest.mark.earns("torch.nn.PixelShuffle", "torch.nn.PixelUnshuffle")
@pytest.mark.parametrize("name", ["PixelShuffle", "PixelUnshuffle"])
@pytest.mark.parametrize("shape", [(9, 6, 12), (2, 18, 3, 3), (1, 2, 9, 3, 6)])
def test_the_layers_do_what_torchs_do_and_show_it(name, shape):
    ours, theirs = getattr(nn, name)(3), getattr(torch.nn, name)(3)
    x = torch.randn(shape)
    assert torch.equal(ours(x), theirs(x)) and repr(ours) == repr(theirs)

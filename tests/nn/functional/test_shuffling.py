"""Pixels to channels and back, beside torch's."""

import pytest
import torch

from groundup.nn.functional import pixel_shuffle, pixel_unshuffle
from tests.nn.samples import DTYPES, check_samples


@pytest.mark.earns("torch.nn.functional.pixel_unshuffle")
@pytest.mark.parametrize("dtype", DTYPES)
def test_pixels_become_channels_as_torchs(dtype):
    check_samples(pixel_unshuffle, "nn.functional.pixel_unshuffle", dtype)


@pytest.mark.earns("torch.nn.functional.pixel_shuffle")
@pytest.mark.parametrize("dtype", DTYPES)
def test_channels_become_pixels_as_torchs(dtype):
    check_samples(pixel_shuffle, "nn.functional.pixel_shuffle", dtype)


@pytest.mark.parametrize("factor", [0, -1, 3])
@pytest.mark.parametrize("name", ["pixel_shuffle", "pixel_unshuffle"])
def test_what_does_not_divide_is_refused(name, factor):
    ours, theirs = globals()[name], getattr(torch.nn.functional, name)
    for function in (ours, theirs):
        with pytest.raises(RuntimeError):
            function(torch.ones(1, 4, 4, 4), factor)

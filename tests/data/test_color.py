"""Brightness and contrast, each image's own."""

import pytest
import torch
from torch.testing import assert_close

from groundup.data.color import color_jitter


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_brightness_is_a_factor_for_each_image():
    images = 0.1 + torch.rand(400, 3, 4, 4, generator=seeded(0)) / 2
    changed = color_jitter(images, 0.5, generator=seeded(0))
    factors = (changed / images).flatten(1)
    assert_close(changed, images * factors[:, :1, None, None])
    assert 0.5 <= factors.min() < 0.52 and 1.48 < factors.max() <= 1.5
    assert len(factors[:, 0].unique()) > 390


def test_contrast_keeps_the_mean_and_scales_what_is_around_it():
    images = 0.4 + torch.rand(400, 1, 4, 4, generator=seeded(0)) / 5
    changed = color_jitter(images, 0, 0.5, generator=seeded(0))
    mean = images.mean((1, 2, 3), keepdim=True)
    assert_close(changed.mean((1, 2, 3), keepdim=True), mean)
    factors = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    assert 0.5 <= factors.min() < 0.52 and 1.48 < factors.max() <= 1.5


def test_images_stay_in_their_range_and_without_strength_as_they_are():
    images = torch.rand(100, 1, 4, 4, generator=seeded(0))
    changed = color_jitter(images, 3.0, 3.0, generator=seeded(0))
    assert 0 <= changed.min() and changed.max() <= 1
    assert_close(color_jitter(images), images)


@pytest.mark.parametrize("strengths", [(-1.0, 0.0), (0.0, -1.0)])
def test_strengths_below_nothing_are_refused(strengths):
    with pytest.raises(ValueError, match="-1.0"):
        color_jitter(torch.ones(1, 1, 2, 2), *strengths)

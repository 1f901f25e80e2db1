"""Affine maps of images: torch's grid and its samples of it are the judge."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.data.affine import (
    affine_grid,
    random_affine,
    random_rotation,
    sample,
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(
    st.integers(0, 99), st.integers(1, 4), st.integers(1, 7), st.integers(1, 7)
)
def test_grid_and_samples_are_torchs(seed, n, h, w):
    generator = seeded(seed)
    theta = torch.randn(n, 2, 3, generator=generator).double()
    images = torch.rand(n, 2, h, w, generator=generator).double()
    grid = affine_grid(theta, images.shape)
    assert_close(grid, F.affine_grid(theta, images.shape, align_corners=False))
    judge = F.grid_sample(images, grid, align_corners=False)
    assert_close(sample(images, grid), judge)


def test_beyond_the_edge_is_what_fills():
    images = torch.ones(1, 1, 4, 4)
    far = torch.tensor([[[1.0, 0.0, 9.0], [0.0, 1.0, 0.0]]])
    grid = affine_grid(far, images.shape)
    assert_close(sample(images, grid, 0.25), torch.full((1, 1, 4, 4), 0.25))


def test_each_image_has_a_map_of_its_own():
    same = torch.rand(1, 1, 9, 9, generator=seeded(0)).expand(40, -1, -1, -1)
    turned = random_rotation(same, 30, generator=seeded(0))
    assert len(torch.unique(turned, dim=0)) == 40


@pytest.mark.parametrize("size", [(21, 21), (15, 31)])
def test_a_disc_stays_a_disc(size):
    """On images that are no squares too: maps measure in pixels."""
    h, w = size
    y, x = torch.meshgrid(
        torch.arange(h) - (h - 1) / 2,
        torch.arange(w) - (w - 1) / 2,
        indexing="ij",
    )
    disc = (5.5 - (x**2 + y**2).sqrt()).clamp(0, 1)
    images = disc.expand(20, 1, h, w)
    turned = random_affine(images, 180, generator=seeded(1))
    assert (turned - images).abs().mean() < 0.02


def test_shifts_and_sizes_keep_to_their_limits():
    spot = torch.zeros(500, 1, 41, 41)
    spot[:, :, 20, 20] = 1
    moved = random_affine(spot, 0, 0.25, generator=seeded(0))
    mass = moved / moved.sum((2, 3), keepdim=True).clamp(min=1e-6)
    place = (mass.sum(3) * torch.arange(41)).sum(2).flatten() - 20
    assert 9 < place.max() <= 10.3 and -10.3 <= place.min() < -9
    square = F.pad(torch.ones(500, 1, 11, 11), [15] * 4)
    scaled = random_affine(square, 0, 0.0, (0.5, 2.0), generator=seeded(0))
    sides = scaled.sum((1, 2, 3)).sqrt() / 11
    assert 0.45 < sides.min() < 0.6 and 1.8 < sides.max() < 2.1


def test_nothing_asked_for_nothing_done():
    images = torch.rand(3, 2, 6, 5, generator=seeded(0))
    assert_close(random_affine(images, 0, generator=seeded(0)), images)


def test_a_generator_decides_alone():
    images = torch.rand(3, 1, 8, 8)
    state = torch.get_rng_state()
    one, same = (
        random_affine(images, 20, 0.1, (0.8, 1.2), generator=seeded(4))
        for _ in "12"
    )
    assert torch.equal(one, same)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda x: random_affine(x, 5, 0, (2.0, 1.0)), "2.0, 1.0"),
        (lambda x: random_affine(x, 5, 0, (0.0, 1.0)), "0.0, 1.0"),
        (lambda x: random_affine(x[0], 5), r"\(1, 4, 4\)"),
        (lambda x: affine_grid(torch.eye(2), x.shape), r"\(3, 2, 3\)"),
    ],
)
def test_what_makes_no_sense_is_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call(torch.ones(3, 1, 4, 4))


def test_a_right_angle_is_rot90():
    images = torch.rand(1, 1, 6, 6)
    angle = math.pi / 2
    theta = torch.tensor(
        [
            [
                [math.cos(angle), -math.sin(angle), 0],
                [math.sin(angle), math.cos(angle), 0],
            ]
        ]
    )
    turned = sample(images, affine_grid(theta, images.shape))
    assert_close(turned, images.rot90(1, (2, 3)), atol=1e-5, rtol=0)

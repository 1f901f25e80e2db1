"""Augmentation: each image has a draw of its own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.data.augment import (
    random_crop,
    random_erase,
    random_flip,
    rectangles,
)

TRANSFORMS = [
    lambda images, **options: random_crop(images, 3, **options),
    random_flip,
    lambda images, **options: random_erase(images, 4, **options),
]
transforms = pytest.mark.parametrize(
    "transform", TRANSFORMS, ids=["crop", "flip", "erase"]
)


def drawn(seed: int = 0, n: int = 6, c: int = 2, h: int = 9, w: int = 7):
    return torch.rand(n, c, h, w, generator=seeded(seed))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(
    st.integers(0, 99),
    st.integers(0, 4),
    st.integers(1, 9),
    st.integers(1, 8),
    st.integers(1, 8),
)
def test_every_crop_is_a_window_of_its_own_framed_image(seed, p, n, h, w):
    images = drawn(seed, n, 2, h, w)
    crops = random_crop(images, p, generator=seeded(seed))
    assert crops.shape == images.shape
    framed = torch.nn.functional.pad(images, [p] * 4)
    for image, crop in zip(framed, crops, strict=True):
        found = [
            torch.equal(image[:, i : i + h, j : j + w], crop)
            for i in range(2 * p + 1)
            for j in range(2 * p + 1)
        ]
        assert any(found)


def moves(crops: torch.Tensor) -> torch.Tensor:
    """Where the one bright pixel of each image has gone: (n, 2)."""
    places = crops.flatten(1).argmax(1)
    return torch.stack([places // crops.shape[3], places % crops.shape[3]], 1)


def test_each_image_moves_on_its_own_and_all_moves_are_as_likely():
    """One draw a batch, as in two published courses, gives one move."""
    images = torch.zeros(9000, 1, 7, 7)
    images[:, :, 3, 3] = 1
    places = moves(random_crop(images, 1, generator=seeded(0))) - 3
    found, counts = torch.unique(places, dim=0, return_counts=True)
    assert found.tolist() == [[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert (counts - 1000).abs().max() < 5 * 1000**0.5


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
def test_each_image_is_mirrored_on_its_own(p):
    images = drawn(n=5000, c=1, h=2, w=3)
    flipped = random_flip(images, p, generator=seeded(1))
    kept = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert (kept | mirrored).all()
    assert_close(mirrored.float().mean().item(), p, atol=0.035, rtol=0)


@given(
    st.integers(0, 99),
    st.integers(1, 9),
    st.integers(1, 9),
    st.floats(0, 1),
)
def test_a_hole_is_a_square_of_its_size_inside_the_image(seed, h, w, share):
    size = round(share * min(h, w))
    images = 1 + drawn(seed, 5, 2, h, w)
    erased = random_erase(images, size, fill=-1.0, generator=seeded(seed))
    holes = erased == -1
    assert torch.equal(erased[~holes], images[~holes])
    assert torch.equal(holes[:, 0], holes[:, 1])
    for hole in holes[:, 0]:
        rows, columns = hole.any(1).nonzero(), hole.any(0).nonzero()
        assert hole.sum() == size**2
        assert len(rows) == len(columns) == size
        if size:
            assert rows[-1] - rows[0] == columns[-1] - columns[0] == size - 1


def test_holes_reach_every_place():
    images = torch.ones(2000, 1, 5, 4)
    erased = random_erase(images, 2, generator=seeded(0))
    tops = (erased == 0).flatten(1).float().argmax(1)
    assert len(tops.unique()) == 4 * 3


def test_rectangles_by_hand():
    images = torch.zeros(2, 3, 2, 4)
    edges = torch.tensor([[0, 1], [1, 0], [1, 2], [3, 4]])
    masks = rectangles(images, *edges)
    assert masks[:, 0].int().tolist() == [
        [[0, 1, 1, 0], [0, 0, 0, 0]],
        [[0, 0, 0, 0], [1, 1, 1, 1]],
    ]


@transforms
def test_a_generator_decides_alone_and_goes_on(transform):
    images = drawn(n=50)
    generator = seeded(3)
    state = torch.get_rng_state()
    first, second = (transform(images, generator=generator) for _ in "12")
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, second)
    assert torch.equal(transform(images, generator=seeded(3)), first)


@transforms
def test_without_one_torchs_own_decides(transform):
    images = drawn(n=50)
    torch.manual_seed(5)
    first = transform(images)
    assert not torch.equal(transform(images), first)
    torch.manual_seed(5)
    assert torch.equal(transform(images), first)


@transforms
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64, torch.bfloat16])
def test_dtype_and_the_given_images_stay(transform, dtype):
    images = (100 * drawn()).to(dtype)
    before = images.clone()
    changed = transform(images)
    assert changed.dtype == dtype and changed.shape == images.shape
    assert changed.data_ptr() != images.data_ptr()
    assert torch.equal(images, before)


@transforms
def test_channels_last_and_parts_of_a_batch_are_the_same_images(transform):
    whole = drawn(n=12)
    part = whole[::2]
    for same in (part, part.contiguous(memory_format=torch.channels_last)):
        expected = transform(part.clone(), generator=seeded(0))
        assert torch.equal(transform(same, generator=seeded(0)), expected)


@transforms
def test_an_empty_batch_stays_empty(transform):
    assert transform(torch.ones(0, 1, 6, 6)).shape == (0, 1, 6, 6)


@transforms
def test_what_is_no_batch_of_images_is_refused(transform):
    with pytest.raises(ValueError, match=r"\(3, 9, 9\)"):
        transform(torch.ones(3, 9, 9))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda x: random_crop(x, -1), "-1"),
        (lambda x: random_erase(x, 8), "8 fits into images of 9 x 7"),
        (lambda x: random_erase(x, -1), "-1"),
        (lambda x: random_flip(x, 1.5), "1.5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call(drawn())


def test_a_frame_may_have_another_brightness():
    crops = random_crop(torch.zeros(50, 1, 4, 4), 2, fill=7.0)
    assert crops.max() == 7 and crops.min() == 0

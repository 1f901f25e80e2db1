"""Scenes: the ink is where the boxes say, and a seed is a scene."""

import pytest
import torch

from groundup.vision import crop_to_ink, digit_scenes


@pytest.fixture
def pool():
    torch.manual_seed(0)
    images = torch.zeros(10, 28, 28, dtype=torch.uint8)
    for i in range(10):
        images[i, 4 : 8 + i, 10 : 14 + i // 2] = 255
    return images, torch.arange(10)


def test_the_ink_fills_its_box(pool):
    assert crop_to_ink(pool[0][3]).shape == (7, 5)
    scenes, boxes, labels = digit_scenes(*pool, 50, seed=1, most=1)
    for scene, box in zip(scenes, boxes[:, 0].int().tolist()):
        rows, columns = scene.nonzero().T
        ink = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert [int(each) for each in ink] == box
    assert scenes.max() <= 1 and (labels >= 0).all()


def test_a_canvas_need_not_be_square_and_sides_are_kept(pool):
    scenes, boxes, labels = digit_scenes(*pool, 80, 3, (40, 90), sides=(10, 20))
    present = labels >= 0
    assert scenes.shape == (80, 40, 90)
    assert (boxes[present].amax(0) <= torch.tensor([90.0, 40, 90, 40])).all()
    assert boxes[present][:, 2].max() > 40  # the width is used
    longer = (boxes[..., 2:] - boxes[..., :2]).amax(-1)[present]
    assert longer.min() >= 10 and longer.max() <= 20


def test_nothing_hides_anything(pool):
    """The ink of a scene is that of all its things: solid boxes here."""
    scenes, boxes, labels = digit_scenes(*pool, 100, seed=4)
    counts = (labels >= 0).sum(1)
    assert counts.min() == 1 and counts.max() == 4
    for scene, each, kinds in zip(scenes, boxes, labels):
        each = each[kinds >= 0]
        areas = (each[:, 2] - each[:, 0]) * (each[:, 3] - each[:, 1])
        assert (scene > 0).sum() == areas.sum()


def test_where_there_is_no_room_there_is_no_label(pool):
    _, boxes, labels = digit_scenes(*pool, 20, 0, (24, 24), sides=(20, 22))
    assert ((labels >= 0).sum(1) == 1).all()
    assert (boxes[labels < 0] == -1).all()


def test_each_image_keeps_its_label(pool):
    """Image i is 4 + i rows high: the shape of a box tells the label."""
    _, boxes, labels = digit_scenes(*pool, 100, seed=5, most=1)
    sides = boxes[:, 0, 2:] - boxes[:, 0, :2]
    heights, widths = 4 + labels[:, 0], 4 + labels[:, 0] // 2
    expected = widths / heights
    assert (sides[:, 0] / sides[:, 1] - expected).abs().max() < 0.05


def test_a_seed_is_a_set_of_scenes(pool):
    first, again = (digit_scenes(*pool, 5, seed=7) for _ in range(2))
    other = digit_scenes(*pool, 5, seed=8)
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert not torch.equal(first[0], other[0])

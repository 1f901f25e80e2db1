"""The other operations: their definitions, written out, are the judge."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.vision import (
    box_iou,
    complete_box_iou,
    complete_box_iou_loss,
    distance_box_iou,
    distance_box_iou_loss,
    generalized_box_iou,
    generalized_box_iou_loss,
    masks_to_boxes,
    remove_small_boxes,
)

side = st.integers(1, 9)
place = st.integers(-9, 9)
boxes = st.lists(
    st.tuples(place, place, side, side), min_size=1, max_size=4
).map(lambda rows: [[x, y, x + w, y + h] for x, y, w, h in rows])
PAIRS = [
    (generalized_box_iou_loss, generalized_box_iou),
    (distance_box_iou_loss, distance_box_iou),
    (complete_box_iou_loss, complete_box_iou),
]


def defined(a, b):
    """Distance and complete IoU of two boxes (Zheng et al., 2020)."""
    pair = torch.tensor([a, b], dtype=torch.float64)
    iou = box_iou(pair, pair)[0, 1].item()
    apart = sum((a[i] + a[i + 2] - b[i] - b[i + 2]) ** 2 / 4 for i in (0, 1))
    hull = [max(a[i + 2], b[i + 2]) - min(a[i], b[i]) for i in (0, 1)]
    distance = iou - apart / (hull[0] ** 2 + hull[1] ** 2)
    angles = [math.atan((x[2] - x[0]) / (x[3] - x[1])) for x in (a, b)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    return distance, distance - (v and v**2 / (1 - iou + v))


@given(boxes, boxes)
def test_distances_are_as_defined(first, other):
    expected = torch.tensor(
        [[defined(a, b) for b in other] for a in first], dtype=torch.float64
    )
    a, b = (torch.tensor(x, dtype=torch.float64) for x in (first, other))
    close = {"rtol": 1e-6, "atol": 1e-6}
    assert_close(distance_box_iou(a, b), expected[..., 0], **close)
    assert_close(complete_box_iou(a, b), expected[..., 1], **close)


@pytest.mark.parametrize("loss, distance", PAIRS)
@given(boxes)
def test_a_loss_is_1_less_the_distance_of_each_pair(loss, distance, drawn):
    a = torch.tensor(drawn, dtype=torch.float64)
    b = a.flip(0) + torch.tensor([1.0, 2, 3, 4])
    expected = 1 - distance(a, b).diagonal()
    assert_close(loss(a, b), expected, rtol=1e-6, atol=1e-6)
    assert_close(loss(a, b, "sum"), expected.sum(), rtol=1e-6, atol=1e-5)
    assert_close(
        loss(a, b, reduction="mean"), expected.mean(), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("loss", [loss for loss, _ in PAIRS])
def test_losses_move_boxes_that_share_nothing(loss):
    a = torch.tensor([[0.0, 0, 4, 6]], dtype=torch.float64).requires_grad_()
    b = torch.tensor([[20.0, 10, 29, 14]], dtype=torch.float64)
    if loss is not complete_box_iou_loss:  # its weight has no gradient
        assert torch.autograd.gradcheck(loss, (a, b))
    (grad,) = torch.autograd.grad(loss(a, b).sum(), a)
    assert (grad[0, 2:] < 0).all()


def test_no_gradient_flows_through_the_weight_of_the_shapes():
    a = torch.tensor([[0.0, 0, 4, 6]], dtype=torch.float64).requires_grad_()
    b = torch.tensor([[1.0, 1, 9, 5]], dtype=torch.float64)
    (grad,) = torch.autograd.grad(complete_box_iou_loss(a, b).sum(), a)
    angles = [math.atan(4 / 6), math.atan(8 / 4)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    weight = v / (1 - box_iou(a, b).item() + v + 1e-7)

    def fixed(a):
        width, height = a[:, 2] - a[:, 0], a[:, 3] - a[:, 1]
        angle = (width / height).atan() - angles[1]
        shapes = weight * 4 / math.pi**2 * angle**2
        return distance_box_iou_loss(a, b) + shapes

    (expected,) = torch.autograd.grad(fixed(a).sum(), a)
    assert_close(grad, expected)


def test_a_mask_has_the_box_of_its_pixels():
    masks = torch.zeros(3, 6, 9, dtype=torch.bool)
    masks[0, 1, 7] = masks[0, 4, 2] = masks[1, 0, 0] = True
    expected = torch.tensor([[2.0, 1, 7, 4], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert_close(masks_to_boxes(masks), expected)  # the last one is empty
    assert masks_to_boxes(masks[:0]).shape == (0, 4)


def test_small_boxes_are_those_with_a_side_below_the_size():
    a = torch.tensor([[0.0, 0, 5, 9], [0, 0, 9, 4], [2, 2, 7, 7]])
    assert remove_small_boxes(a, 5).tolist() == [0, 2]

"""Boxes: unit squares that are counted, and loops, are the judges."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.vision import (
    batched_nms,
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    generalized_box_iou,
    nms,
)

FORMATS = ["xyxy", "xywh", "cxcywh"]


@st.composite
def box(draw, least=0):
    """Corners on a grid: left, top, right, bottom."""
    x, y = draw(st.integers(-4, 8)), draw(st.integers(-4, 8))
    w, h = draw(st.integers(least, 6)), draw(st.integers(least, 6))
    return [x, y, x + w, y + h]


def boxes(least=0, **sizes):
    return st.lists(box(least), **sizes)


def as_tensor(boxes, dtype=torch.float64):
    return torch.tensor(boxes, dtype=dtype).view(-1, 4)


def squares(box):
    """The unit squares of a box."""
    x1, y1, x2, y2 = box
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


def hull(a, b):
    return [*map(min, a[:2], b[:2]), *map(max, a[2:], b[2:])]


def counted(a, b):
    """IoU and generalised IoU of two boxes, by counting."""
    shared, covered = squares(a) & squares(b), squares(a) | squares(b)
    whole = len(squares(hull(a, b)))
    iou = len(shared) / len(covered)
    return iou, iou - (whole - len(covered)) / whole


@given(boxes(1, min_size=1, max_size=4), boxes(1, min_size=1, max_size=4))
def test_what_boxes_share_is_counted_in_squares(first, other):
    pairs = [[counted(a, b) for b in other] for a in first]
    expected = torch.tensor(pairs, dtype=torch.float64)
    a, b = as_tensor(first), as_tensor(other)
    assert_close(box_iou(a, b), expected[..., 0])
    assert_close(generalized_box_iou(a, b), expected[..., 1])
    areas = torch.tensor([float(len(squares(each))) for each in first])
    assert_close(box_area(a), areas.double())


@given(boxes(1, min_size=1, max_size=3), st.sampled_from(FORMATS))
def test_a_spelling_changes_no_area_and_nothing_shared(given_boxes, fmt):
    a = as_tensor(given_boxes)
    spelled = box_convert(a, "xyxy", fmt)
    assert_close(box_area(spelled, fmt), box_area(a))
    assert_close(box_iou(spelled, spelled, fmt), box_iou(a, a))


@given(boxes(max_size=3), st.sampled_from(FORMATS), st.sampled_from(FORMATS))
def test_there_and_back_is_the_same_box(given_boxes, first, other):
    a = as_tensor(given_boxes)
    back = box_convert(box_convert(a, first, other), other, first)
    assert_close(back, a)


def test_the_spellings_are_torchvisions():
    corners = torch.tensor([[1.0, 2, 4, 10]])
    assert box_convert(corners, "xyxy", "xywh").tolist() == [[1, 2, 3, 8]]
    assert box_convert(corners, "xyxy", "cxcywh").tolist() == [[2.5, 6, 3, 8]]
    same = box_convert(corners, "xyxy", "xyxy")
    assert same.tolist() == corners.tolist() and same is not corners


def test_leading_axes_are_batches():
    torch.manual_seed(0)
    first = torch.rand(2, 3, 5, 4).sort(-1).values[..., [0, 1, 2, 3]]
    other = torch.rand(2, 3, 7, 4).sort(-1).values
    for function in (box_iou, generalized_box_iou):
        each = [
            function(a, b)
            for a, b in zip(first.flatten(0, 1), other.flatten(0, 1))
        ]
        expected = torch.stack(each).view(2, 3, 5, 7)
        assert_close(function(first, other), expected)
    assert box_area(first).shape == (2, 3, 5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8])
def test_areas_do_not_overflow(dtype):
    a = torch.tensor([[0, 0, 250, 250], [200, 200, 240, 240]]).to(dtype)
    assert_close(box_area(a).double(), box_area(a.double()))
    assert_close(box_iou(a, a), box_iou(a.float(), a.float()))


def test_boxes_without_area_share_nan_only_with_each_other():
    a = torch.tensor([[1.0, 1, 1, 5], [0.0, 0, 4, 4]])
    iou = box_iou(a, a)
    assert iou[0, 0].isnan() and iou[0, 1] == 0 and iou[1, 1] == 1


def test_generalised_iou_has_a_gradient_where_nothing_is_shared():
    a = torch.tensor([[0.0, 0, 2, 2]], dtype=torch.float64).requires_grad_()
    b = torch.tensor([[5.0, 3, 7, 9]], dtype=torch.float64)
    assert torch.autograd.gradcheck(generalized_box_iou, (a, b))
    generalized_box_iou(a, b).sum().backward()
    assert a.grad[0, 2] > 0 and a.grad[0, 3] > 0


@given(boxes(max_size=4), st.integers(1, 8), st.integers(1, 8))
def test_clipped_boxes_hold_the_squares_within_the_picture(given, h, w):
    clipped = clip_boxes_to_image(as_tensor(given), (h, w))
    for before, after in zip(given, clipped.int().tolist()):
        inside = {
            (x, y) for x, y in squares(before) if 0 <= x < w and 0 <= y < h
        }
        assert squares(after) == inside


def kept_by_loops(boxes, scores, classes, threshold):
    order = sorted(range(len(boxes)), key=lambda i: -scores[i])
    kept = []
    for i in order:
        rivals = [j for j in kept if classes[j] == classes[i]]
        if all(counted(boxes[i], boxes[j])[0] <= threshold for j in rivals):
            kept.append(i)
    return kept


@given(
    st.lists(
        st.tuples(box(1), st.sampled_from([0.1, 0.5, 0.9]), st.integers(0, 2)),
        max_size=12,
    ),
    st.sampled_from([0.0, 0.25, 0.3, 0.5, 1.0]),
)
def test_nms_keeps_what_loops_keep(drawn, threshold):
    given, scores, classes = ([each[i] for each in drawn] for i in range(3))
    a = as_tensor(given), torch.tensor(scores, dtype=torch.float64)
    one = kept_by_loops(given, scores, [0] * len(given), threshold)
    several = kept_by_loops(given, scores, classes, threshold)
    assert nms(*a, threshold).tolist() == one
    idxs = torch.tensor(classes, dtype=torch.int64)
    assert batched_nms(*a, idxs, threshold).tolist() == several


def test_nms_of_more_boxes_than_a_block():
    torch.manual_seed(0)
    corner = torch.randint(0, 100, (600, 2))
    a = torch.cat([corner, corner + torch.randint(1, 9, (600, 2))], 1)
    scores = torch.rand(600)
    idxs = torch.randint(0, 3, (600,))
    expected = kept_by_loops(a.tolist(), scores, idxs.tolist(), 0.2)
    assert (
        batched_nms(a.double(), scores.double(), idxs, 0.2).tolist() == expected
    )


def test_a_threshold_is_compared_in_double_precision():
    a = torch.tensor([[0.0, 0, 10, 1], [0.0, 0, 3, 1]])
    scores = torch.tensor([0.9, 0.8])
    assert float(box_iou(a, a)[0, 1]) > 0.3  # 0.3 in single precision
    assert nms(a, scores, 0.3).tolist() == [0]


def test_boxes_of_other_classes_drop_nobody_also_where_coordinates_are_negative():
    a = torch.tensor([[-9.0, -9, -1, -1], [-9, -9, -1, -1]])
    kept = batched_nms(a, torch.tensor([0.5, 0.6]), torch.tensor([0, 1]), 0.5)
    assert kept.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: box_convert(x, "xyxy", "xyhw"), "not 'xyhw'"),
        (lambda x: box_convert(x[:, :3], "xyxy", "xywh"), r"\(2, 3\)"),
        (lambda x: nms(x[0], torch.ones(2), 0.5), r"\(4,\) and \(2,\)"),
        (lambda x: nms(x, torch.ones(3), 0.5), r"\(2, 4\) and \(3,\)"),
        (
            lambda x: batched_nms(x, torch.ones(2), torch.ones(1), 0.5),
            r"\(2, 4\) and \(1,\)",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_shapes(call, said):
    with pytest.raises(ValueError, match=said):
        call(torch.tensor([[0.0, 0, 1, 1], [0, 0, 2, 2]]))

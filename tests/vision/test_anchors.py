"""Anchors, codes, and who answers for whom: loops are the judge."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from groundup.vision import (
    BACKGROUND,
    IGNORED,
    anchor_boxes,
    box_convert,
    box_iou,
    decode_boxes,
    encode_boxes,
    match_anchors,
)


def test_anchors_go_row_by_row_in_a_picture_that_is_not_square():
    shapes = [(4.0, 8.0), (6.0, 6.0)]
    anchors = anchor_boxes((16, 40), 8, shapes)
    centred = box_convert(anchors, "xyxy", "cxcywh")
    expected = [
        [8 * column + 4, 8 * row + 4, *shape]
        for row in range(2)
        for column in range(5)
        for shape in shapes
    ]
    assert_close(centred, torch.tensor(expected, dtype=torch.float32))


def test_a_rest_of_a_stride_has_anchors_too():
    assert len(anchor_boxes((17, 8), 8, [(4.0, 4.0)])) == 3


finite = st.floats(-50, 50, width=32)
side = st.floats(1, 60, width=32)
rows = st.lists(st.tuples(finite, finite, side, side), min_size=1, max_size=5)


@given(rows, st.tuples(finite, finite, side, side))
def test_codes_lead_back_to_their_boxes(boxes, anchor):
    boxes = torch.tensor(boxes, dtype=torch.float64)
    boxes = box_convert(boxes, "cxcywh", "xyxy")
    anchor = torch.tensor([anchor], dtype=torch.float64)
    anchor = box_convert(anchor, "cxcywh", "xyxy").expand_as(boxes)
    held = boxes.clone()
    codes = encode_boxes(boxes, anchor)
    near = (codes[:, 2:] <= 4).all(1)
    assert_close(decode_boxes(codes, anchor)[near], boxes[near])
    assert torch.equal(boxes, held)  # and the input is left alone


def test_codes_are_those_of_the_papers():
    anchor = torch.tensor([[0.0, 0, 10, 20]])
    box = torch.tensor([[5.0, 0, 15, 40]])
    code = torch.tensor([[0.5, 0.5, 0.0, torch.tensor(2.0).log()]])
    assert_close(encode_boxes(box, anchor), code)


def test_a_wild_code_is_no_endless_box():
    box = decode_boxes(
        torch.full((1, 4), 100.0), torch.tensor([[0.0, 0, 1, 1]])
    )
    assert box.isfinite().all()


def answers_by_loops(anchors, boxes, labels, low, high):
    """Class and row of the box of each anchor in one picture."""
    present = [i for i, label in enumerate(labels) if label >= 0]
    iou = box_iou(boxes, anchors).tolist()
    answers, rows = [], []
    for a in range(len(anchors)):
        shares = {i: iou[i][a] for i in present}
        own = [i for i in present if iou[i][a] == max(iou[i]) > 0]
        best = max(shares, key=shares.get, default=0)
        share = shares.get(best, 0)
        if own:
            answers.append(labels[own[0]])
            best = own[0]
        elif share < low:
            answers.append(BACKGROUND)
        else:
            answers.append(labels[best] if share >= high else IGNORED)
        rows.append(best)
    return answers, rows


@given(st.integers(0, 10_000))
def test_matching_is_that_of_loops(seed):
    torch.manual_seed(seed)
    anchors = anchor_boxes((32, 24), 8, [(8.0, 12.0), (14.0, 10.0)])
    corner = torch.randint(0, 16, (3, 4, 2)).float()
    boxes = torch.cat([corner, corner + torch.randint(4, 17, (3, 4, 2))], -1)
    labels = torch.randint(-1, 3, (3, 4))
    answers, wanted = match_anchors(anchors, boxes, labels, 0.3, 0.5)
    for i in range(3):
        one = boxes[i], labels[i].tolist()
        expected, rows = answers_by_loops(anchors, *one, 0.3, 0.5)
        assert answers[i].tolist() == expected
        kept = answers[i] >= 0
        assert_close(wanted[i][kept], boxes[i][rows][kept])


def test_a_picture_with_nothing_in_it_is_background_everywhere():
    anchors = anchor_boxes((16, 16), 8, [(8.0, 8.0)])
    nothing = torch.zeros(1, 2, 4), torch.full((1, 2), -1)
    answers, _ = match_anchors(anchors, *nothing)
    assert (answers == BACKGROUND).all()


def test_a_box_that_no_anchor_fits_has_one_all_the_same():
    anchors = anchor_boxes((32, 32), 8, [(8.0, 8.0)])
    thin = torch.tensor([[[0.0, 0, 32, 1]]])
    answers, _ = match_anchors(anchors, thin, torch.tensor([[5]]))
    assert box_iou(thin[0], anchors).max() < 0.4 and (answers == 5).any()

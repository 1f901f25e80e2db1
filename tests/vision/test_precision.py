"""Average precision: numbers by hand, and loops, are the judges."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.vision import average_precision, average_precisions, claim


def by_loops(pairs, n):
    """The best precision at each of 101 recalls, and their mean."""
    order = sorted(range(len(pairs)), key=lambda i: -pairs[i][0])
    points, right = [], 0
    for place, i in enumerate(order, 1):
        right += pairs[i][1]
        points.append((right, right / place))
    total = 0.0
    for step in range(101):
        at = [p for hits, p in points if 100 * hits >= step * n]
        total += max(at, default=0)
    return total / 101


@given(
    st.lists(
        st.tuples(st.sampled_from([0.2, 0.5, 0.8, 0.9]), st.booleans()),
        max_size=12,
    ),
    st.integers(0, 3),
)
def test_average_precision_is_that_of_loops(pairs, missed):
    n = sum(hit for _, hit in pairs) + missed
    scores = torch.tensor([score for score, _ in pairs])
    hits = torch.tensor([hit for _, hit in pairs], dtype=torch.bool)
    actual = average_precision(scores, hits, n)
    if n == 0:
        assert actual.isnan()
    else:
        assert actual.item() == pytest.approx(by_loops(pairs, n), abs=1e-9)


def test_a_column_is_claimed_once_by_the_better_row():
    iou = torch.tensor([[0.6, 0.9], [0.5, 0.95], [0.7, 0.2]])
    assert claim(iou, 0.5) == [True, True, False]
    assert claim(iou, 0.55) == [True, False, True]
    assert claim(iou[:, :0], 0.5) == [False] * 3


def picture(boxes, labels, scores=None):
    made = {
        "boxes": torch.tensor(boxes).view(-1, 4),
        "labels": torch.tensor(labels),
    }
    return made if scores is None else made | {"scores": torch.tensor(scores)}


SQUARE = [0.0, 0, 10, 10]


def test_a_perfect_detector_has_1_and_an_absent_class_none():
    truth = [picture([SQUARE], [1]), picture([[5.0, 5, 9, 9]], [0])]
    found = [
        picture([SQUARE], [1], [0.4]),
        picture([[5.0, 5, 9, 9]], [0], [0.2]),
    ]
    result = average_precisions(found, truth, 3)
    assert result.shape == (3, 10)
    assert result[:2].eq(1).all() and result[2].isnan().all()


def test_the_same_thing_said_twice_does_not_pay():
    truth = [picture([SQUARE], [0])] * 2
    once = [picture([SQUARE], [0], [0.9]), picture([SQUARE], [0], [0.3])]
    twice = [picture([SQUARE, SQUARE], [0, 0], [0.9, 0.8]), once[1]]
    assert average_precisions(once, truth, 1, [0.5]).item() == 1
    lower = average_precisions(twice, truth, 1, [0.5]).item()
    assert lower == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_a_box_half_as_high_is_a_hit_at_half_and_not_beyond():
    truth = [picture([SQUARE], [0])]
    found = [picture([[0.0, 0, 10, 5]], [0], [0.9])]
    assert average_precisions(found, truth, 1, [0.5, 0.51]).tolist() == [[1, 0]]


def test_order_of_detections_in_a_picture_does_not_matter():
    torch.manual_seed(0)
    corner = torch.randint(0, 20, (12, 2)).float()
    boxes = torch.cat([corner, corner + torch.randint(4, 12, (12, 2))], 1)
    truth = [{"boxes": boxes[:4], "labels": torch.tensor([0, 1, 0, 1])}]
    found = {
        "boxes": boxes,
        "scores": torch.rand(12),
        "labels": torch.arange(12) % 2,
    }
    shuffled = torch.randperm(12)
    other = {name: each[shuffled] for name, each in found.items()}
    results = [average_precisions([each], truth, 2) for each in (found, other)]
    assert torch.equal(*results)


def test_nothing_found_is_0_and_nothing_there_is_no_number():
    nothing = torch.zeros(0), torch.zeros(0, dtype=torch.bool)
    assert average_precision(*nothing, 3) == 0
    assert math.isnan(average_precision(*nothing, 0))

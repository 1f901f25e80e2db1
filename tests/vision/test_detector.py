"""A detector: what it is asked, what it answers, and that it can learn."""

import pytest
import torch
from torch.testing import assert_close

from groundup.vision import (
    Detector,
    average_precisions,
    decode_boxes,
    detect,
    detection_loss,
    detections,
    digit_scenes,
    sigmoid_focal_loss,
)
from groundup.vision.anchors import IGNORED

SHAPES = [(8.0, 20.0), (16.0, 20.0)]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Detector(3, SHAPES, widths=(4, 8, 8))


@pytest.mark.parametrize("size", [(64, 64), (24, 48), (33, 50)], ids=str)
def test_there_is_an_answer_for_each_anchor(model, size):
    scores, codes = model(torch.rand(2, 1, *size))
    n = len(model.anchors(size))
    assert scores.shape == (2, n, 3) and codes.shape == (2, n, 4)


def test_answers_lie_in_the_order_of_the_anchors(model):
    """A kernel that sees one bright corner changes the answers there."""
    model.eval()
    picture = torch.zeros(1, 1, 64, 128)
    with torch.no_grad():
        before = model(picture)[0]
        picture[..., 60:, 124:] = 100
        moved = (model(picture)[0] - before).abs().amax(2)[0]
    anchors = model.anchors((64, 128))
    x, y = anchors[:, :2].add(anchors[:, 2:]).T / 2
    assert moved.argmax() >= len(anchors) - 2 * len(SHAPES) - 2 * 16 * 2
    far = (x < 40) | (y < 8)
    assert moved[far].max() < moved.max() / 100


def test_the_first_probabilities_are_the_prior(model):
    scores, _ = model(torch.rand(4, 1, 64, 64))
    assert abs(scores.sigmoid().mean() - 0.01) < 0.003


def test_targets_are_codes_where_there_is_a_box_and_0_elsewhere(model):
    boxes = torch.tensor([[[8.0, 6, 16, 26], [0, 0, 0, 0]]])
    answers, codes = model.targets(boxes, torch.tensor([[2, -1]]), (64, 64))
    assert (answers == 2).any() and codes.isfinite().all()
    assert codes[answers < 0].eq(0).all() and codes[answers >= 0].any()


def test_the_loss_is_of_matched_anchors_and_leaves_out_the_ignored():
    scores = torch.randn(2, 4, 3).requires_grad_()
    codes = torch.randn(2, 4, 4).requires_grad_()
    answers = torch.tensor([[1, IGNORED, -1, 0], [-1, -1, IGNORED, -1]])
    wanted = torch.randn(2, 4, 4)
    loss, n = detection_loss((scores, codes), (answers, wanted))
    assert n == 2
    loss.backward()
    assert scores.grad[answers == IGNORED].eq(0).all()
    assert scores.grad[answers != IGNORED].ne(0).all()
    assert codes.grad[answers < 0].eq(0).all()
    yes = torch.zeros(2, 4, 3)
    yes[0, 0, 1] = yes[0, 3, 0] = 1
    kept = (answers != IGNORED)[..., None]
    focal = (sigmoid_focal_loss(scores, yes) * kept).sum()
    errors = (codes - wanted)[answers >= 0].abs()
    smooth = torch.where(errors < 0.1, 5 * errors**2, errors - 0.05).sum()
    assert_close(loss, (focal + 10 * smooth) / 2)


def test_a_batch_without_anything_has_a_loss():
    scores, codes = torch.randn(1, 4, 3), torch.randn(1, 4, 4)
    nothing = torch.full((1, 4), -1), torch.zeros(1, 4, 4)
    loss, n = detection_loss((scores, codes), nothing)
    assert loss.isfinite() and n == 1


def test_detections_are_likely_separate_and_best_first():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 40, 40]])
    scores = torch.tensor([[2.0, -9.0], [1.0, 0.0], [-3.0, 3.0]])
    found = detections(scores, boxes)
    assert found["labels"].tolist() == [1, 0, 1, 0]
    assert found["boxes"][:, 0].tolist() == [30, 0, 1, 30]
    assert found["scores"].tolist() == sorted(found["scores"], reverse=True)
    assert len(detections(scores, boxes, threshold=0.9)["scores"]) == 1
    assert len(detections(scores, boxes, most=2)["scores"]) == 2


def test_detecting_changes_nothing_of_the_model(model):
    before = {name: each.clone() for name, each in model.state_dict().items()}
    found = detect(model.train(), torch.rand(3, 1, 64, 64), threshold=0.001)
    assert model.training and len(found) == 3
    after = model.state_dict()
    assert all(torch.equal(each, after[name]) for name, each in before.items())


def test_it_learns_scenes_by_heart_also_on_a_wide_canvas():
    torch.manual_seed(0)
    images = torch.zeros(2, 28, 28)
    images[0, 4:24, 10:14], images[1, 4:24, 4:24] = 255, 255
    images[1, 8:20, 8:20] = 0
    size = 32, 64
    scenes, boxes, labels = digit_scenes(
        images, torch.arange(2), 4, 0, size, most=2
    )
    model = Detector(2, SHAPES, widths=(8, 8, 16))
    target = model.targets(boxes, labels, size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(80):
        loss, _ = detection_loss(model(scenes[:, None]), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    truth = [
        {"boxes": b[k >= 0], "labels": k[k >= 0]} for b, k in zip(boxes, labels)
    ]
    with torch.no_grad():  # in training mode: too few scenes for averages
        scores, codes = model(scenes[:, None])
    decoded = decode_boxes(codes, model.anchors(size))
    found = [detections(*pair) for pair in zip(scores, decoded)]
    result = average_precisions(found, truth, 2, [0.5])
    assert result.min() > 0.9

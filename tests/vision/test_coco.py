"""COCO's numbers: pycocotools is the judge, on sets with every corner."""

import contextlib
import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch.testing import assert_close

from groundup.vision import average_precisions, coco_scores, coco_summary
from groundup.vision.coco import AREAS, LIMITS
from groundup.vision.precision import THRESHOLDS

NAMES = [
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"),
]
N_CLASSES = 3


def corner_and_size(boxes):
    return torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).tolist()


def pycocotools(found, truth, limits=LIMITS):
    """Its evaluation of the same pictures."""
    objects, said = [], []
    for i, (one, other) in enumerate(zip(truth, found)):
        rows = zip(corner_and_size(one["boxes"]), one["labels"].tolist())
        for j, (box, label) in enumerate(rows):
            crowd = int(one["iscrowd"][j]) if "iscrowd" in one else 0
            area = float(one["area"][j]) if "area" in one else box[2] * box[3]
            own = {"bbox": box, "category_id": label, "image_id": i}
            own |= {"iscrowd": crowd, "area": area, "id": len(objects) + 1}
            objects.append(own)
        rows = zip(
            corner_and_size(other["boxes"]),
            other["labels"].tolist(),
            other["scores"].tolist(),
        )
        for box, label, score in rows:
            own = {"bbox": box, "category_id": label, "image_id": i}
            said.append(own | {"score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(len(truth))],
            "categories": [{"id": i} for i in range(N_CLASSES)],
            "annotations": objects,
        }
        coco.createIndex()
        results = coco.loadRes(said) if said else COCO()
        if not said:
            results.dataset = coco.dataset | {"annotations": []}
            results.createIndex()
        judge = COCOeval(coco, results, "bbox")
        judge.params.maxDets = list(limits)
        judge.evaluate()
        judge.accumulate()
        if tuple(limits) == LIMITS:
            judge.summarize()
    return judge


def assert_same(found, truth, limits=LIMITS):
    """All precisions and recalls, and the twelve numbers, to nine places."""
    judge = pycocotools(found, truth, limits)
    precision, recall = coco_scores(found, truth, N_CLASSES, limits=limits)
    # (t, r, k, a, m) -> (k, m, a, t)
    theirs = torch.from_numpy(judge.eval["precision"]).mean(1)
    theirs = theirs.permute(1, 3, 2, 0)
    ours = precision.nan_to_num(-1)
    assert_close(ours, theirs, rtol=0, atol=1e-9)
    theirs = torch.from_numpy(judge.eval["recall"]).permute(1, 3, 2, 0)
    assert_close(recall.nan_to_num(-1), theirs, rtol=0, atol=1e-9)
    if limits == LIMITS:
        summary = coco_summary(found, truth, N_CLASSES)
        assert [*summary] == NAMES
        for ours, theirs in zip(summary.values(), judge.stats.tolist()):
            ours = -1 if math.isnan(ours) else ours
            assert ours == pytest.approx(theirs, abs=1e-9)


# Sides at and around the edges of small, medium and large; halves and
# tenths of boxes, so that IoUs meet thresholds exactly.
side = st.sampled_from([0, 4, 5, 10, 20, 31, 32, 33, 40, 95, 96, 97, 200])
place = st.sampled_from([0, 0, 1, 2, 5, 10, 50])
score = st.sampled_from([0.1, 0.3, 0.5, 0.5, 0.9])
label = st.integers(0, N_CLASSES - 1)
a_box = st.tuples(place, place, side, side)
an_object = st.tuples(
    a_box, label, st.booleans(), st.sampled_from([None, 900, 1024, 9216, 1e9])
)
a_detection = st.tuples(a_box, label, score)
picture = st.tuples(
    st.lists(an_object, max_size=5), st.lists(a_detection, max_size=14)
)


def corners(boxes):
    made = torch.tensor(boxes, dtype=torch.float64).view(-1, 4)
    return torch.cat([made[:, :2], made[:, :2] + made[:, 2:]], 1)


def as_truth(objects):
    boxes = corners([box for box, *_ in objects])
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(1).tolist()
    areas = [s if o[3] is None else o[3] for s, o in zip(sizes, objects)]
    return {
        "boxes": boxes,
        "labels": torch.tensor([o[1] for o in objects], dtype=torch.int64),
        "iscrowd": torch.tensor([o[2] for o in objects], dtype=torch.bool),
        "area": torch.tensor(areas, dtype=torch.float64),
    }


def as_found(detections):
    return {
        "boxes": corners([box for box, *_ in detections]),
        "labels": torch.tensor([d[1] for d in detections], dtype=torch.int64),
        "scores": torch.tensor([d[2] for d in detections], dtype=torch.float64),
    }


@settings(max_examples=200)
@given(
    st.lists(picture, min_size=1, max_size=4),
    st.sampled_from([LIMITS, (1, 2, 5), (3,)]),
)
def test_coco_is_pycocotools_on_sets_with_every_corner(pictures, limits):
    truth = [as_truth(objects) for objects, _ in pictures]
    found = [as_found(detections) for _, detections in pictures]
    assert_same(found, truth, limits)


def crowded(seed, n=12, crowd=0.2):
    """Pictures with detections near their objects."""
    torch.manual_seed(seed)
    found, truth = [], []
    for _ in range(n):
        corner = torch.randint(0, 150, (8, 2))
        boxes = torch.cat([corner, corner + torch.randint(5, 120, (8, 2))], 1)
        labels = torch.randint(0, N_CLASSES, (8,))
        near = boxes.repeat(3, 1) + torch.randint(-4, 5, (24, 4))
        near[:, 2:] = torch.maximum(near[:, 2:], near[:, :2] + 1)
        scores = (torch.rand(24) * 10).round() / 10  # with ties
        one = {"boxes": boxes.double(), "labels": labels}
        truth.append(one | {"iscrowd": torch.rand(8) < crowd})
        said = {"boxes": near.double(), "labels": labels.repeat(3)}
        found.append(said | {"scores": scores.double()})
    return found, truth


@pytest.mark.parametrize("seed", range(4))
def test_coco_is_pycocotools_where_detections_are_near_objects(seed):
    found, truth = crowded(seed)
    assert 0.1 < coco_summary(found, truth, N_CLASSES)["AP"] < 0.9
    assert_same(found, truth)


def test_more_than_a_hundred_detections_in_a_picture():
    found, truth = crowded(5, n=2)
    some = found[0] | {"labels": torch.zeros(24, dtype=torch.int64)}
    many = {name: torch.cat([each] * 6) for name, each in some.items()}
    assert_same([many, found[1]], truth)


@pytest.mark.parametrize("what", ["found", "truth", "both"])
def test_empty_pictures_only(what):
    found, truth = crowded(6, n=2)
    nothing = as_found([]), as_truth([])
    found = found if what == "truth" else [nothing[0]] * 2
    truth = truth if what == "found" else [nothing[1]] * 2
    assert_same(found, truth)


def test_the_storys_number_is_cocos_without_corners():
    found, truth = crowded(7, crowd=0)
    story = average_precisions(found, truth, N_CLASSES)
    coco = coco_scores(found, truth, N_CLASSES)[0][:, 2, 0]
    assert_close(story, coco, rtol=0, atol=1e-9)


def test_the_thresholds_and_areas_are_those_of_pycocotools():
    params = pycocotools(*crowded(0, n=1)).params
    assert params.iouThrs.tolist() == [*THRESHOLDS]
    assert params.areaRng == [[low, high] for low, high in AREAS.values()]


def test_a_label_short_is_said():
    wrong = {"boxes": torch.zeros(2, 4), "labels": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"\(2, 4\) and \(1,\)"):
        coco_summary([as_found([])], [wrong], 1)

# Extracted from book/5_applications/8_boxes.py; edit it there.
"""COCO's average precision and recall, to the last corner."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from groundup.vision.boxes import box_area
from groundup.vision.precision import THRESHOLDS, average_precision

AREAS = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
LIMITS = 1, 10, 100


def _shares(boxes: Tensor, objects: Tensor, crowd: Tensor) -> Tensor:
    """IoU; of crowds, the share that lies in them: (d, 4), (m, 4) -> (d, m)."""
    boxes, objects = boxes.double(), objects.double()
    corner = torch.maximum(boxes[:, None, :2], objects[:, :2])
    end = torch.minimum(boxes[:, None, 2:], objects[:, 2:])
    width, height = (end - corner).clamp(min=0).unbind(-1)
    shared, area = width * height, box_area(boxes)[:, None]
    both = area + box_area(objects) - shared
    return (shared / torch.where(crowd, area, both)).nan_to_num(0)


def _claims(
    shares: list[list[float]],
    ignored: list[bool],
    crowd: list[bool],
    threshold: float,
) -> list[int]:
    """The object of each detection, best first, (d, m); -1 for none."""
    counting_first = sorted(range(len(ignored)), key=ignored.__getitem__)
    taken: set[int] = set()
    result = []
    for row in shares:
        best, chosen = min(threshold, 1 - 1e-10), -1
        for i in counting_first:
            if i in taken and not crowd[i]:
                continue
            if chosen >= 0 and ignored[i] and not ignored[chosen]:
                break
            if row[i] >= best:
                best, chosen = row[i], i
        taken.add(chosen)
        result.append(chosen)
    return result


def _judge(
    found: Mapping[str, Tensor],
    truth: Mapping[str, Tensor],
    areas: Sequence[tuple[float, float]],
    thresholds: Sequence[float],
    limit: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scores (d,), hits and ignored (a, t, d), what is there to find (a,)."""
    order = found["scores"].argsort(descending=True, stable=True)[:limit]
    boxes, crowd = found["boxes"][order], truth["iscrowd"].tolist()
    shares = _shares(boxes, truth["boxes"], truth["iscrowd"]).tolist()
    sides = boxes.double()
    sizes, own = truth["area"].tolist(), box_area(sides).tolist()
    size = len(areas), len(thresholds), len(order)
    hits, ignored = torch.zeros(2, *size, dtype=torch.bool)
    n = torch.zeros(len(areas))
    for a, (low, high) in enumerate(areas):
        out = [
            c or not low <= s <= high for c, s in zip(crowd, sizes, strict=True)
        ]
        n[a] = out.count(False)
        for t, threshold in enumerate(thresholds):
            for d, i in enumerate(_claims(shares, out, crowd, threshold)):
                hits[a, t, d] = i >= 0 and not out[i]
                ignored[a, t, d] = (
                    out[i] if i >= 0 else not low <= own[d] <= high
                )
    return found["scores"][order], hits, ignored, n


def _filled(truth: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Truth with area and iscrowd: of the box, and not, if not given."""
    boxes, labels = truth["boxes"].view(-1, 4), truth["labels"]
    if len(boxes) != len(labels):
        shapes = f"{(*boxes.shape,)} and {(*labels.shape,)}"
        raise ValueError(f"expected a label a box, got {shapes}")
    area = truth.get("area", box_area(boxes.double()))
    crowd = truth.get("iscrowd", torch.zeros(len(boxes)))
    crowd = crowd.to(torch.bool)
    return {"boxes": boxes, "labels": labels, "area": area, "iscrowd": crowd}


def _of_class(values: Mapping[str, Tensor], label: int) -> dict[str, Tensor]:
    rows = values["labels"] == label
    return {name: each[rows] for name, each in values.items()}


def _class_scores(
    judged: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]], limit: int
) -> tuple[Tensor, Tensor]:
    """Precision and recall of a class, each (a, t), NaN for no object."""
    scores = torch.cat([each[0][:limit] for each in judged])
    hits = torch.cat([each[1][..., :limit] for each in judged], -1)
    ignored = torch.cat([each[2][..., :limit] for each in judged], -1)
    n = torch.stack([each[3] for each in judged]).sum(0)
    precision = torch.full(hits.shape[:2], math.nan, dtype=torch.float64)
    for a, t in torch.ones(hits.shape[:2]).nonzero().tolist():
        counts = ~ignored[a, t]
        some = scores[counts], hits[a, t, counts]
        precision[a, t] = average_precision(*some, int(n[a]))
    found = (hits & ~ignored).sum(-1).double()
    return precision, found / n.double()[:, None]


def coco_scores(
    found: Sequence[Mapping[str, Tensor]],
    truth: Sequence[Mapping[str, Tensor]],
    n_classes: int,
    thresholds: Sequence[float] = THRESHOLDS,
    areas: Sequence[tuple[float, float]] = tuple(AREAS.values()),
    limits: Sequence[int] = LIMITS,
) -> tuple[Tensor, Tensor]:
    """Average precision and recall of detections: twice (k, l, a, t).

    By class, limit, area and threshold; NaN where there is nothing to find.
    Truth has boxes and labels, and may have area and iscrowd.
    """
    truth = [_filled(each) for each in truth]
    result = []
    for label in range(n_classes):
        pairs = zip(found, truth, strict=True)
        judged = [
            _judge(
                *(_of_class(each, label) for each in pair),
                areas,
                thresholds,
                max(limits),
            )
            for pair in pairs
        ]
        each = [_class_scores(judged, limit) for limit in limits]
        result.append(torch.stack([torch.stack(pair) for pair in each]))
    precision, recall = torch.stack(result).unbind(2)
    return precision, recall


def coco_summary(
    found: Sequence[Mapping[str, Tensor]],
    truth: Sequence[Mapping[str, Tensor]],
    n_classes: int,
) -> dict[str, float]:
    """COCO's twelve numbers, NaN where there is nothing to find."""
    precision, recall = coco_scores(found, truth, n_classes)
    chosen = {"AP": precision[:, 2, 0]}
    chosen |= {"AP50": precision[:, 2, 0, 0], "AP75": precision[:, 2, 0, 5]}
    sizes = [*enumerate(AREAS)][1:]
    chosen |= {f"AP_{name}": precision[:, 2, a] for a, name in sizes}
    chosen |= {f"AR{n}": recall[:, i, 0] for i, n in enumerate(LIMITS)}
    chosen |= {f"AR_{name}": recall[:, 2, a] for a, name in sizes}
    return {name: each.nanmean().item() for name, each in chosen.items()}

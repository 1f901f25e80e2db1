# Extracted from book/5_applications/1_detection.py; edit it there.
"""How good detections are: precision, recall, and their average."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from groundup.vision.boxes import box_iou


def claim(iou: Tensor, threshold: float) -> list[bool]:
    """Whether each row, best first, finds a column that is free: (d, m)."""
    free, hits = {*range(iou.shape[1])}, []
    for row in iou.tolist():
        share, column = max(((row[i], i) for i in free), default=(-1.0, -1))
        hits.append(share >= threshold)
        if hits[-1]:
            free.remove(column)
    return hits


def average_precision(scores: Tensor, hits: Tensor, n_objects: int) -> Tensor:
    """Mean precision at 101 recalls, 0 to 1: (d,), (..., d) -> (...).

    NaN where there is nothing to be found.
    """
    order = scores.argsort(descending=True, stable=True)
    right = hits[..., order].double().cumsum(-1)
    precision = right / torch.arange(1, len(order) + 1)
    precision = precision.flip(-1).cummax(-1).values.flip(-1)
    precision = torch.cat([precision, torch.zeros_like(right[..., :1])], -1)
    if not n_objects or not len(order):
        return torch.full(hits.shape[:-1], 0.0 if n_objects else math.nan)
    recalls = torch.arange(101, dtype=torch.float64) * 0.01
    recalls = recalls.expand(*hits.shape[:-1], -1).contiguous()
    places = torch.searchsorted(right / n_objects, recalls)
    return precision.gather(-1, places).mean(-1)


# COCO's to the last bit, which 0.5 + 0.05 * i is not.
THRESHOLDS = *(0.5 + (0.95 - 0.5) / 9 * i for i in range(9)), 0.95


def _hits(
    found: dict[str, Tensor],
    truth: dict[str, Tensor],
    label: int,
    thresholds: Sequence[float],
) -> tuple[Tensor, Tensor]:
    """Scores and hits of a class in one picture: (d,), (t, d)."""
    of_class = found["labels"] == label
    order = found["scores"][of_class].argsort(descending=True, stable=True)
    scores, boxes = found["scores"][of_class], found["boxes"][of_class]
    iou = box_iou(boxes[order], truth["boxes"][truth["labels"] == label])
    hits = [claim(iou, each) for each in thresholds]
    return scores[order], torch.tensor(hits).view(len(hits), -1).bool()


def average_precisions(
    found: Sequence[dict[str, Tensor]],
    truth: Sequence[dict[str, Tensor]],
    n_classes: int,
    thresholds: Sequence[float] = THRESHOLDS,
) -> Tensor:
    """AP of each class at each threshold of IoU, over pictures: (k, t)."""
    result = []
    for label in range(n_classes):
        pairs = zip(found, truth, strict=True)
        each = [_hits(*pair, label, thresholds) for pair in pairs]
        scores, hits = (torch.cat(x, -1) for x in zip(*each, strict=True))
        n = sum((one["labels"] == label).sum().item() for one in truth)
        result.append(average_precision(scores, hits, n))
    return torch.stack(result)

# Extracted from book/5_applications/1_detection.py; edit it there.
"""A detector of one stage: every anchor answers what and where."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.nn import init
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.conv import Conv2d
from groundup.nn.module import Module
from groundup.nn.norm import BatchNorm2d
from groundup.vision.anchors import (
    IGNORED,
    anchor_boxes,
    decode_boxes,
    encode_boxes,
    match_anchors,
)
from groundup.vision.boxes import batched_nms
from groundup.vision.focal_loss import sigmoid_focal_loss


def _block(c_in: int, c_out: int, stride: int = 1) -> Sequential:
    """Kernels of three by three, their norm, and ReLU."""
    kernels = Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
    return Sequential(kernels, BatchNorm2d(c_out), ReLU(inplace=True))


class Detector(Module):
    """Pictures (n, c, h, w) -> scores (n, a, k) and codes (n, a, 4).

    `shapes` are the widths and heights of the anchors at each place.
    """

    stride, prior = 8, 0.01  # how probable a class is before any training

    def __init__(
        self,
        n_classes: int,
        shapes: Sequence[Sequence[float]],
        in_channels: int = 1,
        widths: Sequence[int] = (16, 32, 64),
    ):
        self.n_classes, self.shapes = n_classes, tuple(shapes)
        a, b, c = widths
        first = _block(in_channels, a, 2), _block(a, b, 2), _block(b, b)
        self.body = Sequential(*first, _block(b, c, 2), _block(c, c))
        self.score = self._head(c, n_classes)
        self.code = self._head(c, 4)
        init.normal_(self.score[-1].weight, std=0.01)
        init.constant_(self.score[-1].bias, -math.log(1 / self.prior - 1))

    def _head(self, channels: int, size: int) -> Sequential:
        """Answers of a size for each shape at each place."""
        last = Conv2d(channels, size * len(self.shapes), 3, padding=1)
        return Sequential(_block(channels, channels), last)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and codes of all anchors."""
        seen = self.body(pictures)  # channels go last: (n, h, w, a * size)
        scores, codes = (
            head(seen).permute(0, 2, 3, 1).reshape(len(seen), -1, size)
            for head, size in ((self.score, self.n_classes), (self.code, 4))
        )
        return scores, codes

    def anchors(self, size: Sequence[int]) -> Tensor:
        """The anchors in pictures of (height, width): (a, 4)."""
        return anchor_boxes(tuple(size), self.stride, self.shapes)

    def targets(
        self, boxes: Tensor, labels: Tensor, size: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """What it should answer, (n, a) and (n, a, 4), to be trained."""
        anchors = self.anchors(size)
        answers, wanted = match_anchors(anchors, boxes, labels)
        codes = encode_boxes(wanted, anchors)
        return answers, codes.where((answers >= 0)[..., None], 0.0)


def detection_loss(
    prediction: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Focal loss of the scores and smooth L1 of codes; of how many anchors.

    Both are summed and divided by the anchors that answer for a box.
    """
    (scores, codes), (answers, wanted) = prediction, target
    matched = answers >= 0
    n = matched.sum().clamp(min=1)
    classes = torch.arange(scores.shape[-1], device=scores.device)
    yes = (answers[..., None] == classes).to(scores.dtype)
    each = sigmoid_focal_loss(scores, yes).sum(-1)
    wrong = codes[matched], wanted[matched]
    where = F.smooth_l1_loss(*wrong, reduction="sum", beta=0.1)
    return (each[answers != IGNORED].sum() + 10 * where) / n, n


def detections(
    scores: Tensor,
    boxes: Tensor,
    threshold: float = 0.01,
    iou_threshold: float = 0.5,
    most: int = 100,
) -> dict[str, Tensor]:
    """Boxes, scores and labels in one picture, of (a, k) logits and (a, 4).

    The ten times `most` best that are likelier than `threshold` go into NMS.
    """
    likely = F.logsigmoid(scores).exp()
    rows, labels = (likely > threshold).nonzero().T
    found = likely[rows, labels]
    best = found.argsort(descending=True, stable=True)[: 10 * most]
    boxes, found, labels = boxes[rows[best]], found[best], labels[best]
    kept = batched_nms(boxes, found, labels, iou_threshold)[:most]
    values = boxes[kept], found[kept], labels[kept]
    return dict(zip(("boxes", "scores", "labels"), values, strict=True))


@torch.no_grad()
def detect(
    model: Detector, pictures: Tensor, **options: float
) -> list[dict[str, Tensor]]:
    """What `detections` finds in each picture (n, c, h, w)."""
    training, size = model.training, pictures.shape[-2:]
    model.eval()
    found = []
    for some in pictures.split(100):
        scores, codes = model(some)
        boxes = decode_boxes(codes, model.anchors(size).to(codes))
        pairs = zip(scores, boxes, strict=True)
        found += [detections(*pair, **options) for pair in pairs]
    model.train(training)
    return found

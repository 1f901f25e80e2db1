# Extracted from book/5_applications/1_detection.py; edit it there.
"""Boxes at which a network is asked, and what it should answer."""

from collections.abc import Sequence

import torch
from torch import Tensor

from groundup.vision.boxes import box_convert, box_iou

BACKGROUND, IGNORED = -1, -2


def anchor_boxes(
    size: tuple[int, int], stride: int, shapes: Sequence[Sequence[float]]
) -> Tensor:
    """Boxes of all (width, height) at each place of a picture: (a, 4).

    Row by row; at each place in the order of the shapes.
    """
    height, width = (-(-n // stride) for n in size)  # strides round up
    x = (torch.arange(width) + 0.5).repeat(height)
    y = (torch.arange(height) + 0.5).repeat_interleave(width)
    centres = torch.stack([x, y], 1)[:, None] * stride
    halves = torch.tensor(shapes, dtype=torch.float32) / 2
    return torch.cat([centres - halves, centres + halves], 2).view(-1, 4)


def match_anchors(
    anchors: Tensor,
    boxes: Tensor,
    labels: Tensor,
    low: float = 0.4,
    high: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """The class and box that each anchor answers: (n, a), (n, a, 4).

    A label of (n, m) is negative where there is no box. The class is BACKGROUND
    below an IoU of `low`, IGNORED up to `high`, but for a box's best anchor.
    """
    iou = box_iou(boxes, anchors.expand(len(boxes), -1, -1))  # (n, m, a)
    iou = iou.masked_fill((labels < 0)[..., None], 0)
    shares, rows = iou.max(1)
    top = iou.amax(2, keepdim=True)
    own = (iou == top) & (top > 0)
    rows = torch.where(own.any(1), own.int().argmax(1), rows)
    answers, other = labels.gather(1, rows), ~own.any(1)
    answers = answers.masked_fill(other & (shares < high), IGNORED)
    answers = answers.masked_fill(other & (shares < low), BACKGROUND)
    return answers, boxes.gather(1, rows[..., None].expand(-1, -1, 4))


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """How boxes differ from anchors: twice (..., 4) -> (..., 4)."""
    box = box_convert(boxes, "xyxy", "cxcywh")
    anchor = box_convert(anchors, "xyxy", "cxcywh")
    sides = anchor[..., 2:]
    centres = (box[..., :2] - anchor[..., :2]) / sides
    return torch.cat([centres, (box[..., 2:] / sides).log()], -1)


def decode_boxes(codes: Tensor, anchors: Tensor) -> Tensor:
    """The boxes of codes: what `encode_boxes` was given."""
    anchor = box_convert(anchors, "xyxy", "cxcywh")
    sides = anchor[..., 2:]
    centres = anchor[..., :2] + codes[..., :2] * sides
    sides = sides * codes[..., 2:].clamp(max=4).exp()  # and never endless
    return box_convert(torch.cat([centres, sides], -1), "cxcywh", "xyxy")

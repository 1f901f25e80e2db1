# Extracted from book/5_applications/8_boxes.py; edit it there.
"""More operations on boxes: distances, losses, and boxes of masks."""

import math

import torch
from torch import Tensor

from groundup.nn.functional.reduction import reduce_losses
from groundup.vision.boxes import box_area, box_iou


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """IoU less the empty share of the hull: (n, 4), (m, 4) -> (n, m)."""
    iou = box_iou(boxes1, boxes2)
    first, other = boxes1[..., :, None, :], boxes2[..., None, :, :]
    corner = torch.minimum(first[..., :2], other[..., :2])
    end = torch.maximum(first[..., 2:], other[..., 2:])
    hull = box_area(torch.cat([corner, end], -1))
    both = box_area(boxes1)[..., None] + box_area(boxes2)[..., None, :]
    return iou - (hull - both / (1 + iou)) / hull


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (..., 4) as far as they lie in a picture of (height, width)."""
    height, width = size
    ends = torch.tensor([width, height, width, height]).to(boxes)
    return torch.minimum(boxes.clamp(min=0), ends)


def _centres_apart(a: Tensor, b: Tensor, eps: float) -> Tensor:
    """Squared distance of centres over that of the hull's corners: (...)."""
    corner = torch.minimum(a[..., :2], b[..., :2])
    end = torch.maximum(a[..., 2:], b[..., 2:])
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    return apart.square().sum(-1) / ((end - corner).square().sum(-1) + eps)


def _shapes_apart(a: Tensor, b: Tensor, iou: Tensor, eps: float) -> Tensor:
    """The weighted squared angle between the diagonals: (...)."""
    sides = [x[..., 2:] - x[..., :2] for x in (a, b)]
    angles = [(each[..., 0] / each[..., 1]).atan() for each in sides]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    with torch.no_grad():
        alpha = v / (1 - iou + v + eps)
    return alpha * v


def distance_box_iou(
    boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7
) -> Tensor:
    """IoU less how far centres are apart: (n, 4), (m, 4) -> (n, m)."""
    a, b = boxes1[..., :, None, :], boxes2[..., None, :, :]
    return box_iou(boxes1, boxes2) - _centres_apart(a, b, eps)


def complete_box_iou(
    boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7
) -> Tensor:
    """Distance IoU less how far shapes are apart: (n, 4), (m, 4) -> (n, m)."""
    a, b = boxes1[..., :, None, :], boxes2[..., None, :, :]
    shapes = _shapes_apart(a, b, box_iou(boxes1, boxes2), eps)
    return distance_box_iou(boxes1, boxes2, eps) - shapes


def _iou_of_pairs(a: Tensor, b: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """IoU and what is covered, row by row: two of (..., 4) -> (...)."""
    corner = torch.maximum(a[..., :2], b[..., :2])
    end = torch.minimum(a[..., 2:], b[..., 2:])
    sides = (end - corner).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    covered = box_area(a) + box_area(b) - shared
    return shared / (covered + eps), covered


def generalized_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 less the generalised IoU of pairs: two of (n, 4) -> (n,)."""
    iou, covered = _iou_of_pairs(boxes1, boxes2, eps)
    corner = torch.minimum(boxes1[..., :2], boxes2[..., :2])
    sides = torch.maximum(boxes1[..., 2:], boxes2[..., 2:]) - corner
    hull = sides[..., 0] * sides[..., 1]
    return reduce_losses(1 - iou + (hull - covered) / (hull + eps), reduction)


def distance_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 less the distance IoU of pairs: two of (n, 4) -> (n,)."""
    iou, _ = _iou_of_pairs(boxes1, boxes2, eps)
    losses = 1 - iou + _centres_apart(boxes1, boxes2, eps)
    return reduce_losses(losses, reduction)


def complete_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 less the complete IoU of pairs: two of (n, 4) -> (n,)."""
    iou, _ = _iou_of_pairs(boxes1, boxes2, eps)
    shapes = _shapes_apart(boxes1, boxes2, iou, eps)
    losses = 1 - iou + _centres_apart(boxes1, boxes2, eps) + shapes
    return reduce_losses(losses, reduction)


def masks_to_boxes(masks: Tensor) -> Tensor:
    """First and last pixel of each mask: (n, h, w) -> (n, 4).

    The last one is inside, so `box + [0, 0, 1, 1]` covers; none gives zeros.
    """
    boxes = torch.zeros(len(masks), 4, device=masks.device)
    for box, mask in zip(boxes, masks, strict=True):
        y, x = mask.nonzero().T
        if len(x):
            box.copy_(torch.stack([x.min(), y.min(), x.max(), y.max()]))
    return boxes


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """Rows of the boxes (n, 4) with both sides of a size or more."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return (sides >= min_size).all(-1).nonzero()[:, 0]

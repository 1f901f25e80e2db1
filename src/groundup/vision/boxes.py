# Extracted from book/5_applications/1_detection.py; edit it there.
"""Boxes: their spellings, what two of them share, and which to keep."""

import torch
from torch import Tensor

FORMATS = "xyxy", "xywh", "cxcywh"


def _wide(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """Boxes by their corners, in 32 bits at least: areas may be large."""
    kind = torch.float32 if boxes.is_floating_point() else torch.int32
    boxes = boxes.to(torch.promote_types(boxes.dtype, kind))
    return boxes if fmt == "xyxy" else box_convert(boxes, fmt, "xyxy")


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes in another spelling, (..., 4): xyxy, xywh or cxcywh."""
    for fmt in (in_fmt, out_fmt):
        if fmt not in FORMATS:
            raise ValueError(f"boxes are {', '.join(FORMATS)}, not {fmt!r}")
    if boxes.shape[-1:] != (4,):
        raise ValueError(f"a box is 4 numbers, got shape {(*boxes.shape,)}")
    if in_fmt == out_fmt:
        return boxes.clone()
    first, last = boxes[..., :2], boxes[..., 2:]
    if in_fmt == "xywh":
        last = first + last
    elif in_fmt == "cxcywh":
        first, last = first - 0.5 * last, first + 0.5 * last
    if out_fmt == "cxcywh":
        return torch.cat([(first + last) / 2, last - first], -1)
    return torch.cat([first, last - first * (out_fmt == "xywh")], -1)


def box_area(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """Width times height: (..., 4) -> (...)."""
    boxes = _wide(boxes, fmt)
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def box_iou(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> Tensor:
    """What pairs share of what they cover: (n, 4), (m, 4) -> (n, m)."""
    a, b = _wide(boxes1, fmt), _wide(boxes2, fmt)
    first, other = a[..., :, None, :], b[..., None, :, :]
    corner = torch.maximum(first[..., :2], other[..., :2])
    end = torch.minimum(first[..., 2:], other[..., 2:])
    width, height = (end - corner).clamp(min=0).unbind(-1)
    shared = width * height
    return shared / (
        box_area(a)[..., None] + box_area(b)[..., None, :] - shared
    )


def batched_nms(
    boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float
) -> Tensor:
    """Rows of boxes that overlap no better one of their class, best first."""
    for each in (scores, idxs):
        if boxes.shape != (*each.shape, 4) or each.ndim != 1:
            shapes = f"{(*boxes.shape,)} and {(*each.shape,)}"
            raise ValueError(f"expected (n, 4) and (n,), got {shapes}")
    order = scores.argsort(descending=True, stable=True)
    boxes, idxs = boxes[order], idxs[order]
    kept, n = torch.ones_like(order, dtype=torch.bool), len(order)
    for start in range(0, n, 512):  # so that memory grows with n, not n²
        rows, others = slice(start, start + 512), slice(start, n)
        iou = box_iou(boxes[rows], boxes[others]).double()
        overlaps = (iou > iou_threshold) & (idxs[rows, None] == idxs[others])
        for i, row in enumerate(overlaps):
            if kept[start + i]:
                kept[start + i + 1 :] &= ~row[i + 1 :]
    return order[kept]


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Rows of boxes that overlap no better box, best first: (n, 4), (n,)."""
    one_class = torch.zeros_like(scores, dtype=torch.int64)
    return batched_nms(boxes, scores, one_class, iou_threshold)

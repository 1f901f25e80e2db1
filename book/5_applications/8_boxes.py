# %% [markdown] module="vision.coco" starred=true
r"""
# Boxes, finished

This chapter finishes what {doc}`/5_applications/1_detection` began: the score of
COCO with all its corners, and the other operations on boxes. You may go on without
it.

Two programs score the same detections and print different numbers. **What does
COCO count that ours does not?**

| name | shape | meaning |
| --- | --- | --- |
| crowd | `(m,)` | objects too many to be told apart, in one box |
| ignored | `(m,)` | objects, and detections, that count for nothing |
| area | `(m,)` | the size by which an object is small, medium or large |
| limit | | how many detections of a class and picture are looked at |
"""

# %% Imports tags=["hide-input"]
import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from groundup.nn.functional.reduction import reduce_losses
from groundup.testing import assert_close, assert_equal
from groundup.vision.boxes import box_area, box_iou, nms
from groundup.vision.precision import (
    THRESHOLDS,
    average_precision,
    average_precisions,
)

# %% [markdown]
r"""
## Crowds

Where fifty people stand behind a fence nobody draws fifty boxes. COCO draws one
and calls it a crowd. A detection of a person in it is neither right nor wrong. So
it must not count, and any number of them may lie in one crowd.

How far does it lie there? A person is small beside the crowd, so what they
*both* cover says nothing. For a crowd the shared area is divided by that of the
detection alone.
"""


# %% What lies in what tags=["export"]
"""COCO's average precision and recall, to the last corner."""

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


# %%
person = torch.tensor([[10.0, 10, 20, 40]])
fence = torch.tensor([[0.0, 0, 100, 50], [0.0, 0, 100, 50]])
shares = _shares(person, fence, torch.tensor([False, True]))
assert_close(shares, torch.tensor([[300 / 5000, 1]], dtype=torch.float64))
shares

# %% [markdown]
r"""
## Who claims what

Detections go from the best to the worst, as in the story. Objects that count come
first: only a detection that finds none of them may take one that is ignored. An
object is taken once, a crowd as often as one likes. Of objects that are shared
equally the last one is taken, which decides who is left for the next detection.
"""


# %% Claims tags=["export"]
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


# %%
twice = [[0.9, 0.6], [0.8, 0.7]]
assert_equal(_claims(twice, [False, False], [False, False], 0.5), [0, 1])
assert_equal(_claims(twice, [True, False], [False, False], 0.5), [1, 0])
assert_equal(_claims(twice, [True, True], [True, True], 0.5), [0, 0])

# %% [markdown]
r"""
## Sizes

A detector may find houses and miss mice. COCO scores three ranges of sizes apart.
Objects of another size are ignored, and so is a detection of another size that
finds nothing: it may well be a good answer to another question. A detection that
claims an object is judged by the object, whatever its own size.
"""


# %% One picture tags=["export"]
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


# %%
mouse = torch.tensor([[0.0, 0, 10, 10]])
truth = {
    "boxes": mouse,
    "area": box_area(mouse),
    "iscrowd": torch.tensor([False]),
}
said = {
    "boxes": torch.tensor([[0.0, 0, 10, 10], [50, 50, 90, 90]]),
    "scores": torch.tensor([0.5, 0.9]),
}
_, hits, ignored, n = _judge(said, truth, [*AREAS.values()], [0.5], 100)
assert_equal(n.tolist(), [1.0, 1, 0, 0])
assert_equal(
    ignored[:, 0].tolist(),
    [[False] * 2, [True, False], [False, True], [True] * 2],
)
hits[:, 0]

# %% [markdown]
r"""
The better detection is wrong and of medium size: among the small ones it is
ignored, among the medium ones it is an error.

## All of them

The rest is the story's {py:func}`~groundup.vision.precision.average_precision`,
once for each class, size and threshold. The *average recall* is the recall
after all detections that the limit admits. The limit holds for each class in
each picture, where ours held for the picture.
"""


# %% What may be missing tags=["export"]
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


# %%
_filled({"boxes": mouse, "labels": torch.tensor([2])})["iscrowd"]


# %% One class tags=["export"]
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


# %% [markdown]
r"""
And for all classes:
"""


# %% All classes tags=["export"]
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


# %% [markdown]
r"""
COCO prints twelve numbers of these. Classes and sizes of which there is nothing
are left out of a mean.
"""


# %% Twelve numbers tags=["export"]
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


# %%
def drawn(seed: int, n: int = 30) -> tuple[list, list]:
    """Pictures with boxes of three classes, and detections near them."""
    torch.manual_seed(seed)
    found, truth = [], []
    for _ in range(n):
        corner = torch.rand(6, 2) * 150
        boxes = torch.cat([corner, corner + 50 + torch.rand(6, 2) * 60], 1)
        labels = torch.randint(0, 3, (6,))
        truth.append({"boxes": boxes, "labels": labels})
        near = (boxes + torch.randn(6, 4) * 6).repeat(2, 1)
        scores, labels = torch.rand(12), labels.repeat(2)
        found.append({"boxes": near, "scores": scores, "labels": labels})
    return found, truth


found, truth = drawn(0)
plain = average_precisions(found, truth, 3)
assert_close(coco_scores(found, truth, 3)[0][:, 2, 0], plain, atol=1e-9)
coco_summary(found, truth, 3)

# %% [markdown]
r"""
Without crowds, and with fewer detections than the limit, the story's number is
COCO's. With all corners at once the tests draw sets of pictures, hold both
programs against each other, and find the same twelve numbers to nine places.

How much do the corners matter? We call one object in six a crowd and score as if
it were none:
"""

# %%
crowds = [each | {"iscrowd": torch.arange(6) == 0} for each in truth]
with_crowds = coco_summary(found, crowds, 3)["AP"]
without = average_precisions(found, truth, 3).nanmean().item()
assert abs(with_crowds - without) > 0.001
round(with_crowds, 3), round(without, 3)

# %% [markdown]
r"""
## Boxes that share nothing

As something to descend on IoU has a fault: all boxes that do not touch are equally
wrong. *Generalised* IoU {cite:p}`rezatofighi2019` takes off the empty share of the
smallest box that holds both, so that far is worse than near.
"""


# %% Generalised IoU tags=["export"] module="vision.box_operations"
"""More operations on boxes: distances, losses, and boxes of masks."""


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


# %%
near = torch.tensor([[10.0, 0, 20, 10]]).requires_grad_()
target = torch.tensor([[30.0, 0, 40, 10]])
plain_grad = torch.autograd.grad(box_iou(near, target).sum(), near)[0]
grad = torch.autograd.grad(generalized_box_iou(near, target).sum(), near)[0]
assert_equal(plain_grad.abs().max().item(), 0.0)
assert grad[0, 2] > 0  # to the right, where the target is
grad

# %% [markdown]
r"""
Two others say it more directly {cite:p}`zheng2020`: *distance* IoU takes off the
squared distance of the centres, over that of the hull's corners, and *complete* IoU
the difference of the shapes as well, as an angle. The weight of the shapes grows
with the IoU, and no gradient flows through it.
"""


# %% Distances of centres and shapes tags=["export"] module="vision.box_operations"
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


# %% Distances tags=["export"] module="vision.box_operations"
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


# %%
distance_box_iou(target - 1, target), complete_box_iou(target - 1, target)

# %% [markdown]
r"""
As losses they take pairs, row by row, and are 1 minus that.
"""


# %% As losses tags=["export"] module="vision.box_operations"
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


# %% More losses tags=["export"] module="vision.box_operations"
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


# %%
target = torch.tensor([[40.0, 40, 60, 80]])
losses = {
    "generalised": generalized_box_iou_loss,
    "distance": distance_box_iou_loss,
    "complete": complete_box_iou_loss,
}
steps = {}
for name, loss in losses.items():
    box = torch.tensor([[0.0, 0, 30, 10]])
    path = []
    for _ in range(400):
        box.requires_grad_()
        (grad,) = torch.autograd.grad(loss(box, target).sum(), box)
        box = (box - 40 * grad).detach()
        path.append(box_iou(box, target).item())
    steps[name] = path
reached = {name: round(max(path), 2) for name, path in steps.items()}
assert min(reached.values()) > 0.5
reached

# %% alt="IoU with the target against the step, for three losses, from a box that shares nothing with it. Each curve stays at 0 for a while and then rises." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(5, 2.6))
for name, path in steps.items():
    ax.plot(path, label=name)
ax.set(xlabel="step", ylabel="IoU", ylim=(0, 1))
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
r"""
## The last two

Masks say which pixels are a thing's. Its box is that of their first and last,
both inside. And boxes that are narrower than a size are sometimes dropped.
"""


# %% Of masks, and small ones tags=["export"] module="vision.box_operations"
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


# %%
mask = torch.zeros(1, 8, 8)
mask[0, 2:5, 3] = 1
assert_equal(masks_to_boxes(mask).tolist(), [[3.0, 2, 3, 4]])
assert_equal(remove_small_boxes(masks_to_boxes(mask), 1).tolist(), [])

# %% [markdown]
r"""
## What we built

| name | module | what it is |
| --- | --- | --- |
| `coco_scores` | `vision` | average precision and recall, by class, limit, size, threshold |
| `coco_summary` | `vision` | COCO's twelve numbers |
| `generalized_box_iou` and two more | `vision` | IoU less how far boxes are apart |
| `generalized_box_iou_loss` and two more | `vision` | the same as losses of pairs |
| `clip_boxes_to_image`, `masks_to_boxes`, `remove_small_boxes` | `vision` | edges, masks, sizes |

## Questions

:::{dropdown} Why may a crowd be claimed by many detections?
There are many in it. A detector that finds ten of them must not be told that nine
are wrong.
:::

:::{dropdown} A detection is small, its object is medium. In which range does it count?
In that of the object: among the small ones the object is ignored, and so is what
claims it.
:::
"""

# %% tags=["answer"]
small_box = {
    "boxes": torch.tensor([[0.0, 0, 30, 30]]),
    "scores": torch.tensor([0.9]),
    "labels": torch.tensor([0]),
}
of_object = {
    "boxes": torch.tensor([[0.0, 0, 34, 34]]),
    "labels": torch.tensor([0]),
}
summary = coco_summary([small_box], [of_object], 1)
assert summary["AP_medium"] > 0 and math.isnan(summary["AP_small"])

# %% [markdown]
r"""
:::{dropdown} Can a lower limit raise AP?
No detection that would be counted earlier is dropped by it: the best of a picture
are kept. But wrong ones that are dropped can stand before right ones of other
pictures, so the AP may rise. The recall cannot.
:::
"""

# %% tags=["answer"]
both = coco_scores(found, truth, 3, limits=(1, 100))[1]
assert (both[:, 0] <= both[:, 1]).logical_or(both[:, 0].isnan()).all()
noisy = [
    {
        "boxes": torch.tensor([[0.0, 0, 9, 9], [50, 50, 60, 60]]),
        "scores": torch.tensor([0.9, 0.8]),
        "labels": torch.tensor([0, 0]),
    },
    {
        "boxes": torch.tensor([[0.0, 0, 9, 9]]),
        "scores": torch.tensor([0.5]),
        "labels": torch.tensor([0]),
    },
]
there = [
    {"boxes": one["boxes"][:1], "labels": torch.tensor([0])} for one in noisy
]
limited = coco_scores(noisy, there, 1, limits=(1, 100))[0][0, :, 0, 0]
assert limited[0] > limited[1]

# %% [markdown]
r"""
:::{dropdown} Why is the threshold 0.9 not written as 0.9?
COCO's program computes it as 0.5 plus eight steps, and the last bit differs. A box
with an IoU of exactly 0.9 is a hit or not by that bit.
:::
"""

# %% tags=["answer"]
assert THRESHOLDS[8] < 0.9 < THRESHOLDS[8] + 1e-15

# %% [markdown]
r"""
## Exercises

**1. The order of ties.** Give two detections of one object, one right and one
wrong, the same score. Show that their order in the list decides the AP. What should
a detector do about it?
"""

# %% tags=["solution"]
tied = {
    "boxes": torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]]),
    "scores": torch.tensor([0.5, 0.5]),
    "labels": torch.tensor([0, 0]),
}
one = {"boxes": tied["boxes"][:1], "labels": torch.tensor([0])}
turned = {name: each.flip(0) for name, each in tied.items()}
values = [coco_summary([each], [one], 1)["AP"] for each in (tied, turned)]
assert_close(values, [1.0, 0.5])  # so scores should not be rounded

# %% [markdown]
r"""
**2. A file of COCO's.** Its annotations are a list of dictionaries with
`image_id`, `category_id`, `bbox` as a corner and a size, `area` and `iscrowd`.
Turn such a list into the truth that `coco_scores` takes.
"""


# %% tags=["solution"]
def from_annotations(annotations: list[dict], image_ids: list[int]) -> list:
    kinds = sorted({each["category_id"] for each in annotations})
    truth = []
    for image_id in image_ids:
        own = [a for a in annotations if a["image_id"] == image_id]
        corners = torch.tensor([a["bbox"] for a in own]).view(-1, 4)
        corners[:, 2:] += corners[:, :2]
        labels = [kinds.index(a["category_id"]) for a in own]
        rest = {
            k: torch.tensor([a[k] for a in own]) for k in ("area", "iscrowd")
        }
        truth.append(rest | {"boxes": corners, "labels": torch.tensor(labels)})
    return truth


written = [
    dict(image_id=7, category_id=3, bbox=[1.0, 2, 8, 9], area=60.0, iscrowd=0),
    dict(image_id=7, category_id=9, bbox=[0.0, 0, 4, 4], area=16.0, iscrowd=1),
]
read = from_annotations(written, [7])
right = read[0] | {"scores": torch.tensor([0.9, 0.8])}
assert_equal(coco_summary([right], read, 2)["AP"], 1.0)

# %% [markdown]
r"""
**3. NMS by another distance.** Two tall boxes stand side by side and overlap by
half; two others lie in one another. Find a pair of each kind with the same IoU,
and show that NMS by distance IoU keeps the first pair and drops the second.
"""


# %% tags=["solution"]
def kept_apart(boxes: Tensor, threshold: float) -> bool:
    return distance_box_iou(boxes, boxes)[0, 1].item() <= threshold


beside = torch.tensor([[0.0, 0, 10, 40], [5, 0, 15, 40]])
within = torch.tensor([[0.0, 0, 30, 40], [10, 0, 20, 40]])
ious = [box_iou(each, each)[0, 1].item() for each in (beside, within)]
assert_close(ious, [1 / 3, 1 / 3])
assert kept_apart(beside, 0.33) and not kept_apart(within, 0.33)
assert_equal(len(nms(beside, torch.tensor([0.9, 0.8]), 0.33)), 1)

# %% [markdown]
r"""
**4. Walking to a box.** Start a box where it shares nothing with its target, and
follow the gradient of 1 minus the generalised IoU. How large is the IoU after 300
steps? Which of the two shares does the walk increase first, that of the hull or the
IoU?
"""

# %% tags=["solution"]
walker, goal = (
    torch.tensor([[0.0, 0, 10, 10]]),
    torch.tensor([[30.0, 5, 50, 20]]),
)
hulls, shared = [], []
for _ in range(300):
    walker.requires_grad_()
    value = generalized_box_iou(walker, goal).sum()
    (grad,) = torch.autograd.grad(value, walker)
    walker = (walker + 20 * grad).detach()
    shared.append(box_iou(walker, goal).item())
    hulls.append(value.item())
assert hulls[5] > hulls[0] and shared[5] == 0 < 0.8 < max(shared)

# %% [markdown]
r"""
**5. Soft NMS.** Instead of dropping a box that overlaps a better one, multiply its
score by one minus their IoU {cite:p}`bodla2017`. Then go on with the best of the
rest. What comes of two digits that lie close together?
"""


# %% tags=["solution"]
def soft_nms(boxes: Tensor, scores: Tensor) -> Tensor:
    """Scores after each box has been lowered by all better ones."""
    scores, left = scores.clone(), torch.ones_like(scores).bool()
    for _ in range(len(scores)):
        best = scores.where(left, -1.0).argmax()
        left[best] = False
        lower = 1 - box_iou(boxes[best, None], boxes)[0]
        scores = torch.where(left, scores * lower, scores)
    return scores


close = torch.tensor([[0.0, 0, 10, 10], [3, 0, 13, 10], [40, 0, 50, 10]])
softened = soft_nms(close, torch.tensor([0.9, 0.8, 0.7]))
assert_equal(nms(close, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist(), [0, 2])
assert 0.3 < softened[1] < 0.5 and softened[0] > 0.89  # it is kept, lower

# %% [markdown]
r"""
That is all of boxes. The starred chapters that follow finish the other stories of
this part.
"""

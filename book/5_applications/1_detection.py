# %% [markdown] module="vision.boxes"
r"""
# Object detection

So far a picture held one thing, and the network said what it was. Streets, cells
under a microscope and pages of a book hold several things, in places that nobody
knows beforehand. **Where is something, as well as what is it?**

We make scenes of handwritten digits, measure how wrong a box is, ask a network
the same question at many places at once, throw away what it says twice, and score
what is left. {doc}`/5_applications/8_boxes` finishes the score and the boxes.

| name | shape | meaning |
| --- | --- | --- |
| `boxes` | `(n, 4)` | left, top, right, bottom: `x1`, `y1`, `x2`, `y2` |
| IoU | `(n, m)` | what two boxes share, over what they cover |
| `anchors` | `(a, 4)` | the boxes at which the network is asked |
| `codes` | `(n, a, 4)` | how a box differs from its anchor |
| `scores` | `(n, a, k)` | a logit for each anchor and class |
| AP | | average precision, the score of a detector |
"""

# %% Imports tags=["hide-input"]
import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import mnist
from groundup.nn import init
from groundup.nn.activation import ReLU
from groundup.nn.container import Sequential
from groundup.nn.conv import Conv2d
from groundup.nn.functional.reduction import reduce_losses
from groundup.nn.module import Module
from groundup.nn.norm import BatchNorm2d
from groundup.optim.adam import AdamW
from groundup.testing import assert_close, assert_equal
from groundup.training.annealing import Anneal
from groundup.training.learner import Learner

torch.set_num_threads(1)

# %% [markdown]
r"""
## Scenes

A scene has one to four digits, each of a size of its own, at a place of its own
where there is no ink yet. The *box* of a digit is the smallest one that holds all
its ink. All that is drawn comes from one generator, so a seed is a set of scenes.
A scene with fewer digits than the most has rows left over: their label is −1.
"""


# %% Digits of a size tags=["export"] module="vision.scenes"
"""Scenes with several things in them, and the box of each."""


def crop_to_ink(image: Tensor) -> Tensor:
    """The smallest part of a picture, (h, w), that holds all that is not 0."""
    top, bottom = image.amax(1).nonzero()[[0, -1], 0]
    left, right = image.amax(0).nonzero()[[0, -1], 0]
    return image[top : bottom + 1, left : right + 1]


def _sized(image: Tensor, side: int) -> Tensor:
    """The ink, so large that its longer side has `side` pixels."""
    ink = crop_to_ink(image)
    sizes = [(n, max(1, round(side * n / max(ink.shape)))) for n in ink.shape]
    rows, columns = (
        ((torch.arange(new) + 0.5) * (old / new)).long() for old, new in sizes
    )
    return crop_to_ink(ink[rows][:, columns])


def _put(canvas: Tensor, thing: Tensor, spots: Tensor) -> list[int]:
    """Draw at the first of the spots without ink, in place; its box."""
    height, width = thing.shape
    free = torch.tensor(canvas.shape) - torch.tensor(thing.shape)
    for top, left in (spots * (free + 1)).int().tolist():
        part = canvas[top : top + height, left : left + width]
        if not part.any():
            part.copy_(thing)
            return [left, top, left + width, top + height]
    return [-1, -1, -1, -1]


# %% Scenes tags=["export"] module="vision.scenes"
def digit_scenes(
    images: Tensor,
    digits: Tensor,
    n: int,
    seed: int,
    size: tuple[int, int] = (64, 64),
    most: int = 4,
    sides: tuple[int, int] = (16, 32),
) -> tuple[Tensor, Tensor, Tensor]:
    """Scenes (n, h, w), boxes (n, most, 4), labels (n, most), -1 for none."""
    draw = torch.Generator().manual_seed(seed)
    scenes, boxes = torch.zeros(n, *size), torch.full((n, most, 4), -1.0)
    rows = torch.randint(len(images), (n, most), generator=draw)
    low, high = sides
    lengths = torch.randint(low, high + 1, (n, most), generator=draw)
    counts = torch.randint(1, most + 1, (n,), generator=draw).tolist()
    spots = torch.rand(n, most, 10, 2, generator=draw)
    for i, count in enumerate(counts):
        for j in range(count):
            thing = _sized(images[rows[i, j]], int(lengths[i, j])) / 255
            box = _put(scenes[i], thing, spots[i, j])
            boxes[i, j] = torch.tensor(box)
    return scenes, boxes, digits[rows].masked_fill(boxes[..., 2] < 0, -1)


# %%
images, digits = mnist()
test_images, test_digits = mnist(train=False)
scenes, boxes, labels = digit_scenes(images, digits, 2000, seed=1)
test_scenes = digit_scenes(test_images, test_digits, 300, seed=2)
present = labels >= 0
scenes.shape, present.sum(1).float().mean()

# %% [markdown]
r"""
The scenes for training are made of the digits for training, those for the test of
the digits for the test. That the two share no digit is not a matter of belief:
"""

# %%
pools = [{bytes(i) for i in x.numpy()} for x in (images, test_images)]
assert_equal(len(pools[0] & pools[1]), 0)
len(pools[0]), len(pools[1])

# %% alt="Four scenes, each with one to four handwritten digits of different sizes at different places, and a thin box around the ink of each digit with its label." tags=["hide-input"]
INK = plt.matplotlib.colors.LinearSegmentedColormap.from_list(
    "ink", [(*plt.matplotlib.colors.to_rgb("C0"), a) for a in (0, 0.6)]
)


def show_scene(ax, scene: Tensor) -> None:
    place = {"extent": (0, *scene.shape[::-1], 0), "interpolation": "none"}
    ax.imshow(scene.numpy(), cmap=INK, **place)
    ax.set(xticks=[], yticks=[])


def outline(ax, box: Tensor, text: object = "", color: str = "C1", **style):
    x1, y1, x2, y2 = box.tolist()
    frame = {"fill": False, "ec": color, "lw": 1.2, **style}
    ax.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, **frame))
    ax.text(x1 + 1, y1 - 1, text, color=color, fontsize=9, va="bottom")


figure, axes = plt.subplots(2, 2, figsize=(4, 4), layout="constrained")
for i, ax in enumerate(axes.flat):
    show_scene(ax, scenes[i])
    for j in present[i].nonzero().flatten().tolist():
        outline(ax, boxes[i, j], labels[i, j].item())
plt.show()

# %% [markdown]
r"""
## How wrong is a box?

A box that is off by four pixels is nearly right for a house, and wrong for a 1.
The measure has to know the size of what it measures: take the area that both
boxes share, and divide it by the area that they cover together. The same box gives
1, boxes that do not touch give 0, and in which unit one measures does not matter.

Boxes come in three spellings, by corners, by a corner and a size, by the centre
and a size. Names, arguments and results from here on are those of `torchvision.ops`.
"""


# %% The spellings of a box tags=["export"]
"""Boxes: their spellings, what two of them share, and which to keep."""

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


# %% Area, and what is shared tags=["export"]
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


# %%
large, small = torch.tensor([0.0, 0, 40, 40]), torch.tensor([0.0, 0, 8, 16])
off = torch.tensor([4.0, 0, 4, 0])
pairs = torch.stack([large, small, small / 8])
iou = box_iou(pairs, pairs + off / torch.tensor([[1.0], [1], [8]]))
assert_close(iou[1, 1], iou[2, 2])
iou.diagonal()

# %% [markdown]
r"""
Four pixels to the right cost the large box little, the small one most of its
score; measured in eighths, the small one has what it had. This is the *intersection
over union*, {term}`IoU`. By custom a half is called a hit, three quarters a good one.

## Asking at many places

A network that puts out four numbers can name one box. For four digits it would need
sixteen numbers and an order: which digit is the first, when one moves past another?
So we ask at fixed places instead. A {doc}`convolution </4_convnets/1_convolution>`
gives an answer at each of its places anyway. In a picture of 64 pixels, after three
strides of 2, there are eight rows of eight places. At each we lay a few boxes, and
ask: *is there something near this box? What is it? And how does its box differ from
this one?* These are the {term}`anchors <anchor>`.
"""


# %% Anchors tags=["export"] module="vision.anchors"
"""Boxes at which a network is asked, and what it should answer."""

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


# %%
SHAPES = [(8.0, 24.0), (14.0, 18.0), (20.0, 26.0)]
anchors = anchor_boxes((64, 64), 8, SHAPES)
assert_equal(anchors.shape, (8 * 8 * 3, 4))
best = box_iou(boxes[present], anchors).amax(1)
best.min(), best.mean(), (best >= 0.5).float().mean()

# %% [markdown]
r"""
With boxes so few and so coarse no digit is met exactly, but for most of them some
anchor comes near enough to be called a hit.

### What should it answer?

An anchor that shares half or more with a digit answers for it. One that shares
less than 0.4 with all of them says *nothing here*. What of those between? An
anchor just below a half looks at nearly the same pixels as one just above. To punish it
for seeing the digit teaches nonsense, so the loss leaves it out: it is in the
*ignore zone*.

That would leave some digits without an answer. So the best anchor of a digit always
answers for it, however little it shares.
"""


# %% Who answers for whom tags=["export"] module="vision.anchors"
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


# %%
answers, wanted = match_anchors(anchors, boxes, labels)
kinds = {"digit": answers >= 0, "ignored": answers == -2, "none": answers == -1}
{name: round(each.float().mean().item(), 3) for name, each in kinds.items()}

# %% alt="Four copies of one scene. In the first, a grid of eight by eight dots and the three anchors of one place: a narrow, a small and a large one. In the second, the anchors that answer for a digit, close around each. In the third, those that are ignored, further off. In the fourth, some of those that answer that there is nothing." tags=["hide-input"]
figure, axes = plt.subplots(2, 2, figsize=(4, 4.3), layout="constrained")
shown = {"asked": torch.arange(192) // 3 == 27}
shown |= {name: each[3] for name, each in kinds.items()}
for ax, (name, rows) in zip(axes.flat, shown.items()):
    show_scene(ax, scenes[3])
    for anchor in anchors[rows][:: max(1, int(rows.sum()) // 12)]:
        outline(ax, anchor, lw=0.8)
    ax.set_title(name, fontsize=10)
    ax.set(xlim=(0, 64), ylim=(64, 0))
centres = (anchors[::3, :2] + anchors[::3, 2:]) / 2
axes[0, 0].plot(*centres.T, ".", ms=2, color="0.5")
plt.show()

# %% [markdown]
r"""
### Boxes as codes

The box itself is asked for as a difference from the anchor: how far the centre
lies from the anchor's, in widths and heights of the anchor, and the logarithms of
the ratios of the sizes. So all answers are of one size, wherever the anchor lies
and however large it is, and no answer can be a box of negative width.
"""


# %% Codes tags=["export"] module="vision.anchors"
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


# %%
matched = answers >= 0
codes = encode_boxes(wanted, anchors)
assert_close(decode_boxes(codes, anchors)[matched], wanted[matched], atol=1e-3)
codes[matched].std(0)

# %% [markdown]
r"""
## Nearly everywhere is nothing

An anchor's class is ten questions of yes or no, one for each digit, and the table
above says how seldom the answer is *yes*.
A network that always says *no* is nearly always right, and its loss is the sum of
thousands of small numbers. {term}`Focal loss <focal loss>` {cite:p}`lin2017`
makes what is easy count for less. With $p_t$ the probability that was given to the
right answer,

$$\ell = -\alpha_t\,(1 - p_t)^\gamma \ln p_t .$$

At $\gamma = 0$ it is binary cross-entropy. At $\gamma = 2$ an answer that is 99 %
right counts for a ten-thousandth of that. The weight $\alpha_t$ is $\alpha$ for
*yes* and $1 - \alpha$ for *no*; with the easy answers gone, the paper's best
$\alpha$ is 0.25, *less* for the rare class.
"""


# %% Focal loss tags=["export"] module="vision.focal_loss"
"""A loss for answers that are nearly all the same."""


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: str = "none",
) -> Tensor:
    """Binary cross-entropy of logits, less where they are right: (...).

    An `alpha` of -1 weights both answers alike.
    """
    if not 0 <= alpha <= 1 and alpha != -1:
        raise ValueError(f"alpha is within 0 and 1, or -1, got {alpha}")
    losses = F.binary_cross_entropy_with_logits(
        inputs, targets, reduction="none"
    )
    p = F.logsigmoid(inputs).exp()
    wrong = p + targets - 2 * p * targets  # 1 - p of the right answer
    losses = losses * wrong**gamma
    if alpha != -1:
        losses = losses * (1 - alpha + (2 * alpha - 1) * targets)
    return reduce_losses(losses, reduction)


# %%
logits = torch.tensor([-4.6, -2.2])  # an easy "no" and a hard "yes"
share = matched.sum() / (10 * answers.numel())  # of the answers are "yes"
truth, often = torch.tensor([0.0, 1.0]), torch.stack([1 - share, share])
shares = {}
for gamma in (0, 2):
    no, yes = often * sigmoid_focal_loss(logits, truth, -1, gamma)
    shares[gamma] = round((yes / (yes + no)).item(), 2)
assert shares[0] < 0.5 < 0.99 < shares[2]
share, shares

# %% [markdown]
r"""
Of all answers so few are *yes*, and that is the share of the loss that comes from
them. With every *no* 99 %
sure and every *yes* only 10 %, cross-entropy listens to the *no* for the greater
part, focal loss to the *yes*.
"""

# %% alt="Two curves of the loss against the probability given to the right answer. Plain cross-entropy falls slowly and is still visible at 0.9. Focal loss with gamma 2 lies below it everywhere and is flat at zero from about 0.7 on." tags=["hide-input"]
p_right = torch.linspace(0.01, 0.99, 99)
of_yes = (p_right / (1 - p_right)).log(), torch.ones(99)
figure, ax = plt.subplots(figsize=(5, 2.4))
for gamma in (0, 2):
    losses = sigmoid_focal_loss(*of_yes, -1, gamma)
    ax.plot(p_right, losses, label=f"γ = {gamma}")
ax.set(xlabel="probability of the right answer", ylabel="loss", ylim=(0, 4))
ax.legend()
plt.show()

# %% [markdown]
r"""
## The detector

A few convolutions with norms down to a stride of 8, and two heads that share what
they see: one for the scores, one for the codes. It is a RetinaNet
{cite:p}`lin2017` of one level. For pictures whose things differ in size by more
than a factor of two one would ask at several strides.

The last bias of the scores begins at $-\ln 99 \approx -4.6$, so that the first
answer to each question is *yes* with a probability of 0.01.
"""


# %% A block tags=["export"] module="vision.detector"
"""A detector of one stage: every anchor answers what and where."""


def _block(c_in: int, c_out: int, stride: int = 1) -> Sequential:
    """Kernels of three by three, their norm, and ReLU."""
    kernels = Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
    return Sequential(kernels, BatchNorm2d(c_out), ReLU(inplace=True))


# %% A detector tags=["export"] module="vision.detector"
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


# %%
sum(param.numel() for param in Detector(10, SHAPES).parameters())

# %% [markdown]
r"""
Kernels give channels first. The anchors go row by row, and at each place shape by
shape. So the channels go last, and are then cut.
"""


# %% Its answers tags=["export"] module="vision.detector"
class Detector(Detector):
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


# %%
assert_equal(Detector(10, SHAPES)(scenes[:2, None])[0].shape, (2, 192, 10))

# %% [markdown]
r"""
Its loss has two parts: one for all scores, one for the codes of matched anchors.
"""


# %% What is wrong with them tags=["export"] module="vision.detector"
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


# %%
even, rare = torch.tensor([0.0, -math.log(99)])
starts = [sigmoid_focal_loss(x, torch.tensor(0.0)).item() for x in (even, rare)]
assert starts[0] > 10_000 * starts[1]
starts

# %% [markdown]
r"""
That is what one *no* costs before any training, with even odds and with our bias.

The targets depend on the scenes alone, so they are computed once. A batch has
three parts, and the learner is told which goes in.
"""


# %%
class DetectorLearner(Learner):
    def unpack(self, batch: Any) -> tuple:
        return batch[0], (batch[1], batch[2])


def trained(
    scenes: Tensor, boxes: Tensor, labels: Tensor, n_epochs: int, seed: int
) -> Detector:
    torch.manual_seed(seed)
    model = Detector(10, SHAPES)
    rows = scenes[:, None], *model.targets(boxes, labels, scenes.shape[1:])
    order = torch.Generator().manual_seed(seed)
    train = TensorLoader(*rows, batch_size=16, shuffle=True, generator=order)
    options = {"optim": AdamW, "lr": 0.003, "loss": detection_loss}
    learn = DetectorLearner(model, train, defaults=(), **options)
    learn.fit(n_epochs, [Anneal.one_cycle(0.003)])
    return model.eval()


model = trained(scenes, boxes, labels, n_epochs=8, seed=0)

# %% [markdown]
r"""
## Said more than once

The trained detector answers at 192 anchors of a scene it has not seen. Here is
what is more than a third likely:
"""

# %%
with torch.no_grad():
    scores, codes = model(test_scenes[0][:, None])
all_boxes = decode_boxes(codes, anchors)
likely, kind = F.logsigmoid(scores).exp().max(2)
said, there = (likely > 0.33).sum(), (test_scenes[2] >= 0).sum()
assert said > 1.2 * there
said, there

# %% [markdown]
r"""
Several anchors answer for each digit, as they were taught to. Of those that mean
the same thing only the best is wanted. *Non-maximum suppression*, {term}`NMS`,
goes through the boxes from the best to the worst and drops those that share more
than a threshold with one that it has kept. Boxes of different classes do not
drop each other, which is what `batched_nms` is for.
"""


# %% Keep the best tags=["export"]
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


# %%
row = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10], [4, 0, 14, 10]])
assert_equal(nms(row, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist(), [0, 2])
assert_equal(nms(row, torch.tensor([0.8, 0.9, 0.7]), 0.5).tolist(), [1])

# %% [markdown]
r"""
The third box shares more than half with the second, and lives if the second is
dropped: who has been dropped drops nobody. A network that is unsure gives several
classes to one box, and each of them is scored.
"""


# %% What is found tags=["export"] module="vision.detector"
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


# %% In pictures tags=["export"] module="vision.detector"
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


# %%
found = detect(model, test_scenes[0][:, None])
sum(len(each["scores"]) for each in found) / len(found)

# %% alt="Two copies of a test scene. On the left many boxes lie over each other around every digit; on the right one box is left for each digit, with its label." tags=["hide-input"]
i = int((test_scenes[2] >= 0).sum(1).argmax())
figure, axes = plt.subplots(1, 2, figsize=(4.4, 2.5))
before = [all_boxes[i][likely[i] > 0.33], kind[i][likely[i] > 0.33]]
after = found[i]["scores"] > 0.33
after = [found[i]["boxes"][after], found[i]["labels"][after]]
for ax, title, shown in zip(axes, ("before", "after"), (before, after)):
    show_scene(ax, test_scenes[0][i])
    for box, label in zip(*shown):
        outline(ax, box, label.item())
    ax.set_title(f"{title} NMS", fontsize=10)
plt.show()

# %% [markdown]
r"""
## An honest score

It looks right. How right is it, over all scenes? A detector may say as much as it
likes, and each thing it says has a score. Go down that list, best first, and count:
of what was said so far, how much is true ({term}`precision`), and of what is
there, how much was said ({term}`recall`).

What is true has to be settled first. A detection is a *hit* if it shares enough
with an object of its class that no better detection has claimed. A second one on
the same object is a miss, so saying things twice does not pay:
"""


# %% Hits tags=["export"] module="vision.precision"
"""How good detections are: precision, recall, and their average."""


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


# %%
said = torch.tensor([0.9, 0.8, 0.7, 0.6])
true = torch.tensor([True, False, True, False])
by_hand = (51 * 1 + 50 * 2 / 3) / 101  # recall 0 to 0.50, then to 1.00
assert_close(average_precision(said, true, 2).item(), by_hand)
by_hand

# %% [markdown]
r"""
Two objects, four detections. After the first, half is found with a precision of 1,
after the third all is, and two of the three said are true. The
*average precision*, AP, is the mean of the best precision that can be had at each
recall {cite:p}`lin2014`. What comes after the last hit costs nothing, so nobody
need choose a threshold.

Each class has its AP, and their mean is the detector's. How much must a hit share?
COCO takes the mean of ten answers, from 0.50 to 0.95: *AP* without a number. With
one it is the AP at that threshold, such as AP50.
"""


# %% Of one class tags=["export"] module="vision.precision"
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


# %% Of all classes tags=["export"] module="vision.precision"
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


# %%
def truths(boxes: Tensor, labels: Tensor) -> list[dict[str, Tensor]]:
    return [
        {"boxes": each[kinds >= 0], "labels": kinds[kinds >= 0]}
        for each, kinds in zip(boxes, labels)
    ]


def score(found: list, boxes: Tensor, labels: Tensor) -> dict[str, float]:
    by_class = average_precisions(found, truths(boxes, labels), 10)
    means = by_class.nanmean(0)
    chosen = {"AP": means.mean(), "AP50": means[0], "AP75": means[5]}
    return {name: round(each.item(), 3) for name, each in chosen.items()}


reached = score(found, *test_scenes[1:])
assert reached["AP50"] >= 0.80 and reached["AP"] >= 0.52
reached

# %% [markdown]
r"""
None of these digits was seen in training. Most are found and named; what costs are
the last pixels of the box. Of a digit 16 pixels high and wide, a box one pixel too
large on each side has an IoU of about four fifths.

## Three ways to a wrong number

**Scenes that share their digits.** New scenes of old digits are not held out. How
much does the network have by heart? Its score on scenes it was trained on says it,
and the check is the one with which we began: no picture is in both pools.
"""

# %%
by_heart = score(detect(model, scenes[:300, None]), boxes[:300], labels[:300])
assert by_heart["AP"] > reached["AP"]
by_heart["AP"], reached["AP"]

# %% [markdown]
r"""
**A threshold before the score.** People want to see what is likely, so programs
drop what is less likely than a third, and some score what is left. Then the recall
ends early. The check is to lower the threshold: a score that rises was cut.
"""

# %%
likely_only = detect(model, test_scenes[0][:, None], threshold=0.35)
cut = score(likely_only, *test_scenes[1:])
assert cut["AP"] < reached["AP"] - 0.01
cut["AP"], reached["AP"]

# %% [markdown]
r"""
**Rows taken for columns.** Boxes whose x and y are swapped lie inside of a square
canvas; of a wide one, which is nothing new to convolutions, they stick out.
"""

# %%
wide = digit_scenes(test_images, test_digits, 100, seed=5, size=(48, 96))
wide_score = score(detect(model, wide[0][:, None]), *wide[1:])
inside = {}
for height, width in ((64, 64), (48, 96)):
    centred = box_convert(model.anchors((height, width)), "xyxy", "cxcywh")
    x, y = centred[:, [1, 0]].T  # swapped
    inside[height, width] = ((x < width) & (y < height)).all().item()
assert_equal(inside, {(64, 64): True, (48, 96): False})
assert wide_score["AP50"] > 0.7
wide_score

# %% [markdown]
r"""
## What we built

| name | module | what it is |
| --- | --- | --- |
| `digit_scenes`, `crop_to_ink` | `vision` | scenes, and the box of each digit |
| `box_iou`, `box_area`, `box_convert` | `vision` | what boxes share, cover, and how they are spelled |
| `nms`, `batched_nms` | `vision` | the best of those that overlap |
| `anchor_boxes`, `match_anchors`, `encode_boxes`, `decode_boxes` | `vision` | where one asks, who answers, and how |
| `sigmoid_focal_loss` | `vision` | a loss for answers that are nearly all *no* |
| `Detector`, `detection_loss`, `detect` | `vision` | a detector of one stage |
| `average_precision`, `average_precisions` | `vision` | its score |

## Questions

:::{dropdown} Two boxes of equal size share half of each. What is their IoU?
A third: half of one box is shared, and one and a half boxes are covered.
:::

:::{dropdown} Why may the anchors of the ignore zone say what they like?
They see nearly the same pixels as the best ones. Whether a little less or more than half is shared is
not a difference in what is there, and NMS drops what they say twice.
:::

:::{dropdown} With γ = 0 and α = 0.5, what is focal loss?
Half of binary cross-entropy: all answers count alike, whether easy or hard.
:::
:::{dropdown} A detector says everything twice, each time with the same score. What becomes of its AP?
Half of what it says is wrong then, so the precision is at most about a half,
and so is its AP.
:::
## Exercises

**1. Six boxes by hand.** There are three objects. Six detections, best first, are
*hit, miss, hit, miss, miss, hit*. Write down precision and recall after each, and
compute the AP with pen and paper.
"""

# %% tags=["solution"]
six = torch.tensor([1, 0, 1, 0, 0, 1]).bool()
order = torch.arange(6, 0, -1) / 10
# Recall 0 to 0.33 at precision 1, to 0.66 at 2/3, to 1.00 at 3/6.
paper = (34 * 1 + 33 * 2 / 3 + 34 * 3 / 6) / 101
assert_close(average_precision(order, six, 3).item(), paper)

# %% [markdown]
r"""
**2. Four bugs.** A published notebook (*a*) decodes the sizes of boxes from the
numbers of their centres, (*b*) changes the boxes that it is given, (*c*) weights
the *yes* by $1 - \alpha$ where the paper has $\alpha$, and (*d*) leaves every anchor of a
picture without objects out of the loss. Which of our checks notices each? Plant
them.
"""

# %% tags=["solution"]
some = encode_boxes(wanted, anchors)[matched]
mine = anchors.expand_as(wanted)[matched]
back = decode_boxes(some[..., [0, 1, 0, 1]], mine)
assert (back - wanted[matched]).abs().max() > 1  # (a) there and back
held = wanted.clone()
encode_boxes(wanted, anchors)
assert_equal(wanted, held)  # (b) the input, afterwards
yes, no = sigmoid_focal_loss(torch.zeros(2), torch.tensor([1.0, 0.0]))
assert_close(3 * yes, no)  # (c) both answers, equally wrong
empty = match_anchors(anchors, torch.zeros(1, 1, 4), torch.tensor([[-1]]))[0]
assert (empty == BACKGROUND).all()  # (d) a picture with nothing in it

# %% [markdown]
r"""
**3. An object without an anchor.** Which boxes on a canvas of 64 pixels have an IoU
below 0.4 with *all* anchors? Find one, and say who answers for it.
"""

# %% tags=["solution"]
flat = torch.tensor([[[0.0, 30, 64, 34]]])  # long and thin
assert box_iou(flat[0], anchors).max() < 0.4
alone = match_anchors(anchors, flat, torch.tensor([[5]]))[0]
assert (alone == 5).any()  # its best anchors, however little they share

# %% [markdown]
r"""
A picture has an extent that is known beforehand, and so have the anchors. The next
chapter reads what has none: sentences.
"""

# %% [markdown] module="scores"
r"""
# Pixel similarity: a baseline

You know a 3 from a 7 at a glance. **How would you tell a computer?** This
chapter tries it with a rule, and then without one: average all the 3s into one
picture, average all the 7s into another, and call a new image by whichever
average it resembles more. The score is a {term}`baseline`: the number that every
later network has to beat before it deserves its name.

On the way you will read a file byte by byte, meet tensors and their shapes, and
compute a thousand distances in one line without a loop.

| name | shape | what it is |
| --- | --- | --- |
| `images` | $(60000, 28, 28)$ | the training images, one byte a pixel |
| `labels` | $(60000,)$ | the digit in each image, 0 to 9 |
| `threes`, `sevens` | $(n, 28, 28)$ | the training images of one digit, from 0 to 1 |
| `mean_three`, `mean_seven` | $(28, 28)$ | their averages |
| `x`, `y` | $(10000, 28, 28)$, $(10000,)$ | images and labels for {term}`validation <validation set>` |
"""

# %%
import torch
from IPython.display import Markdown

from groundup.datasets import FILES, MNIST, find_bytes, mnist
from groundup.testing import assert_close, assert_equal

images, labels = mnist()
images.shape, labels.shape

# %% [markdown]
r"""
MNIST is seventy thousand handwritten digits, scanned and centred in squares of
28 by 28 {cite:p}`lecun1998`. Sixty thousand are for training, the rest for
measuring. Here are a few.
"""

# %% How images are drawn tags=["export", "hide-input"] module="plot"
"""Pictures of images: a grid of them, their numbers, their confusions."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from torch import Tensor


def _ink(strength: float = 1.0) -> Colormap:
    """From transparent to the style's first colour."""
    ramp = [to_rgba("C0", alpha=alpha) for alpha in (0.0, strength)]
    return LinearSegmentedColormap.from_list("ink", ramp)


def _draw(ax: Axes, image: Tensor, strength: float = 1.0) -> None:
    """One image in a thin frame, without ticks."""
    ax.imshow(image.numpy(), cmap=_ink(strength), interpolation="none")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="0.5", linewidth=0.5)


# %% A grid of images tags=["export", "hide-input"] module="plot"
def show_images(
    images: Sequence[Tensor] | Tensor,
    titles: Sequence[object] | None = None,
    columns: int = 8,
) -> Figure:
    """A grid of grey images, n of (h, w), each under its title."""
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    size = (0.7 * columns, (0.7 if titles is None else 0.95) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for ax in axes.flat[len(images) :]:
        ax.axis("off")
    for i, image in enumerate(images):
        _draw(axes.flat[i], image)
        if titles is not None:
            axes.flat[i].set_title(titles[i], fontsize=10)
    return figure


# %% Six 3s and six 7s of the training set tags=["hide-input"] alt="Two rows of handwritten digits: six 3s, upright, slanted, thin and bold, and six 7s, most of them slanted."
show_images([*images[labels == 3][:6], *images[labels == 7][3:9]], columns=6)
plt.show()

# %% [markdown]
r"""
Stop here for a minute and write down a rule. Perhaps: *a 7 has a bar on top and
one stroke down; a 3 has two bows, open to the left.* Now say what a stroke is, to
somebody who has never seen one. And what a bow is, and how open is open.

The trouble is that a computer does not see strokes. It sees this.

## An image is numbers

A grey image is a table of brightness values. Here each is one byte, from 0 for
empty paper to 255 for full ink. A colour image would be three such tables, for
red, green and blue. This is image number 10,000, and a corner cut out of it.
"""

# %%
image = images[10000]
image[4:10, 4:10], labels[10000]

# %% [markdown]
r"""
The slice `4:10` means from 4 up to but not including 10, so six rows, then six
columns. It copies nothing: it is a window on the same bytes. To see digits and
numbers at once, put each number on its pixel. Ink is drawn in one colour, from
transparent to full, so it sits on any page.
"""


# %% An image with its numbers tags=["export", "hide-input"] module="plot"
def show_pixels(image: Tensor) -> Figure:
    """An image (h, w) with the number of each pixel written on it."""
    height, width = image.shape
    figure, ax = plt.subplots(figsize=(0.31 * width, 0.31 * height))
    _draw(ax, image, strength=0.5)
    for row, values in enumerate(image.tolist()):
        for column, value in enumerate(values):
            if value:
                place = {"ha": "center", "va": "center", "fontsize": 9}
                ax.text(column, row, f"{value:g}", **place)
    return figure


# %% A 3, and the number of each pixel tags=["hide-input"] alt="A handwritten 3, 20 pixels high and 16 wide, with the brightness from 1 to 255 written on every pixel that has ink."
show_pixels(image[5:25, 5:21])
plt.show()

# %% [markdown]
r"""
### A file is numbers too

Where do they come from? From a file, and a file is a row of bytes. These are the
first of the one that holds the labels of the test images:
"""

# %%
data = find_bytes(MNIST, FILES[3])
FILES[3], data[:4].hex(" "), data[4:8].hex(" "), list(data[8:13])

# %% [markdown]
r"""
The format is called IDX. The first four bytes, its {term}`magic number`, say
that the numbers are bytes (`08`) and have one axis (`01`). The next four are the
size of that axis, the largest part first. From there on it is labels: a 7, a 2,
a 1. The file of images has three axes, so three sizes, and then one byte a
pixel. A {term}`list comprehension` cuts the sizes out: it builds a list from an
expression and a `for`, in one line.
"""

# %%
data = find_bytes(MNIST, FILES[2])
sizes = [int.from_bytes(data[i : i + 4], "big") for i in (4, 8, 12)]
pixels = torch.frombuffer(bytearray(data[16:]), dtype=torch.uint8)
x, y = mnist(train=False)
assert_equal(pixels.view(sizes), x)
sizes, pixels.shape

# %% [markdown]
r"""
That is the whole format, parsed by hand. What it takes to trust such a file, any
of these files, on any machine, is told in the starred chapter
{doc}`/0_workshop/2_data`. Other copies of MNIST are folders of picture files,
`train/3/10000.png`, in which the path is the label: slower to read, but you can
look at them with any program.

### Tensors and arrays

A {term}`tensor` is a table of numbers, all of one type, with any number of
axes. NumPy's array is the same idea, and most lines of code read alike for
both:
"""

# %% tags=["reference"]
import numpy as np

table = np.array([[1, 2, 3], [4, 5, 6]])
table[1], table[:, 1], table[1, 1:3], table * 1.5

# %%
table = torch.tensor([[1, 2, 3], [4, 5, 6]])
table[1], table[:, 1], table[1, 1:3], table * 1.5

# %% [markdown]
r"""
`table[1]` is a row, `table[:, 1]` a column (a lone `:` takes all of an axis),
and `table * 1.5` multiplies every element and turns whole numbers into floats.
Tensors add two things that the book lives on: they can sit on a GPU, and
they can tell how a result depends on them. The type matters as soon as you
calculate. Bytes wrap around:
"""

# %%
image[5, 9:13], image[5, 9:13] * 2, image[5, 9:13].float() * 2

# %% [markdown]
r"""
## Threes and sevens

We want all 3s in one tensor, as floats from 0 to 1. A list comprehension with
an `if` picks the images whose label is 3, and `torch.stack` lays the pictures
of the list on top of one another, along a new first axis.
"""

# %%
both = zip(images, labels, strict=True)
pictures = [image for image, label in both if label == 3]
threes = torch.stack(pictures).float() / 255
len(pictures), pictures[0].shape, threes.shape

# %% [markdown]
r"""
The {term}`shape` lists the size of each axis; the {term}`rank` is how many axes
there are, the length of the shape. One picture has rank 2, the stack rank 3.
For the 7s let the tensor do the picking: comparing all labels with 7 gives a
tensor of true and false, and indexing with it keeps what is true.
"""

# %%
sevens = images[labels == 7].float() / 255
assert_equal(images[labels == 3].float() / 255, threes)
len(threes.shape), threes.ndim, sevens.shape

# %% [markdown]
r"""
## A rule by hand

Now a rule in terms of pixels. Go down the middle of a 3 and you cross three
strokes; going down a 7 you cross two, or one. A stroke begins where a pixel has
ink and the one above it has none. Column 13 is one of the two in the middle.
"""


# %%
def strokes(images: Tensor, column: int = 13) -> Tensor:
    ink = images[:, :, column] > 0.5
    return (ink[:, 1:] & ~ink[:, :-1]).sum(1)


[strokes(digits).bincount().tolist() for digits in (threes, sevens)]

# %% [markdown]
r"""
Each list counts the images in which 0, 1, 2, … strokes were crossed. The rule
says 3 from three strokes on. Its share of right answers, for 3s and for 7s:
"""

# %%
(strokes(threes) > 2).float().mean(), (strokes(sevens) <= 2).float().mean()

# %% [markdown]
r"""
Guesses would be right for half. But it took a person who looked at 3s and 7s,
and it is good for nothing else. Ten digits make 45 pairs. What we want is a
method that finds its own rules, from the images.

## The ideal three

Average the stack along axis 0, through the pile, and that axis is gone: what
remains is one picture. Each of its pixels says how often, and how strongly,
people put ink there.
"""

# %% Averaging along axis 0 leaves one picture tags=["hide-input"] alt="A pile of pictures with axes 0, 1 and 2 marked; an arrow named mean(0) leads to a single picture of shape 28 by 28."
figure, ax = plt.subplots(figsize=(5, 2))
for x0, y0 in ((0.3, 0.2), (0.6, 0.4), (0.9, 0.6)):  # what is to be seen of it
    edge = [x0, x0, x0 + 1.5, x0 + 1.5, x0 + 1.2]
    ax.plot(edge, [y0 + 1.3, y0 + 1.5, y0 + 1.5, y0, y0], "C0", linewidth=1)
ax.add_patch(plt.Rectangle((0, 0), 1.5, 1.5, fc="none", ec="C0"))
ax.add_patch(plt.Rectangle((5.2, 0.4), 1.5, 1.5, fc="none", ec="C0"))
arrow = {"arrowstyle": "->", "color": "0.5"}
ax.annotate("", (4.9, 1.15), (3.1, 1.15), arrowprops=arrow)
for across, up, text in (
    (4.0, 1.35, "mean(0)"),
    (0.75, 0.7, f"{len(threes)} of\n28 × 28"),
    (5.95, 1.15, "28 × 28"),
    (2.6, 0.1, "axis 0"),
    (0.75, -0.35, "axis 2"),
    (-0.7, 0.7, "axis 1"),
):
    ax.text(across, up, text, ha="center", va="center", fontsize=10)
ax.set(xlim=(-1.3, 7), ylim=(-0.6, 2.3), aspect="equal")
ax.axis("off")
plt.show()

# %%
mean_three, mean_seven = threes.mean(0), sevens.mean(0)
mean_three.shape, mean_three.min(), mean_three.max()

# %% Four 3s and their mean, four 7s and theirs tags=["hide-input"] alt="Four handwritten threes and their blurred average, then four sevens and theirs."
show_images(
    [*threes[:4], mean_three, *sevens[:4], mean_seven],
    titles=4 * ["a 3"] + ["mean 3"] + 4 * ["a 7"] + ["mean 7"],
    columns=5,
)
plt.show()

# %% [markdown]
r"""
Where the threes agree the ink is dark; where each writer has a way of his own
it is a smear.

## How far apart are two images?

Subtract them pixel by pixel. Some differences are positive, some negative, and
a plain mean would let them cancel. Two ways out:

- take absolute values, then the mean: the {term}`mean absolute error`, or
  {term}`L1` distance;
- square, then the mean: the {term}`mean squared error`, MSE. Its root is the
  {term}`RMSE`, which is back on the scale of a pixel; it is the
  L2 distance up to a constant factor.

$$\text{MAE}(a, b) = \frac{1}{d}\sum_{i=1}^{d} |a_i - b_i|,$$
$$\text{RMSE}(a, b) = \sqrt{\frac{1}{d}\sum_{i=1}^{d} (a_i - b_i)^2}.$$

Squaring punishes one large difference more than many small ones of the same
sum. For a single 3, both agree that it is nearer to the mean 3:
"""

# %%
three = threes[1032]  # image 10,000 again
assert_equal(three, images[10000].float() / 255)

# %%
ideals = (mean_three, mean_seven)
absolute = [(three - ideal).abs().mean() for ideal in ideals]
squared = [((three - ideal) ** 2).mean().sqrt() for ideal in ideals]
absolute, squared

# %% [markdown]
r"""
We shall want both again, so they become functions. They refuse two different
shapes: a column minus a row is legal, and it is hardly ever what you
meant. For that trap torch has only a warning.
"""

# %% Mean errors tags=["export"] earns="torch.nn.functional.l1_loss torch.nn.functional.mse_loss"
"""How wrong predictions are: numbers for people to read."""


def _check_shapes(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ValueError(f"shapes differ: {(*a.shape,)} and {(*b.shape,)}")


def mean_absolute_error(input: Tensor, target: Tensor) -> Tensor:
    """Mean of |input - target|, two of one shape: (...), (...) -> ()."""
    _check_shapes(input, target)
    return (input - target).abs().mean()


def mean_squared_error(input: Tensor, target: Tensor) -> Tensor:
    """Mean of (input - target)², no root: (...), (...) -> ()."""
    _check_shapes(input, target)
    return ((input - target) ** 2).mean()


# %% [markdown]
r"""
That is what torch's `l1_loss` and `mse_loss` calculate by default. Since we
have built them, and a test compares the two, the real ones may be used from
here on. Mind the root: `mse_loss` takes none.
"""

# %%
import torch.nn.functional as F

l1, mse = F.l1_loss(three, mean_seven), F.mse_loss(three, mean_seven)
assert_close(mean_absolute_error(three, mean_seven), l1)
assert_close(mean_squared_error(three, mean_seven), mse)
assert_close(torch.stack([l1, mse.sqrt()]), torch.tensor([0.1586, 0.3021]))
l1, mse, mse.sqrt()

# %% [markdown]
r"""
## A thousand distances in one line

A {term}`metric` counts only on images that had no part in the averages: the
{term}`validation set`. We take MNIST's own test files. (Training images
would flatter us, since each is a part of the mean it is compared with. Once a
model has choices to tune, later chapters cut validation data out of the
training set and leave the test files alone.)
"""

# %%
x = x.float() / 255
(y == 3).sum(), (y == 7).sum()

# %% [markdown]
r"""
Here is the distance again, this time averaging over the last two axes only,
height and width. For two pictures nothing has changed. But hand it all the
threes at once against the one mean:
"""


# %%
def l1_distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().mean((-1, -2))


l1_distance(three, mean_three), l1_distance(x[y == 3], mean_three).shape

# %% [markdown]
r"""
Shape $(1010, 28, 28)$ minus shape $(28, 28)$ worked, and each picture got its
own distance. That is {term}`broadcasting`. Line the two shapes up at their
last axis. Each pair of sizes must be equal, or one of them must be 1; an axis
that is missing counts as 1. Where a size is 1, that one slice is used again
and again. No copy is made: the loop runs in compiled code, over the same 784
numbers.
"""

# %% The missing axis counts as 1 and is stretched tags=["hide-input"] alt="The shapes 1010, 28, 28 and 28, 28 written right-aligned; the missing first axis of the second counts as 1 and is stretched to 1010."
figure, ax = plt.subplots(figsize=(5, 1.6))
rows = {
    "x[y == 3]": ("1010", "28", "28"),
    "mean_three": ("(1)", "28", "28"),
    "difference": ("1010", "28", "28"),
}
for row, (name, sizes) in enumerate(rows.items()):
    ax.text(-0.2, -row, name, ha="right", va="center", family="monospace")
    for column, size in enumerate(sizes):
        style = {"ls": "--", "ec": "0.5"} if "(" in size else {"ec": "C0"}
        box = plt.Rectangle((column, -row - 0.4), 0.9, 0.8, fc="none", **style)
        ax.add_patch(box)
        ax.text(column + 0.45, -row, size, ha="center", va="center")
ax.set(xlim=(-2, 3.2), ylim=(-2.5, 0.5))
ax.axis("off")
plt.show()

# %% [markdown]
r"""
Shapes that do not fit are an error with both sizes in it:
"""

# %%
try:
    torch.tensor([1, 2, 3]) + torch.tensor([1, 1])
except RuntimeError as error:
    message = str(error)
message

# %% [markdown]
r"""
## The baseline

An image is called a 3 if it is nearer to the mean 3. One function decides for
any number of images at once, and {term}`accuracy` is the share of right
answers.
"""


# %%
def is_three(x: Tensor) -> Tensor:
    return l1_distance(x, mean_three) < l1_distance(x, mean_seven)


is_three(three), is_three(x[y == 3])[:5]


# %% Accuracy tags=["export"]
def accuracy(predicted: Tensor, target: Tensor) -> Tensor:
    """The share of labels that are right: (n,), (n,) -> ()."""
    _check_shapes(predicted, target)
    return (predicted == target).float().mean()


# %% [markdown]
r"""
First the two groups apart, then all images of both together. The rule by hand
gets the same images.
"""

# %%
right_threes = is_three(x[y == 3]).float().mean()
right_sevens = (~is_three(x[y == 7])).float().mean()
right_threes, right_sevens

# %%
either = (y == 3) | (y == 7)
baseline = accuracy(is_three(x[either]), y[either] == 3)
by_hand = accuracy(strokes(x[either]) > 2, y[either] == 3)
baseline, by_hand

# %% tags=["remove-input"]
assert_equal((len(threes), len(sevens)), (6131, 6265))
assert_close(right_threes, 0.9168, rtol=0, atol=1e-3)
assert_close(right_sevens, 0.9854, rtol=0, atol=1e-3)
assert_close(baseline, 0.9514, rtol=0, atol=1e-3)
assert by_hand < baseline - 0.03
Markdown(
    f"**{baseline:.1%}**, and nobody said what a 3 looks like. The rule got "
    f"{by_hand:.1%}; a better one may exist (exercise 3), and finding it is work "
    "for each pair of digits."
)

# %% [markdown]
r"""
The first is the number to beat in {doc}`/1_pixels/3_network`. Beware of a
shortcut on the way to it: averaging the two groups' accuracies. It weighs a 3
more than a 7, since there are fewer 3s, so it answers another question.

Which images fail? Take the margin, how much nearer the mean 7 lies than the
mean 3. A 3 should be to the left of zero, a 7 to the right.
"""

# %%
margin = l1_distance(x, mean_three) - l1_distance(x, mean_seven)

# %% The margins: the threes have the long tail tags=["hide-input"] alt="Two histograms of the margin: threes mostly left of zero, sevens right of it, with a tail of threes that reaches across."
figure, ax = plt.subplots(figsize=(5, 3))
bins = torch.linspace(-0.1, 0.1, 61).tolist()  # the same for both
ax.hist(margin[y == 3].numpy(), bins, alpha=0.6, label="3s")
ax.hist(margin[y == 7].numpy(), bins, alpha=0.6, label="7s")
ax.axvline(0, color="0.5", linewidth=1)
ax.set(xlabel="distance to mean 3 − distance to mean 7", ylabel="images")
ax.set(xticks=[-0.1, -0.05, 0, 0.05, 0.1])
ax.legend()
plt.show()

# %% The four 3s and the four 7s deepest on the wrong side tags=["hide-input"] alt="Eight misjudged digits: thin or slanted threes that hardly overlap the mean three, and sevens with a bar across."
hardest_threes = x[y == 3][margin[y == 3].argsort(descending=True)[:4]]
hardest_sevens = x[y == 7][margin[y == 7].argsort()[:4]]
titles = 4 * ["a 3"] + 4 * ["a 7"]
show_images([*hardest_threes, *hardest_sevens], titles, columns=4)
plt.show()

# %% [markdown]
r"""
Most are still a 3 or a 7 to us. For a mean image they are hard: a stroke beside
the expected one counts as wrong twice, for the ink that is there and for the ink
that is missing. How much hangs on the place? Move all images sideways, by one,
two and three pixels. (`roll` puts what leaves at one side in at the other; there
is next to no ink.)
"""

# %%
moved = {
    by: accuracy(is_three(x[either].roll(by, -1)), y[either] == 3).item()
    for by in range(-3, 4)
}
assert min(moved[-1], moved[1]) > 0.92 and max(moved[-3], moved[3]) < 0.9
{by: round(score, 3) for by, score in moved.items()}

# %% [markdown]
r"""
One pixel is forgiven. Three are not, though every image shows the same digit as
before.

## Squares instead

Now the same decision with the RMSE in place of the L1 distance.
"""


# %%
def l2_distance(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b) ** 2).mean((-1, -2)).sqrt()


nearer = l2_distance(x, mean_three) < l2_distance(x, mean_seven)
accuracy(nearer[either], y[either] == 3)

# %% tags=["remove-input"]
right_l1 = is_three(x[either]) == (y[either] == 3)
right_l2 = nearer[either] == (y[either] == 3)
wrong_l1, wrong_l2 = ((~right).sum().item() for right in (right_l1, right_l2))
won = (right_l2 & ~right_l1).sum().item()
differ = won + (right_l1 & ~right_l2).sum().item()
assert_close(right_l2.float().mean(), 0.9661, rtol=0, atol=1e-3)
assert won > differ / 2 + 3 * differ**0.5 / 2
Markdown(
    f"{wrong_l2} mistakes where there were {wrong_l1}. Chance? The two methods "
    f"disagree on {differ} images, and L2 is right on {won} of them. A fair coin "
    f"would give {differ / 2:.0f}, and be off by {differ**0.5 / 2:.1f} "
    "typically."
)

# %% [markdown]
r"""
## All ten digits

Nothing in the means was special to 3 and 7. Make ten, measure ten distances for
each image, and answer with the digit of the smallest.
"""

# %%
train = images.float() / 255
means = torch.stack([train[labels == digit].mean(0) for digit in range(10)])
means.shape

# %% The ten mean images tags=["hide-input"] alt="The ten mean images, 0 to 9: soft but readable digits."
show_images(means, range(10), columns=5)
plt.show()

# %% [markdown]
r"""
Ten columns of distances, one row an image; `argmin(1)` finds the place of the
smallest in each row, and that place is the digit.
"""


# %%
def distances(distance, pictures) -> Tensor:
    return torch.stack([distance(x, picture) for picture in pictures], dim=1)


l1, l2 = distances(l1_distance, means), distances(l2_distance, means)
score_l1, score_l2 = (accuracy(each.argmin(1), y) for each in (l1, l2))
assert_close(score_l1, 0.6685, rtol=0, atol=1e-3)
assert_close(score_l2, 0.8203, rtol=0, atol=1e-3)
l1.shape, score_l1, score_l2

# %% [markdown]
r"""
Always giving one answer would score about a tenth, so both know something. But
L1 has fallen far behind. A {term}`confusion matrix` shows where: row by row the
true digit, column by column the answer, and on the diagonal what was right.
"""


# %% Confusions tags=["export"]
def confusion_matrix(
    predicted: Tensor, target: Tensor, n_classes: int
) -> Tensor:
    """Counts by true class, then answer: (n,), (n,) -> (k, k)."""
    _check_shapes(predicted, target)
    for labels in (predicted, target):
        if ((labels < 0) | (labels >= n_classes)).any():
            span = f"{labels.min()} to {labels.max()}"
            raise ValueError(f"labels {span}, but n_classes is {n_classes}")
    cell = n_classes * target + predicted
    return cell.bincount(minlength=n_classes**2).view(n_classes, n_classes)


# %% A confusion matrix as a picture tags=["export", "hide-input"] module="plot"
def show_confusion(counts: Tensor, ax: Axes | None = None) -> Axes:
    """A confusion matrix (k, k), each row shaded by its own shares."""
    ax = ax or plt.subplots(figsize=(5, 5))[1]
    shares = counts / counts.sum(1, keepdim=True)
    ax.imshow(shares.numpy(), cmap=_ink(0.5))
    for row, values in enumerate(counts.tolist()):
        for column, count in enumerate(values):
            place = {"ha": "center", "va": "center", "fontsize": 9}
            ax.text(column, row, count or "", **place)
    ticks = range(len(counts))
    ax.set(xlabel="answer", ylabel="digit", xticks=ticks, yticks=ticks)
    return ax


# %% What is taken for what: L1 above, L2 below tags=["hide-input"] alt="Two confusion matrices. With L1 the column of the answer 1 is full: hundreds of images of every digit end there. With L2 the diagonal dominates."
figure, axes = plt.subplots(2, 1, figsize=(5, 9.6))
for ax, each, name in zip(axes, (l1, l2), ("L1", "L2"), strict=True):
    show_confusion(confusion_matrix(each.argmin(1), y, 10), ax)
    ax.set_title(name)
plt.show()

# %% [markdown]
r"""
With L1 the column of the 1 is full. How many images get that answer, how many
should, and how much ink has each mean image?
"""

# %%
(l1.argmin(1) == 1).sum(), (l2.argmin(1) == 1).sum(), (y == 1).sum()

# %%
{digit: round(mean.item(), 3) for digit, mean in enumerate(means.mean((1, 2)))}

# %% [markdown]
r"""
The mean 1 has the least ink of all. Is that why? A guess like this needs an
experiment that could go wrong. If L1 likes pale pictures, it should like the
palest of all: an empty page. Offer it as an eleventh picture. No image is empty,
so whoever picks it is wrong.
"""

# %%
empty = torch.zeros(28, 28)
picked = {
    "L1": (l1_distance(x, empty) < l1.min(1).values).float().mean(),
    "L2": (l2_distance(x, empty) < l2.min(1).values).float().mean(),
}
assert picked["L1"] > 0.25 and picked["L2"] < 0.01
picked

# %% [markdown]
r"""
Under L1 more than a quarter of all digits are nearer to an empty page than to any
mean; under L2 hardly one is. The guess holds.

## The picture and the ruler

Why would L1 prefer an empty page? Look at one pixel, in the lower half of the 7s,
and ask for the one number $c$ that stands best for all its values
$v_1, \dots, v_n$.
"""

# %%
values = sevens[:, 22, 11]
values.mean(), values.median(), (values == 0).float().mean()

# %% The best number for a pixel: absolute values ask for the median, squares for the mean tags=["hide-input"] alt="Two curves of cost against c. The mean absolute difference is smallest at c = 0, where the median is. The mean squared difference is smallest at c = 0.36, where the mean is."
guesses = torch.linspace(0, 1, 101)
gaps = values - guesses[:, None]  # (101, 1) against (n,): all at once
figure, ax = plt.subplots(figsize=(5, 3))
for name, cost, style in (
    ("mean of |v − c|", gaps.abs().mean(1), "C0-"),
    ("mean of (v − c)²", (gaps**2).mean(1), "C1--"),
):
    ax.plot(guesses, cost, style, label=name)
    best = cost.argmin()
    ax.plot(guesses[best], cost[best], "o", color=style[:2], clip_on=False)
ax.set(xlabel="c", ylabel="cost", ylim=0)
ax.legend()
plt.show()
assert_equal(guesses[gaps.abs().mean(1).argmin()], values.median())
assert_close(guesses[(gaps**2).mean(1).argmin()], values.mean(), atol=0.01)

# %% [markdown]
r"""
More than half of the 7s are blank there, so the median is 0, and the absolute
values ask for nothing else. The squares ask for the mean. That is a law: the sum of squares $\sum (v_i - c)^2$ is smallest at the mean, the
sum of absolute values $\sum |v_i - c|$ at the median. We made pictures of means
and measured with L1: the picture and the ruler do not belong together. L1 would
have the pixel blank, and charges a grey one in full against every blank one.

If that is right, each ruler should do best with its own picture.
"""

# %%
medians = [train[labels == digit].median(0).values for digit in range(10)]
table = {
    name: [
        accuracy(distances(distance, pictures).argmin(1), y).item()
        for distance in (l1_distance, l2_distance)
    ]
    for name, pictures in (("means", means), ("medians", medians))
}

# %% tags=["remove-input"]
assert table["medians"][0] > table["means"][0] + 0.05
assert table["means"][1] > table["medians"][1] + 0.03
Markdown(f"""
| pictures | L1 | L2 |
| --- | --: | --: |
| means | {table["means"][0]:.1%} | **{table["means"][1]:.1%}** |
| medians | **{table["medians"][0]:.1%}** | {table["medians"][1]:.1%} |
""")

# %% [markdown]
r"""
It does, both ways. The squares with their means stay ahead.

## One picture is not enough

One picture a digit has to stand for upright and slanted hands at once. If that is
what holds the method back, several pictures should help, provided they are
sorted by slant. For the slant of a digit, compare the upper half with the lower:
how much further to the right does its ink lie?
"""


# %%
def centre(images: Tensor) -> Tensor:
    return (images.sum(1) * torch.arange(28)).sum(1) / images.sum((1, 2))


def slant(images: Tensor) -> Tensor:
    return centre(images[:, :14]) - centre(images[:, 14:])


# %% [markdown]
r"""
Now five pictures a digit, sorted by slant. And, to be fair, five pictures of
groups drawn by lot: more pictures alone might help.
"""

# %%
torch.manual_seed(0)
by_slant, by_lot = [], []
for digit in range(10):
    own = train[labels == digit]
    for pictures, order in (
        (by_slant, slant(own).argsort()),
        (by_lot, torch.randperm(len(own))),
    ):
        pictures += [part.mean(0) for part in own[order].chunk(5)]
score_slant, score_lot = (
    accuracy(distances(l2_distance, pictures).argmin(1) // 5, y)  # 5 a digit
    for pictures in (by_slant, by_lot)
)
score_slant, score_lot

# %% The five mean 4s and 7s, by slant tags=["hide-input"] alt="Two rows of five mean images, of the digit 4 and the digit 7, leaning from left to right by degrees, and sharper than the mean of all."
show_images([*by_slant[20:25], *by_slant[35:40]], columns=5)
plt.show()

# %% tags=["remove-input"]
assert score_slant > score_l2 + 0.04 and abs(score_lot - score_l2) < 0.01
Markdown(
    f"**{score_slant:.1%}** with pictures sorted by slant, {score_lot:.1%} with "
    f"groups drawn by lot, where one picture a digit had {score_l2:.1%}."
)

# %% [markdown]
r"""
So part of it was the hands. But once more a person had to know what to look for. Nothing
in this method ever looks at its own mistakes. To get better by itself, a model
has to have numbers that can be changed and a way to know how to change them.

## What we built

| name | module | what it is |
| --- | --- | --- |
| `show_images`, `show_pixels`, `show_confusion` | `plot` | pictures |
| `mean_absolute_error`, `mean_squared_error` | `scores` | earn `l1_loss` and `mse_loss` |
| `accuracy`, `confusion_matrix` | `scores` | what was right, and what was taken for what |

## Questions

:::{dropdown} How is a grey image stored, and how a colour image?
:name: topic-1
A grey image is a table of brightness values, often a byte each, here from 0
for paper to 255 for ink (most other formats use 0 for black). A colour image
has three tables, for red, green and blue, so one axis more.
:::

:::{dropdown} How are images and labels arranged in MNIST's files, and how in a folder of pictures?
:name: topic-2
MNIST has one file of images and one of labels, in the same order, for training
and for testing. A folder of pictures has one folder for each split, in it one
for each digit, and the label is the folder's name. Either way the split is a
part of the data set, so that everyone measures on the same images.
:::

:::{dropdown} How does pixel similarity classify a digit?
:name: topic-3
Average the training images of each digit. Compare a new image with each
average, pixel by pixel, and answer with the nearest.
:::

:::{dropdown} What is a list comprehension? Write one that doubles the odd numbers of a list.
:name: topic-4
A list written as an expression, a `for`, and perhaps an `if`. It is built in
one go and reads like the set notation of mathematics.
:::
"""

# %% tags=["answer"]
assert_equal([2 * n for n in [1, 2, 3, 4, 5] if n % 2], [2, 6, 10])

# %% [markdown]
r"""
:::{dropdown} What is a tensor of rank 3?
:name: topic-5
One with three axes, such as a pile of images: which image, which row, which
column. Three numbers in brackets name one element.
:::

:::{dropdown} How do rank and shape differ, and how do you get one from the other?
:name: topic-6
The shape lists the size of every axis. The rank is the number of axes, so it is
the length of the shape. The rank does not give you the shape.
:::
"""

# %% tags=["answer"]
assert_equal((threes.shape, len(threes.shape)), ((6131, 28, 28), 3))

# %% [markdown]
r"""
:::{dropdown} What are RMSE and L1?
:name: topic-7
Two distances. L1 here is the mean of the absolute differences. RMSE is the
root of the mean of the squared differences. (Mathematicians' norms sum instead
of averaging; with images of one size the order of distances is the same.)
:::

:::{dropdown} How do you calculate with thousands of numbers at once, much faster than a Python loop?
:name: topic-8
Write one expression for whole tensors, with broadcasting where shapes differ.
The loop then runs inside compiled code, on many numbers at a time.
:::

:::{dropdown} Make a 3 × 3 tensor of 1 to 9, double it, and select the bottom right four numbers.
:name: topic-9
The bottom right starts at row 1 and column 1: `[1:, 1:]`. (`[:2, :2]` is the
top left.)
:::
"""

# %% tags=["answer"]
square = torch.arange(1, 10).view(3, 3)
assert_equal((2 * square)[1:, 1:].tolist(), [[10, 12], [16, 18]])

# %% [markdown]
r"""
:::{dropdown} What is broadcasting, and when may two shapes be broadcast?
:name: topic-10
Calculating with tensors of different shapes as if the smaller had been
repeated. Compare sizes from the last axis on: they must be equal, or one of
them 1; missing axes count as 1.
:::
"""

# %% tags=["answer"]
column, row = torch.ones(3, 1), torch.ones(4)
assert_equal((column + row).shape, (3, 4))

# %% [markdown]
r"""
## Exercises

**1. Which error is it?** A course has a function named `mse` that takes the
*root* of the mean squared difference. For which errors does its value differ from
`mean_squared_error`? Does it ever change which of two predictions is better?
"""


# %% tags=["solution"]
def errors(guesses: Tensor, target: Tensor) -> Tensor:
    return torch.stack([mean_squared_error(each, target) for each in guesses])


target = torch.zeros(4)
squares = errors(torch.tensor([[0.0], [0.5], [1.0], [2.0]]) + target, target)
alike = squares == squares.sqrt()
assert_equal(alike.tolist(), [True, False, True, False])  # at 0 and 1 only

torch.manual_seed(0)
squares = errors(torch.randn(200, 4), torch.randn(4))
assert_equal(squares.argsort(), squares.sqrt().argsort())
# The root grows with its argument, so the order of two models stays the same.
# The value does not, and neither does the slope: chapter 1.2 needs that.

# %% [markdown]
r"""
**2. In one broadcast.** The ten distances came from a list of ten. Write them
as one expression, without a loop, for the first 100 images. Why only 100?
"""

# %% tags=["solution"]
all_at_once = (x[:100, None] - means).abs().mean((-1, -2))
assert_close(all_at_once, l1[:100])
# The difference has shape (n, 10, 28, 28). For all 10,000 images that is
# 10,000 · 10 · 784 numbers of 4 bytes, 314 MB, made only to be averaged away.
assert_equal(x.numel() * 10 * 4, 313_600_000)

# %% [markdown]
r"""
**3. A better rule.** Improve the rule by hand without looking at the validation
set: choose by the training images alone. Does it beat the averages?
"""


# %% tags=["solution"]
def votes(images: Tensor) -> Tensor:
    return sum(strokes(images, column) > 2 for column in range(9, 18))


seen = [
    (votes(threes) >= n).sum() + (votes(sevens) < n).sum() for n in range(1, 10)
]
n = 1 + torch.stack(seen).argmax()  # chosen by the training images
better = accuracy(votes(x[either]) >= n, y[either] == 3)
assert by_hand + 0.02 < better < baseline
# It comes close, with nine columns and a vote.  45 pairs to go.

# %% [markdown]
r"""
**4. It was a linear model all along.** Under L2, "nearer to the mean 3" means
$\sum (x_i - a_i)^2 < \sum (x_i - b_i)^2$. Expand both squares. What is left is
a weighted sum of the pixels against a constant. Find the weights and the
constant, and check that the decision is the same for every image.
"""

# %% tags=["solution"]
a, b, exact = mean_three.double(), mean_seven.double(), x.double()
weight, bias = 2 * (a - b), (b**2).sum() - (a**2).sum()
linear = (exact * weight).sum((-1, -2)) + bias > 0
assert_equal(linear, l2_distance(exact, a) < l2_distance(exact, b))

# %% [markdown]
r"""
A weight for each pixel and one constant: here they come from two averages. In
{doc}`/1_pixels/2_descent` we learn to find such numbers by taking small steps
that reduce an error.
"""

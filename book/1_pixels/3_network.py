# %% [markdown]
r"""
# A first network

The mean image got 95 of 100 right, and {doc}`/1_pixels/2_descent` can tune any
number that a loss depends on. Put the two together: **can a program that starts
from random numbers learn to tell a 3 from a 7 better than the mean image
does?**

We write every part once by hand, then replace it by its borrowed, finished
form, and look at what the replacement added. At the end stands a network with
one hidden layer, and a test of the whole recipe on the other digits, which it
fails.

| name | shape | meaning |
| --- | --- | --- |
| `x` | `(n, 784)` | images, one a row, from 0 to 1 |
| `y` | `(n, 1)` | labels: 1 for a 3, 0 for a 7 |
| `weights` | `(784, 1)` | one weight a pixel |
| `bias` | `(1,)` | the score of an empty image |
"""

# %% Imports tags=["hide-input"]
import itertools
import string
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown
from torch import Tensor, tensor

from groundup.datasets import mnist
from groundup.testing import assert_close

# %% [markdown]
r"""
## Images as rows

A linear model weighs every pixel, wherever it stands. So the square is of no
use to it, and we lay each image out as one row of 784 numbers. `view` does that
without moving any of them; `-1` stands for the size that is left over.
"""

# %%
images, digits = mnist()
test_images, test_digits = mnist(train=False)


def as_rows(images: Tensor) -> Tensor:
    """Images from 0 to 255 as rows from 0 to 1: (n, 28, 28) -> (n, 784)."""
    return images.view(-1, 28 * 28).float() / 255


def pair(images: Tensor, digits: Tensor, a: int, b: int) -> tuple:
    """All images of two digits, and 1 for the first, 0 for the second."""
    firsts, seconds = images[digits == a], images[digits == b]
    labels = tensor([1.0] * len(firsts) + [0.0] * len(seconds))
    return as_rows(torch.cat([firsts, seconds])), labels.unsqueeze(1)


x, y = pair(images, digits, 3, 7)
x_valid, y_valid = pair(test_images, test_digits, 3, 7)
x.shape, y.shape, x_valid.shape, y_valid.shape

# %% [markdown]
r"""
`unsqueeze(1)` gave the labels a second axis, so that they line up with the
predictions to come. A *dataset*, in the plainest sense, is anything that
gives a pair of input and label when indexed. A list of pairs will do.
"""

# %%
dataset = list(zip(x, y, strict=True))
first_x, first_y = dataset[0]
first_x.shape, first_y

# %% [markdown]
r"""
## A linear model

Each pixel gets a weight, each image the weighted sum of its pixels, plus a
{term}`bias`. A positive score shall mean 3.
"""


# %%
def init_params(*size: int, std: float = 1.0) -> Tensor:
    return torch.randn(size) * std


torch.manual_seed(0)
weights, bias = init_params(784, 1), init_params(1)
(x[0] * weights[:, 0]).sum() + bias

# %% [markdown]
r"""
The bias is one number for the whole image, not one a pixel: it is added to the
sum. Without it an empty image would score 0 whatever the weights are.

One image at a time is slow. The weighted sums of all images are a matrix
product, written `@`. That is the subject of {doc}`/2_backward/1_matmul`; until
then it is a loan.
"""


# %% A borrowed matrix product loans="torch.Tensor.__matmul__ torch.matmul" repaid="2_backward/1_matmul"
def linear(x: Tensor) -> Tensor:
    return x @ weights + bias


scores = linear(x)
assert_close(scores[0], (x[0] * weights[:, 0]).sum() + bias)
scores.shape


# %%
def accuracy(scores: Tensor, labels: Tensor) -> float:
    return ((scores > 0) == (labels == 1)).float().mean().item()


round(accuracy(linear(x_valid), y_valid), 3)

# %% [markdown]
r"""
Random weights, a random answer. Now descend.

## Why accuracy cannot be the loss

Accuracy is what we care about, so let it be the loss, and ask for its
derivative. Take one weight, of a pixel in the middle, change it a little, and
see what changes.
"""

# %%
pixel = 14 * 28 + 14
nudged = weights.clone()
nudged[pixel] *= 1.0001
before, after = accuracy(x @ weights, y), accuracy(x @ nudged, y)
after - before

# %% [markdown]
r"""
Nothing. A small change moves every score a little, and no score across zero.
Descent needs to know which way is down, and the answer here is: nowhere. We
need a {term}`loss` that notices. Let the model say how sure it is that an image
is a 3, a number from 0 to 1, and let the loss be how far from the truth that
was, on average.
"""


# %%
def wrongness(confidences: Tensor, labels: Tensor) -> Tensor:
    return torch.where(labels == 1, 1 - confidences, confidences).mean()


# %% [markdown]
r"""
`where` picks, element by element, from the second argument where the condition
holds and from the third where it does not. Three images, a 3, a 7 and a 3, the
last of which the model gets wrong:
"""

# %%
labels = tensor([1, 0, 1])
wrongness(tensor([0.9, 0.4, 0.2]), labels)

# %%
# surer of the last one: a smaller loss
wrongness(tensor([0.9, 0.4, 0.8]), labels)

# %%
assert_close(wrongness(tensor([0.9, 0.4, 0.2]), labels).item(), 0.4333)
assert_close(wrongness(tensor([0.9, 0.4, 0.8]), labels).item(), 0.2333)

# %% [markdown]
r"""
Our scores run from minus to plus infinity. The {term}`sigmoid` squeezes them
between 0 and 1, rising all the way:

$$\sigma(x) = \frac{1}{1 + e^{-x}}.$$
"""


# %%
def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def mnist_loss(scores: Tensor, labels: Tensor) -> Tensor:
    return wrongness(sigmoid(scores), labels)


# %% alt="The sigmoid from -6 to 6: an S from 0 to 1 through one half at zero, nearly flat beyond 4 on either side." tags=["hide-input"]
line = torch.linspace(-6, 6, 100)
plt.plot(line, sigmoid(line))
plt.xlabel("score")
plt.ylabel("confidence")
plt.show()

# %% [markdown]
r"""
Here are both, accuracy and loss, as that one weight moves over a wide range.
"""

# %% alt="Two curves over the value of one weight. The share of wrong answers is a staircase of flat pieces and jumps; the loss beside it is a smooth curve of the same general shape." tags=["hide-input"]
values = torch.linspace(-3, 3, 400)
some = torch.randperm(len(x))[:200]
x_some, y_some = x[some], y[some]
rest = x_some @ weights + bias - x_some[:, [pixel]] * weights[pixel]
moved = rest + x_some[:, [pixel]] * values  # (200, 400)
errors = ((moved > 0) != (y_some == 1)).float().mean(0)
smooth = torch.where(y_some == 1, 1 - sigmoid(moved), sigmoid(moved)).mean(0)
plt.plot(values, errors, color="C1", label="share of wrong answers")
plt.plot(values, smooth, color="C0", label="loss")
plt.xlabel("one weight")
plt.legend()
plt.show()

# %% [markdown]
r"""
A {term}`metric` is for people: it says what we want to know, and it may jump. A
loss is for the descent: it must slope. The loss is what is trained, the metric
what is reported, and it is reported on images that the training has never seen.

## Mini-batches

How many images should one step look at? All 12,396 give the exact gradient, at
the price of a pass through all of them. One gives a step at once, in a
direction that suits that one image. The usual answer lies between: a
{term}`mini-batch`, large enough for the hardware to work in bulk and for the
average to mean something.

Dealing out batches is a job of its own. Torch's `DataLoader` does it; we borrow
it until part 3 builds one.
"""

# %% A borrowed loader loans="torch.utils.data.DataLoader" repaid="3_training/7_workers"
from torch.utils.data import DataLoader

torch.manual_seed(0)
list(DataLoader(range(15), batch_size=5, shuffle=True))

# %% [markdown]
r"""
From a dataset of pairs it makes pairs of batches: it *collates*. The last batch
gets what is left.
"""

# %%
letters = list(enumerate(string.ascii_lowercase))
[len(names) for _, names in DataLoader(letters, batch_size=6, shuffle=True)]

# %%
loader = DataLoader(dataset, batch_size=256)
valid_loader = DataLoader(list(zip(x_valid, y_valid)), batch_size=256)
x_batch, y_batch = next(iter(loader))
x_batch.shape, y_batch.shape

# %% [markdown]
r"""
Note what `loader` does not do: shuffle. The recipe that we follow left it out,
so its batches are 23 of nothing but threes, a mixed one, then 25 of sevens.
Keep it in mind.

## One step, and the gradient that stays

The gradient comes from the loan of {doc}`/1_pixels/2_descent`. Watch the bias.
"""


# %%
def calculate_gradients(model: Callable, x: Tensor, y: Tensor) -> None:
    mnist_loss(model(x), y).backward()


weights.requires_grad_()
bias.requires_grad_()
calculate_gradients(linear, x[:4], y[:4])
once = bias.grad.clone()
calculate_gradients(linear, x[:4], y[:4])
bias.grad / once

# %% [markdown]
r"""
The same batch twice, and the gradient is twice as large: `backward` *adds* to
what is there. That is useful when a batch must be split, and a bug in every
loop that forgets to set the gradient back to zero. Methods that end in an
underscore, such as `zero_`, change the tensor itself.

The step must not be recorded as part of the next loss. `no_grad` says so.
"""


# %% Without recording loans="torch.no_grad torch.Tensor.detach" repaid="2_backward/5_autograd"
def train_epoch(model: Callable, params: list, lr: float, loader=loader):
    for x_batch, y_batch in loader:
        calculate_gradients(model, x_batch, y_batch)
        with torch.no_grad():
            for param in params:
                param -= lr * param.grad
                param.grad.zero_()


def validate(model: Callable) -> float:
    """The accuracy over all validation images, however they are batched."""
    with torch.no_grad():
        right = sum(
            ((model(x) > 0) == (y == 1)).sum().item() for x, y in valid_loader
        )
    return right / len(x_valid)


# %% [markdown]
r"""
`validate` counts what is right and divides once. Averaging the batches'
accuracies would give the last, shorter batch the weight of a full one.

An {term}`epoch` is one pass through the data. Before, after one, after twenty:
"""

# %%
weights.grad.zero_()
bias.grad.zero_()
history = [validate(linear)]
for _ in range(20):
    train_epoch(linear, [weights, bias], lr=1.0)
    history.append(validate(linear))
[f"{history[epoch]:.1%}" for epoch in (0, 1, 20)]

# %% [markdown]
r"""
Twenty passes, and random numbers have overtaken the mean image. Nothing here
knows what a digit is.

## The same, with finished parts

Four pieces of that loop are needed again and again, and each has a finished
form. An *optimiser* knows the parameters and takes the step.
"""


# %%
class BasicOptim:
    """Plain gradient descent; part 3 builds the one to keep."""

    def __init__(self, params, lr: float):
        self.params, self.lr = list(params), lr

    def step(self):
        with torch.no_grad():
            for param in self.params:
                param -= self.lr * param.grad

    def zero_grad(self):
        for param in self.params:
            param.grad = None


# %% [markdown]
r"""
A *module* holds its parameters, initialises them, and is called like a
function. `nn.Linear` is `init_params` and `linear` in one, with a better choice
of random numbers.
"""

# %% A borrowed layer loans="torch.nn.Linear torch.nn.Module torch.nn.Sequential torch.nn.ReLU" repaid="2_backward/7_module"
from torch import nn

layer = nn.Linear(28 * 28, 1)
[tuple(param.shape) for param in layer.parameters()]

# %% [markdown]
r"""
And a *learner* holds everything that a training run needs: data, model, loss,
optimiser, metric. This small one also writes down the curves. It is thrown away
with this chapter; part 3 builds the one that you will want to keep.
"""


# %%
class Learner:
    def __init__(self, model, lr: float, loader=loader):
        self.model, self.loader = model, loader
        self.optim = BasicOptim(model.parameters(), lr)
        self.losses, self.accuracies = [], []

    def fit(self, n_epochs: int):
        for _ in range(n_epochs):
            for x_batch, y_batch in self.loader:
                calculate_gradients(self.model, x_batch, y_batch)
                self.optim.step()
                self.optim.zero_grad()
            self.record()
        return self.accuracies[-1]

    def record(self):
        self.accuracies.append(validate(self.model))
        with torch.no_grad():
            loss = mnist_loss(self.model(x_valid), y_valid)
        self.losses.append(loss.item())


torch.manual_seed(0)
one_layer = Learner(nn.Linear(28 * 28, 1), lr=1.0)
round(one_layer.fit(20), 4)

# %%
assert one_layer.accuracies[-1] >= 0.975, "the linear model's gate"

# %% [markdown]
r"""
Our optimiser takes the same steps as torch's:
"""


# %% tags=["reference"]
def weights_after(make_optim: Callable) -> Tensor:
    torch.manual_seed(0)
    model = nn.Linear(28 * 28, 1)
    optim = make_optim(model.parameters(), lr=0.5)
    for start in range(0, 1024, 256):
        calculate_gradients(
            model, x[start : start + 256], y[start : start + 256]
        )
        optim.step()
        optim.zero_grad()
    return model.weight.detach()


assert_close(weights_after(BasicOptim), weights_after(torch.optim.SGD))

# %% [markdown]
r"""
## Two lines are still a line

A linear model can only weigh pixels. To do more, stack two? A linear function
of a linear function is linear again: whatever the two layers are, one does the
same.
"""

# %%
first, second = nn.Linear(784, 30), nn.Linear(30, 1)
with torch.no_grad():
    weight = second.weight @ first.weight
    constant = second.weight @ first.bias + second.bias
    stacked, single = second(first(x)), x @ weight.T + constant
assert_close(stacked, single, atol=1e-4)

# %% [markdown]
r"""
Unless something bends in between. The smallest bend there is sets negative
numbers to zero. It has a long name, *rectified linear unit*, and a short one,
{term}`ReLU`.
"""


# %%
def relu(x: Tensor) -> Tensor:
    return x.clamp_min(0.0)


# %% alt="ReLU from -2 to 2: zero up to zero, then the diagonal." tags=["hide-input"]
line = torch.linspace(-2, 2, 9)
plt.plot(line, relu(line), ".-")
plt.xlabel("x")
plt.ylabel("relu(x)")
plt.show()

# %% [markdown]
r"""
How much does one bend buy? Add up shifted, scaled ReLUs, and each adds one
corner to a piecewise straight line. With corners where we like, such a line
follows any curve as closely as we like. No training: the slopes are read off
the curve.
"""


# %%
def follow(curve: Callable, n_units: int) -> Callable:
    """A sum of ReLUs that meets the curve at n_units + 1 points on [0, 1]."""
    corners = torch.linspace(0, 1, n_units + 1)
    slopes = (curve(corners[1:]) - curve(corners[:-1])) * n_units
    bends = torch.cat([slopes[:1], slopes[1:] - slopes[:-1]])
    start = curve(corners[:1])
    return lambda t: start + (relu(t[:, None] - corners[:-1]) * bends).sum(1)


def wiggle(t: Tensor) -> Tensor:
    return torch.sin(12 * t) * t + 0.3 * torch.cos(31 * t)


# %% alt="A wiggly curve with three approximations made of 4, 16 and 64 ReLUs. Four follow it coarsely, sixteen miss only its tips, sixty-four lie on it." tags=["hide-input"]
t = torch.linspace(0, 1, 500)
figure, panels = plt.subplots(1, 3, figsize=(7.5, 2.6), sharey=True)
gaps = []
for panel, n_units in zip(panels, [4, 16, 64], strict=True):
    panel.plot(t, wiggle(t), color="0.6")
    panel.plot(t, follow(wiggle, n_units)(t), color="C1")
    panel.set(title=f"{n_units} units")
    gaps.append((follow(wiggle, n_units)(t) - wiggle(t)).abs().max().item())
plt.show()

# %%
assert gaps[0] > gaps[1] > 8 * gaps[2]
[round(gap, 3) for gap in gaps]

# %% [markdown]
r"""
Four units are too few to see every bend. Once all are seen, four times the units
make the pieces a quarter as long and the largest gap about a sixteenth.

That is the {term}`universal approximation` theorem in one dimension: one bent
layer, wide enough, comes as close to any continuous function on an interval as
you please. {cite:t}`cybenko1989` proved it for sigmoids and any number of
inputs. It says that good weights exist. It does not say that descent finds
them, nor that the layer stays small.

## A network with one hidden layer

Thirty weighted sums, thirty bends, one weighted sum of those:
"""


# %%
def simple_net(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor):
    hidden = relu(x @ w1 + b1)  # (n, 30)
    return hidden @ w2 + b2


# %% [markdown]
r"""
The same from finished parts: `nn.Sequential` calls one module after the other.
"""


# %%
def make_net() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 1))


torch.manual_seed(0)
net = make_net()
w1, b1, w2, b2 = net.parameters()
assert_close(net(x[:8]), simple_net(x[:8], w1.T, b1, w2.T, b2))
sum(param.numel() for param in net.parameters())

# %% [markdown]
r"""
A lower learning rate for the deeper model, and forty epochs:
"""

# %%
two_layers = Learner(net, lr=0.1)
round(two_layers.fit(40), 4)

# %%
assert two_layers.accuracies[-1] >= 0.982, "the network's gate"

# %% alt="Loss and accuracy on the validation images by epoch for the linear model and the network with one hidden layer. Both losses fall steeply and then slowly; the network's accuracy ends above the linear model's, and a dashed line marks the 95 percent of the mean image." tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3))
runs = [(one_layer, "linear"), (two_layers, "one hidden layer")]
for i, (run, name) in enumerate(runs):
    left.plot(run.losses, color=f"C{i}", label=name)
    right.plot(run.accuracies, color=f"C{i}", label=name)
right.axhline(0.951, color="0.5", ls="--", label="mean image")
left.set(xlabel="epoch", ylabel="validation loss", yscale="log")
right.set(xlabel="epoch", ylabel="validation accuracy", ylim=(0.9, 1))
right.legend()
plt.show()

# %% [markdown]
r"""
All models so far, beside the sources' numbers:
"""

# %% tags=["hide-input"]
Markdown(f"""
| model | here | the sources |
| --- | --- | --- |
| mean image | 95.14% | 95.11% |
| linear, weights of variance 1 | {history[-1]:.2%} | 97.51% |
| linear, `nn.Linear` | {one_layer.accuracies[-1]:.2%} | 97.85% |
| one hidden layer | {two_layers.accuracies[-1]:.2%} | 98.23% |
| ResNet-18, one epoch | part 4 | 99.41% |
""")

# %% [markdown]
r"""
The second row lies a point below the sources'; the end of this chapter shows
how far it depends on the random numbers that it starts from.

## Deeper

If one wide layer can follow anything, why does anyone use more? Because depth
is cheaper: a second bend bends what the first has bent, so the number of
corners multiplies where width only adds. Two ReLUs make a tent, up from 0 to 1
and down again. A tent of a tent has two peaks, and every further layer of two
units doubles them:
"""


# %%
def tent(t: Tensor) -> Tensor:
    return 2 * relu(t) - 4 * relu(t - 0.5)


def tents(t: Tensor, n_layers: int) -> Tensor:
    for _ in range(n_layers):
        t = tent(t)
    return t


# %% alt="Three zigzag lines between 0 and 1: one tent from one layer, two from two layers, eight from four layers." tags=["hide-input"]
figure, panels = plt.subplots(1, 3, figsize=(7.5, 2.2), sharey=True)
for panel, n_layers in zip(panels, [1, 2, 4], strict=True):
    panel.plot(t, tents(t, n_layers), color="C1")
    panel.set(title=f"{n_layers} layers, {2 * n_layers} units")
panels[0].set(title="1 layer, 2 units")
plt.show()

# %%
# one layer needs a unit a piece: sixteen, where four layers need eight
flat = follow(lambda t: tents(t, 4), 16)
assert_close(flat(t), tents(t, 4), atol=1e-4)

# %% [markdown]
r"""
On images, the sources' convolutional network of eighteen layers reaches 99.4 %
in one epoch; part 4 builds it. Depth is hard to train without care, and part 2
is about that care.

## The recipe on other digits

Threes and sevens worked. Do fives and eights? Here is the recipe as it was
shown to us (weights of variance 1, batches in the order of the labels), for
three epochs on each of the 45 pairs of digits.
"""


# %% limit=120
def train_pair(
    a: int, b: int, std: float, shuffle: bool, n_epochs=3, seed=0
) -> float:
    """Validation accuracy of the linear model."""
    x, y = pair(images, digits, a, b)
    x_valid, y_valid = pair(test_images, test_digits, a, b)
    torch.manual_seed(seed)
    params = [
        init_params(784, 1, std=std).requires_grad_(),
        init_params(1, std=std).requires_grad_(),
    ]
    optim = BasicOptim(params, lr=1.0)
    for _ in range(n_epochs):
        order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
        for rows in order.split(256):
            mnist_loss(x[rows] @ params[0] + params[1], y[rows]).backward()
            optim.step()
            optim.zero_grad()
    with torch.no_grad():
        return accuracy(x_valid @ params[0] + params[1], y_valid)


pairs = list(itertools.combinations(range(10), 2))
as_shown = {p: train_pair(*p, std=1.0, shuffle=False) for p in pairs}
with_care = {p: train_pair(*p, std=1 / 28, shuffle=True) for p in pairs}
[f"{min(each.values()):.1%}" for each in (as_shown, with_care)]

# %% alt="Two triangles of accuracies, one cell for each pair of digits. Left, the recipe as shown: six pairs among the digits 3, 4, 5, 6, 8 and 9 stay near one half. Right, shuffled batches and small weights: every pair is above 0.9." tags=["hide-input"]
figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.6))
for panel, table, name in [
    (panels[0], as_shown, "as shown"),
    (panels[1], with_care, "shuffled, small weights"),
]:
    grid = torch.full((10, 10), torch.nan)
    for (a, b), value in table.items():
        grid[b, a] = value
        tone = "white" if value < 0.75 else "black"
        text = f"{value * 100:.0f}"
        panel.text(a, b, text, ha="center", va="center", fontsize=8, color=tone)
    panel.imshow(grid, vmin=0.4, vmax=1, cmap="viridis")
    panel.set(title=name, xlim=(-0.5, 8.5), ylim=(9.5, 0.5))
    panel.set(xticks=range(9), yticks=range(1, 10))
plt.show()

# %%
assert min(as_shown.values()) < 0.6 and min(with_care.values()) > 0.9

# %% [markdown]
r"""
Some pairs did no better than a coin. Two things went wrong, and on 3 against 7
we were lucky with both.

*Sorted batches.* For half an epoch every batch says "it is the first digit",
for the other half "it is the second". The bias runs to one side, then to the
other, and the last digit seen wins.

*Weights of variance 1.* A sum of 784 products is large. Large scores lie where
the sigmoid is flat, and where it is flat there is next to no gradient to
follow:
"""

# %% alt="Histograms of the first scores on threes and sevens. With weights of standard deviation 1 they spread from about -15 to 35; with standard deviation 1/28 they lie within 1 of zero, where the sigmoid is steep." tags=["hide-input"]
torch.manual_seed(0)
wide = x @ init_params(784, 1)
narrow = x @ init_params(784, 1, std=1 / 28)
plt.hist(wide[:, 0], bins=60, color="C1", alpha=0.7, label="std 1")
plt.hist(narrow[:, 0], bins=20, color="C0", alpha=0.7, label="std 1/28")
plt.xlabel("score before training")
plt.ylabel("images")
plt.legend()
plt.show()


# %%
def slope(scores: Tensor) -> Tensor:
    """The derivative of the sigmoid."""
    return sigmoid(scores) * (1 - sigmoid(scores))


# the share of images whose score sits where the slope is below a tenth of its
# largest value, 1/4
[f"{(slope(s) < 0.025).float().mean():.0%}" for s in (wide, narrow)]

# %% [markdown]
r"""
Even 3 against 7 is then a matter of luck. The recipe as shown, twenty epochs,
from five seeds:
"""

# %%
by_seed = [
    train_pair(3, 7, 1.0, shuffle=False, n_epochs=20, seed=seed)
    for seed in range(5)
]
[f"{each:.1%}" for each in by_seed]

# %% [markdown]
r"""
The number 28 is $\sqrt{784}$. Why just that is the question of
{doc}`/2_backward/2_init`.

## What we built

* `mnist_loss` and `sigmoid`: a loss that slopes where accuracy does not.
* `train_epoch`, `validate`: the loop, by hand.
* `BasicOptim`, `Learner`: its parts with names. They stay in this chapter; part
  3 builds the ones that go into the library.
* `relu`, `simple_net`: one hidden layer, and `follow`, which shows what it can
  do.
* Four loans: the matrix product, the gradient, the loader, the modules. Parts 2
  and 3 repay them.

## Questions

:::{dropdown} On which images is a metric computed, and why?
:name: topic-11
On validation images, which training does not see. A model with enough
parameters can learn the training images by heart, and a metric on those would
not notice.
:::

:::{dropdown} Why are the examples dealt out in mini-batches?
:name: topic-13
A gradient over all examples costs a whole pass for one step. A gradient of one
example is cheap and erratic. A batch is a fair average at the price of one call
that keeps the hardware busy; how large it can be is up to memory.
:::

:::{dropdown} Why can accuracy not serve as the loss?
:name: topic-20
It changes only when a score crosses zero. Almost everywhere its derivative is
exactly 0, so descent gets no direction.
:::

:::{dropdown} What is special about the shape of the sigmoid?
:name: topic-21
It takes any number to one between 0 and 1, rises everywhere, and is symmetric
about the point $(0, \tfrac12)$. Far from 0 it is nearly flat, and there a wrong
answer hardly learns. Its curve is drawn above.
:::

:::{dropdown} What is the difference between a loss and a metric?
:name: topic-22
The loss is for the descent and must have a useful derivative. The metric is for
people and must mean something. They need not be the same function, and seldom
are.
:::

:::{dropdown} What does a data loader do?
:name: topic-24
It turns a dataset into an iterator over batches: it chooses an order, groups
the items, and collates each group into tensors.
:::

:::{dropdown} Which steps make up an epoch of stochastic gradient descent?
:name: topic-25
For each batch: predict, compute the loss, compute the gradients, step, set the
gradients to zero.
:::

:::{dropdown} Write a function that pairs the elements of `[1, 2, 3, 4]` with those of `"abcd"`. What is special about the result?
:name: topic-26
It is a list of pairs, which is all that a dataset needs to be: an input and a
label at each index.
:::
"""


# %% tags=["answer"]
def pairs_of(a, b) -> list[tuple]:
    return list(zip(a, b, strict=True))


assert pairs_of([1, 2, 3, 4], "abcd") == [
    (1, "a"),
    (2, "b"),
    (3, "c"),
    (4, "d"),
]

# %% [markdown]
r"""
:::{dropdown} What does `view` do?
:name: topic-27
It gives the same numbers another shape, without moving or copying them.
:::

:::{dropdown} What are the bias parameters, and why are they needed?
:name: topic-28
A number added to each weighted sum. Without it an input of zeros gives an
output of zero, whatever the weights; with it the line need not pass through the
origin.
:::

:::{dropdown} What does `@` do?
:name: topic-29
Matrix multiplication: each row of the left with each column of the right.
:::

:::{dropdown} Why must gradients be set to zero?
:name: topic-31
`backward` adds to the gradients that are there. Without zeroing, each step
would follow the sum of all gradients so far.
:::

:::{dropdown} What has to be given to a learner?
:name: topic-32
The data (for training and validation), the model, the optimiser and its
learning rate, the loss, and the metrics to report.
:::

:::{dropdown} Write down the training loop from memory.
:name: topic-33
The cell below does, on eight images, in the fewest words.
:::
"""

# %% tags=["answer"]
params = [init_params(784, 1, std=1 / 28).requires_grad_()]
losses = []
for _ in range(5):
    loss = mnist_loss(x[:: len(x) // 8] @ params[0], y[:: len(x) // 8])
    loss.backward()
    losses.append(loss.item())
    with torch.no_grad():
        for param in params:
            param -= 0.1 * param.grad
            param.grad.zero_()
assert losses[-1] < losses[0]
[round(loss, 3) for loss in losses]

# %% [markdown]
r"""
:::{dropdown} What is ReLU? Sketch it from -2 to 2.
:name: topic-34
`max(0, x)`: zero for negative numbers, the number itself for the others. It is
drawn above.
:::

:::{dropdown} What is an activation function for?
:name: topic-35
It stands between linear layers and keeps them from collapsing into one. With
it, each layer can do work that the others cannot undo.
:::

:::{dropdown} What is the difference between `F.relu` and `nn.ReLU`?
:name: topic-36
One function, two forms. `F.relu` is called on a tensor. `nn.ReLU()` makes a
module that does the same when called, so that it can stand in an
`nn.Sequential`.
:::

:::{dropdown} One nonlinearity can approximate anything. Why use more?
:name: topic-37
For the same accuracy a deeper network needs fewer parameters, so it takes less
memory and less time, and in practice it learns better.
:::

## Exercises

**1.** One source calls a score above 0.5 a three, another place in it a score
above 0.0. On scores, which is right, and which threshold on the sigmoid is the
same thing? How many validation images does the wrong one cost?
"""

# %% tags=["solution"]
with torch.no_grad():
    scores = one_layer.model(x_valid)
# sigmoid(0) = 1/2, so 0 on scores is one half on confidences
assert ((scores > 0) == (sigmoid(scores) > 0.5)).all()
is_three = y_valid == 1
n_wrong_threshold = ((scores > 0.5) != is_three).sum().item()
n_right_threshold = ((scores > 0) != is_three).sum().item()
n_right_threshold, n_wrong_threshold

# %% [markdown]
r"""
**2.** Show a case in which the mean of the batches' accuracies is wrong by more
than a tenth.
"""

# %% tags=["solution"]
full, last = tensor([1.0] * 9), tensor([0.0])
mean_of_means = torch.stack([full.mean(), last.mean()]).mean()
true_mean = torch.cat([full, last]).mean()
assert true_mean - mean_of_means > 0.1
mean_of_means, true_mean

# %% [markdown]
r"""
**3.** Is either of the two faults harmless without the other? Train fives
against eights with only the batches shuffled, and with only the weights made
small.
"""

# %% tags=["solution"]
only_shuffled = train_pair(5, 8, std=1.0, shuffle=True)
only_small = train_pair(5, 8, std=1 / 28, shuffle=False)
assert with_care[5, 8] > max(only_shuffled, only_small)
runs = (as_shown[5, 8], only_small, only_shuffled, with_care[5, 8])
[f"{each:.1%}" for each in runs]

# %% [markdown]
r"""
**4.** Look at the weights of the trained linear model as an image. What do the
bright pixels say?
"""

# %% tags=["solution"] alt="The 784 weights of the linear model as an image: a bright spot in the middle and two bright patches below it, where only threes have ink, and a dark stroke between them where the stem of a seven runs."
learned = one_layer.model.weight.detach()[0]
plt.imshow(learned.view(28, 28), cmap="gray")
plt.axis("off")
plt.show()
# ink there speaks for a 3: threes have more of it than sevens
more_ink = x[y[:, 0] == 1].mean(0) - x[y[:, 0] == 0].mean(0)
assert (learned * more_ink).sum() > 0

# %% [markdown]
r"""
We have trained a network without knowing what is inside its parts. Part 2
starts again from the bottom, with the loop inside `@`:
{doc}`/2_backward/1_matmul`.
"""

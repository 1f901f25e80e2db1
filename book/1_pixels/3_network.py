# %% [markdown]
r"""
# A first network

The mean image got 95 of 100 right, and {doc}`/1_pixels/2_descent` can tune any
number that a loss depends on. Put the two together: **can a program that starts
from random numbers learn to tell a 3 from a 7 better than the mean image
does?**

We write every part once by hand, then replace it by its borrowed, finished
form, and look at what the replacement added. At the end stands a network with
one hidden layer. The next chapter puts the whole recipe on trial.

| name | shape | meaning |
| --- | --- | --- |
| `x` | `(n, 784)` | images, one a row, from 0 to 1 |
| `y` | `(n, 1)` | labels: 1 for a 3, 0 for a 7 |
| `weights` | `(784, 1)` | one weight a pixel |
| `bias` | `(1,)` | the score of an empty image |
"""

# %% Imports tags=["hide-input"]
import string
from collections.abc import Callable, Iterable

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown
from torch import Tensor, tensor

from groundup.datasets import mnist
from groundup.testing import assert_close, assert_equal

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


def two_digits(images: Tensor, digits: Tensor, a: int, b: int) -> tuple:
    """All images of two digits, and 1 for the first, 0 for the second."""
    firsts, seconds = images[digits == a], images[digits == b]
    labels = tensor([1.0] * len(firsts) + [0.0] * len(seconds))
    return as_rows(torch.cat([firsts, seconds])), labels.unsqueeze(1)


x, y = two_digits(images, digits, 3, 7)
x_valid, y_valid = two_digits(test_images, test_digits, 3, 7)
x.shape, y.shape, x_valid.shape, y_valid.shape

# %% [markdown]
r"""
`unsqueeze(1)` gave the labels a second axis, so that they line up with the
predictions to come. A {term}`dataset`, in the plainest sense, is anything that
gives an input and its label when indexed. A list of tuples will do.
"""

# %%
dataset = list(zip(x, y, strict=True))
first_x, first_y = dataset[0]
first_x.shape, first_y

# %% [markdown]
r"""
## A linear model

How would you have told a 3 from a 7 by program, before networks? By inventing
features first: count the strokes, the loops, the ends of lines, then find a
threshold for each. Every new task would need new inventions. We give the
machine the pixels as they are, and let descent find out what to make of them.

Each pixel gets a weight, each image the weighted sum of its pixels, plus a
{term}`bias`. A positive score shall mean 3.
"""


# %%
def random_start(*size: int) -> Tensor:
    """Normal numbers of variance 1, as the recipe that we follow has them."""
    return torch.randn(size)


torch.manual_seed(0)
weights, bias = random_start(784, 1), random_start(1)
(x[0] * weights[:, 0]).sum() + bias

# %% [markdown]
r"""
The bias is one number for the whole image. Without it an empty image would
score 0, whatever the weights.

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
def share_right(scores: Tensor, labels: Tensor) -> float:
    return ((scores > 0) == (labels == 1)).float().mean().item()


round(share_right(linear(x_valid), y_valid), 3)

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
before, after = share_right(x @ weights, y), share_right(x @ nudged, y)
after - before

# %% [markdown]
r"""
Nothing. A small change moves every score a little, and none across zero.
Descent asks which way is down, and the answer here is: nowhere. We need a {term}`loss` that notices. Let the model say how sure it is that an image
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
surer = wrongness(tensor([0.9, 0.4, 0.8]), labels)  # of the last one
assert_close(surer.item(), 0.2333)
surer

# %% [markdown]
r"""
Our scores run from minus to plus infinity. The {term}`sigmoid` squeezes them
between 0 and 1, rising all the way:

$$\sigma(x) = \frac{1}{1 + e^{-x}}.$$
"""


# %%
def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def score_loss(scores: Tensor, labels: Tensor) -> Tensor:
    return wrongness(sigmoid(scores), labels)


# %% The sigmoid alt="The sigmoid from -6 to 6: an S from 0 to 1 through one half at zero, nearly flat beyond 4 on either side." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(4.5, 2.8))
ax.plot(line := torch.linspace(-6, 6, 100), sigmoid(line))
ax.set(xlabel="score", ylabel="confidence")
plt.show()

# %% [markdown]
r"""
Here are both, accuracy and loss, as that one weight moves over a wide range.
"""

# %% Accuracy jumps, the loss slopes alt="Two curves over the value of one weight. The share of wrong answers is a staircase of flat pieces and jumps; the loss beside it is a smooth curve of the same general shape." tags=["hide-input"]
values = torch.linspace(-3, 3, 400)
some = torch.randperm(len(x))[:200]
x_some, y_some = x[some], y[some]
rest = x_some @ weights + bias - x_some[:, [pixel]] * weights[pixel]
moved = rest + x_some[:, [pixel]] * values  # (200, 400)
errors = ((moved > 0) != (y_some == 1)).float().mean(0)
smooth = torch.where(y_some == 1, 1 - sigmoid(moved), sigmoid(moved)).mean(0)
figure, ax = plt.subplots(figsize=(4.5, 3))
ax.plot(values, errors, color="C1", label="share of wrong answers")
ax.plot(values, smooth, color="C0", label="loss")
ax.set(xlabel="one weight")
ax.legend()
plt.show()

# %% [markdown]
r"""
A {term}`metric` is for people: it says what we want to know, and it may jump. A
loss is for the descent: it must slope. The loss is what is trained, the metric
what is reported, and it is reported on images that the training has never seen.

## Mini-batches

How many images should one step look at? All of them give the exact gradient, at
the price of a pass through all. One gives a step at once, in a direction that
suits that one image. The usual answer lies between: a {term}`mini-batch`, large
enough for the hardware to work in bulk and for the average to mean something.
Here are the gradients that one weight gets from batches of three sizes.
"""

# %% The gradient of one weight from batches of three sizes alt="Three histograms of one weight's gradient over 300 random batches. From single images it is spread widely, with a spike at zero; from batches of 16 less so; from batches of 256 all lie close to the dashed line, the gradient over all images." tags=["hide-input"]
small = weights / 28
confidence = sigmoid(x @ small)
slopes = confidence * (1 - confidence) * torch.where(y == 1, -1.0, 1.0)
each = (slopes * x)[:, 14 * 28 + 14]  # the gradient from each image alone
figure, panels = plt.subplots(3, 1, figsize=(4.5, 4.6), sharex=True)
for panel, size in zip(panels, [1, 16, 256], strict=True):
    drawn = each[torch.randint(len(each), (300, size))].mean(1)
    panel.hist(drawn, bins=24, color="C0")
    panel.axvline(each.mean(), color="0.5", ls="--")
    panel.set(title=f"batches of {size}", yticks=[])
plt.show()

# %% [markdown]
r"""
Sixteen times as many images, a quarter of the spread. That is worth it until
the batch fills the hardware; beyond, each step costs more and is hardly better.

Dealing out batches is a job of its own. Torch's `DataLoader` does it; we borrow
it until part 3 builds one.
"""

# %% A borrowed loader loans="torch.utils.data.DataLoader" repaid="3_training/7_workers"
from torch.utils.data import DataLoader

list(DataLoader(range(15), batch_size=5, shuffle=True))

# %% [markdown]
r"""
From a dataset of tuples it makes tuples of batches: it *collates*. The numbers
become one tensor, and names, of which no tensor can be made, stay a tuple.
"""

# %%
letters = list(enumerate(string.ascii_lowercase))
batches = list(DataLoader(letters, batch_size=6, shuffle=True))
batches[0]

# %% [markdown]
r"""
The last batch gets what is left.
"""

# %%
[len(names) for numbers, names in batches]

# %%
loader = DataLoader(dataset, batch_size=256)
valid_loader = DataLoader(list(zip(x_valid, y_valid)), batch_size=256)
x_batch, y_batch = next(iter(loader))
x_batch.shape, y_batch.shape

# %% [markdown]
r"""
Note what `loader` does not do: shuffle. The recipe that we follow left it out,
so batches of nothing but threes come first, then one that is mixed, then
batches of nothing but sevens. Keep it in mind.
"""

# %%
shares = [labels.mean().item() for _, labels in loader]
(
    shares.count(1.0),
    len([each for each in shares if 0 < each < 1]),
    shares.count(0),
)

# %% [markdown]
r"""
## One step, and the gradient that stays

The gradient comes from the loan of {doc}`/1_pixels/2_descent`. Watch the bias.
"""


# %%
def calculate_gradients(model: Callable, x: Tensor, y: Tensor) -> None:
    score_loss(model(x), y).backward()


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

The step itself is arithmetic on tensors that are being recorded, and torch
refuses it:
"""

# %%
try:
    bias -= 0.1 * bias.grad
except RuntimeError as error:
    refused = str(error)
refused

# %% [markdown]
r"""
The gradient of the next loss must be that of the new bias, not of the way it
came about. `no_grad` says: do not record this.
"""


# %% Without recording loans="torch.no_grad torch.Tensor.detach" repaid="2_backward/9_engine"
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
`validate` counts what is right and divides once. A mean of the batches' means
would give the last, short batch the weight of a full one.

An {term}`epoch` is one pass through the data. Before the first, after one, after
twenty, and beside them the mean image, which answers to the same judge:
"""

# %%
weights.grad.zero_()
bias.grad.zero_()
history = [validate(linear)]
for _ in range(20):
    train_epoch(linear, [weights, bias], lr=1.0)
    history.append(validate(linear))
ideals = [x[y[:, 0] == label].mean(0) for label in (0, 1)]  # as in 1.1
from_seven, from_three = ((x_valid - ideal).abs().mean(1) for ideal in ideals)
mean_image = share_right((from_seven - from_three)[:, None], y_valid)
assert history[1] < mean_image < history[20]
[f"{history[epoch]:.1%}" for epoch in (0, 1, 20)], f"{mean_image:.1%}"

# %% [markdown]
r"""
Twenty passes, and random numbers have overtaken the mean image.

## The same, with finished parts

Four pieces of that loop are needed again and again, and each has a finished
form. An {term}`optimizer` knows the parameters and takes the step.
"""


# %%
class Descent:
    """Plain gradient descent; part 3 builds the one to keep."""

    def __init__(self, parameters: Iterable[Tensor], lr: float):
        self.lr = lr
        self.parameters = [each for each in parameters if each.requires_grad]

    @torch.no_grad()
    def step(self) -> None:
        for parameter in self.parameters:
            parameter.sub_(parameter.grad, alpha=self.lr)

    def forget(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None


# %% [markdown]
r"""
A *module* holds its parameters, initialises them, and is called like a
function. `nn.Linear` is `random_start` and `linear` in one, with a better
choice of random numbers.
"""

# %% A borrowed layer loans="torch.nn.Linear torch.nn.Module torch.nn.Sequential torch.nn.ReLU" repaid="2_backward/7_module"
from torch import nn

layer = nn.Linear(28 * 28, 1)
[tuple(param.shape) for param in layer.parameters()]

# %% [markdown]
r"""
And a {term}`learner` holds all that a training run needs: the data, the model,
the loss, the optimizer and the {term}`metric`. This small one also keeps a
table. It is thrown away with this chapter; part 3 builds the one that you will
want to keep.
"""


# %%
class Learner:
    def __init__(self, loaders, model, loss, optimizer, metric):
        self.train_loader, self.valid_loader = loaders
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.metric, self.rows = metric, []

    def fit(self, n_epochs: int) -> float:
        for _ in range(n_epochs):
            losses = []
            for x_batch, y_batch in self.train_loader:
                loss = self.loss(self.model(x_batch), y_batch)
                loss.backward()
                self.optimizer.step()
                self.optimizer.forget()
                losses.append(loss.item())
            self.rows.append([sum(losses) / len(losses), *self.validate()])
        return self.rows[-1][-1]


# %%
class Learner(Learner):
    def validate(self) -> tuple[float, float]:
        with torch.no_grad():
            batches = [(self.model(x), y) for x, y in self.valid_loader]
        scores, labels = map(torch.cat, zip(*batches, strict=True))
        return self.loss(scores, labels).item(), self.metric(scores, labels)


# %%
torch.manual_seed(0)
layer = nn.Linear(28 * 28, 1)
one_layer = Learner(
    (loader, valid_loader),
    layer,
    score_loss,
    Descent(layer.parameters(), lr=1.0),
    share_right,
)
round(one_layer.fit(40), 4)

# %% [markdown]
r"""
What people watch while a model trains is such a table: the losses on both kinds
of images, and the metric.
"""

# %% tags=["hide-input"]
top = (
    "| epoch | training loss | validation loss | accuracy |\n| - | - | - | - |"
)
lines = [
    f"| {epoch} | {train:.4f} | {valid:.4f} | {right:.2%} |"
    for epoch, (train, valid, right) in enumerate(one_layer.rows, 1)
    if epoch in (1, 2, 5, 10, 20, 40)
]
Markdown("\n".join([top, *lines]))

# %%
assert one_layer.rows[19][-1] >= 0.975, "the linear model's gate"

# %% [markdown]
r"""
Our optimizer takes the same steps as torch's:
"""


# %% tags=["reference"]
def weights_after(make_optimizer: Callable) -> Tensor:
    torch.manual_seed(0)
    model = nn.Linear(28 * 28, 1)
    optimizer = make_optimizer(model.parameters(), lr=0.5)
    for start in range(0, 1024, 256):
        rows = slice(start, start + 256)
        calculate_gradients(model, x[rows], y[rows])
        optimizer.step()
        model.zero_grad()
    return model.weight.detach()


assert_close(weights_after(Descent), weights_after(torch.optim.SGD))

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


# %% ReLU alt="ReLU from -2 to 2: zero up to zero, then the diagonal." tags=["hide-input"]
figure, ax = plt.subplots(figsize=(4.5, 2.8))
ax.plot(line := torch.linspace(-2, 2, 9), relu(line), ".-")
ax.set(xlabel="x", ylabel="relu(x)")
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


# %% A curve, followed by ReLUs alt="A wiggly curve with three approximations made of 4, 16 and 64 ReLUs. Four follow it coarsely, sixteen miss only its tips, sixty-four lie on it." tags=["hide-input"]
t = torch.linspace(0, 1, 500)
figure, panels = plt.subplots(3, 1, figsize=(4.5, 5), sharex=True)
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
inputs. Good weights exist, it says: not that descent finds them, nor that the layer
stays small.

## A network with one hidden layer

Thirty weighted sums, thirty bends, one weighted sum of those:
"""


# %%
def hidden_layer_by_hand(x: Tensor, w1, b1, w2, b2) -> Tensor:
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
by_hand = hidden_layer_by_hand(x[:8], w1.T, b1, w2.T, b2)
assert_close(net(x[:8]), by_hand)
sum(param.numel() for param in net.parameters())

# %% [markdown]
r"""
So many numbers, and there are more. Keep two kinds apart. A {term}`parameter
<parameter>` is learned: it stays when the batch has gone, and its count depends
on the network alone. An {term}`activation` is computed: each image has its own,
in every {term}`layer`, and the next batch has others. The {term}`forward pass`
makes activations out of parameters and images; the step changes parameters.
"""

# %% Parameters and activations alt="From left to right the way of a batch of 256 images. Blue boxes are activations: the images, 256 by 784; the hidden sums, 256 by 30; the same after ReLU; the scores, 256 by 1. Between them orange boxes are parameters: a weight of 784 by 30 with a bias of 30, and a weight of 30 by 1 with a bias of 1. ReLU has none." tags=["hide-input"]
stations = [
    ("images", "256 × 784", "C0"),
    ("weight, bias", "784 × 30, 30", "C1"),
    ("sums", "256 × 30", "C0"),
    ("relu", "no parameters", "none"),
    ("hidden", "256 × 30", "C0"),
    ("weight, bias", "30 × 1, 1", "C1"),
    ("scores", "256 × 1", "C0"),
]
figure, ax = plt.subplots(figsize=(4.2, 4.6))
for row, (name, shape, color) in enumerate(stations):
    y_box = -row
    line = "0.5" if color == "none" else color
    box = plt.Rectangle((0, y_box - 0.32), 1.5, 0.64, fc="none", ec=line, lw=2)
    ax.add_patch(box)
    ax.text(0.75, y_box, name, ha="center", va="center", fontsize=11)
    ax.text(1.65, y_box, shape, va="center", fontsize=11)
    if row:
        arrow = {"arrowstyle": "->", "color": "0.5"}
        ax.annotate(
            "", (0.75, y_box + 0.34), (0.75, y_box + 0.66), arrowprops=arrow
        )
ax.plot([], [], "s", mfc="none", mec="C0", mew=2, label="activations")
ax.plot([], [], "s", mfc="none", mec="C1", mew=2, label="parameters")
ax.legend(loc="lower center", bbox_to_anchor=(0.5, -0.12), ncols=2)
ax.set(xlim=(-0.1, 3.0), ylim=(-6.6, 0.5))
ax.axis("off")
plt.show()

# %% [markdown]
r"""
The same forty epochs, with the lower rate that the recipe gives the deeper
model:
"""

# %%
two_layers = Learner(
    (loader, valid_loader),
    net,
    score_loss,
    Descent(net.parameters(), lr=0.1),
    share_right,
)
round(two_layers.fit(40), 4)

# %%
assert two_layers.rows[-1][-1] >= 0.98, "the network's gate"
assert abs(one_layer.rows[-1][-1] - two_layers.rows[-1][-1]) < 0.003

# %% The line and the network, epoch by epoch alt="Loss and accuracy on the validation images by epoch for the linear model and the network with one hidden layer. Both losses fall steeply and then slowly; the two accuracies meet above 98 percent after forty epochs, and a dashed line marks the mean image far below." tags=["hide-input"]
figure, (left, right) = plt.subplots(2, 1, figsize=(4.5, 5), sharex=True)
runs = [(one_layer, "linear"), (two_layers, "one hidden layer")]
for i, (run, name) in enumerate(runs):
    _, losses, accuracies = zip(*run.rows, strict=True)
    left.plot(losses, color=f"C{i}", label=name)
    right.plot(accuracies, color=f"C{i}", label=name)
right.axhline(mean_image, color="0.5", ls="--", label="mean image")
left.set(ylabel="validation loss", yscale="log")
right.set(xlabel="epoch", ylabel="validation accuracy", ylim=(0.94, 0.99))
right.legend()
plt.show()

# %% [markdown]
r"""
All models so far, beside the sources' numbers:
"""

# %% tags=["hide-input"]
Markdown(f"""
| model | epochs | here | the sources |
| --- | --- | --- | --- |
| mean image |  | {mean_image:.2%} | 95.11% |
| linear, weights of variance 1 | 20 | {history[-1]:.2%} | 97.51% |
| linear, `nn.Linear` | 20 | {one_layer.rows[19][-1]:.2%} | 97.85% |
| linear, `nn.Linear` | 40 | {one_layer.rows[39][-1]:.2%} | not given |
| one hidden layer | 40 | {two_layers.rows[39][-1]:.2%} | 98.23% |
| ResNet-18 | 1 | part 4 | 99.41% |
""")

# %% [markdown]
r"""
The sources compare twenty epochs of the line with forty of the network. After
forty each, the bend has bought nothing here. {doc}`/1_pixels/4_trial` gives each
its own best learning rate, and a harder task.

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


# %% A layer of two units doubles the corners alt="Three zigzag lines between 0 and 1: one tent from one layer, two from two layers, eight from four layers." tags=["hide-input"]
figure, panels = plt.subplots(3, 1, figsize=(4.5, 4.6), sharex=True)
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
in one epoch; {doc}`/4_convnets/6_resnet` builds it and repeats that. Depth is hard to train without care, and part 2
is about that care.

## What we built

* `score_loss` and `sigmoid`: a loss that slopes where accuracy does not.
* `train_epoch`, `validate`: the loop, by hand.
* `Descent`, `Learner`: its parts with names. They stay in this chapter; part 3
  builds the ones that go into the library.
* `relu`, `hidden_layer_by_hand`: one hidden layer, and `follow`, which shows
  what it can do.
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


assert_equal(pairs_of([1, 2, 3, 4], "abcd")[2:], [(3, "c"), (4, "d")])

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
Matrix multiplication: entry $(i, j)$ of the product is row $i$ of the left times
column $j$ of the right, element by element, added up. So the left must have as
many columns as the right has rows. The cell below checks it.
:::
"""

# %% tags=["answer"]
left, right = torch.randn(2, 3), torch.randn(3, 4)
assert_close((left @ right)[1, 2], (left[1] * right[:, 2]).sum())
(left @ right).shape

# %% [markdown]
r"""
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
Parameters; epochs; batches; predict, loss, gradients; step; zero. The cell below
is a whole program: it trains the line on 3 against 7 and is judged on images
that it has not seen.
:::
"""

# %% tags=["answer"]
torch.manual_seed(0)
params = [torch.randn(784, 1) / 28, torch.zeros(1)]
for param in params:
    param.requires_grad_()
for _ in range(5):
    for rows in torch.randperm(len(x)).split(256):
        scores = x[rows] @ params[0] + params[1]
        loss = score_loss(scores, y[rows])
        loss.backward()
        with torch.no_grad():
            for param in params:
                param -= 1.0 * param.grad
                param.grad.zero_()
with torch.no_grad():
    reached = share_right(x_valid @ params[0] + params[1], y_valid)
assert reached > 0.96, reached
round(reached, 3)

# %% [markdown]
r"""
:::{dropdown} What is ReLU? Sketch it from -2 to 2.
:name: topic-34
`max(0, x)`: zero for negative numbers, the number itself for the others. It is
drawn above.
:::

:::{dropdown} What is an activation function for?
:name: topic-35
It stands between linear layers and keeps them from collapsing into one. For a linear function
$f(a) + f(b) = f(a + b)$; a bend breaks that, as the cell below shows.
:::
"""

# %% tags=["answer"]
a, b = tensor([2.0]), tensor([-3.0])
assert relu(a) + relu(b) != relu(a + b)
relu(a) + relu(b), relu(a + b)

# %% [markdown]
r"""
:::{dropdown} What is the difference between `F.relu` and `nn.ReLU`?
:name: topic-36
One function, two forms. `F.relu` is called on a tensor. `nn.ReLU()` makes a
module that does the same when called, so that it can stand in an
`nn.Sequential`.
:::

:::{dropdown} One nonlinearity can approximate anything. Why use more?
:name: topic-37
The same function can need far fewer units in more layers: sixteen pieces took
sixteen units side by side, and eight in four layers. Fewer parameters mean less
memory and less time.
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
**3.** Look at the weights of the trained linear model as an image. What do the
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
The recipe worked on 3 against 7. Would it have worked on any two digits, and
from any random start? {doc}`/1_pixels/4_trial` puts it on trial.
"""

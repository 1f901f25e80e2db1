# %% [markdown]
r"""
# The recipe on trial

Chapter {doc}`/1_pixels/3_network` trained a line on 3 against 7: weights of
variance 1, batches in the order of the labels. It worked. **Would it have worked
on any two digits, and from any random start?**

A result on one task from one seed is an anecdote. This chapter asks the same
recipe every such question, finds where it fails, and then does what is done too seldom:
it looks for the cause, changes that cause alone, and sees whether the fault
goes away. All of it runs in about a minute.

| name | meaning |
| --- | --- |
| pair | two digits, $a < b$; label 1 for $a$, the *first*, and 0 for $b$ |
| score | what the line says of an image; positive means the first digit |
| seed | the number that random numbers begin with |
"""

# %% Imports tags=["hide-input"]
import copy
import itertools
from collections.abc import Callable
from functools import cache

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from groundup.datasets import mnist
from groundup.testing import assert_equal

# %% [markdown]
r"""
## Any two digits

Here is all of the recipe again, in one function. `std` and `shuffle` are the two
things that we may want to change.
"""

# %%
torch.set_num_threads(1)
images, digits = mnist()
test_images, test_digits = mnist(train=False)


def two_digits(images: Tensor, digits: Tensor, a: int, b: int) -> tuple:
    """All images of two digits, and 1 for the first, 0 for the second."""
    rows = torch.cat([images[digits == a], images[digits == b]])
    labels = torch.zeros(len(rows), 1)
    labels[: (digits == a).sum()] = 1
    return rows.view(-1, 784).float() / 255, labels


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def score_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """How far the confidences are from the truth, on average."""
    confidences = sigmoid(scores)
    return torch.where(labels == 1, 1 - confidences, confidences).mean()


def share_right(scores: Tensor, labels: Tensor) -> float:
    return ((scores > 0) == (labels == 1)).float().mean().item()


# %%
def random_line(seed: int, std: float = 1.0) -> nn.Linear:
    line = nn.Linear(784, 1)
    torch.manual_seed(seed)
    with torch.no_grad():
        line.weight.copy_(torch.randn(784, 1).T * std)
        line.bias.copy_(torch.randn(1) * std)
    return line


def step(model: nn.Module, x: Tensor, y: Tensor, lr: float = 1.0) -> None:
    score_loss(model(x), y).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= lr * parameter.grad
            parameter.grad = None


def train(line: nn.Module, data: tuple, n_epochs: int, shuffle=False, lr=1.0):
    """More epochs, in batches of 256."""
    x, y = data
    for _ in range(n_epochs):
        order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
        for rows in order.split(256):
            # x[rows], which index_select copies some times faster
            step(line, x.index_select(0, rows), y[rows], lr)


def judge(line: nn.Module, data: tuple) -> float:
    with torch.no_grad():
        return share_right(line(data[0]), data[1])


# %% [markdown]
r"""
Three epochs on each pair of digits, judged on the test images.
"""

# %% limit=180
pairs = list(itertools.combinations(range(10), 2))
training = {pair: two_digits(images, digits, *pair) for pair in pairs}
testing = {pair: two_digits(test_images, test_digits, *pair) for pair in pairs}
lines = {pair: random_line(seed=0) for pair in pairs}
for pair in pairs:
    train(lines[pair], training[pair], 3)
after_3 = {pair: judge(lines[pair], testing[pair]) for pair in pairs}
[round(each(after_3.values()), 3) for each in (min, max)]


# %% Forty-five pairs after three epochs alt="A triangle of accuracies, one cell for each pair of digits. Most are above 90 percent; those among 3, 4, 5, 6, 8 and 9 are darker, and six of them lie near 50." tags=["hide-input"]
def triangle(table: dict) -> None:
    grid = torch.full((10, 10), torch.nan)
    plt.figure(figsize=(4.5, 4.5))
    for (a, b), value in table.items():
        grid[b, a] = value
        tone = "white" if value < 0.75 else "black"
        text = f"{value * 100:.0f}"
        plt.text(a, b, text, ha="center", va="center", color=tone, fontsize=10)
    plt.imshow(grid, vmin=0.4, vmax=1, cmap="viridis")
    plt.xticks(range(9))
    plt.yticks(range(1, 10))
    plt.ylim(9.5, 0.5)
    plt.xlabel("first digit")
    plt.ylabel("second digit")
    plt.show()


triangle(after_3)

# %% [markdown]
r"""
Six pairs do no better than a coin. Does the line toss one? Then half of the
images would be called the first digit. The share that is:
"""


# %%
def called_first(line: nn.Module, data: tuple) -> float:
    with torch.no_grad():
        return (line(data[0]) > 0).float().mean().item()


level = [pair for pair in pairs if after_3[pair] < 0.55]
firsts = {pair: called_first(lines[pair], testing[pair]) for pair in level}
assert len(level) == 6 and min(firsts.values()) > 0.95
{pair: round(share, 3) for pair, share in firsts.items()}

# %% [markdown]
r"""
No coin: nearly every image is called the first digit, whatever it shows. An
accuracy near one half only says that half of the images are.

But three epochs are few, and the recipe has twenty. Seventeen more for those
that are below 60 %:
"""

# %%
failed = [pair for pair in pairs if after_3[pair] < 0.6]
for pair in failed:
    train(lines[pair], training[pair], 17)
after_20 = {pair: judge(lines[pair], testing[pair]) for pair in failed}
{pair: [round(t[pair], 3) for t in (after_3, after_20)] for pair in failed}

# %%
stuck = [pair for pair in failed if after_20[pair] < 0.6]
assert_equal(stuck, [(3, 8), (5, 8)])
stuck

# %% [markdown]
r"""
Patience mends all but two. "It fails" after three epochs would have been a
hasty word: most of these had only begun. What holds the others?

## Where the scores lie

Of those two every image is still called the first digit, after twenty epochs.
"""

# %%
shares = {pair: called_first(lines[pair], testing[pair]) for pair in stuck}
assert min(shares.values()) > 0.99
{pair: round(share, 3) for pair, share in shares.items()}

# %% [markdown]
r"""
So look at the scores behind the answers. Before training, and after each batch
of the first epoch, for 5 against 8:
"""

# %%
x, y = training[5, 8]
watched = random_line(seed=0)
medians = []
for rows in torch.arange(len(x)).split(256):
    with torch.no_grad():
        scores = watched(x)
    medians.append([scores[y == 1].median(), scores[y == 0].median()])
    step(watched, x[rows], y[rows])
medians = torch.tensor(medians)

# %% The first epoch on 5 against 8 alt="The median score of fives and of eights over the batches of the first epoch. Both begin far above zero, the eights higher. Both climb by about ten while the batches hold fives. When the batches turn to eights both lines stay where they are, flat, far above zero." tags=["hide-input"]
plt.figure(figsize=(5, 3.2))
half = int((y == 1).sum()) / 256
plt.plot(medians[:, 0], label="fives")
plt.plot(medians[:, 1], label="eights")
plt.axvline(half, color="0.5", ls=":")
plt.axhline(0, color="0.5", lw=0.8)
plt.text(half + 0.5, 3, "now eights")
plt.xlabel("batch of the first epoch")
plt.ylabel("median score")
plt.legend()
plt.show()

# %% [markdown]
r"""
Two things meet. The random weights put *both* digits far above zero: a sum of
784 products is large, and here it happens to be positive. Then come batches of
nothing but fives, and each step says "more", to eights as well, since they have
ink in the same places. When the eights' turn comes, their scores lie where the
{term}`sigmoid` is flat. A loss that is flat has no slope to follow.
"""

# %%
with torch.no_grad():
    confidence = sigmoid(watched(x[y[:, 0] == 0]))
slope = confidence * (1 - confidence)  # at most 1/4
assert slope.median() < 1e-6
slope.median()

# %% [markdown]
r"""
The first digit wins because it comes first: it moves the scores while they can
still be moved.

## Is that the cause?

That is a story, and a story can be tested. Take the line that has been stuck for
twenty epochs, and divide all its weights by twenty. No image changes sides, so
the accuracy is the same; but the scores are back where the sigmoid slopes. Then
go on for three epochs, as before and shuffled, and do the same without the
division.
"""


# %%
def go_on(pair: tuple, divisor: float, shuffle: bool) -> float:
    line = random_line(seed=0)
    line.load_state_dict(
        {
            name: value / divisor
            for name, value in lines[pair].state_dict().items()
        }
    )
    assert_equal(judge(line, testing[pair]), after_20[pair])
    torch.manual_seed(0)
    train(line, training[pair], 3, shuffle)
    return round(judge(line, testing[pair]), 3)


rescued = {
    (divisor, shuffle): [go_on(pair, divisor, shuffle) for pair in stuck]
    for divisor in (1, 20)
    for shuffle in (False, True)
}
rescued

# %%
assert min(rescued[20, True]) > 0.9
assert max(max(rescued[key]) for key in rescued if key != (20, True)) < 0.6

# %% [markdown]
r"""
One of the four comes free, and it needs both changes. Where the sigmoid is flat,
no order helps. And where it slopes, batches of one digit at a time push all
scores back onto the flat. It is not the bias that runs away, by the way: it
is small beside the scores.
"""

# %%
stuck_bias = lines[5, 8].bias.item()
with torch.no_grad():
    stuck_scores = lines[5, 8](x)
assert abs(stuck_bias) < 0.1 * stuck_scores.median()
round(stuck_bias, 2), round(stuck_scores.median().item(), 1)

# %% [markdown]
r"""
So the mend is to begin with small weights and to shuffle. All pairs again, for
three epochs, with weights of deviation $1/28$:
"""

# %% limit=180
careful = {pair: random_line(seed=0, std=1 / 28) for pair in pairs}
for pair in pairs:
    train(careful[pair], training[pair], 3, shuffle=True)
with_care = {pair: judge(careful[pair], testing[pair]) for pair in pairs}
assert min(with_care.values()) > 0.9
[round(each(with_care.values()), 3) for each in (min, max)]

# %% Small weights, shuffled batches alt="The same triangle of 45 accuracies after three epochs with small weights and shuffled batches: every cell is above 90 percent, and all have nearly the same bright colour." tags=["hide-input"]
triangle(with_care)

# %% [markdown]
r"""
The number 28 is $\sqrt{784}$. Why just that is the question of
{doc}`/2_backward/2_init`.

## How much of it was luck?

All of this began from one seed. Now twenty seeds, for the pair that the recipe
was shown on and for one that got stuck, and for the careful version on the
first. A layer with twenty outputs is twenty lines side by side, so that one run
trains them all; the mean over twenty outputs makes each one's gradient twenty
times smaller, and the rate makes up for it.
"""


# %%
def twenty_lines(pair: tuple, std: float = 1.0, shuffle: bool = False) -> list:
    """The accuracies of twenty seeds after twenty epochs."""
    lines = nn.Linear(784, 20)
    with torch.no_grad():
        for seed in range(20):
            line = random_line(seed, std)
            lines.weight[seed], lines.bias[seed] = line.weight[0], line.bias[0]
    train(lines, training[pair], 20, shuffle, lr=20.0)
    x, y = testing[pair]
    with torch.no_grad():
        return ((lines(x) > 0) == (y == 1)).float().mean(0).tolist()


# %% limit=120
luck = {pair: twenty_lines(pair) for pair in [(3, 7), (5, 8)]}
careful_37 = twenty_lines((3, 7), std=1 / 28, shuffle=True)

# %% Twenty seeds alt="Three rows of dots, accuracy to the right. 3 against 7 as shown: twenty dots spread over about one point around 97 percent. 3 against 7 with care: twenty dots in one place at the right of them all. 5 against 8 as shown: most near 90 percent, a few near one half." tags=["hide-input"]
figure, (left, right) = plt.subplots(2, 1, figsize=(5, 4))
left.plot(luck[3, 7], [1] * 20, "o", color="C1", alpha=0.5)
left.plot(careful_37, [0] * 20, "o", color="C0", alpha=0.5)
left.axvline(0.9751, color="0.5", ls="--")
left.set(yticks=[0, 1], ylim=(-0.6, 1.6), title="3 against 7")
left.set_xticks([0.965, 0.97, 0.975, 0.98])
left.set_yticklabels(["with care", "as shown"])
right.plot(luck[5, 8], [0] * 20, "o", color="C1", alpha=0.5)
right.set(yticks=[0], ylim=(-0.6, 0.6), title="5 against 8")
right.set_yticklabels(["as shown"])
plt.show()

# %%
n_stuck = sum(each < 0.6 for each in luck[5, 8])
assert 1 <= n_stuck <= 6
assert min(luck[3, 7]) < 0.9751 < max(luck[3, 7]) < min(careful_37)
found = min(luck[3, 7]), max(luck[3, 7]), min(careful_37)
n_stuck, [round(each, 4) for each in found]

# %% [markdown]
r"""
How many of the twenty got stuck on 5 against 8; the least and the most on 3
against 7; the least with care. "5 against 8 fails" was luck too: from most seeds
it does not. And the sources' 97.51 % for 3 against 7, the dashed line, lies
among our twenty: one draw of many. With care the seed hardly matters, and every
draw is ahead of all twenty.

A number from one run says little. From here on we repeat what we compare, and
show how far the repetitions lie apart.

## What does the bend buy?

{doc}`/1_pixels/3_network` found its network of thirty hidden units level with
the line. Was that fair? Threes and sevens are easy, and both had the rate that
somebody gave them. Take a harder pair, 3 against 5, and several rates for each,
with torch's first weights and shuffled batches.
"""


# %%
def make_net() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 1))


def make_line() -> nn.Module:
    return nn.Linear(784, 1)


def after(make: Callable, lr: float, seed: int, pair=(3, 5)) -> float:
    torch.manual_seed(seed)
    model = make()
    train(model, training[pair], 20, shuffle=True, lr=lr)
    return judge(model, testing[pair])


# %% limit=300
rates = (1.0, 3.0, 10.0)
found = {
    (make, lr): [after(make, lr, seed) for seed in range(5)]
    for make in (make_line, make_net)
    for lr in rates
}
best = {
    make: max(rates, key=lambda lr, make=make: sum(found[make, lr]))
    for make in (make_line, make_net)
}
{
    make.__name__: (lr, [round(each, 4) for each in found[make, lr]])
    for make, lr in best.items()
}

# %% What the bend buys on 3 against 5 alt="Accuracy on 3 against 5 against the learning rate, five dots each. The line's dots lie near 96 percent at every rate. The network's lie around and above them, spread out, at 1 and near 98.6 at 3; at 10 most are missing." tags=["hide-input"]
plt.figure(figsize=(4.5, 3))
for color, make in (("C0", make_line), ("C1", make_net)):
    for lr in rates:
        label = make.__name__[5:] if lr == 1.0 else None
        dots = found[make, lr]
        plt.semilogx([lr] * 5, dots, "o", color=color, alpha=0.7, label=label)
plt.xticks(rates, [str(lr) for lr in rates])
plt.minorticks_off()
plt.xlabel("learning rate")
plt.ylabel("accuracy")
plt.ylim(0.94, 1)  # what got stuck lies below
plt.legend()
plt.show()

# %%
the_lines = [each for lr in rates for each in found[make_line, lr]]
assert min(found[make_net, best[make_net]]) > max(the_lines) + 0.01
gain = {
    lr: sum(found[make_net, lr]) - sum(found[make_line, lr]) for lr in rates
}
assert gain[10.0] < 0 < gain[1.0] < gain[3.0] / 3
{lr: round(total / 5, 4) for lr, total in gain.items()}

# %% [markdown]
r"""
The mean lead of the network, rate by rate. At its best rate every run of it is
ahead of every run of the line at any rate: the bend pays, once the task needs
it. But at the lowest rate one would have seen little of that, and at the
highest, where some of the network's runs get stuck, one would have concluded
the opposite. *A comparison is fair only if each side has its own best rate*,
and it is the best only if the rates on both sides of it were tried.

## Beginning elsewhere

People seldom begin with random numbers. They take the parameters of a network
that was trained on something like their task, and go on from there:
{term}`transfer learning`. It should matter most where examples are few. So: 3
against 9, with five images of each, and three starts. One is random. In the two
others the {term}`hidden layer` comes from a network that was trained on all
images of another pair: 3 against 4, which is much the same task, since a 4 has
the shape of an open 9; or 0 against 1, which is another.
"""


# %%
@cache
def begin(task: tuple | None, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = make_net()
    if task:
        train(net, training[task], 5, shuffle=True)
        net[2] = nn.Linear(30, 1)  # only the hidden layer is kept
    return net


def few_shot(task: tuple | None, seed: int, pair=(3, 9), lr=0.1) -> float:
    net = copy.deepcopy(begin(task, seed))
    torch.manual_seed(seed)
    few = torch.randperm(5000)[:5]
    x, y = (each[torch.cat([few, -1 - few])] for each in training[pair])
    for _ in range(400):
        step(net, x, y, lr)
    return judge(net, testing[pair])


# %% limit=120
starts = {"random": None, "3 against 4": (3, 4), "0 against 1": (0, 1)}
reached = {
    name: torch.tensor([few_shot(task, seed) for seed in range(5)])
    for name, task in starts.items()
}
{name: round(tries.mean().item(), 3) for name, tries in reached.items()}

# %% [markdown]
r"""
The same five images for each start, so compare seed by seed: what does each
gain over the random start?
"""

# %%
gains = {name: reached[name] - reached["random"] for name in [*starts][1:]}
assert gains["3 against 4"].min() > 0.01
assert gains["0 against 1"].mean() < -0.01
{name: [round(g.item(), 3) for g in each] for name, each in gains.items()}

# %% [markdown]
r"""
From the task that is alike, all five runs gain. From the other one they lose,
on average: thirty units that were tuned to tell a ring from a bar have less to say
about a 9 than thirty random ones. What is transferred is what both tasks need.
(The rate decides nothing here; exercise 4 lets you check.)

## What we built

* A trial: all pairs, the recipe's own number of epochs, twenty seeds.
* A diagnosis: what is said instead of the truth, where the scores lie, how steep
  the sigmoid is there.
* A proof: the cause changed alone, with everything else as it was.
* A fair comparison: each side at its own best rate, each run repeated.
* Transfer: a hidden layer from a task that is alike, and from one that is not.

## Questions

:::{dropdown} An accuracy of 48 % on two digits: is that worse than guessing?
It is what one gets by always giving the same answer, if that digit makes up
48 % of the images. Look at *what* is said before you look at how often it is
right.
:::

:::{dropdown} Why does dividing all weights and the bias by twenty change no answer?
It divides every score by twenty. The answer depends on the sign alone.
:::

:::{dropdown} Why does shuffling alone not free a stuck line?
Its scores lie where the sigmoid is flat. There the gradient is next to nothing,
in whatever order the images come.
:::

:::{dropdown} Why does a good start alone not keep a line free?
Half an epoch of one digit pushes the scores of both up, until the sigmoid is
flat for them.
:::

:::{dropdown} One run reaches 97.5 %, another recipe's one run 97.9 %. Which is better?
Nobody knows. On 3 against 7 two runs of one recipe differ by more than that.
:::

## Exercises

**1.** The first digit won. Swap the roles, with 8 as the first digit and 5 as the
second. What do you expect of the same seed?
"""

# %% tags=["solution"]
swapped = two_digits(images, digits, 8, 5)
line = random_line(seed=0)
train(line, swapped, 20)
reached = judge(line, two_digits(test_images, test_digits, 8, 5))
# The weights are the same, so the eights begin above the fives: the right way.
assert reached > 0.85, reached
round(reached, 3)

# %% [markdown]
r"""
**2.** From the start, not from where it is stuck: is either change enough by
itself for 5 against 8?
"""


# %% tags=["solution"]
def from_start(std: float, shuffle: bool) -> float:
    line = random_line(0, std)
    train(line, training[5, 8], 20, shuffle)
    return round(judge(line, testing[5, 8]), 3)


only_small, only_shuffled = from_start(1 / 28, False), from_start(1.0, True)
assert max(only_small, only_shuffled) < 0.6 < from_start(1 / 28, True)
only_small, only_shuffled

# %% [markdown]
r"""
**3.** Alternate: one batch of fives, one of eights. Does that keep the line free
that begins with small weights? Try the recipe's learning rate and a lower one.
"""


# %% tags=["solution"]
def by_turns(lr: float) -> float:
    x, y = training[5, 8]
    fives, eights = x[y[:, 0] == 1].split(256), x[y[:, 0] == 0].split(256)
    line = random_line(0, 1 / 28)
    for _ in range(20):
        for five, eight in zip(fives, eights, strict=False):
            step(line, five, torch.ones(len(five), 1), lr)
            step(line, eight, torch.zeros(len(eight), 1), lr)
    return round(judge(line, testing[5, 8]), 3)


# At 1 a single batch of one digit goes too far; at 0.3 the next takes it back.
assert by_turns(1.0) < 0.6 and by_turns(0.3) > 0.9
by_turns(1.0), by_turns(0.3)

# %% [markdown]
r"""
**4.** Was the rate of the five images fair to all three starts? Give each of them
a lower and a higher one.
"""

# %% tags=["solution"]
means = {
    (name, lr): sum(few_shot(task, seed, lr=lr) for seed in range(2)) / 2
    for name, task in starts.items()
    for lr in (0.03, 0.3)
}
# The best rate of each start: the order stays.
tops = [max(means[name, lr] for lr in (0.03, 0.3)) for name in starts]
assert tops[1] > tops[0] > tops[2]
{key: round(value, 3) for key, value in means.items()}

# %% [markdown]
r"""
We have trained a network without knowing what is inside its parts. Part 2
starts again from the bottom, with the loop inside `@`:
{doc}`/2_backward/1_matmul`.
"""

# %% [markdown] starred=true
r"""
# The leaderboard

{doc}`/4_convnets/8_fast` made a recipe. **How far does it get, in how many epochs
and in how many seconds?** This page holds nothing but records: each number was
measured by the cells below it, each by one command, and what has not been run
says so.

The rules are stricter than usual, and the same for every line.

1. Everything is chosen on 5,000 of the 60,000 training images, then frozen.
2. It is trained once more, on all 60,000, from several seeds.
3. The test images are looked at once a seed, after the last epoch, as they are:
   no mean over changed copies. {py:obj}`~groundup.data.Sealed` writes each look
   into `8_fast`'s neighbour, a file of times and purposes.
4. The mean counts, not the luckiest seed.
"""

# %% Imports tags=["hide-input"]
import time
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from groundup.data.sealed import Sealed
from groundup.data.tensor_loader import TensorLoader
from groundup.datasets import fashion_mnist
from groundup.scores import accuracy
from groundup.vision.fast import Recipe, fast_learner

# %% [markdown]
r"""
## Fashion-MNIST by epochs
"""


# %%
def scaled(images: Tensor) -> Tensor:
    """Bytes (n, h, w) as numbers in 0 to 1 (n, 1, h, w)."""
    return images[:, None].float() / 255


def by_epochs(recipe: Recipe, seed: int) -> dict[str, float]:
    """Train on all training images; open the test set once."""
    torch.set_num_threads(1)
    images, labels = fashion_mnist()
    learn = fast_learner(recipe, scaled(images), labels, seed)
    start = time.process_time()
    learn.fit(recipe.epochs)
    took = time.process_time() - start
    log = Path(__file__).with_suffix(".opened.txt")
    sealed = Sealed(partial(fashion_mnist, train=False), log)
    images, labels = sealed.open(f"{recipe}, seed {seed}")
    answers = learn.predict(TensorLoader(scaled(images), batch_size=500))
    right = accuracy(answers.argmax(1), labels).item()
    return {"right": right, "CPU seconds": took}


# %% Five epochs tags=["record"] record="five"
def five(seed: int) -> dict[str, float]:
    return by_epochs(Recipe(epochs=5, low_precision=True), seed)

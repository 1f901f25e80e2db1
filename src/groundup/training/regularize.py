# Extracted from book/4_convnets/5_remedies.py; edit it there.
"""What makes training harder than the test: changed images and targets."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from groundup.data.augment import check_images, draw, rectangles
from groundup.training.callback import Callback, Run


class Augment(Callback):
    """Changes the images of training batches, never those of validation.

    `Augment(partial(random_crop, padding=2), random_flip)`. With a `seed` the
    draws are its own; without, those of torch's generator.
    """

    def __init__(self, *transforms: Callable, seed: int | None = None):
        self.transforms = transforms
        self.generator = None
        if seed is not None:
            self.generator = torch.Generator().manual_seed(seed)

    def before_batch(self, run: Run) -> None:
        """Change the input."""
        if run.training:
            for transform in self.transforms:
                run.input = transform(run.input, generator=self.generator)

    def state_dict(self) -> dict[str, Any]:
        """Where the draws stand."""
        own = self.generator
        return {} if own is None else {"generator": own.get_state()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Draw on from there."""
        if self.generator is not None:
            self.generator.set_state(state_dict["generator"])


def shares(
    n: int, alpha: float, generator: torch.Generator | None = None
) -> Tensor:
    """Draws of the Beta distribution with both parameters `alpha`: (n,)."""
    if alpha <= 0:
        raise ValueError(f"expected an alpha above 0, got {alpha}")
    device = "cpu" if generator is None else generator.device
    seed = torch.randint(2**62, (), generator=generator, device=device)
    beta = random.Random(seed.item()).betavariate
    return torch.tensor([beta(alpha, alpha) for _ in range(n)])


def _partners(images: Tensor, generator: torch.Generator | None) -> Tensor:
    device = images.device if generator is None else generator.device
    order = torch.randperm(len(images), generator=generator, device=device)
    return order.to(images.device)


def _blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    share = share.to(first).view(-1, *(1 for _ in first.shape[1:]))
    return share * first + (1 - share) * second


def check_targets(images: Tensor, targets: Tensor) -> None:
    """Raise unless there is a row of probabilities for each image."""
    if targets.ndim < 2 or not targets.is_floating_point():
        given = f"{targets.dtype} of {(*targets.shape,)}"
        raise ValueError(f"expected probabilities, (n, k), got {given}")
    if len(images) != len(targets):
        given = f"{len(images)} images and {len(targets)} targets"
        raise ValueError(f"expected a target for each image, got {given}")


def mixup(
    images: Tensor,
    targets: Tensor,
    alpha: float = 1.0,
    *,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Weighted means of two images and of their targets: (n, ...), (n, k).

    Targets are probabilities (Zhang et al., 2018); a share for each image.
    """
    check_targets(images, targets)
    partner = _partners(images, generator)
    share = shares(len(images), alpha, generator)
    pairs = (images, images[partner]), (targets, targets[partner])
    images, targets = (_blend(*pair, share) for pair in pairs)
    return images, targets


def cutmix(
    images: Tensor,
    targets: Tensor,
    alpha: float = 1.0,
    *,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """A rectangle of another image in each, targets by area: (n, k).

    Yun et al. (2019); a rectangle for each image, cut off at the edge.
    """
    check_images(images)
    check_targets(images, targets)
    partner = _partners(images, generator)
    share = shares(len(images), alpha, generator).to(images.device)
    size = images.new_tensor(images.shape[2:])[:, None]
    centre = draw((2, len(images)), images, generator) * size
    half = (1 - share).sqrt() * size / 2
    start = (centre - half).round().clamp(min=0)
    patch = rectangles(images, *start, *(centre + half).round())
    kept = 1 - patch.flatten(1).float().mean(1)
    mixed = images[partner].where(patch, images)
    return mixed, _blend(targets, targets[partner], kept)


class MixUp(Augment):
    """Mixes the images and labels of training batches by `mixup`."""

    order = 10  # after single images were changed

    mix = staticmethod(mixup)

    def __init__(
        self, *, alpha: float = 1.0, num_classes: int, seed: int | None = None
    ):
        super().__init__(seed=seed)
        self.alpha, self.num_classes = alpha, num_classes

    def before_batch(self, run: Run) -> None:
        """Mix; targets become probabilities."""
        if run.training:
            one_hot = torch.eye(self.num_classes, device=run.target.device)
            options = {"alpha": self.alpha, "generator": self.generator}
            run.input, run.target = self.mix(
                run.input, one_hot[run.target], **options
            )


class CutMix(MixUp):
    """Mixes the images and labels of training batches by `cutmix`."""

    mix = staticmethod(cutmix)

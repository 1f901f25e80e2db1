# Extracted from book/3_training/7_workers.py; edit it there.
"""Samplers that choose: from a list, or by weight."""

from collections.abc import Iterator, Sequence

import torch

from groundup.data.sampler import Sampler, check_count, check_flag


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order."""

    def __init__(
        self, indices: Sequence[int], generator: torch.Generator | None = None
    ):
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        n = len(self.indices)
        for i in torch.randperm(n, generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices, each as likely as its weight says."""

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: torch.Generator | None = None,
    ):
        check_count("num_samples", num_samples)
        check_flag("replacement", replacement)
        self.weights = torch.as_tensor(weights, dtype=torch.double)
        if self.weights.ndim != 1:
            shape = tuple(self.weights.shape)
            raise ValueError(f"expected weights of shape (n,), got {shape}")
        self.num_samples, self.replacement = num_samples, replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        how = self.num_samples, self.replacement
        drawn = torch.multinomial(self.weights, *how, generator=self.generator)
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples

# Extracted from book/3_training/2_data.py; edit it there.
"""What an epoch needs to go on in the middle: random states, a position."""

import copy
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundup.data.sampler import draw_seed


def random_state() -> dict[str, Any]:
    """The states of torch's, Python's and NumPy's generators, for JSON."""
    kind, keys, *rest = np.random.get_state()
    return {
        "torch": encode(torch.get_rng_state()),
        "python": [_listed(each) for each in random.getstate()],
        "numpy": [kind, keys.tolist(), *rest],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put the three generators back to a state of `random_state`."""
    torch.set_rng_state(decode(state["torch"]))
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    np.random.set_state(tuple(state["numpy"]))


def seed_worker(base_seed: int, worker: int) -> None:
    """Seed torch's, Python's and NumPy's generators for one worker."""
    torch.manual_seed(base_seed + worker)
    random.seed(base_seed + worker)
    mixed = np.random.SeedSequence([worker, base_seed % 2**32, base_seed >> 32])
    np.random.seed(mixed.generate_state(4))


def encode(state: Tensor) -> str:
    """Bytes as hexadecimal digits: (n,) uint8 -> 2n characters."""
    return state.numpy().tobytes().hex()


def decode(digits: str) -> Tensor:
    """The bytes that `encode` wrote: 2n characters -> (n,) uint8."""
    return torch.frombuffer(bytearray.fromhex(digits), dtype=torch.uint8)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


class Resumable:
    """Batches that can be left in the middle of an epoch and resumed there.

    An epoch that its loop left early is over. Exact for samplers that draw
    from their `generator`, or from the global one before the first index.
    """

    generator: torch.Generator | None = None
    _epoch: dict[str, Any] | None = None  # runs, or is to be resumed
    _resumes = False

    def state_dict(self) -> dict[str, Any]:
        """The position and the random states, as values that JSON can hold."""
        return copy.deepcopy(self._epoch or self._new_epoch())

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next iteration go on where the state was taken."""
        expected, given = self._new_epoch(), dict(state_dict)
        if expected.keys() != given.keys():
            wanted, got = sorted(expected), sorted(given)
            raise ValueError(f"expected the keys {wanted}, got {got}")
        if expected["length"] != given["length"]:
            wanted, got = expected["length"], given["length"]
            raise ValueError(
                f"the state is of a loader of {got} batches, this has {wanted}"
            )
        self._epoch, self._resumes = copy.deepcopy(given), True

    def _generators(self) -> list[torch.Generator]:
        """The generators that the order is drawn from, but the global one."""
        return [] if self.generator is None else [self.generator]

    def _new_epoch(self) -> dict[str, Any]:
        generators = [encode(each.get_state()) for each in self._generators()]
        return {
            "position": 0,  # batches given so far
            "length": self._length(),
            "seed": None,  # drawn when the epoch begins, as is `start`
            "start": None,
            "generators": generators,
            "workers": [],
        }

    def _length(self) -> int | None:
        try:
            return len(self)
        except TypeError:
            return None


class ResumableLoader(Resumable):
    """What a loader does at the beginning of an epoch and at each batch."""

    def _begin(self) -> dict[str, Any]:
        """The epoch that starts now, or the one that goes on."""
        resumes, self._resumes = self._resumes, False
        epoch = self._epoch if resumes else self._new_epoch()
        for each, state in zip(
            self._generators(), epoch["generators"], strict=True
        ):
            each.set_state(decode(state))
        if epoch["seed"] is None:
            epoch["seed"] = draw_seed(self.generator)
            epoch["generators"] = self._new_epoch()["generators"]
        self._epoch = epoch
        return epoch

    @contextmanager
    def _rewound(self, epoch: dict[str, Any]) -> Iterator[None]:
        """The global generators, for a while as they were at the start."""
        now = random_state()
        if epoch["start"] is None:
            epoch["start"] = now
            yield
            return
        set_random_state(epoch["start"])
        try:
            yield
        finally:
            set_random_state(now)

    def _counted(self, epoch: dict[str, Any], batches: Iterable) -> Iterator:
        """The batches, counted in the epoch's state, until it is over."""
        try:
            for batch in batches:
                epoch["position"] += 1
                yield batch
        finally:
            if self._epoch is epoch and not self._resumes:
                self._epoch = None

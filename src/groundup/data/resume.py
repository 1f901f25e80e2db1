# Extracted from book/3_training/2_data.py; edit it there.
"""What an epoch needs to go on in the middle: random states, a position."""

import copy
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundup.data.sampler import draw_seed


def raw_states() -> tuple:
    """What torch's, Python's and NumPy's generators are at."""
    return torch.get_rng_state(), random.getstate(), np.random.get_state()


def random_state(raw: tuple | None = None) -> dict[str, Any]:
    """Those states, by default as they are now, for JSON."""
    state, (version, numbers, gauss), (kind, keys, *rest) = raw or raw_states()
    return {
        "torch": encode(state),
        "python": [version, list(numbers), gauss],
        "numpy": [kind, keys.tolist(), *rest],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put the three generators back to a state of `random_state`."""
    torch.set_rng_state(decode(state["torch"]))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(state["numpy"]))


def encode(state: Tensor) -> str:
    """Bytes as hexadecimal digits: (n,) uint8 -> 2n characters."""
    return state.numpy().tobytes().hex()


def decode(digits: str) -> Tensor:
    """The bytes that `encode` wrote: 2n characters -> (n,) uint8."""
    return torch.frombuffer(bytearray.fromhex(digits), dtype=torch.uint8)


def skip(iterator: Iterator, n: int) -> None:
    """Take n and drop them."""
    deque(islice(iterator, n), maxlen=0)


def _length(batches: Iterable) -> int | None:
    try:
        return len(batches)
    except TypeError:
        return None


class Resumable:
    """Batches that can be left in the middle of an epoch and resumed there.

    Fill in `_batches`, and `__len__` if it is known. An epoch that its loop
    left early is over. Exact for samplers that draw from their `generator`,
    or from the global one before the first index.
    """

    generator: torch.Generator | None = None
    _epoch: dict[str, Any] | None = None  # runs, or is to be resumed
    _resumes = False

    def state_dict(self) -> dict[str, Any]:
        """The position and the random states, as values that JSON can hold."""
        state = copy.deepcopy(self._epoch or self._new_epoch())
        if isinstance(state["start"], tuple):
            state["start"] = random_state(state["start"])
        return state

    def _new_epoch(self) -> dict[str, Any]:
        return {
            "position": 0,  # batches given so far
            "length": _length(self),
            "seed": None,  # drawn when the epoch begins, as is `start`
            "start": None,
            "generators": [encode(g.get_state()) for g in self._generators()],
            "workers": [],
        }

    def _generators(self) -> list[torch.Generator]:
        """The generators that the order is drawn from, but the global one."""
        return [] if self.generator is None else [self.generator]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next iteration go on where the state was taken."""
        expected, given = self._new_epoch(), dict(state_dict)
        if expected.keys() != given.keys():
            wanted, got = sorted(expected), sorted(given)
            raise ValueError(f"expected the keys {wanted}, got {got}")
        if expected["length"] != given["length"]:
            wanted, got = expected["length"], given["length"]
            text = f"the state is of a loader of {got} batches, this has"
            raise ValueError(f"{text} {wanted}")
        self._epoch, self._resumes = copy.deepcopy(given), True

    def _batches(self, epoch: dict[str, Any]) -> Iterator:
        """The batches of an epoch, from its position on."""
        raise NotImplementedError(f"{type(self).__name__} has no _batches")

    def _counted(self, epoch: dict[str, Any], batches: Iterable) -> Iterator:
        """The batches, counted in the epoch's state, until it is over."""
        try:
            for batch in batches:
                epoch["position"] += 1
                yield batch
        finally:
            if self._epoch is epoch and not self._resumes:
                self._epoch = None

    def __iter__(self) -> Iterator:
        epoch, raw = self._begin(), raw_states()
        if epoch["start"] is None:
            epoch["start"] = raw
            return self._counted(epoch, self._batches(epoch))
        now = random_state(raw)
        set_random_state(epoch["start"])
        try:
            return self._counted(epoch, self._batches(epoch))
        finally:
            set_random_state(now)

    def _begin(self) -> dict[str, Any]:
        """The epoch that starts now, or the one that goes on."""
        epoch = self._epoch if self._resumes else self._new_epoch()
        self._epoch, self._resumes = epoch, False
        saved = zip(self._generators(), epoch["generators"], strict=True)
        for each, state in saved:
            each.set_state(decode(state))
        if epoch["seed"] is None:
            epoch["seed"] = draw_seed(self.generator)
            epoch["generators"] = self._new_epoch()["generators"]
        return epoch

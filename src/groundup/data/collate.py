# Extracted from book/3_training/2_data.py; edit it there.
"""Collation: a list of items becomes one batch, whatever their structure."""

import copy
from collections.abc import (
    Callable,
    Mapping,
    MutableMapping,
    MutableSequence,
    Sequence,
)
from typing import Any

import numpy as np
import torch
from torch import Tensor


def _refill(container: Any, values: list) -> Any:
    """A container like this one that holds the values, in its order."""
    kind = type(container)
    if isinstance(container, tuple):
        named = isinstance(getattr(kind, "_fields", None), tuple)
        return kind(*values) if named else values
    mapping = isinstance(container, Mapping)
    plain = dict(zip(container, values, strict=True)) if mapping else values
    try:
        if not isinstance(container, MutableMapping | MutableSequence):
            return kind(plain)
        filled = copy.copy(container)
        for key, value in plain.items() if mapping else enumerate(plain):
            filled[key] = value
        return filled
    except TypeError:
        return plain


def map_batch(function: Callable[[Any], Any], batch: Any) -> Any:
    """The batch with every leaf, all but the containers, replaced."""
    text = isinstance(batch, str | bytes)
    if isinstance(batch, Mapping):
        parts = [batch[key] for key in batch]
    elif isinstance(batch, Sequence) and not text:
        parts = list(batch)
    else:
        return function(batch)
    return _refill(batch, [map_batch(function, part) for part in parts])


def default_convert(data: Any) -> Any:
    """The data with tensors for NumPy's arrays and numbers; text stays."""
    return map_batch(_as_tensor, data)


def _as_tensor(leaf: Any) -> Any:
    is_array = isinstance(leaf, np.ndarray | np.bool_ | np.number)
    if is_array and leaf.dtype.kind not in "SUO":
        return torch.as_tensor(leaf)
    return leaf


def default_collate(batch: list) -> Any:
    """One batch of a list of items of the same structure.

    Tensors are stacked; arrays and numbers become tensors, Python's floats in
    double precision; text stays a list; containers hold batches.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return torch.stack(batch)
    match _as_tensor(first):
        case Tensor():
            return torch.stack([_as_tensor(each) for each in batch])
        case float():
            return torch.tensor(batch, dtype=torch.float64)
        case int():
            return torch.tensor(batch)
        case str() | bytes():
            return batch
    return _refill(first, [default_collate(each) for each in _columns(batch)])


def _columns(items: list) -> list:
    """What all items hold at a key or a place, one after the other."""
    first = items[0]
    if isinstance(first, Mapping):
        return [[item[key] for item in items] for key in first]
    if not isinstance(first, Sequence):
        raise TypeError(
            "expected tensors, arrays, numbers, text, or mappings and "
            f"sequences of them, got {type(first).__name__}"
        )
    sizes = sorted({len(item) for item in items})
    if len(sizes) > 1:
        raise RuntimeError(f"expected items of equal size, got {sizes}")
    return list(zip(*items, strict=True))


def to_device(
    batch: Any, device: torch.device | str, non_blocking: bool = False
) -> Any:
    """The batch with its tensors on the device."""

    def moved(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return leaf.to(device, non_blocking=non_blocking)
        return leaf

    return map_batch(moved, batch)

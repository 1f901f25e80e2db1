"""Equality of nested batches, to the bit, the type and the dtype."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def assert_same(ours: object, theirs: object) -> None:
    """Raise unless both nest the same values in the same containers."""
    assert type(ours) is type(theirs)
    if isinstance(ours, Tensor):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
    elif isinstance(ours, Mapping):
        assert list(ours) == list(theirs)
        for key in ours:
            assert_same(ours[key], theirs[key])
    elif isinstance(ours, Sequence) and not isinstance(ours, str | bytes):
        assert len(ours) == len(theirs)
        for mine, yours in zip(ours, theirs, strict=True):
            assert_same(mine, yours)
    else:
        assert ours == theirs

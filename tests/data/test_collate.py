"""groundup.data.collate: torch's collation is the judge."""

from collections import OrderedDict, UserList, defaultdict, deque, namedtuple
from types import MappingProxyType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils import data as theirs

from groundup.data import (
    default_collate,
    default_convert,
    map_batch,
    to_device,
)
from tests.data.nested import assert_same

Point = namedtuple("Point", "x y")
LEAVES = [
    torch.tensor([1.5, 2.0]),
    torch.tensor(3, dtype=torch.int16),
    np.array([1, 2], dtype=np.uint8),
    np.float32(2.5),
    np.int64(4),
    np.bool_(True),
    7,
    True,
    2.5,
    "text",
    b"bytes",
]
CONTAINERS = [
    lambda a, b: [a, b],
    lambda a, b: (a, b),
    lambda a, b: Point(a, b),
    lambda a, b: {"a": a, 1: b},
    lambda a, b: OrderedDict(b=a, a=b),
    lambda a, b: defaultdict(list, a=a, b=b),
    lambda a, b: MappingProxyType({"a": a, "b": b}),
    lambda a, b: UserList([a, b]),
]
samples = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.builds(
        lambda make, a, b: make(a, b), st.sampled_from(CONTAINERS), inner, inner
    ),
    max_leaves=8,
)


@pytest.mark.earns("torch.utils.data.default_collate")
@settings(deadline=None)
@given(samples, st.integers(1, 3))
def test_collation_of_nested_structures_is_torchs(sample, n):
    batch = [sample] * n
    assert_same(default_collate(batch), theirs.default_collate(batch))


@pytest.mark.earns("torch.utils.data.default_convert")
@settings(deadline=None)
@given(samples)
def test_conversion_of_nested_structures_is_torchs(sample):
    assert_same(default_convert(sample), theirs.default_convert(sample))


def test_collation_keeps_the_items_apart():
    first, second = torch.zeros(2), torch.ones(2)
    batch = default_collate([{"x": first}, {"x": second}])
    assert torch.equal(batch["x"], torch.stack([first, second]))
    batch["x"] += 1
    assert first.sum() == 0


def test_text_arrays_are_left_or_refused_like_torchs():
    text = np.array(["a", "b"])
    assert default_convert(text) is text
    for collate in (default_collate, theirs.default_collate):
        with pytest.raises(TypeError):
            collate([text, text])


@pytest.mark.parametrize(
    ("batch", "kind", "match"),
    [
        ([object()], TypeError, "got object"),
        ([None], TypeError, "got NoneType"),
        ([{1, 2}], TypeError, "got set"),
        ([[1, 2], [1]], RuntimeError, r"equal size, got \[1, 2\]"),
        ([torch.ones(2), torch.ones(3)], RuntimeError, r"\[2\].*\[3\]"),
        ([{"a": 1}, {"b": 1}], KeyError, "a"),
    ],
)
def test_items_that_do_not_fit_are_refused(batch, kind, match):
    with pytest.raises(kind):
        theirs.default_collate(batch)
    with pytest.raises(kind, match=match):
        default_collate(batch)


def test_map_batch_reaches_every_leaf():
    batch = {"a": [1, Point(2, 3)], "b": deque([4])}
    assert map_batch(lambda leaf: leaf * 10, batch) == {
        "a": [10, Point(20, 30)],
        "b": deque([40]),
    }


def test_to_device_moves_tensors_and_leaves_the_rest():
    batch = to_device({"x": torch.ones(2), "name": ["a"]}, "meta")
    assert batch["x"].device.type == "meta"
    assert batch["name"] == ["a"]

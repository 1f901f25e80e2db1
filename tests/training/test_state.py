import json
import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.training.callback import Run
from groundup.training.state import (
    all_random_states,
    put_together,
    set_all_random_states,
    take_apart,
)

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.integers() | st.text(), inner, max_size=3),
    ),
)


@settings(deadline=None)
@given(trees)
def test_trees_come_back_with_their_types(tree):
    text = json.dumps(take_apart(tree, {}))
    back = put_together(json.loads(text), {})
    assert repr(back) == repr(tree)


def test_tensors_are_named_by_their_place_and_copied():
    weight = torch.randn(2, 3).T
    tensors = {}
    tree = {"model": {"w": weight}, 0: [weight]}
    told = take_apart(tree, tensors)
    assert list(tensors) == ["state.model.w", "state.0.0"]
    weight.zero_()
    assert put_together(told, tensors)["model"]["w"].abs().sum() > 0


def test_numbers_that_are_not_finite_come_back():
    tree = json.loads(json.dumps(take_apart([math.nan, -math.inf], {})))
    nan, inf = put_together(tree, {})
    assert math.isnan(nan) and inf == -math.inf


def test_what_cannot_be_saved_is_named_with_its_place():
    with pytest.raises(TypeError, match=r"state\.a\.1 is of type set"):
        take_apart({"a": [1, {2}]}, {})


def test_all_generators_are_put_back():
    run = Run()
    own = torch.Generator().manual_seed(1)
    data = torch.utils.data.TensorDataset(torch.arange(4))
    sampler = torch.utils.data.RandomSampler(data, generator=own)
    run.train = torch.utils.data.DataLoader(data, sampler=sampler)
    run.valid = None

    def draw():
        numbers = random.random(), np.random.rand(), torch.rand(1).item()
        return *numbers, torch.rand(1, generator=own).item(), str(list(sampler))

    state = all_random_states(run)
    first = draw()
    assert draw() != first
    set_all_random_states(run, state)
    assert draw() == first

"""The rest of the dropout family as layers, beside torch's."""

import inspect
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup import nn

RANKS = {
    "Dropout1d": 3,
    "Dropout2d": 4,
    "Dropout3d": 5,
    "AlphaDropout": 2,
    "FeatureAlphaDropout": 3,
}
names = pytest.mark.parametrize("name", RANKS)


@pytest.mark.earns(
    "torch.nn.Dropout1d",
    "torch.nn.Dropout2d",
    "torch.nn.Dropout3d",
    "torch.nn.AlphaDropout",
    "torch.nn.FeatureAlphaDropout",
)
@names
@given(
    sizes=st.lists(st.integers(1, 3), min_size=5, max_size=5),
    batch=st.booleans(),
    p=st.sampled_from([0.0, 1.0]) | st.floats(0, 1),
    inplace=st.booleans(),
    training=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    seed=st.integers(0, 99),
)
def test_layers_have_torchs_bits(
    name, sizes, batch, p, inplace, training, dtype, seed
):
    alone = not batch and name in ("Dropout1d", "Dropout3d")
    x = torch.randn(sizes[: RANKS[name] - alone]).to(dtype)
    found = []
    for home in (nn, torch.nn):
        layer = getattr(home, name)(p, inplace).train(training)
        torch.manual_seed(seed)
        leaf = x.clone().requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            y = layer(leaf.clone() if inplace else leaf)
        (grad,) = torch.autograd.grad(y.sum(), leaf)
        found.append((y.detach(), grad, torch.get_rng_state()))
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype and torch.equal(one, other)


@names
def test_signatures_and_prints_are_torchs(name):
    ours, theirs = (getattr(home, name) for home in (nn, torch.nn))
    signatures = [
        [
            (p.name, p.default)
            for p in inspect.signature(each).parameters.values()
        ]
        for each in (ours, theirs)
    ]
    assert signatures[0] == signatures[1]
    assert repr(ours(0.3, True)) == repr(theirs(0.3, True))


@names
def test_what_is_no_chance_is_refused(name):
    with pytest.raises(ValueError, match="1.1"):
        getattr(nn, name)(1.1)


def test_channels_are_dropped_whole_and_each_image_has_its_own():
    torch.manual_seed(0)
    y = nn.Dropout2d(0.5)(torch.ones(64, 8, 3, 3)).flatten(2)
    assert ((y == 0).all(2) | (y == 2).all(2)).all()
    assert len(torch.unique(y[..., 0], dim=0)) > 50

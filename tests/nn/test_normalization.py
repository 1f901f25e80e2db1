"""Norms of single examples, as layers: torch is the judge."""

import inspect

import pytest
import torch
from torch.testing import assert_close

from groundup import nn
from tests.nn.test_norm import assert_same_state, check_samples, pair

NAMES = [
    "LayerNorm",
    "RMSNorm",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
]


@pytest.mark.earns("torch.nn.LayerNorm")
def test_layer_norm_is_torchs_on_its_samples():
    check_samples("LayerNorm", 7)


@pytest.mark.earns("torch.nn.RMSNorm")
def test_rms_norm_is_torchs_on_its_samples():
    check_samples("RMSNorm", 6)


@pytest.mark.earns("torch.nn.GroupNorm")
def test_group_norm_is_torchs_on_its_samples():
    check_samples("GroupNorm", 10)


@pytest.mark.parametrize("name", NAMES)
def test_constructors_and_forwards_have_torchs_parameters(name):
    for method in ("__init__", "forward"):
        ours, theirs = (
            inspect.signature(getattr(getattr(home, name), method))
            for home in (nn, torch.nn)
        )
        assert [
            (p.name, p.default, p.kind) for p in ours.parameters.values()
        ] == [(p.name, p.default, p.kind) for p in theirs.parameters.values()]


MADE = [
    ("LayerNorm", (5,), {}),
    ("LayerNorm", ([2, 3],), {"bias": False}),
    ("LayerNorm", (torch.Size([4]),), {"elementwise_affine": False}),
    ("RMSNorm", (5,), {}),
    ("RMSNorm", ((2, 3), 0.1), {}),
    ("RMSNorm", (5,), {"elementwise_affine": False}),
    ("GroupNorm", (2, 6), {}),
    ("GroupNorm", (2, 6), {"bias": False}),
    ("GroupNorm", (2, 6), {"affine": False}),
    ("InstanceNorm1d", (3,), {}),
    ("InstanceNorm2d", (3, 0.1, None, True, True), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), MADE)
def test_they_print_and_hold_what_torchs_do(name, args, kwargs):
    ours, theirs = pair(name, *args, **kwargs)
    assert repr(ours) == repr(theirs)
    assert_same_state(ours, theirs)
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        for layer in (ours, theirs):
            for param in layer.parameters():
                param.fill_(3.0)
            layer.reset_parameters()
    assert_same_state(ours, theirs)
    for dtype in (torch.float64, torch.bfloat16):
        made = getattr(nn, name)(*args, **kwargs, dtype=dtype)
        assert {p.dtype for p in made.parameters()} <= {dtype}


def test_channels_that_cannot_be_divided_are_refused():
    for home in (nn, torch.nn):
        with pytest.raises(ValueError, match=r"6.*4"):
            home.GroupNorm(4, 6)


@pytest.mark.parametrize(
    ("name", "args", "shape"),
    [
        ("LayerNorm", (3,), (4, 5)),
        ("RMSNorm", ([2, 3],), (4, 3)),
        ("GroupNorm", (2, 6), (4, 4, 3)),
        ("GroupNorm", (2, 2), (1, 2)),
        ("GroupNorm", (2, 6), (6,)),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_their_shape(name, args, shape):
    ours, theirs = pair(name, *args)
    x = torch.randn(shape)
    with pytest.raises((RuntimeError, ValueError)) as judge:
        theirs(x)
    with pytest.raises(judge.type) as found:
        ours(x)
    assert found.type is judge.type
    assert str(list(shape))[1:-1] in str(found.value)


def test_each_example_is_on_its_own_in_both_modes():
    torch.manual_seed(0)
    layers = [nn.LayerNorm([6, 2]), nn.RMSNorm([6, 2]), nn.GroupNorm(3, 6)]
    x = torch.randn(5, 6, 2)
    for layer in [*layers, nn.InstanceNorm1d(6)]:
        y = layer(x)
        assert_close(layer(x[2:3]), y[2:3])
        assert_close(layer.eval()(x), y)

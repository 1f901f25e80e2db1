"""Dropout as a layer, beside torch's under the same seed."""

import copy
import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup import nn

NAMES = ["Dropout"]
names = pytest.mark.parametrize("name", NAMES)


def outcome(layer, input, seed: int):
    torch.manual_seed(seed)
    input = input.clone().requires_grad_()
    output = layer(input.clone() if layer.inplace else input)
    weights = torch.arange(output.numel()).view_as(output).to(output)
    grad = torch.autograd.grad((output * weights).sum(), input)[0]
    return output.detach(), grad, torch.get_rng_state()


def check(name, shape, p, training, inplace, dtype, seed) -> None:
    """The same bits, in output, gradient and generator."""
    x = torch.randn(shape, dtype=dtype)
    found = []
    for home in (nn, torch.nn):
        layer = getattr(home, name)(p, inplace).train(training)
        found.append(outcome(layer, x, seed))
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)


CALLS = {
    "p": st.sampled_from([0.0, 1.0]) | st.floats(0, 1),
    "training": st.booleans(),
    "inplace": st.booleans(),
    "dtype": st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    "seed": st.integers(0, 99),
}


@pytest.mark.earns("torch.nn.Dropout")
@given(shape=st.lists(st.integers(0, 4), max_size=4), **CALLS)
def test_dropout_has_torchs_bits(shape, p, training, inplace, dtype, seed):
    check("Dropout", shape, p, training, inplace, dtype, seed)


@names
def test_signatures_and_prints_are_torchs(name):
    ours, theirs = (getattr(home, name) for home in (nn, torch.nn))
    for method in ("__init__", "forward"):
        signatures = [
            [(p.name, p.default, p.kind) for p in each.parameters.values()]
            for each in (
                inspect.signature(getattr(kind, method))
                for kind in (ours, theirs)
            )
        ]
        assert signatures[0] == signatures[1]
    assert repr(ours(0.3, True)) == repr(theirs(0.3, True))
    assert dict(ours().state_dict()) == {}


@names
@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_chance_is_refused(name, p):
    with pytest.raises(ValueError, match=str(p)):
        getattr(nn, name)(p)


@names
def test_nothing_is_dropped_in_evaluation_and_a_copy_keeps_the_mode(name):
    x = torch.randn(3, 4, 2, 2)
    layer = copy.deepcopy(getattr(nn, name)(0.9).eval())
    assert layer(x) is x
    assert not torch.equal(layer.train()(x), x)

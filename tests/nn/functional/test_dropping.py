"""Dropout as a function: torch's bits, over its own samples."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch.testing._internal.common_methods_invocations import op_db

from groundup.nn import functional

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def outcome(function, sample, seed: int = 0):
    """Output, gradient and the generator afterwards, under a seed."""
    torch.manual_seed(seed)
    input = sample.input.detach().clone()
    if input.is_floating_point():
        input.requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = function(input, *sample.args, **sample.kwargs)
    grads = []
    if output.requires_grad:
        grads = [*torch.autograd.grad(output.sum(), input)]
    return [output.detach(), torch.get_rng_state(), *grads]


def check(name: str, expected: int, variant: str = "") -> None:
    (op,) = (
        op
        for op in op_db
        if (op.name, op.variant_test_name) == (f"nn.functional.{name}", variant)
    )
    for dtype in DTYPES:
        samples = [*op.sample_inputs("cpu", dtype)]
        assert len(samples) == expected
        for sample in samples:
            both = getattr(functional, name), getattr(F, name)
            ours, theirs = (outcome(each, sample) for each in both)
            for one, other in zip(ours, theirs, strict=True):
                assert one.dtype == other.dtype and torch.equal(one, other)


@pytest.mark.earns("torch.nn.functional.dropout")
def test_dropout_is_torchs_on_its_samples():
    check("dropout", 19)


def test_in_place_the_input_itself_changes():
    x, found = torch.randn(4, 3, 2, 2), []
    for home in (functional, F):
        torch.manual_seed(1)
        given = x.clone()
        assert home.dropout(given, 0.4, inplace=True) is given
        found.append(given)
    assert torch.equal(*found)


@pytest.mark.parametrize("p", [-0.5, 2.0, float("nan")])
def test_what_is_no_chance_is_refused(p):
    with pytest.raises(ValueError, match=str(p)):
        functional.dropout(torch.ones(2), p)


def test_integers_cannot_be_divided_by_what_is_kept():
    for home in (functional, F):
        with pytest.raises(RuntimeError):
            home.dropout(torch.ones(3, dtype=torch.int64))


def test_channels_last_has_torchs_bits():
    x = torch.randn(4, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    found = []
    for home in (functional, F):
        torch.manual_seed(0)
        found.append(home.dropout(x, 0.3))
    assert torch.equal(*found)
    assert found[0].stride() == found[1].stride()

"""Dropout as a function: torch's bits, over its own samples."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch.testing._internal.common_methods_invocations import op_db

from groundup.nn import functional

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def outcome(function, sample):
    torch.manual_seed(0)
    input = sample.input.detach().clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = function(input, *sample.args, **sample.kwargs)
    grad = torch.autograd.grad(output.sum(), input)[0]
    return output.detach(), grad, torch.get_rng_state()


def check(name: str, expected: int) -> None:
    (op,) = (op for op in op_db if op.name == f"nn.functional.{name}")
    for dtype in DTYPES:
        samples = [*op.sample_inputs("cpu", dtype, requires_grad=True)]
        assert len(samples) == expected
        for sample in samples:
            both = getattr(functional, name), getattr(F, name)
            ours, theirs = (outcome(each, sample) for each in both)
            for one, other in zip(ours, theirs, strict=True):
                assert one.dtype == other.dtype and torch.equal(one, other)


@pytest.mark.earns("torch.nn.functional.dropout")
def test_dropout_is_torchs_on_its_samples():
    check("dropout", 19)


@pytest.mark.earns("torch.nn.functional.dropout2d")
def test_dropout2d_is_torchs_on_its_samples():
    check("dropout2d", 13)


@pytest.mark.parametrize("name", ["dropout", "dropout2d"])
def test_in_place_the_input_itself_changes(name):
    x = torch.randn(4, 3, 2, 2)
    found = []
    for home in (functional, F):
        torch.manual_seed(1)
        given = x.clone()
        assert getattr(home, name)(given, 0.4, inplace=True) is given or (
            name == "dropout2d" and home is F
        )
        found.append(given)
    assert torch.equal(*found)


@pytest.mark.parametrize("name", ["dropout", "dropout2d"])
@pytest.mark.parametrize("p", [-0.5, 2.0])
def test_what_torch_refuses_is_refused(name, p):
    for home in (functional, F):
        with pytest.raises(ValueError, match=str(p)):
            getattr(home, name)(torch.ones(2, 2, 2, 2), p)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (1, 2, 3, 4, 5)])
def test_where_torch_warns_of_a_shape_so_do_we(shape):
    for home in (functional, F):
        with pytest.warns(UserWarning):
            home.dropout2d(torch.ones(shape))


def test_one_axis_has_no_channels():
    with (
        pytest.warns(UserWarning),
        pytest.raises(RuntimeError, match=r"\(3,\)"),
    ):
        functional.dropout2d(torch.ones(3))


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

# Extracted from book/0_workshop/1_library.py; edit it there.
"""Checks whose failure shows both values."""

import math

import torch
from torch import Tensor


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return repr(value)


def _refuse(actual: object, expected: object) -> None:
    message = f"got {_describe(actual)}, expected {_describe(expected)}"
    raise AssertionError(message)


def _kind(value: object) -> tuple[torch.dtype | None, tuple[int, ...]]:
    """What must agree: the dtype, None for a plain number, and the shape."""
    if isinstance(value, Tensor):
        return value.dtype, tuple(value.shape)
    return torch.bool if isinstance(value, bool) else None, ()


def _check_kind(actual: object, expected: object) -> None:
    (dtype, shape), (wanted, wanted_shape) = _kind(actual), _kind(expected)
    plain = None in (dtype, wanted) and torch.bool not in (dtype, wanted)
    if shape != wanted_shape or not (dtype == wanted or plain):
        _refuse(actual, expected)


def _widen(value: object) -> Tensor:
    """The value in double precision, where no difference wraps around."""
    if not isinstance(value, Tensor):
        return torch.tensor(value, dtype=torch.float64)
    wide = torch.promote_types(value.dtype, torch.float64)
    return value.to(wide)


def _check_elements(same: Tensor, actual: Tensor, expected: Tensor) -> None:
    """Raise unless ``same`` holds everywhere, and name the worst element."""
    if same.all():
        return
    error = (_widen(actual) - _widen(expected)).abs()
    worst = error.where(~same, -1.0).flatten().argmax()  # NaN is the largest
    count = f"{(~same).sum()} of {same.numel()} elements differ, the worst"
    index = tuple(i.item() for i in torch.unravel_index(worst, same.shape))
    got, wanted = (torch.as_tensor(v)[index].item() for v in (actual, expected))
    where = f"{count} at {index}: " if index else ""
    raise AssertionError(f"{where}got {got}, expected {wanted}")


def assert_equal(actual: object, expected: object) -> None:
    """Raise unless the values agree, and for tensors dtype and shape too."""
    _check_kind(actual, expected)
    same = actual == expected
    if isinstance(same, Tensor):
        _check_elements(same, actual, expected)
    elif not same:
        _refuse(actual, expected)


def assert_close(
    actual: object, expected: object, rtol: float = 1e-3, atol: float = 1e-5
) -> None:
    """Raise unless |actual - expected| <= atol + rtol * |expected|."""
    _check_kind(actual, expected)
    actual, expected = _widen(actual), _widen(expected)
    _check_kind(actual, expected)  # lists have a shape by now
    error = (actual - expected).abs()
    close = (error <= atol + rtol * expected.abs()) & (error < math.inf)
    _check_elements(close | (actual == expected), actual, expected)


def assert_near_zero(value: object, atol: float = 1e-3) -> None:
    """Raise unless every element lies within atol of zero."""
    value = _widen(value)
    assert_close(value, torch.zeros_like(value), rtol=0, atol=atol)

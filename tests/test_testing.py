"""groundup.testing, judged by torch.allclose and torch.equal."""

import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from groundup.testing import assert_close, assert_equal, assert_near_zero


def passes(check, *values, **tolerances):
    try:
        check(*values, **tolerances)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    "actual, expected",
    [
        (3, 3),
        ("a", "a"),
        (None, None),
        ([1, 2], [1, 2]),
        (True, True),
        (torch.ones(2, 3).shape, (2, 3)),
        (torch.tensor(3), 3),
        (torch.tensor(0.1), 0.1),
        (torch.tensor(0.1, dtype=torch.float64), 0.1),
        (True, torch.tensor(True)),
        (torch.arange(6).view(2, 3), torch.tensor([[0, 1, 2], [3, 4, 5]])),
        (torch.zeros(0), torch.zeros(0)),
        (torch.tensor(math.inf), math.inf),
    ],
)
def test_equal_values_pass(actual, expected):
    assert_equal(actual, expected)


@pytest.mark.parametrize(
    "actual, expected, message",
    [
        (3, 4, "got 3, expected 4"),
        ("3", 3, "got '3', expected 3"),
        (True, 1, "got True, expected 1"),
        (0, False, "got 0, expected False"),
        (math.nan, math.nan, "got nan, expected nan"),
        (torch.tensor(True), 1, "got torch.bool of shape (), expected 1"),
        (torch.tensor(1), True, "got torch.int64 of shape (), expected True"),
        (torch.tensor(1), 0.5, "got 1, expected 0.5"),
        (torch.ones(2), 1, "got torch.float32 of shape (2,), expected 1"),
        (torch.ones(2), None, "got torch.float32 of shape (2,), expected None"),
        (torch.ones(2), [1, 1], "of shape (2,), expected [1, 1]"),
        (
            torch.ones(3),
            torch.ones(3, 1),
            "got torch.float32 of shape (3,), "
            "expected torch.float32 of shape (3, 1)",
        ),
        (torch.ones(1), torch.ones(()), "of shape (1,), expected"),
        (
            torch.ones(2),
            torch.ones(2, dtype=torch.float64),
            "expected torch.float64 of shape (2,)",
        ),
        (
            torch.tensor([[0, 9], [2, 4]]),
            torch.tensor([[0, 1], [2, 3]]),
            "2 of 4 elements differ, the worst at (0, 1): got 9, expected 1",
        ),
        (
            torch.tensor([9.0, math.nan]),
            torch.tensor([0.0, 0.0]),
            "2 of 2 elements differ, the worst at (1,): got nan, expected 0.0",
        ),
        (
            torch.tensor([math.inf, 1.0]),
            torch.tensor([math.inf, 2.0]),
            "1 of 2 elements differ, the worst at (1,): got 1.0, expected 2.0",
        ),
    ],
)
def test_a_difference_shows_both_values(actual, expected, message):
    with pytest.raises(AssertionError) as error:
        assert_equal(actual, expected)
    assert message in str(error.value)


def test_integers_beyond_double_precision_differ():
    large = torch.tensor([2**53])
    with pytest.raises(AssertionError, match=f"{2**53 + 1}"):
        assert_equal(large, large + 1)


@given(st.lists(st.integers(-3, 3)), st.lists(st.integers(-3, 3)))
def test_assert_equal_agrees_with_torch_equal(a, b):
    a, b = torch.tensor(a, dtype=torch.int8), torch.tensor(b, dtype=torch.int8)
    assert passes(assert_equal, a, b) == torch.equal(a, b)


doubles = arrays("float64", 4, elements=st.floats(-2, 2) | st.just(math.inf))
tolerances = st.sampled_from([0.0, 1e-5, 1e-3, 0.5])


@given(doubles, doubles, tolerances, tolerances, st.booleans())
@example(torch.ones(4), torch.full((4,), math.inf), 0.5, 0.0, False)
@example(torch.full((4,), math.nan), torch.ones(4), 0.5, 0.5, True)
def test_assert_close_agrees_with_torch_allclose(a, b, rtol, atol, near):
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    a = b + 1e-4 * a if near else a
    expected = torch.allclose(a, b, rtol=rtol, atol=atol)
    assert passes(assert_close, a, b, rtol=rtol, atol=atol) == expected


def test_default_tolerances():
    assert_close(1000.9, 1000.0)
    assert not passes(assert_close, 1001.1, 1000.0)
    assert_close(0.9e-5, 0.0)
    assert not passes(assert_close, 1.1e-5, 0.0)


def test_the_relative_tolerance_is_the_expected_values():
    assert_close(1000.0, 1001.0005)
    assert not passes(assert_close, 1001.0005, 1000.0)


def test_bytes_do_not_wrap_around():
    zero, full = torch.tensor([0, 255], dtype=torch.uint8)
    assert not passes(assert_close, zero, full, rtol=0, atol=2)


def test_imaginary_parts_count():
    assert_close(torch.tensor(1 + 1j), torch.tensor(1 + 1j))
    assert not passes(assert_close, torch.tensor(1 + 1j), torch.tensor(1 + 2j))


def test_lists_of_numbers_are_close():
    assert_close([1.0, 2.0], [1.0, 2.00001])
    assert not passes(assert_close, [1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    "actual, expected",
    [
        (torch.ones(3), torch.ones(3, 1)),
        (torch.ones(3), 1.0),
        (torch.ones(3), torch.ones(3, dtype=torch.float16)),
        (torch.tensor(True), torch.tensor(1)),
        (torch.tensor(math.nan), torch.tensor(math.nan)),
        (1.0, math.inf),
        (-math.inf, math.inf),
    ],
)
def test_what_is_never_close(actual, expected):
    assert not passes(assert_close, actual, expected, rtol=1.0, atol=1.0)


def test_near_zero():
    assert_near_zero(1e-3)
    assert_near_zero(torch.zeros(2, 3, requires_grad=True))
    with pytest.raises(
        AssertionError, match=r"at \(1,\): got -0.5, expected 0"
    ):
        assert_near_zero(torch.tensor([0.0, -0.5]))
    assert not passes(assert_near_zero, math.nan)
    assert not passes(assert_near_zero, 0.2, atol=0.1)


def test_parameters_can_be_compared():
    weight = torch.nn.Parameter(torch.ones(2))
    assert_close(weight, torch.ones(2))
    assert not passes(assert_equal, weight, torch.zeros(2))

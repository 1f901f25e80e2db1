"""Tests of groundup.optim.schedule: shapes, ends, and how they combine."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.optim import schedule

unit = st.floats(0, 1)
value = st.floats(0.001, 100)
MAKERS = {
    "ramp": schedule.ramp,
    "cosine": schedule.cosine,
    "exponential": schedule.exponential,
    "square": lambda a, b: schedule.polynomial(a, b, 2),
}
makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@makers
@given(start=value, end=value)
def test_a_schedule_begins_and_ends_where_it_should(make, start, end):
    made = make(start, end)
    assert math.isclose(made(0.0), start, rel_tol=1e-9)
    assert math.isclose(made(1.0), end, rel_tol=1e-9, abs_tol=1e-12)


@makers
@given(progress=st.lists(unit, min_size=2, max_size=5))
def test_a_schedule_falls_all_the_way(make, progress):
    values = [make(2.0, 1.0)(p) for p in sorted(progress)]
    assert all(a >= b for a, b in pairwise(values))


@given(unit)
def test_constant_is_constant(progress):
    assert schedule.constant(0.3)(progress) == 0.3


def test_halfway():
    assert schedule.ramp(0, 1)(0.5) == 0.5
    assert schedule.cosine(0, 1)(0.5) == pytest.approx(0.5)
    assert schedule.exponential(1, 100)(0.5) == pytest.approx(10)
    assert schedule.polynomial(1, 0, 2)(0.5) == 0.25


@pytest.mark.parametrize("ends", [(1, 0), (0, 1), (-1, 1)])
def test_equal_ratios_never_reach_zero(ends):
    with pytest.raises(ValueError, match=rf"{ends[0]} to {ends[1]}"):
        schedule.exponential(*ends)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=5), unit)
def test_combine_hands_each_its_share_with_progress_of_its_own(shares, where):
    parts = [lambda p, i=i: (i, p) for i in range(len(shares))]
    i, own = schedule.combine(shares, parts)(where)
    assert 0 <= own <= 1
    total = sum(shares)
    place = (sum(shares[:i]) + own * shares[i]) / total
    assert math.isclose(place, where, abs_tol=1e-9)


def test_combine_begins_each_part_at_its_start():
    both = schedule.combine([3, 7], [schedule.ramp(0, 1), schedule.ramp(5, 6)])
    assert both(0.0) == 0 and both(1.0) == 6
    assert both(0.3) == pytest.approx(5) and both(0.2999) < 1


def test_repeat_starts_again():
    thrice = schedule.repeat(3, schedule.ramp(1, 0))
    assert [thrice(p) for p in (0, 1 / 3, 1)] == pytest.approx([1, 1, 0])


@pytest.mark.parametrize(
    "shares, n", [([1, 2], 1), ([], 0), ([1, 0], 2), ([1, -1], 2)]
)
def test_combine_refuses_shares_that_are_none(shares, n):
    with pytest.raises(ValueError, match="share"):
        schedule.combine(shares, [schedule.constant(1)] * n)


def test_a_swing_goes_to_its_peak_in_its_share_and_then_to_its_end():
    swing = schedule.swing(0.95, 0.85, 0.9, share=0.25)
    assert [swing(p) for p in (0, 0.25, 1)] == pytest.approx([0.95, 0.85, 0.9])
    assert swing(0.125) == pytest.approx(0.9)


@pytest.mark.parametrize("total", [10, 37, 200])
def test_one_cycle_is_torchs_where_the_peak_is_a_step(total):
    """Torch's peak lies at pct_start * total - 1, ours at pct_start."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    pct = (total * 3 // 10) / total
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.5, total_steps=total, pct_start=pct, cycle_momentum=False
    )
    expected = []
    for _ in range(total):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    top = (pct * total - 1) / (total - 1)
    ours = schedule.one_cycle(0.5, pct_start=top)
    actual = [ours(i / (total - 1)) for i in range(total)]
    assert actual == pytest.approx(expected, rel=1e-9, abs=1e-12)

# Extracted from book/3_training/5_annealing.py; edit it there.
"""Schedules: values as plain functions of progress, from 0 to 1."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

Schedule = Callable[[float], float]


def constant(value: float) -> Schedule:
    """Always the same."""
    return lambda progress: value


def ramp(start: float, end: float) -> Schedule:
    """Equal differences: a straight line."""
    return lambda progress: (end - start) * progress + start


def cosine(start: float, end: float) -> Schedule:
    """Half a cosine wave: level at both ends (Loshchilov and Hutter, 2017)."""
    half = (start - end) / 2
    return lambda progress: end + half * (math.cos(math.pi * progress) + 1)


def exponential(start: float, end: float) -> Schedule:
    """Equal ratios: a straight line on a logarithmic axis."""
    if start * end <= 0:
        raise ValueError(f"no equal ratios lead from {start} to {end}")
    return lambda progress: start * (end / start) ** progress


def polynomial(start: float, end: float, power: float) -> Schedule:
    """The distance to the end falls as a power of what is left to do."""
    return lambda progress: end + (start - end) * (1 - progress) ** power


def combine(shares: Sequence[float], schedules: Sequence[Schedule]) -> Schedule:
    """One schedule after the other, each for its share of the progress."""
    if len(shares) != len(schedules) or not shares:
        given = f"{len(shares)} shares and {len(schedules)} schedules"
        raise ValueError(f"expected a share for each schedule, got {given}")
    if min(shares) <= 0:
        raise ValueError(f"shares are positive, got {list(shares)}")
    ends = [end / sum(shares) for end in accumulate(shares)]

    def combined(progress: float) -> float:
        i = min(bisect_right(ends, progress), len(ends) - 1)
        start = ends[i - 1] if i else 0.0
        return schedules[i](min(1.0, (progress - start) / (ends[i] - start)))

    return combined


def repeat(n: int, schedule: Schedule) -> Schedule:
    """The same schedule n times: a cosine with warm restarts."""
    return combine([1] * n, [schedule] * n)


def swing(start: float, peak: float, end: float, share: float) -> Schedule:
    """Two cosines: to the peak in a share of the progress, then to the end."""
    parts = [cosine(start, peak), cosine(peak, end)]
    return combine([share, 1 - share], parts)


def one_cycle(
    peak: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up to the peak and far down (Smith, 2018)."""
    start = peak / div_factor
    return swing(start, peak, start / final_div_factor, pct_start)

"""Benchmarks: two calls beside each other, ours and torch's.

A benchmark is a function in ``tests/benchmarks/bench_*.py`` that returns two
calls to compare::

    @benchmark("torch.matmul", label="512 x 512", at_most=1.1)
    def matmul():
        a, b = torch.randn(512, 512), torch.randn(512, 512)
        return lambda: linalg.matmul(a, b), lambda: torch.matmul(a, b)

The two are timed in turns in one process, so that whatever else the machine
does strikes both, and the median of the turns' ratios is kept.  (The timer of
``torch.utils.benchmark`` times one call after the other, never in turns.)
"""

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from timeit import Timer

from _config.chapters.files import shown
from _config.runs.machine import hardware

Pair = tuple[Callable[[], object], Callable[[], object]]


@dataclass(frozen=True)
class Benchmark:
    """Two calls to compare, the torch names they stand for, what we expect."""

    names: tuple[str, ...]
    label: str
    at_most: float | None
    make: Callable[[], Pair]

    @property
    def place(self) -> str:
        code = self.make.__code__
        return f"{shown(Path(code.co_filename))}:{code.co_firstlineno}"


def benchmark(
    *names: str, label: str, at_most: float | None = None
) -> Callable[[Callable[[], Pair]], Benchmark]:
    """Declare a benchmark of ``names``; ours should take ``at_most`` theirs."""
    return lambda make: Benchmark(names, label, at_most, make)


def declared(path: Path) -> list[Benchmark]:
    """The benchmarks in a file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    values = vars(module).values()
    return [value for value in values if isinstance(value, Benchmark)]


def compare(each: Benchmark, seconds: float) -> dict:
    """Seconds a call, and the ratio ours / torch with its quartiles.

    The two calls take turns, another one first each turn.  Turns go on for
    about ``seconds``, but there are at least five.
    """
    timers = [Timer(call) for call in each.make()]
    numbers = [loops(timer) for timer in timers]
    rounds, end = [], perf_counter() + seconds
    while len(rounds) < 5 or perf_counter() < end:
        order = (0, 1) if len(rounds) % 2 else (1, 0)
        times = {i: timers[i].timeit(numbers[i]) / numbers[i] for i in order}
        rounds.append((times[0], times[1]))
    low, ratio, high = quantiles([ours / theirs for ours, theirs in rounds])
    return {
        "names": each.names,
        "label": each.label,
        "place": each.place,
        "ours": median(ours for ours, _ in rounds),
        "theirs": median(theirs for _, theirs in rounds),
        "ratio": ratio,
        "low": low,
        "high": high,
        "at_most": each.at_most,
        "missed": each.at_most is not None and ratio > each.at_most,
    }


def loops(timer: Timer, least: float = 0.01) -> int:
    """How many calls take ``least`` seconds, after a first one to warm up."""
    number = 1
    timer.timeit(1)
    while timer.timeit(number) < least:
        number *= 2
    return number


def compare_all(path: Path, seconds: float) -> list[dict]:
    """The results of one file's benchmarks."""
    results = []
    for each in declared(path):
        try:
            results.append(compare(each, seconds))
        except Exception as error:
            error.add_note(f"in the benchmark at {each.place}")
            raise
    return results


def main() -> None:
    """What a process of its own does: ``FILE SECONDS RESULT``."""
    file, seconds, result = sys.argv[1:]
    results, machine = compare_all(Path(file), float(seconds)), hardware()
    if torch := sys.modules.get("torch"):
        machine += f", {torch.get_num_threads()} threads"
    found = {"results": results, "hardware": machine}
    Path(result).write_text(json.dumps(found))

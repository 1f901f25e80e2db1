"""Our speed beside torch's, as ratios: ``python -m _config.bench``.

A benchmark is a function in ``tests/benchmarks/bench_*.py`` that returns two
calls to compare::

    @benchmark("torch.matmul", label="512 x 512", at_most=1.1)
    def matmul():
        a, b = torch.randn(512, 512), torch.randn(512, 512)
        return lambda: linalg.matmul(a, b), lambda: torch.matmul(a, b)

The two are timed in turns in one process, so that whatever else the machine
does strikes both, and the median of the turns' ratios is kept.
"""

import argparse
import importlib.util
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from timeit import Timer

from _config.chapters.files import ROOT, SRC, shown
from _config.runs import records as record
from _config.runs.reach import digest, modules, parse
from _config.runs.store import write

BENCHMARKS = ROOT / "tests" / "benchmarks"
STORE = ROOT / "_build" / "bench.json"
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


@dataclass(frozen=True)
class Result:
    """Seconds a call, and the ratio ours / torch with its quartiles."""

    names: tuple[str, ...]
    label: str
    place: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    at_most: float | None

    @property
    def missed(self) -> bool:
        return self.at_most is not None and self.ratio > self.at_most


def benchmark(
    *names: str, label: str, at_most: float | None = None
) -> Callable[[Callable[[], Pair]], Benchmark]:
    """Declare a benchmark of ``names``; ours should take ``at_most`` theirs."""
    return lambda make: Benchmark(names, label, at_most, make)


def load(path: Path) -> list[Benchmark]:
    """The benchmarks in a file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    values = vars(module).values()
    return [value for value in values if isinstance(value, Benchmark)]


def measure(each: Benchmark, seconds: float) -> Result:
    """Time the two calls in turns, another one first each turn.

    Turns go on for about ``seconds``, but there are at least five.
    """
    timers = [Timer(call) for call in each.make()]
    numbers = [loops(timer) for timer in timers]
    rounds, end = [], perf_counter() + seconds
    while len(rounds) < 5 or perf_counter() < end:
        order = (0, 1) if len(rounds) % 2 else (1, 0)
        times = {i: timers[i].timeit(numbers[i]) / numbers[i] for i in order}
        rounds.append((times[0], times[1]))
    low, ratio, high = quantiles([ours / theirs for ours, theirs in rounds])
    ours, theirs = (median(side) for side in zip(*rounds, strict=True))
    return Result(
        each.names,
        each.label,
        each.place,
        ours,
        theirs,
        ratio,
        low,
        high,
        each.at_most,
    )


def loops(timer: Timer, least: float = 0.01) -> int:
    """How many calls take ``least`` seconds, after a first one to warm up."""
    number = 1
    timer.timeit(1)
    while timer.timeit(number) < least:
        number *= 2
    return number


def keys(src: Path = SRC, folder: Path = BENCHMARKS) -> dict[str, str]:
    """File -> what changes with it, the library it sees and the versions."""
    common = [json.dumps(versions()), Path(__file__).read_text()]
    found = {}
    for path in sorted(folder.glob("bench_*.py")):
        text = path.read_text()
        seen = json.dumps(modules([parse(text)], src), sort_keys=True)
        found[path.name] = digest("\0".join([*common, text, seen]))
    return found


def versions() -> dict[str, str]:
    """The versions that a time depends on."""
    return {"Python": platform.python_version(), "torch": version("torch")}


def hardware() -> str:
    """The machine, and how many of its cores torch uses."""
    import torch

    return f"{record.hardware()}, {torch.get_num_threads()} threads"


def run(
    folder: Path = BENCHMARKS,
    store: Path = STORE,
    src: Path = SRC,
    seconds: float = 10,
    stale: bool = False,
) -> dict:
    """Measure every file, or the stale ones; keep all in ``store``, or none."""
    kept, current = read(store) if stale else {}, keys(src, folder)
    results = {
        name: kept["results"][name]
        for name in current
        if kept.get("keys", {}).get(name) == current[name]
    }
    if results.keys() == current.keys() != set():
        return kept
    for name in sorted(current.keys() - results.keys()):
        # A process of its own: what another file allocated changes the times.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            found = pool.submit(measure_file, folder / name, seconds)
            results[name] = found.result()
    if not any(results.values()):
        raise FileNotFoundError(f"no benchmarks in {shown(folder)}")
    measured = {
        "keys": current,
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "versions": versions(),
        "results": {name: results[name] for name in current},
    }
    write(store, f"{json.dumps(measured, indent=1)}\n".encode())
    return measured


def measure_file(path: Path, seconds: float) -> list[dict]:
    """The results of one file's benchmarks."""
    results = []
    for each in load(path):
        try:
            result = measure(each, seconds)
        except Exception as error:
            error.add_note(f"in the benchmark at {each.place}")
            raise
        results.append(asdict(result) | {"missed": result.missed})
    return results


def read(store: Path = STORE) -> dict:
    """What was measured last; empty if nothing was, or the file is damaged."""
    try:
        measured = json.loads(store.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return measured if "keys" in measured else {}


def results(measured: dict) -> list[dict]:
    """Everything that was measured, file by file."""
    return list(chain(*measured.get("results", {}).values()))


def ratios(name: str, measured: dict) -> Iterator[str]:
    """A line a benchmark of the torch name, for the ledger's page."""
    for each in results(measured):
        if name in each["names"]:
            missed = (
                f", expected ≤ {each['at_most']:g}" if each["missed"] else ""
            )
            yield f"{spread(each)} ({each['label']}{missed})"


def spread(result: dict) -> str:
    """The ratio and its quartiles."""
    return f"{result['ratio']:.2f} [{result['low']:.2f}, {result['high']:.2f}]"


def provenance(measured: dict, current: dict[str, str]) -> str:
    """Where and when the ratios were measured, and whether they still hold."""
    if not measured:
        return ""
    used = ", ".join(
        f"{name} {number}" for name, number in measured["versions"].items()
    )
    old = "" if measured["keys"] == current else " The code has changed since."
    return (
        "Ratios are medians of alternating turns, with their quartiles, on "
        f"{measured['hardware']}, {used}, {measured['date']}.{old}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if an expectation is missed."""
    parser = argparse.ArgumentParser(prog="python -m _config.bench")
    stale = "measure only what has changed, briefly, and pass whatever it is"
    parser.add_argument("--stale", action="store_true", help=stale)
    parser.add_argument("--benchmarks", type=Path, default=BENCHMARKS)
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--src", type=Path, default=SRC)
    seconds = "for each benchmark; 1 if only stale ones are measured, else 10"
    parser.add_argument("--seconds", type=float, help=seconds)
    options = parser.parse_args(arguments)
    seconds = options.seconds or (1 if options.stale else 10)
    places = options.benchmarks, options.store, options.src
    before = read(options.store)
    measured = run(*places, seconds, options.stale)
    if measured == before:
        return 0
    for each in results(measured):
        flag = (
            f"  missed: at most {each['at_most']:g}" if each["missed"] else ""
        )
        times = f"{each['ours'] * 1e6:10.1f} us {each['theirs'] * 1e6:10.1f} us"
        what = f"{' '.join(each['names'])} ({each['label']})"
        print(f"{what:56} {times}  {spread(each)}{flag}")
    print(provenance(measured, measured["keys"]))
    missed = any(each["missed"] for each in results(measured))
    return int(missed and not options.stale)

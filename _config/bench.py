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
import hashlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from timeit import Timer

from _config.chapters import ROOT, SRC, shown

BENCHMARKS = ROOT / "tests" / "benchmarks"
STORE = ROOT / "_build" / "bench.json"
TURNS = 31
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


def load(folder: Path) -> Iterator[Benchmark]:
    """The benchmarks in ``folder``, file by file."""
    for path in sorted(folder.glob("bench_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for value in vars(module).values():
            if isinstance(value, Benchmark):
                yield value


def measure(each: Benchmark, turns: int) -> Result:
    """Time the two calls in turns, another one first each turn."""
    timers = [Timer(call) for call in each.make()]
    numbers = [loops(timer) for timer in timers]
    rounds = []
    for turn in range(turns):
        order = (0, 1) if turn % 2 else (1, 0)
        seconds = {i: timers[i].timeit(numbers[i]) / numbers[i] for i in order}
        rounds.append((seconds[0], seconds[1]))
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


def key(src: Path = SRC, folder: Path = BENCHMARKS) -> str:
    """Changes with the library, the benchmarks, the timing and the versions."""
    digest = hashlib.sha256(json.dumps(versions()).encode())
    files = [*src.rglob("groundup/**/*.py"), *folder.glob("bench_*.py")]
    for path in [*sorted(files), Path(__file__)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """The versions that a time depends on."""
    return {"Python": platform.python_version(), "torch": version("torch")}


def hardware() -> str:
    """The processor's name, its cores, and the threads that torch uses."""
    import torch

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        names = [line.split(": ")[1] for line in lines if "model name" in line]
        name = next(iter(names), name)
    cores, threads = os.cpu_count(), torch.get_num_threads()
    return f"{name}, {cores} cores, {threads} threads"


def run(
    folder: Path = BENCHMARKS,
    store: Path = STORE,
    src: Path = SRC,
    turns: int = TURNS,
) -> dict:
    """Measure everything and keep it in ``store``, whole or not at all."""
    results = []
    for each in load(folder):
        try:
            results.append(measure(each, turns))
        except Exception as error:
            error.add_note(f"in the benchmark at {each.place}")
            raise
    if not results:
        raise FileNotFoundError(f"no benchmarks in {shown(folder)}")
    measured = {
        "key": key(src, folder),
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "versions": versions(),
        "turns": turns,
        "results": [asdict(each) | {"missed": each.missed} for each in results],
    }
    store.parent.mkdir(parents=True, exist_ok=True)
    new = store.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps(measured, indent=1) + "\n")
    new.replace(store)
    return measured


def read(store: Path = STORE) -> dict:
    """What was measured last; empty if nothing was."""
    return json.loads(store.read_text()) if store.exists() else {}


def ratios(name: str, measured: dict) -> Iterator[str]:
    """A line a benchmark of the torch name, for the ledger's page."""
    for each in measured.get("results", ()):
        if name in each["names"]:
            missed = (
                f", expected ≤ {each['at_most']:g}" if each["missed"] else ""
            )
            yield f"{spread(each)} ({each['label']}{missed})"


def spread(result: dict) -> str:
    """The ratio and its quartiles."""
    return f"{result['ratio']:.2f} [{result['low']:.2f}, {result['high']:.2f}]"


def provenance(measured: dict, current: str) -> str:
    """Where and when the ratios were measured, and whether they still hold."""
    if not measured:
        return ""
    used = ", ".join(
        f"{name} {number}" for name, number in measured["versions"].items()
    )
    old = "" if measured["key"] == current else " The code has changed since."
    return (
        f"Ratios are medians of {measured['turns']} alternating turns, with "
        f"their quartiles, on {measured['hardware']}, {used}, "
        f"{measured['date']}.{old}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if an expectation is missed."""
    parser = argparse.ArgumentParser(prog="python -m _config.bench")
    stale = "measure only if the code has changed, and pass whatever comes out"
    parser.add_argument("--stale", action="store_true", help=stale)
    parser.add_argument("--benchmarks", type=Path, default=BENCHMARKS)
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--src", type=Path, default=SRC)
    parser.add_argument("--turns", type=int, default=TURNS)
    options = parser.parse_args(arguments)
    if options.stale and (kept := read(options.store)):
        if kept["key"] == key(options.src, options.benchmarks):
            return 0
    measured = run(
        options.benchmarks, options.store, options.src, options.turns
    )
    for each in measured["results"]:
        flag = (
            f"  missed: at most {each['at_most']:g}" if each["missed"] else ""
        )
        times = f"{each['ours'] * 1e6:10.1f} us {each['theirs'] * 1e6:10.1f} us"
        what = f"{' '.join(each['names'])} ({each['label']})"
        print(f"{what:56} {times}  {spread(each)}{flag}")
    print(provenance(measured, measured["key"]))
    missed = any(each["missed"] for each in measured["results"])
    return int(missed and not options.stale)


if __name__ == "__main__":
    from _config import bench  # the module that the benchmarks import

    sys.exit(bench.main())

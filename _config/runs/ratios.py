"""Our speed beside torch's: ratios, measured again where the code changed."""

import argparse
import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import chain
from pathlib import Path

from _config.chapters.files import ROOT, SRC, recall, shown, write
from _config.runs import benchmarks
from _config.runs.digests import digest
from _config.runs.machine import versions
from _config.runs.reach import modules
from _config.runs.scratch import interruptible, marked, scratch

BENCHMARKS = ROOT / "tests" / "benchmarks"
RATIOS = ROOT / "_build" / "bench.json"
COMMAND = "from _config.runs.benchmarks import main; main()"


def keys(src: Path = SRC, folder: Path = BENCHMARKS) -> dict[str, str]:
    """File -> what changes with it, the library it sees and the versions."""
    timing = Path(benchmarks.__file__).read_text()
    common = [json.dumps(versions()), timing]
    found = {}
    for path in sorted(folder.glob("bench_*.py")):
        text = path.read_text()
        try:
            seen = modules([ast.parse(text)], src)
        except SyntaxError:
            seen = {}
        parts = [*common, text, json.dumps(seen, sort_keys=True)]
        found[path.name] = digest("\0".join(parts))
    return found


def measure_stale(
    folder: Path = BENCHMARKS,
    store: Path = RATIOS,
    src: Path = SRC,
    seconds: float = 10,
    stale: bool = False,
) -> dict:
    """Measure every file, or the stale ones; keep all in ``store``, or none."""
    kept, current = read(store) if stale else {}, keys(src, folder)
    done = {
        name: kept["results"][name]
        for name in current
        if kept.get("keys", {}).get(name) == current[name]
    }
    if done.keys() == current.keys() != set():
        return kept
    machine = ""
    for name in sorted(current.keys() - done.keys()):
        found = in_a_process(folder / name, seconds, src)
        done[name], machine = found["results"], found["hardware"]
    if not any(done.values()):
        raise FileNotFoundError(f"no benchmarks in {shown(folder)}")
    measured = {
        "keys": current,
        "date": date.today().isoformat(),
        "hardware": machine,
        "versions": versions(),
        "results": {name: done[name] for name in current},
    }
    write(store, f"{json.dumps(measured, indent=1)}\n".encode())
    return measured


def in_a_process(path: Path, seconds: float, src: Path) -> dict:
    """A file's results: what another one allocated changes the times."""
    with scratch() as folder:
        result = folder / "result"
        command = [sys.executable, "-c", COMMAND, path, str(seconds), result]
        environment = marked(folder, src, ROOT)
        if subprocess.run(command, env=environment).returncode:
            raise RuntimeError(f"{shown(path)}: a benchmark failed, see above")
        return json.loads(result.read_text())


def read(store: Path = RATIOS) -> dict:
    """What was measured last; empty if nothing was, or the file is damaged."""
    measured = recall(store)
    return measured if "keys" in measured else {}


def results(measured: dict) -> list[dict]:
    """Everything that was measured, file by file."""
    return list(chain(*measured.get("results", {}).values()))


def ratios(name: str, measured: dict) -> Iterator[str]:
    """A line a benchmark of the torch name, for the ledger's page."""
    yield from (
        line(each) for each in results(measured) if name in each["names"]
    )


def line(result: dict) -> str:
    """The ratio, its quartiles, and what it is the ratio of."""
    spread = f"[{result['low']:.2f}, {result['high']:.2f}]"
    label = result["label"]
    if result["missed"]:
        label += f", expected ≤ {result['at_most']:g}"
    return f"{result['ratio']:.2f} {spread} ({label})"


def provenance(measured: dict, current: dict[str, str]) -> str:
    """Where and when the ratios were measured, and whether they still hold."""
    if not measured:
        return ""
    used = ", ".join(
        f"{name} {number}"
        for name, number in measured["versions"].items()
        if name in ("python", "torch")
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
    parser.add_argument("--store", type=Path, default=RATIOS)
    parser.add_argument("--src", type=Path, default=SRC)
    seconds = "for each benchmark; 1 if only stale ones are measured, else 10"
    parser.add_argument("--seconds", type=float, help=seconds)
    options = parser.parse_args(arguments)
    seconds = options.seconds or (1 if options.stale else 10)
    places = options.benchmarks, options.store, options.src
    before = read(options.store)
    try:
        with interruptible():
            measured = measure_stale(*places, seconds, options.stale)
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    if measured == before:
        return 0
    for each in results(measured):
        print(f"{' '.join(each['names']):56} {line(each)}")
    print(provenance(measured, measured["keys"]))
    missed = any(each["missed"] for each in results(measured))
    return int(missed and not options.stale)

"""The benchmarks: what is compared, kept and flagged."""

import time
from functools import partial
from pathlib import Path

import pytest

from _config.runs import benchmarks as bench

FILE = """
import time
from _config.runs.benchmarks import benchmark

@benchmark("torch.mm", "torch.matmul", label="slow", at_most=1.5)
def slow():
    return lambda: time.sleep(0.05), lambda: time.sleep(0.005)

@benchmark("torch.add", label="fast", at_most=0.9)
def fast():
    return lambda: time.sleep(0.005), lambda: time.sleep(0.05)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of benchmarks, with a library and a store beside them."""
    (tmp_path / "bench_sleep.py").write_text(FILE.lstrip())
    (tmp_path / "groundup").mkdir()
    (tmp_path / "groundup" / "linalg.py").write_text("a = 1\n")
    return tmp_path


def run(folder: Path, *options: str) -> int:
    """The command, on that folder."""
    store = folder / "_build" / "bench.json"
    places = (
        f"--benchmarks {folder} --src {folder} --store {store} --seconds 0.01"
    )
    return bench.main([*places.split(), *options])


def test_the_ratio_is_ours_over_theirs(folder):
    path = folder / "bench_sleep.py"
    slow, fast = (bench.measure(each, 0.1) for each in bench.load(path))

    assert slow.ratio > 2 and slow.missed
    assert fast.ratio < 0.5 and not fast.missed
    assert slow.low <= slow.ratio <= slow.high
    assert slow.place.endswith("bench_sleep.py:4")


def test_the_two_take_turns_at_being_first():
    calls = []

    def call(name: str) -> None:
        calls.append(name)
        time.sleep(0.02)

    pair = partial(call, "ours"), partial(call, "theirs")
    bench.measure(bench.Benchmark(("torch.mm",), "", None, lambda: pair), 0)

    first = calls[-10::2]
    assert first == ["theirs", "ours", "theirs", "ours", "theirs"]


def test_only_a_change_of_what_a_benchmark_sees_makes_it_stale(folder):
    def keys() -> dict[str, str]:
        return bench.keys(folder, folder)

    (folder / "groundup" / "other.py").write_text("b = 1\n")
    text = "from groundup import linalg\n" + FILE
    (folder / "bench_sleep.py").write_text(text)
    before = keys()
    (folder / "groundup" / "other.py").write_text("b = 2\n")
    assert keys() == before

    (folder / "groundup" / "linalg.py").write_text("a = 2\n")
    changed = keys()
    assert changed != before
    (folder / "bench_sleep.py").write_text(text + "\n")
    assert keys() not in (before, changed)


def test_a_missed_expectation_is_flagged_and_fails_the_command(folder, capsys):
    assert run(folder) == 1

    slow, fast, provenance = capsys.readouterr().out.splitlines()
    assert "torch.mm torch.matmul (slow)" in slow
    assert slow.endswith("missed: at most 1.5")
    assert "missed" not in fast
    assert f"torch {bench.versions()['torch']}" in provenance
    assert "alternating turns" in provenance


def test_what_was_measured_is_kept_whole_and_says_if_it_still_holds(folder):
    run(folder)

    measured = bench.read(folder / "_build" / "bench.json")

    (line,) = bench.ratios("torch.mm", measured)
    assert line.endswith("(slow, expected ≤ 1.5)")
    assert measured["keys"] == bench.keys(folder, folder)
    assert "changed" not in bench.provenance(measured, measured["keys"])
    assert "changed since" in bench.provenance(measured, {})
    assert [each.name for each in (folder / "_build").iterdir()] == [
        "bench.json"
    ]


def test_a_damaged_result_is_measured_again(folder):
    store = folder / "_build" / "bench.json"
    run(folder)
    store.write_text(store.read_text()[:99])
    assert bench.read(store) == {}
    assert run(folder, "--stale") == 0
    assert [*bench.ratios("torch.mm", bench.read(store))]


def test_a_build_measures_only_what_changed(folder):
    store = folder / "_build" / "bench.json"
    assert run(folder, "--stale") == 0  # a miss does not fail a build
    first = store.stat()

    assert run(folder, "--stale") == 0
    assert store.stat() == first

    kept = bench.read(store)["results"]["bench_sleep.py"]
    (folder / "bench_more.py").write_text(FILE.lstrip())
    assert run(folder, "--stale") == 0
    assert bench.read(store)["results"]["bench_sleep.py"] == kept
    assert len(bench.read(store)["results"]["bench_more.py"]) == 2


def test_a_benchmark_that_raises_is_named_and_leaves_the_last_result(folder):
    (folder / "bench_sleep.py").write_text(
        FILE.lstrip().replace("0.05", "'no'")
    )
    store = folder / "bench.json"
    store.write_text("{}")

    with pytest.raises(TypeError) as caught:
        bench.run(folder, store, folder, seconds=0)

    assert "bench_sleep.py:4" in caught.value.__notes__[0]
    assert store.read_text() == "{}"


def test_a_folder_without_benchmarks_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no benchmarks in"):
        bench.run(tmp_path, tmp_path / "bench.json", tmp_path)

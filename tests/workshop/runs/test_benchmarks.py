"""The benchmarks: what is compared, kept and flagged."""

import time
from functools import partial
from pathlib import Path

import pytest

from _config.runs import benchmarks, ratios

FILE = """
import time
from _config.runs.benchmarks import benchmark

@benchmark("torch.mm", "torch.matmul", label="slow", at_most=1.5)
def slow():
    return lambda: time.sleep(0.01), lambda: time.sleep(0.001)

@benchmark("torch.add", label="fast", at_most=0.9)
def fast():
    return lambda: time.sleep(0.001), lambda: time.sleep(0.01)
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
    return ratios.main([*places.split(), *options])


def test_the_ratio_is_ours_over_theirs(folder):
    path = folder / "bench_sleep.py"
    slow, fast = (
        benchmarks.compare(each, 0.1) for each in benchmarks.declared(path)
    )

    assert slow["ratio"] > 2 and slow["missed"]
    assert fast["ratio"] < 0.5 and not fast["missed"]
    assert slow["low"] <= slow["ratio"] <= slow["high"]
    assert slow["place"].endswith("bench_sleep.py:4")


def test_the_two_take_turns_at_being_first():
    calls = []

    def call(name: str) -> None:
        calls.append(name)
        time.sleep(0.02)

    pair = partial(call, "ours"), partial(call, "theirs")
    benchmarks.compare(
        benchmarks.Benchmark(("torch.mm",), "", None, lambda: pair), 0
    )

    first = calls[-10::2]
    assert first == ["theirs", "ours", "theirs", "ours", "theirs"]


def test_only_a_change_of_what_a_benchmark_sees_makes_it_stale(folder):
    def keys() -> dict[str, str]:
        return ratios.keys(folder, folder)

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
    assert slow.startswith("torch.mm torch.matmul ")
    assert slow.endswith("(slow, expected ≤ 1.5)")
    assert fast.endswith("(fast)")
    assert f"torch {ratios.versions()['torch']}" in provenance
    assert "alternating turns" in provenance


def test_what_was_measured_is_kept_whole_and_says_if_it_still_holds(folder):
    run(folder)

    measured = ratios.read(folder / "_build" / "bench.json")

    (line,) = ratios.ratios("torch.mm", measured)
    assert line.endswith("(slow, expected ≤ 1.5)")
    assert measured["keys"] == ratios.keys(folder, folder)
    assert "changed" not in ratios.provenance(measured, measured["keys"])
    assert "changed since" in ratios.provenance(measured, {})
    assert [each.name for each in (folder / "_build").iterdir()] == [
        "bench.json"
    ]


@pytest.fixture
def asked(monkeypatch):
    """The files that are measured, now in no time."""

    def measure(path: Path, *_: object) -> dict:
        files.append(path.name)
        result = {"names": ["torch.mm"], "label": "", "place": "", "ours": 1}
        numbers = dict.fromkeys(
            ("theirs", "ratio", "low", "high", "at_most"), 1
        )
        return {
            "results": [result | numbers | {"missed": True}],
            "hardware": "",
        }

    files = []
    monkeypatch.setattr(ratios, "in_a_process", measure)
    return files


def test_a_damaged_result_is_measured_again(folder, asked):
    store = folder / "_build" / "bench.json"
    run(folder)
    for damaged in (store.read_text()[:99], "[" * 100_000, "[]", "7"):
        store.write_text(damaged)
        assert ratios.read(store) == {}
    assert run(folder, "--stale") == 0
    assert [*ratios.ratios("torch.mm", ratios.read(store))]
    assert asked == ["bench_sleep.py"] * 2


def test_a_build_measures_only_what_changed(folder, asked):
    store = folder / "_build" / "bench.json"
    assert run(folder, "--stale") == 0  # a miss does not fail a build
    first = store.stat()

    assert run(folder, "--stale") == 0
    assert store.stat() == first

    kept = ratios.read(store)["results"]["bench_sleep.py"]
    (folder / "bench_more.py").write_text(FILE.lstrip())
    assert run(folder, "--stale") == 0
    assert ratios.read(store)["results"]["bench_sleep.py"] == kept
    assert len(ratios.read(store)["results"]["bench_more.py"]) == 1
    assert asked == ["bench_sleep.py", "bench_more.py"]


def test_a_benchmark_that_raises_is_named_and_leaves_the_last_result(
    folder, capfd
):
    (folder / "bench_sleep.py").write_text(
        FILE.lstrip().replace("0.01", "'no'")
    )
    store = folder / "bench.json"
    store.write_text("{}")

    with pytest.raises(RuntimeError, match=r"bench_sleep\.py: .* failed"):
        ratios.measure_stale(folder, store, folder, seconds=0)

    said = capfd.readouterr().err
    assert "TypeError" in said
    assert f"in the benchmark at {folder / 'bench_sleep.py'}:4" in said
    assert store.read_text() == "{}"


def test_a_folder_without_benchmarks_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no benchmarks in"):
        ratios.measure_stale(tmp_path, tmp_path / "bench.json", tmp_path)

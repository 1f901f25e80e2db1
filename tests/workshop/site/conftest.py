import shutil
from pathlib import Path

import pytest

from tests.workshop.site.small_book import Built, build, write_book


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A small book, as if it had been executed."""
    return write_book(tmp_path / "a book")


@pytest.fixture(scope="session")
def first_build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Built]:
    """A small book that was built, and how that went."""
    root = write_book(tmp_path_factory.mktemp("built once"))
    outcome = build(root, "-W")
    shutil.copytree(root, root.with_suffix(".built"))
    return root, outcome


@pytest.fixture
def built(first_build: tuple[Path, Built]) -> Path:
    """The book that was built, in its place and as it was then."""
    root, _ = first_build
    shutil.rmtree(root)
    return shutil.copytree(root.with_suffix(".built"), root)

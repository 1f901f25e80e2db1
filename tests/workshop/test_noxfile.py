"""The commands' environment, in copied, moved and spaced folders."""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from _config.chapters.files import ROOT


class Session:
    """Notes what would be run; making an environment makes its interpreter."""

    def __init__(self) -> None:
        self.ran: list[list[str]] = []

    def run(self, *command: object, external: bool) -> None:
        self.ran.append([str(each) for each in command])
        if "venv" in self.ran[-1]:
            python = Path(self.ran[-1][-1], "bin/python")
            python.parent.mkdir(parents=True, exist_ok=True)
            python.unlink(missing_ok=True)
            python.touch()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "a checkout"
    (root / "_config").mkdir(parents=True)
    for name in ("noxfile.py", "pyproject.toml", "_config/constraints.txt"):
        shutil.copy(ROOT / name, root / name)
    return root


def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of a session in this folder."""
    nox = SimpleNamespace(
        options=SimpleNamespace(),
        session=lambda function: function,
        Session=object,
        project=SimpleNamespace(
            load_toml=lambda path: {"dependency-groups": {"test": ["pytest"]}},
            dependency_groups=lambda project, *names: ["pytest"],
        ),
    )
    monkeypatch.setitem(sys.modules, "nox", nox)
    spec = importlib.util.spec_from_file_location(
        "noxfile", root / "noxfile.py"
    )
    noxfile: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(noxfile)
    session = Session()
    noxfile.run(session, "-m", "pytest")
    return session.ran


def test_an_environment_is_made_once(checkout: Path, monkeypatch):
    venv, pip, command = run(checkout, monkeypatch)
    assert venv[-1] == str(checkout / ".venv")
    assert "-e" in pip and pip[0] == command[0]
    assert command == [str(checkout / ".venv/bin/python"), "-m", "pytest"]
    assert run(checkout, monkeypatch) == [command]


def test_a_copied_or_moved_checkout_installs_itself(checkout, monkeypatch):
    run(checkout, monkeypatch)
    moved = checkout.rename(checkout.with_name("moved"))
    venv, _, command = run(moved, monkeypatch)
    assert "--clear" not in venv  # torch need not be installed again
    assert command[0] == str(moved / ".venv/bin/python")


def test_an_environment_without_interpreter_is_made_anew(checkout, monkeypatch):
    run(checkout, monkeypatch)
    python = checkout / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    venv, *_ = run(checkout, monkeypatch)
    assert "--clear" in venv


def test_what_is_asked_of_the_environment_renews_it(checkout, monkeypatch):
    run(checkout, monkeypatch)
    with (checkout / "_config/constraints.txt").open("a") as file:
        file.write("numpy==2\n")
    assert len(run(checkout, monkeypatch)) == 3

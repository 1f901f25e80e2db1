"""The library as a package: built, installed apart from the book, and used."""

import ast
import email
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from _config.chapters.files import ROOT


def build(folder: Path, **env: str) -> Path:
    """The wheel, built as pip builds it."""
    code = (
        "from hatchling.build import build_wheel as build;"
        f"print(build({str(folder)!r}))"
    )
    addresses = {"REPOSITORY_URL": "", "SITE_URL": ""} | env
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | addresses,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return folder / run.stdout.split()[-1]


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith("/METADATA"))
        return email.message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder that holds the library as its wheel installs it, no more."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build(folder)) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(code: str, installed: Path, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )


def test_the_wheel_holds_the_library_and_nothing_else(installed):
    tops = {path.name.partition("-")[0] for path in installed.iterdir()}
    assert tops == {"groundup"}
    assert (installed / "groundup/py.typed").exists()


def test_every_module_imports_without_the_book(installed, tmp_path):
    modules = [
        ".".join(path.relative_to(installed).with_suffix("").parts)
        for path in sorted(installed.rglob("groundup/**/*.py"))
    ]
    names = [name.removesuffix(".__init__") for name in modules]
    code = (
        f"import importlib\nfor name in {names}: importlib.import_module(name)"
    )
    code += "\nimport groundup; print(groundup.__file__, groundup.__version__)"
    done = run(code, installed, tmp_path)
    assert done.returncode == 0, done.stderr
    file, version = done.stdout.split()
    assert Path(file).is_relative_to(installed)
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text()


def test_a_network_of_ours_trains_beside_torchs(installed, tmp_path):
    code = (
        "import torch\nfrom groundup import nn, optim\n"
        "model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))\n"
        "theirs = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(),"
        " torch.nn.Linear(8, 2))\n"
        "theirs.load_state_dict(model.state_dict())\n"
        "x, y = torch.randn(16, 4), torch.randint(2, (16,))\n"
        "ours = optim.SGD(model.parameters(), lr=0.1)\n"
        "other = torch.optim.SGD(theirs.parameters(), lr=0.1)\n"
        "for _ in range(5):\n"
        "    for net, opt, f in ((model, ours, nn.functional.cross_entropy),"
        " (theirs, other, torch.nn.functional.cross_entropy)):\n"
        "        opt.zero_grad(); f(net(x), y).backward(); opt.step()\n"
        "print(float((model(x) - theirs(x)).abs().max()) < 1e-5)\n"
    )
    done = run(code, installed, tmp_path)
    assert done.stdout == "True\n", done.stderr


def test_links_and_pictures_follow_the_projects_address(tmp_path):
    bare = metadata(build(tmp_path))
    assert bare.get_all("Project-URL") is None
    assert "![" not in bare.get_payload()
    where = {
        "REPOSITORY_URL": "https://example.org/it",
        "SITE_URL": "https://example.org/book/",
    }
    told = metadata(build(tmp_path, **where))
    assert told.get_all("Project-URL") == [
        "Documentation, https://example.org/book/",
        "Repository, https://example.org/it",
    ]
    assert "](https://example.org/it/raw/main/.github/" in told.get_payload()


def test_importing_the_library_imports_nothing_slow_but_torch(tmp_path):
    code = (
        "import sys, torch, numpy; before = {*sys.modules}\nimport groundup\n"
        "new = {n.split('.')[0] for n in {*sys.modules} - before}\n"
        "print(sorted(new & {'matplotlib', 'pooch', 'fastprogress',"
        " 'IPython', 'requests'}))"
    )
    done = run(code, ROOT / "src", tmp_path)
    assert ast.literal_eval(done.stdout) == [], done.stderr

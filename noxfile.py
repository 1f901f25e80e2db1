"""The commands of the workshop; `nox -l` lists them.

All sessions share one environment, `.venv`, since torch alone takes a gigabyte.
It is made by pip from pyproject.toml and `_config/constraints.txt`, and made
up to date when one of the two changes, or where the folder stands; a new one
is made when its interpreter is gone.
"""

import hashlib
import shutil
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["build", "test"]

ROOT = Path(__file__).parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = [ROOT / "pyproject.toml", ROOT / "_config" / "constraints.txt"]


def run(session: nox.Session, *command: str) -> None:
    """Run `python COMMAND` in the shared environment, made if need be."""
    wanted = hashlib.sha256(str(ROOT).encode())
    for path in REQUIREMENTS:
        wanted.update(path.read_bytes())
    stamp = VENV / "installed"
    known = stamp.exists() and stamp.read_text() == wanted.hexdigest()
    if not (known and PYTHON.exists()):
        install(session)
        stamp.write_text(wanted.hexdigest())
    session.run(PYTHON, *command, external=True)


def install(session: nox.Session) -> None:
    project = nox.project.load_toml(REQUIREMENTS[0])
    groups = nox.project.dependency_groups(
        project, *project["dependency-groups"]
    )
    clear = [] if PYTHON.exists() else ["--clear"]
    session.run(sys.executable, "-m", "venv", *clear, VENV, external=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet"]
    session.run(*pip, "-c", REQUIREMENTS[1], "-e", ".", *groups, external=True)


@nox.session
def build(session: nox.Session) -> None:
    """Extract the library, execute what changed, build the site.

    `nox -s build -- 2_backward/1_matmul` does it for one chapter.
    """
    run(session, "-m", "_config.build", *session.posargs)
    name = (session.posargs or ["index"])[0].removeprefix("book/")
    page = ROOT / f"_build/html/{name.removesuffix('.py')}.html"
    session.log(f"read it: {page.as_uri()}")


@nox.session
def test(session: nox.Session) -> None:
    """Test the library, the workshop and the claims of the chapters."""
    if session.posargs:
        return run(session, "-m", "pytest", *session.posargs)
    both = ["-m", "pytest", "-q", "-n", "2", "--dist", "worksteal"]
    workshop = "--ignore=tests/workshop"  # which runs kernels of its own
    run(session, *both, "tests", workshop, "--ignore=tests/site")
    run(session, *both, "tests/workshop")


@nox.session
def serve(session: nox.Session) -> None:
    """Show the book in a browser and follow every change that is saved."""
    run(session, "-m", "_config.site.serve", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Format and check chapters and code; `-- --check` changes nothing."""
    check = ["--check"] if "--check" in session.posargs else []
    fix = [] if check else ["--fix"]
    run(session, "-m", "ruff", "check", "--quiet", *fix, ".")
    run(session, "-m", "ruff", "format", "--quiet", *check, ".")
    run(session, "-m", "codespell_lib", "book", "src", "tests", "_config")
    run(session, "-m", "_config.ledger")
    run(session, "-m", "_config.extract", *check)


@nox.session
def site(session: nox.Session) -> None:
    """Open every built page in a browser and hold the site's targets."""
    both = ["-m", "pytest", "-q", "-n", "2", "--dist", "worksteal"]
    trace = "--tracing=retain-on-failure"  # in _build/browser
    run(session, *both, "tests/site", trace, *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure our speed beside torch's, as ratios."""
    run(session, "-m", "_config.bench", *session.posargs)


@nox.session
def record(session: nox.Session) -> None:
    """Run a chapter's long measurements and keep them beside it."""
    run(session, "-m", "_config.record", *session.posargs)


@nox.session
def clean(session: nox.Session) -> None:
    """Delete everything that a build makes."""
    shutil.rmtree(ROOT / "_build", ignore_errors=True)

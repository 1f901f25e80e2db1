"""Chapters run in kernels: what they put out, and all that can go wrong."""

import os
import shutil
import subprocess
from itertools import chain

import pytest

from _config.chapters.files import ROOT
from tests.workshop.runs.books import RAISES, Book, texts

DRAW = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
LIBRARY = """import warnings
def call(f):
    warnings.warn('old')
    return f()
"""
GROUP = "raise ExceptionGroup('both', [KeyError(1), ValueError(2)])"
HANGS = "# %% limit=1\nimport time\nwhile 1: time.sleep(0.01)"
# Each in a cell of its own, where the end of the kernel is only noted.
FLOODS = [
    "import os, subprocess, time\nends, leave = [], os._exit\n"
    "os._exit = ends.append\n"
    "def wait():\n    while not ends:\n        time.sleep(0.01)",
    *(
        f"# %% limit=9\nends.clear()\n{code}"
        for code in (
            "subprocess.run('yes | head -c 1100000', shell=True)\nwait()",
            "os.write(2, b'x' * 1_100_000)\nwait()",
            "shown = display(1, display_id=True)\n"
            "shown.update('x' * 1_100_000)\nwait()",
            "if os.fork() == 0:\n    os._exit = leave\n"
            "    print('x' * 1_100_000, flush=True)\n    leave(0)\nwait()",
            "'x' * 1_100_000",
        )
    ),
    f"{RAISES}wait()\nends.clear()\nraise ValueError('x' * 1_100_000)",
    "wait()\nends.clear()\nprint('x' * 900_000)",
    "print('x' * 900_000)",
    "assert not ends",
]
WRITES = """
from pathlib import Path
import lib.one, os, shutil, subprocess, tempfile
module = Path(lib.one.__file__)
book = module.parents[2] / "book"
Path("mine").write_text("x")
Path("mine").rename("ours")
os.symlink(module, "link")
open(os.devnull, "w").close()
tempfile.TemporaryFile()
attempts = {
    "write": lambda: (book / "new").write_text("x"),
    "append": lambda: module.open("a"),
    "open": lambda: os.open(book / "new", os.O_CREAT | os.O_RDWR),
    "through": lambda: Path("link").write_text("x"),
    "remove": module.unlink,
    "move": lambda: shutil.move(module, "moved"),
    "replace": lambda: os.replace("ours", module),
    "copy": lambda: shutil.copy("ours", book / "new"),
    "folder": lambda: os.mkdir(book / "new"),
    "tree": lambda: shutil.rmtree(module.parent),
    "home": lambda: Path("~/new").expanduser().write_text("x"),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except PermissionError as error:
        assert "a chapter writes in its own folder alone" in str(error)
        continue
    raise AssertionError(f"{name} worked")
"""


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


def test_a_chapter_runs_once_and_again_when_its_module_changes(book, capsys):
    book.module("lib.one", "def one(): return 'é'\n")
    book.chapter(
        "1_a/1_é",
        "from lib.one import one",
        "one()",
        "for i in range(3):\n    print(f'{i} ☃', end='\\r')",
        f"{RAISES}1 / 0",
        newline="\r\n",
    )
    assert book.run() == []
    assert capsys.readouterr().out.startswith("1.1 1_a/1_é … ")
    entry = book.load("1_a/1_é")
    assert texts(entry)[:2] == ["'é'", "2 ☃\r"]
    assert entry.outputs[3][0]["ename"] == "ZeroDivisionError"
    assert entry.receipt.keys() == {"seconds", "versions"}

    assert book.run() == []
    assert capsys.readouterr().out == ""

    book.module("lib.one", "def one(): return 'new'\n")
    assert book.run() == []
    assert texts(book.load("1_a/1_é"))[0] == "'new'"


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A book in which all that can go wrong does, and one good chapter."""
    book = Book(tmp_path_factory.mktemp("broken"))
    book.module("lib.one", LIBRARY)
    book.module("lib.two", "def two(): return 2\n")
    book.chapter("1_a/1_raises", "def f(x):\n    return 1 / x", "y = 0\n\nf(y)")
    book.chapter("1_a/2_hangs", HANGS)
    book.chapter("1_a/3_floods", "while True:\n    print('x' * 1000)")
    book.chapter("1_a/6_dies", "1", "import os\nos._exit(1)")
    book.chapter("1_a/7_unread", "# %% tags=[\n1")
    book.chapter(
        "1_a/8_good",
        "import os, sys\n"
        "[len(os.listdir()), sys.flags.hash_randomization, __debug__]",
        "from urllib.error import URLError\n"
        "from urllib.request import urlopen\n"
        "try:\n    urlopen('http://example.com')\n"
        "except URLError as error:\n    print(error.reason)",
        f'# %% alt="A line"\n{DRAW}',
        "import sys, warnings\nprint('note', file=sys.stderr)\n"
        "warnings.warn('careful')",
        "from lib import one, two\nimport json\nlen(os.environ['TMPDIR']) < 50",
        "def f():\n    return two.two() / 0",
        "x = 1  # not shown",
        f"{RAISES}one.call(f)",
        f"{RAISES}json.loads('[')",
        f"{RAISES}{GROUP}",
    )
    touch = (  # where Linux has Landlock
        "import ctypes, sys\n"
        "if sys.platform == 'linux':\n"
        "    if ctypes.CDLL(None).syscall(444, None, 0, 1) >= 3:\n"
        "        assert subprocess.run(['touch', book / 'new']).returncode"
    )
    limits = [*FLOODS, WRITES, touch, GROUP]
    book.chapter("1_a/9_limits", *limits)
    folder = book.store.with_name("x" * 90)  # no room for a socket's path
    folder.mkdir()
    new_user = {"HOME": str(book.book), "PYTHONOPTIMIZE": "1"}
    return book, subprocess.run(
        [*book.command, "--jobs=4"],
        cwd=ROOT,
        env=os.environ | new_user | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("1_raises.py:13", "ZeroDivisionError: division by zero"),
        ("1_raises.py:8", "in f(x)"),
        ("2_hangs.py:8", "ran longer than its limit, 1 s"),
        ("3_floods.py:6", "put out more than 1 MB"),
        ("6_dies.py:9", "its kernel died"),
        ("7_unread.py:6", "tags= is not followed by JSON"),
        ("8_good.py:23", "warning: note"),
        ("8_good.py:26", "warning: UserWarning: careful"),
        ("9_limits.py:97", "ExceptionGroup: both (2 sub-exceptions)"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(broken, place, message):
    _, done = broken
    lines = [line for line in done.stderr.split("\n") if place in line]
    assert any(message in line for line in lines), done.stderr[-3000:]


def test_a_chapter_fails_alone(broken):
    book, done = broken
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    assert [chapter.name for chapter in book.sorted()[1]] == ["1_a/8_good"]
    assert "matplotlib" not in done.stderr
    assert len(done.stderr) < 10_000 and len(done.stdout) < 1_000


def test_a_chapter_runs_in_an_empty_folder_without_network(broken):
    book, _ = broken
    first, second, *_ = texts(book.load("1_a/8_good"))
    assert first == "[0, 0, True]"
    assert "refused" in second


def test_figures_are_svg_in_the_colours_of_the_style(broken):
    book, _ = broken
    figure = book.load("1_a/8_good").outputs[2][0]["data"]
    assert "image/png" not in figure
    assert "#2f7ed8" in figure["image/svg+xml"]
    assert "#1b1b1f" in figure["image/svg+xml"]


def test_a_chapter_has_written_nothing_outside_its_folder(broken):
    book, _ = broken
    assert (book.src / "lib/one.py").read_text() == LIBRARY
    assert {path.suffix for path in book.book.rglob("*")} == {"", ".py"}
    assert {path.name for path in book.book.iterdir()} == {"1_a"}


def test_what_quotes_lines_of_code_holds_for_their_text(broken, tmp_path):
    root = broken[0].book.parent
    for name in ("book", "src", "store"):
        shutil.copytree(root / name, tmp_path / name)
    book, name = Book(tmp_path), "1_a/8_good"
    entry = book.load(name)
    room, warning, called, loaded, group = chain(*entry.outputs[4:])
    assert room["data"]["text/plain"] == "True"  # for sockets in TMPDIR
    assert "src/lib/one.py:3: UserWarning: old" in warning["text"]
    called, loaded = (str(each["traceback"]) for each in (called, loaded))
    assert "one.py" not in called and "decoder.py" not in loaded
    assert "division by zero" in called and "Expecting value" in loaded
    assert "KeyError: 1" in group["traceback"][0]
    assert entry.quotes.keys() == {"3", "5", "7", "8", "9", "lib/one.py"}

    book.edit("lib/two", "def", "# a comment\ndef")
    book.edit(name, "# not shown", "")
    assert book.load(name)
    for place in ("lib/one", name):
        book.edit(place, "def", "# a comment\ndef")
        assert not book.load(name)
        book.edit(place, "# a comment\n", "")
        assert book.load(name)


def test_two_builds_at_once_agree(book):
    book.chapter("1_a/1_x", "import time\ntime.sleep(0.5)\n'x'")
    builds = [subprocess.Popen(book.command, cwd=ROOT) for _ in range(2)]
    assert [build.wait(timeout=120) for build in builds] == [0, 0]
    assert texts(book.load("1_a/1_x")) == ["'x'"]
    assert len([*book.store.iterdir()]) == 1

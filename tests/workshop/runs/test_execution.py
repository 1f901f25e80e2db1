"""The executor and its store, on small books of a test's own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from _config.chapters.files import ROOT
from _config.chapters.parse import read_chapter
from _config.runs import store
from _config.runs.execution import execute, main, sort_out
from _config.runs.run import clean


class Book:
    """A book, its library and its store in a temporary folder."""

    def __init__(self, root: Path):
        self.book, self.src, self.store = (
            root / name for name in ("book", "src", "store")
        )
        self.options = [
            f"--{name}={getattr(self, name)}"
            for name in ("book", "src", "store")
        ]

    def module(self, name: str, text: str) -> None:
        path = self.src / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def chapter(self, name: str, *cells: str, newline: str = "\n") -> None:
        """A chapter with a title; a cell may bring its own marker line."""
        marked = [c if c.startswith("# %%") else f"# %%\n{c}" for c in cells]
        text = "\n\n".join([f'# %% [markdown]\nr"""\n# {name}\n"""', *marked])
        path = self.book / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{text}\n".replace("\n", newline).encode())

    def read(self, name: str):
        return read_chapter(self.book / f"{name}.py", self.book)

    def run(self, *names: str):
        """The errors of a build, as text."""
        errors = execute(names, self.book, self.src, self.store)
        return [str(error) for error in errors]

    def load(self, name: str) -> store.Entry | None:
        return store.load(self.read(name), self.src, self.store)

    def pretend_to_run(self) -> None:
        """Store entries without outputs for what is stale."""
        for chapter in self.sorted()[0]:
            entry = store.Entry(store.key(chapter, self.src), [], {})
            store.save(entry, self.store)

    def sorted(self):
        paths = sorted(self.book.glob("*/*.py"))
        return sort_out(paths, self.book, self.src, self.store)

    def stale(self) -> list[str]:
        return [chapter.name for chapter in self.sorted()[0]]


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


def texts(entry: store.Entry) -> list[str]:
    """The text of each output of each cell."""
    return [
        output.get("text") or output.get("data", {}).get("text/plain")
        for outputs in entry.outputs
        for output in outputs
    ]


# What makes a chapter stale: no kernel is needed to tell.


@pytest.fixture
def chain(book):
    """one <- two <- 1_a/2_two; one <- 1_a/1_one; nobody <- 1_a/3_alone."""
    book.module("lib.__init__", "")
    book.module("lib.one", "def one(): return 1\n")
    book.module(
        "lib.two", "from lib.one import one\ndef two(): return one() + 1\n"
    )
    book.chapter("1_a/1_one", "from lib.one import one\none()")
    book.chapter("1_a/2_two", "from lib.two import two\ntwo()")
    book.chapter("1_a/3_alone", "def one(): return 1\none()")
    book.pretend_to_run()
    assert book.stale() == []
    return book


def test_a_changed_module_reaches_those_that_import_it_at_any_depth(chain):
    chain.module("lib.one", "def one(): return 100\n")
    assert chain.stale() == ["1_a/1_one", "1_a/2_two"]


def test_a_changed_module_does_not_reach_what_it_imports(chain):
    chain.module("lib.two", "def two(): return 2\n")
    assert chain.stale() == ["1_a/2_two"]


def test_going_back_to_an_earlier_version_runs_nothing(chain):
    before = (chain.src / "lib/one.py").read_text()
    chain.module("lib.one", "def one(): return 100\n")
    chain.pretend_to_run()
    chain.module("lib.one", before)
    assert chain.stale() == []


def test_prose_titles_and_folding_run_nothing(chain):
    path = chain.book / "1_a/1_one.py"
    text = path.read_text().replace("# 1_a/1_one", "# One, again\n\nMore.")
    path.write_text(
        text.replace("# %%\n", '# %% A title tags=["hide-input"]\n')
    )
    assert chain.stale() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\none()", "\none() + 0"),
        ("# %%\n", '# %% tags=["raises-exception"]\n'),
        ("# %%\n", '# %% alt="A line"\n'),
    ],
)
def test_code_and_what_it_must_do_run_the_chapter(chain, old, new):
    path = chain.book / "1_a/3_alone.py"
    path.write_text(path.read_text().replace(old, new))
    assert chain.stale() == ["1_a/3_alone"]


def test_a_figure_runs_again_when_its_words_are_gone(book):
    for words, stale in (("A line", []), ("A rise", []), ("", ["1_a/1_x"])):
        book.chapter("1_a/1_x", f'# %% alt="{words}"\ndraw()')
        if words == "A line":
            book.pretend_to_run()
        assert book.stale() == stale


def test_a_kernel_setting_and_a_version_run_everything(chain, monkeypatch):
    newer = store.versions() | {"torch": "99"}
    monkeypatch.setattr(store, "versions", lambda: newer)
    assert len(chain.stale()) == 3
    monkeypatch.undo()
    monkeypatch.setattr(store, "SETTINGS", (chain.src / "lib/one.py",))
    assert len(chain.stale()) == 3


@pytest.mark.parametrize(
    "code",
    [
        "from lib.nn import Linear\nLinear()",
        "from lib import nn\nnn.Linear()",
        "import lib\nlib.nn.Linear()",
        "import lib.nn as layers\nlayers.Linear()",
        "def f():\n    from lib.nn.linear import Linear as L\n    return L()",
    ],
)
def test_packages_are_looked_through(book, code):
    book.module("lib.__init__", "from lib import nn as nn\n")
    reexport = "from lib.nn.{0} import {1} as {1}\n"
    both = reexport.format("linear", "Linear") + reexport.format("conv", "Conv")
    book.module("lib.nn.__init__", both)
    book.module("lib.nn.linear", "class Linear: ...\n")
    book.module("lib.nn.conv", "class Conv: ...\n")
    book.chapter("1_a/1_x", code)
    book.chapter("1_a/2_all", "from lib import nn\ndir(nn)")
    book.chapter("1_a/3_root", "import lib\nvars(lib)")
    book.pretend_to_run()

    book.module("lib.nn.conv", "class Conv:\n    kernel_size = 3\n")
    assert book.stale() == ["1_a/2_all", "1_a/3_root"]
    book.module("lib.nn.linear", "class Linear:\n    bias = None\n")
    assert book.stale() == ["1_a/1_x", "1_a/2_all", "1_a/3_root"]


def test_a_module_that_appears_is_seen(book):
    book.module("lib.__init__", "")
    book.chapter("1_a/1_x", "from lib.new import f\nf()")
    book.pretend_to_run()
    book.module("lib.new", "def f(): ...\n")
    assert book.stale() == ["1_a/1_x"]


def test_list_stale_prints_names_and_nothing_else(chain, capsys, monkeypatch):
    chain.module("lib.one", "def one(): return 100\n")
    argv = ["execute", "--list-stale", *chain.options]
    monkeypatch.setattr(sys, "argv", argv)
    assert not main()
    assert capsys.readouterr().out == "1_a/1_one\n1_a/2_two\n"


def test_looking_for_what_is_stale_imports_no_torch_and_no_jupyter(chain):
    code = (
        "import sys; sys.argv[0] = 'execute'; from _config.runs.execution import main;"
        "main(); print({'torch', 'zmq', 'nbclient'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, "--list-stale", *chain.options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"receipt": {}', '"receipt": {"seconds": 1}'),
        lambda text: "",
        lambda text: "[1]",
    ],
    ids=["truncated", "altered", "empty", "foreign"],
)
def test_a_damaged_entry_is_reported_and_not_used(chain, caplog, damage):
    (path,) = chain.store.glob("1_a.3_alone.*.json")
    assert path.read_text() != damage(path.read_text())
    path.write_text(damage(path.read_text()))
    assert chain.stale() == ["1_a/3_alone"]
    assert str(path) in caplog.text
    assert "damaged" in caplog.text


def test_only_a_chapters_newest_entries_are_kept(book):
    book.chapter("1_a/2_other", "1")
    book.pretend_to_run()
    for number in range(store.KEEP + 3):
        book.chapter("1_a/1_x", str(number))
        book.pretend_to_run()
        os.utime(
            book.store / f"{store.key(book.read('1_a/1_x'))}.json", (0, number)
        )
    assert len([*book.store.glob("1_a.1_x.*")]) == store.KEEP
    assert book.stale() == []


# What happens when chapters run.


def test_a_chapter_runs_once_and_again_when_its_module_changes(book, capsys):
    book.module("lib.one", "def one(): return 'é'\n")
    book.chapter(
        "1_a/1_é",
        "from lib.one import one",
        "one()",
        "for i in range(3):\n    print(f'{i} ☃', end='\\r')",
        '# %% tags=["raises-exception"]\n1 / 0',
        newline="\r\n",
    )
    assert book.run() == []
    assert capsys.readouterr().out.startswith("1.1 1_a/1_é … ")
    entry = book.load("1_a/1_é")
    assert texts(entry)[:2] == ["'é'", "2 ☃\r"]
    assert entry.outputs[3][0]["ename"] == "ZeroDivisionError"
    assert len(entry.receipt["cells"]) == 4

    assert book.run() == []
    assert capsys.readouterr().out == ""

    book.module("lib.one", "def one(): return 'new'\n")
    assert book.run() == []
    assert texts(book.load("1_a/1_é"))[0] == "'new'"


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A book in which all that can go wrong does, and one good chapter."""
    book = Book(tmp_path_factory.mktemp("broken"))
    book.chapter("1_a/1_raises", "def f(x):\n    return 1 / x", "y = 0\n\nf(y)")
    book.chapter("1_a/2_hangs", "# %% limit=1\nx = 1\nwhile x:\n    pass")
    book.chapter("1_a/3_floods", "while True:\n    print('x' * 1000)")
    book.chapter("1_a/4_calm", '# %% tags=["raises-exception"]\nx = 1')
    draw = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    book.chapter("1_a/5_silent", draw, f'# %% alt="A line"\n{draw}')
    book.chapter("1_a/6_dies", "1", "import os\nos._exit(1)")
    book.chapter("1_a/7_unread", "# %% tags=[\n1")
    book.chapter(
        "1_a/8_good",
        "import os, sys\n[len(os.listdir()), sys.flags.hash_randomization]",
        "from urllib.error import URLError\n"
        "from urllib.request import urlopen\n"
        "try:\n    urlopen('http://example.com')\n"
        "except URLError as error:\n    print(error.reason)",
        f'# %% alt="A line"\n{draw}',
        "import sys, warnings\nprint('note', file=sys.stderr)\n"
        "warnings.warn('careful')",
    )
    command = [sys.executable, "-m", "_config.execute", *book.options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return book, done


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("1_raises.py:13", "ZeroDivisionError: division by zero"),
        ("1_raises.py:8", "in f(x)"),
        ("2_hangs.py:8", "ran longer than its limit, 1 s"),
        ("3_floods.py:6", "put out more than 1 MB"),
        ("4_calm.py:6", "tagged raises-exception, but raises nothing"),
        (
            "5_silent.py:6",
            'draws a figure: say what it shows in words, alt="..."',
        ),
        ("6_dies.py:9", "its kernel died"),
        ("7_unread.py:6", "tags= is not followed by JSON"),
        ("8_good.py:23", "warning: note"),
        ("8_good.py:26", "warning: UserWarning: careful"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(broken, place, message):
    _, done = broken
    lines = [line for line in done.stderr.split("\n") if place in line]
    assert any(message in line for line in lines), done.stderr


def test_a_chapter_fails_alone(broken):
    book, done = broken
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    assert [chapter.name for chapter in book.sorted()[1]] == ["1_a/8_good"]


def test_a_chapter_runs_in_an_empty_folder_without_network(broken):
    book, _ = broken
    first, second, *_ = texts(book.load("1_a/8_good"))
    assert first == "[0, 0]"
    assert "refused" in second


def test_figures_are_svg_in_the_colours_of_the_style(broken):
    book, _ = broken
    figure = book.load("1_a/8_good").outputs[2][0]["data"]
    assert "image/png" not in figure
    assert "#2f7ed8" in figure["image/svg+xml"]
    assert "#1b1b1f" in figure["image/svg+xml"]


def test_outputs_of_a_library_that_changed_meanwhile_are_not_kept(book):
    book.module("lib.one", "def one(): return 1\n")
    module = str(book.src / "lib/one.py")
    book.chapter(
        "1_a/1_x",
        "from lib.one import one\none()",
        f"from pathlib import Path\nPath({module!r}).write_text('one = int')",
    )
    (error,) = book.run()
    assert "the library changed while this chapter ran" in error
    assert not [*book.store.glob("*")]


def test_two_builds_at_once_agree(book):
    book.chapter("1_a/1_x", "import time\ntime.sleep(0.5)\n'x'")
    book.chapter("1_a/2_y", "import time\ntime.sleep(0.5)\n'y'")
    command = [sys.executable, "-m", "_config.execute", *book.options]
    builds = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [build.wait(timeout=120) for build in builds] == [0, 0]
    assert texts(book.load("1_a/1_x")) == ["'x'"]
    assert texts(book.load("1_a/2_y")) == ["'y'"]
    assert len([*book.store.iterdir()]) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_no_kernel_and_nothing_that_it_started(book, number):
    note = book.store / "processes"
    book.store.mkdir()
    book.chapter(
        "1_a/1_x",
        f"""import os, pathlib, subprocess, time
child = subprocess.Popen(["sleep", "50"])
pathlib.Path({str(note)!r}).write_text(f"{{os.getpid()}} {{child.pid}} .")
time.sleep(50)""",
    )
    command = [sys.executable, "-m", "_config.execute", *book.options]
    build = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    while not (note.exists() and note.read_text().endswith(".")):
        time.sleep(0.1)
        assert build.poll() is None
    processes = [psutil.Process(int(p)) for p in note.read_text().split()[:2]]
    build.send_signal(number)
    _, said = build.communicate(timeout=30)
    assert said == "interrupted: what had ended is stored\n"
    assert build.returncode == 130
    assert not any(alive(process) for process in processes)


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_outputs_do_not_name_the_machine(tmp_path):
    frame = f"File {tmp_path}/src/lib/one.py:3 and {os.__file__}:7"
    error = {"output_type": "error", "traceback": [frame]}
    cleaned = clean(error, tmp_path / "src")["traceback"]
    assert cleaned == ["File src/lib/one.py:3 and os.py:7"]
    warning = {
        "output_type": "stream",
        "text": "/tmp/ipykernel_3/12.py:2: careful",
    }
    assert clean(warning, tmp_path)["text"] == "cell:2: careful"


def test_an_unknown_chapter_is_named_with_those_there_are(chain):
    command = [
        sys.executable,
        "-m",
        "_config.execute",
        "1_a/9_no",
        *chain.options,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no chapter '1_a/9_no'" in done.stderr
    assert "1_a/1_one, 1_a/2_two" in done.stderr


def test_entries_are_plain_json(chain):
    (path,) = chain.store.glob("1_a.1_one.*.json")
    assert set(json.loads(path.read_text())) == {"checksum", "entry"}

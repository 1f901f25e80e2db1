"""The ledger refuses what has not been built, and nothing else."""

from pathlib import Path
from textwrap import dedent

import pytest

from _config.chapters.parse import read_book
from _config.ledger import torch_names
from _config.ledger.__main__ import main
from _config.ledger.rule import read_ledger, read_rules
from _config.site.ledger_page import written

pytest_plugins = "pytester"
FIRST, SECOND, THIRD = "1_a/1_first", "1_a/2_second", "2_b/1_third"
RULES = """
[allowed]
"Tensors" = "torch.Tensor torch.tensor torch.ones torch.sum torch.exp"
"Other packages" = "matplotlib einops.rearrange numpy.array"
[planned]
"9_z/1_later" = "Later"
"""


@pytest.fixture
def book(tmp_path: Path):
    """Writes a book of the given chapters and returns what is refused."""

    def write(*chapters: str, tests: str = "", rules: str = RULES) -> list[str]:
        for name, text in zip([FIRST, SECOND, THIRD], chapters, strict=False):
            path = tmp_path / "book" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text).lstrip())
        (tmp_path / "tests").mkdir(exist_ok=True)
        (tmp_path / "tests" / "test_all.py").write_text(dedent(tests).lstrip())
        (tmp_path / "ledger.toml").write_text(rules)
        ledger = read_ledger(
            read_book(tmp_path / "book"),
            tmp_path / "tests",
            tmp_path / "ledger.toml",
        )
        return [str(e).replace(f"{tmp_path}/", "") for e in ledger.errors]

    return write


IMPORTS = """\
# %%
import torch
from torch import Tensor, nn
import torch.nn.functional as F
x = torch.ones(3)
"""
CELL = "# %%\n"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("x @ x", "`@` (torch.matmul)"),
        ("x @= x", "`@` (torch.matmul)"),
        ("torch.einsum('i,i', x, x)", "torch.einsum"),
        ("x.matmul(x)", ".matmul (torch.Tensor.matmul)"),
        ("x.__matmul__(x)", ".__matmul__ (torch.Tensor.__matmul__)"),
        ("x.sum().backward()", ".backward (torch.Tensor.backward)"),
        ("x.grad = None", ".grad (torch.Tensor.grad)"),
        ("[each.requires_grad_() for each in [x]]", ".requires_grad_"),
        ("getattr(x, 'backward')()", ".backward"),
        ("torch.ones(3, requires_grad=True)", "requires_grad="),
        ("x.new_ones(3, requires_grad=x > 0)", ".new_ones"),
        ("nn.Linear(2, 3)", "torch.nn.Linear"),
        ("def f(model: nn.Module): ...", "torch.nn.Module"),
        ("class Ours(nn.Module): ...", "torch.nn.Module"),
        ("F.relu(x)", "torch.nn.functional.relu"),
        ("torch.nn.init.kaiming_normal_(x)", "torch.nn.init.kaiming_normal_"),
        ("torch.Tensor.softmax(x, 0)", "torch.Tensor.softmax"),
        ("from torch.optim import SGD", "torch.optim.SGD"),
        ("from torch.nn import *", "torch.nn.*"),
        ("layers = nn; layers.Linear(2, 3)", "torch.nn.Linear"),
        ("vars(nn)['Linear']", "torch.nn is not allowed here: use its names"),
        ("import torchvision", "torchvision"),
        ("import sklearn.datasets as data", "sklearn.datasets"),
        ("from einops import einsum", "einops.einsum"),
        ("import numpy as np; np.dot(x, x)", "numpy.dot"),
        ("import numpy as np; f(np)", "numpy is not allowed here: use its"),
    ],
)
def test_a_use_that_is_not_open_is_refused_with_its_line(book, line, name):
    errors = book(f"{IMPORTS}\n{CELL}{line}\n")

    assert f"book/1_a/1_first.py:8: {name}" in errors[0]
    assert " is not allowed here" in errors[0]


def test_a_line_is_named_once_for_each_name(book):
    errors = book(IMPORTS + "y = (F.relu(F.relu(x))\n  + F.relu(\n  x))\n")

    assert [each.split(": ")[0] for each in errors] == [
        "book/1_a/1_first.py:6",
        "book/1_a/1_first.py:7",
    ]


@pytest.mark.parametrize(
    "lines",
    [
        "x.sum() + torch.sum(x).exp_()",
        "import json, os.path\njson.dumps(os.path.sep)",
        "import matplotlib.pyplot as plt\nplt.plot(x)",
        "from einops import rearrange\nrearrange(x, 'a -> a')",
        "import numpy as np\nnp.array([1])",
        "from groundup import nn\nnn.Linear(2, 3).weight",
        "from groundup.nn import functional as F\nF.softmax(x)",
        "import groundup.optim as optim\noptim.SGD(x)",
        "torch.ones(3, requires_grad=False)",
        "def f(nn): return nn.Linear",  # an argument hides the module
        "nn = 3\nnn.Linear",
        "class Linear: ...\nLinear(requires_grad=True)",
        "class Tensor: ...\ndef f(x: Tensor): x.sum()",
        "'torch.nn.Linear'  # x @ x",
    ],
)
def test_what_is_allowed_or_ours_passes(book, lines):
    assert book(f"{IMPORTS}{CELL}{lines}\n") == []


LAYER = """
class Layer:
    scale: float

    def __init__(self):
        self.grad = None

    def __matmul__(self, other): ...

    def backward(self, grad): ...
"""


def test_what_a_class_of_the_chapter_defines_is_ours(book):
    uses = "def f(a, b):\n    a.backward(b.grad)\n    a @ b\n"
    assert book(IMPORTS + uses + LAYER) == []
    assert len(book(IMPORTS + uses)) == 3
    layer = "class Layer:\n    backward, grad = 1, 2\n    __matmul__ = max\n"
    assert book(IMPORTS + uses + layer) == []


def test_a_tensor_has_torchs_method_even_if_a_class_of_ours_has_it(book):
    uses = """
y = (x + 1).sum()
y.backward()
torch.ones(3).backward()
def f(z: Tensor):
    z.backward()
x @ x
"""
    lines = [each.split(": ")[0][-2:] for each in book(IMPORTS + LAYER + uses)]

    assert lines == ["18", "19", "21", "22"]


def test_an_argument_hides_a_module_in_its_function_only(book):
    errors = book(IMPORTS + "def f(nn):\n    nn.Linear\nnn.Linear\n")

    assert [each.split(": ")[0] for each in errors] == ["book/1_a/1_first.py:8"]


def test_what_self_holds_is_not_ours(book):
    learner = (
        "class Learner:\n    def step(self):\n        self.loss.backward()"
    )

    assert ":8: .backward" in book(IMPORTS + learner)[0]


EXPORT = '# %% tags=["export"] module="manual"\n'


def test_a_class_is_ours_where_its_module_is_imported(book):
    use = "model = make()\nmodel.backward(1)\n"
    base = "# %%\nfrom groundup.manual import Layer\n"
    heir = '# %% tags=["export"] module="heir"\nclass Heir(Layer): ...\n'

    def errors(module: str) -> list[str]:
        third = f"# %%\nimport groundup.{module}\n{use}"
        return book(EXPORT + LAYER, base + heir, third)

    assert errors("heir") == errors("manual") == []
    assert "book/2_b/1_third.py:4: .backward" in errors("plot")[0]


PROOF = """
import pytest

@pytest.mark.earns("torch.matmul")
def test_product(): ...
"""
EARNING = """
# %% tags=["export"] module="linalg" earns="torch.matmul"
def matmul(a, b):
    return a @ b
"""


def test_an_earned_name_is_open_from_its_cell_on(book):
    first = f"{IMPORTS}{CELL}x @ x\n{EARNING}"

    errors = book(first, "# %%\nf(a @ b, a.matmul(b))", tests=PROOF)

    assert [each.split(": ")[:2] for each in errors] == [
        ["book/1_a/1_first.py:7", "`@` (torch.matmul) is not allowed here"]
    ]


def test_an_earned_name_needs_a_test(book):
    assert book(EARNING) == [
        "book/1_a/1_first.py:1: torch.matmul is earned by no test: mark one "
        '@pytest.mark.earns("torch.matmul")'
    ]


@pytest.mark.parametrize(
    ("tests", "error"),
    [
        (PROOF, "4: proves torch.matmul, which no chapter earns"),
        (PROOF.replace("test_", "check_"), "4: check_product is no test"),
        (
            PROOF.replace('"torch.matmul"', "NAME"),
            "3: mark.earns takes the names",
        ),
        ("def test_(:", "1: invalid syntax"),
    ],
)
def test_a_wrong_proof_is_refused_with_its_line(
    book, tmp_path, capsys, tests, error
):
    book(CELL)
    (tmp_path / "tests" / "test_all.py").write_text(tests.lstrip())

    arguments = ["--book", tmp_path / "book", "--tests", tmp_path / "tests"]

    assert main([str(each) for each in arguments]) == 1
    assert f"tests/test_all.py:{error}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("marker", "error"),
    [
        ('earns="torch.mtmul"', "torch has no torch.mtmul"),
        ('earns="matmul"', "torch has no matmul"),
        ('earns="torch.nn"', "torch.nn is a module"),
        ('loans="torch.no_such" repaid="9_z/1_later"', "torch has no"),
        ('loans="torch.no_grad"', "a loan says what and by whom"),
        ('repaid="9_z/1_later"', "a loan says what and by whom"),
        ('loans="torch.exp" repaid="9_z/1_later"', "torch.exp needs no loan"),
        ('loans="torch.no_grad" repaid="2_b/9_no"', "there is no such chapter"),
        ('loans="torch.no_grad" repaid="1_a/1_first"', "does not come later"),
        ('loans="torch.no_grad" repaid="1_a/2_second"', "does not earn it"),
    ],
)
def test_a_wrong_marker_is_refused_with_its_line(book, marker, error):
    errors = book(f'# %%\n# %% tags=["export"] module="a" {marker}\n', CELL)

    assert errors[0].startswith("book/1_a/1_first.py:2: ")
    assert error in errors[0]


def test_only_an_exported_cell_earns(book):
    assert "stands on an exported cell" in book('# %% earns="torch.mm"\n')[0]


def test_a_name_is_earned_once(book):
    errors = book(EARNING, EARNING, tests=PROOF)

    assert errors == [
        "book/1_a/2_second.py:1: torch.matmul is already earned by 1_a/1_first"
    ]


def test_a_loan_lasts_until_the_chapter_that_repays_it(book):
    use = "f(a @ b)\n"
    loan = f'# %% loans="torch.matmul" repaid="{THIRD}"\n'

    errors = book(
        f"{CELL}{use}{loan}{use}", CELL + use, CELL + use + EARNING, tests=PROOF
    )

    assert [each.split(": ")[0] for each in errors] == [
        "book/1_a/1_first.py:2",
        "book/2_b/1_third.py:2",
    ]


def test_a_planned_chapter_may_repay_until_it_is_written(book):
    loan = '# %% loans="torch.no_grad" repaid="9_z/1_later"\n'
    written = RULES.replace("9_z/1_later", SECOND)

    assert book(loan) == []
    assert book(loan.replace("9_z/1_later", SECOND), CELL, rules=written) == [
        f"ledger.toml:6: {SECOND} is written: take it off [planned]"
    ]


def test_reference_cells_are_exempt_but_hide_nothing(book):
    reference = (
        '# %% tags=["reference"]\nfrom torch.nn import Linear\nLinear(1, 1)\n'
    )

    assert book(reference) == []
    assert ":5: torch.nn.Linear" in book(f"{reference}{CELL}Linear(2, 2)\n")[0]


def test_a_cell_that_is_no_python_hides_no_fault_and_makes_none(book):
    broken = EARNING + "\n# %%\nx = (\n"
    errors = book(broken, "# %%\nx.exp2()\nx @ x\n", tests=PROOF)

    assert [each.partition(": ")[0] for each in errors] == [
        "book/1_a/1_first.py:6",
        "book/1_a/2_second.py:2",
    ]


def test_the_page_shows_what_is_allowed_earned_and_on_loan(book, tmp_path):
    loan = '# %% loans="torch.no_grad torch.matmul" repaid="9_z/1_later"\n'
    book(f"# %%\n{loan}", EARNING, tests=PROOF)
    result = {
        "names": ["torch.matmul"],
        "label": "8 x 8",
        "ratio": 1.25,
        "low": 1.0,
        "high": 1.5,
        "at_most": 1.1,
        "missed": True,
    }
    measured = {
        "keys": {},
        "date": "2026-01-01",
        "hardware": "two cores",
        "versions": {"torch": "2"},
        "results": {"bench_linalg.py": [result]},
    }

    ledger = read_ledger(read_book(tmp_path / "book"), tmp_path / "tests")
    text = written(ledger, measured, keys={"bench_linalg.py": "newer"})

    assert "| Reductions | `torch.sum` `torch.nansum`" in text
    assert (
        "| `torch.matmul` | {doc}`/1_a/2_second` | {py:obj}`groundup.linalg.matmul`"
        f" | `{tmp_path}/tests/test_all.py::test_product`"
        " | 1.25 [1.00, 1.50] (8 x 8, expected ≤ 1.1) |"
    ) in text
    assert "on two cores, torch 2, 2026-01-01. The code has changed" in text
    assert "| `torch.no_grad` | {doc}`/1_a/1_first` |" in text


def test_every_allowed_name_exists():
    names = [each for each in read_rules().allowed if each.startswith("torch.")]

    assert [each for each in names if torch_names.kind(each) == "missing"] == []


PROOFS = """
import pytest

@pytest.mark.earns("torch.matmul")
def test_skipped():
    pytest.skip("no time")

@pytest.mark.earns("torch.mm")
@pytest.mark.xfail
def test_xfailed():
    assert False

@pytest.mark.earns("torch.bmm")
@pytest.mark.xfail
def test_passes_in_spite():
    pass

@pytest.mark.earns("torch.add")
def test_proof():
    pass

def test_skipped_but_no_proof():
    pytest.skip("no time")
"""
INI = "[pytest]\nmarkers = earns: a proof\n"


def test_a_proof_that_does_not_run_fails(pytester):
    pytester.makeconftest(
        (Path(__file__).parents[2] / "conftest.py").read_text()
    )
    pytester.makeini(INI)
    pytester.makepyfile(PROOFS)

    result = pytester.runpytest("-p", "no:playwright")

    result.assert_outcomes(failed=3, passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["*::test_skipped proves torch.matmul for the*"]
    )
    assert result.ret == 1


def test_a_file_of_proofs_that_is_skipped_fails(pytester):
    pytester.makeconftest(
        (Path(__file__).parents[2] / "conftest.py").read_text()
    )
    pytester.makeini(INI)
    skip = "import pytest\npytest.skip('no', allow_module_level=True)\n"
    pytester.makepyfile(test_no_proofs=skip)
    assert pytester.runpytest("-p", "no:playwright").ret == 5  # nothing ran
    pytester.makepyfile(skip + PROOFS)

    result = pytester.runpytest("-p", "no:playwright")

    assert result.ret != 0
    result.stdout.fnmatch_lines(["*proves torch.matmul, *may not be skipped*"])

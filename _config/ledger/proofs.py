"""The tests that prove a torch name: ``@pytest.mark.earns("torch.matmul")``."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from _config.chapters.files import ROOT, ChapterError, shown

TESTS = ROOT / "tests"


@dataclass(frozen=True)
class Proof:
    """A test that compares ours with torch's."""

    name: str
    path: Path
    line: int
    test: str

    def __str__(self) -> str:
        return f"{shown(self.path)}::{self.test}"


def read_proofs(tests: Path = TESTS) -> list[Proof]:
    """Every ``@pytest.mark.earns`` on a test, found without importing."""
    return [
        proof
        for path in sorted(tests.rglob("test_*.py"))
        for proof in proofs_in(path)
    ]


def proofs_in(path: Path) -> Iterator[Proof]:
    """The proofs in one file of tests."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ChapterError(path, error.lineno or 1, error.msg) from None
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", ()):
            if not isinstance(decorator, ast.Call):
                continue
            if not ast.unparse(decorator.func).endswith("mark.earns"):
                continue
            if not node.name.startswith("test"):
                message = f"{node.name} is no test, so it proves nothing"
                raise ChapterError(path, node.lineno, message)
            for argument in decorator.args:
                if not isinstance(argument, ast.Constant):
                    message = (
                        "mark.earns takes the names themselves, as strings"
                    )
                    raise ChapterError(path, argument.lineno, message)
                yield Proof(argument.value, path, node.lineno, node.name)

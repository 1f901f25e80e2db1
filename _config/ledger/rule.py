"""The rule ledger: a thing is used only after it has been built.

Reads the chapters and the tests, imports neither.  A cell ``earns`` torch names
from itself on, if a test marked ``@pytest.mark.earns`` proves them; a cell
borrows names (``loans``) until the chapter that repays them begins.  Anything
else that ``ledger.toml`` does not allow is refused with its line.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from _config.chapters.files import ChapterError
from _config.chapters.parse import Cell, Chapter
from _config.ledger.proofs import TESTS, Proof, read_proofs
from _config.ledger.torch_names import kind, prefixes, spellings
from _config.ledger.uses import Named, Walker, class_attributes

RULES = Path(__file__).with_name("ledger.toml")
FREE = sys.stdlib_module_names | {"groundup"}


@dataclass(frozen=True)
class Rules:
    """What ``ledger.toml`` says: groups of allowed names, planned chapters."""

    groups: dict[str, tuple[str, ...]]
    planned: dict[str, str]

    @cached_property
    def allowed(self) -> set[str]:
        return {name for group in self.groups.values() for name in group}


@dataclass(frozen=True)
class Earned:
    """A torch name, the cell that earns it, and its tests."""

    name: str
    chapter: Chapter
    cell: Cell
    proofs: tuple[Proof, ...]

    @property
    def ours(self) -> str | None:
        """The definition in the cell that stands for torch's."""
        wanted = self.name.rpartition(".")[2].rstrip("_")
        names = [name for each in self.cell.statements for name in paths(each)]
        same = [n for n in names if n.split(".")[-1].rstrip("_") == wanted]
        found = next(iter(same + names), None)
        return found and f"groundup.{self.chapter.module(self.cell)}.{found}"


def paths(node: ast.stmt) -> Iterator[str]:
    """``Linear``, and ``Linear.forward``, for each of its methods."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    if isinstance(node, ast.ClassDef):
        for inner in node.body:
            yield from (f"{node.name}.{path}" for path in paths(inner))


@dataclass(frozen=True)
class Loan:
    """A torch name, the cell that borrows it, the chapter that repays it."""

    name: str
    chapter: Chapter
    cell: Cell
    repaid: str


@dataclass
class Ledger:
    """What the book earns and borrows, and what is wrong with it."""

    rules: Rules
    chapters: Sequence[Chapter]
    earned: dict[str, Earned] = field(default_factory=dict)
    loans: list[Loan] = field(default_factory=list)
    errors: list[ChapterError] = field(default_factory=list)

    def open_loans(self, chapter: Chapter | None = None) -> list[Loan]:
        """The loans not repaid by the time ``chapter`` begins, or ever."""
        until = self.chapters.index(chapter) + 1 if chapter else None
        begun = {each.name for each in self.chapters[:until]}
        return [loan for loan in self.loans if loan.repaid not in begun]


def read_rules(path: Path = RULES) -> Rules:
    """Read ``ledger.toml``."""
    rules = tomllib.loads(path.read_text())
    groups = {
        key: tuple(text.split()) for key, text in rules["allowed"].items()
    }
    return Rules(groups, rules.get("planned", {}))


def read_ledger(
    chapters: Sequence[Chapter], tests: Path = TESTS, rules: Path = RULES
) -> Ledger:
    """Check the book against the rule; the ledger holds what is wrong."""
    ledger = Ledger(read_rules(rules), chapters)
    proofs = read_proofs(tests)
    library: dict[str, set[str]] = {}
    ledger.errors += [e for chapter in chapters for e in chapter.errors]
    for chapter in chapters:
        check_chapter(ledger, chapter, proofs, library)
    ledger.errors += unpaid(ledger)
    for proof in proofs:
        if proof.name not in ledger.earned:
            message = f"proves {proof.name}, which no chapter earns"
            ledger.errors.append(ChapterError(proof.path, proof.line, message))
    for chapter in chapters:
        if chapter.name in ledger.rules.planned:
            line = rules.read_text().split(chapter.name)[0].count("\n") + 1
            message = f"{chapter.name} is written: take it off [planned]"
            ledger.errors.append(ChapterError(rules, line, message))
    return ledger


def check_chapter(
    ledger: Ledger,
    chapter: Chapter,
    proofs: list[Proof],
    library: dict[str, set[str]],
) -> None:
    """Check a chapter's cells in order; enter its classes in ``library``."""
    nodes = {cell.line: cell.sound for cell in chapter.code}
    ours = [cell for cell in chapter.code if "reference" not in cell.tags]
    own = [node for cell in ours for node in nodes[cell.line]]
    walker = Walker(class_attributes(own), library)
    for cell in chapter.cells:
        ledger.errors += enter_cell(ledger, chapter, cell, proofs)
        uses = walker.names(nodes.get(cell.line, []))
        if cell in ours:
            ledger.errors += violations(ledger, chapter, uses)
    for cell in ours:
        if "export" in cell.tags:
            module = library.setdefault(chapter.module(cell), set())
            module |= class_attributes(nodes[cell.line]) | walker.inherited


def enter_cell(
    ledger: Ledger, chapter: Chapter, cell: Cell, proofs: list[Proof]
) -> Iterator[ChapterError]:
    """Enter what a cell earns and borrows; yield what is wrong with it."""

    def wrong(message: str) -> ChapterError:
        return ChapterError(chapter.path, cell.line, message)

    earns, loans = cell.words("earns"), cell.words("loans")
    repaid = cell.metadata.get("repaid", "")
    if earns and "export" not in cell.tags:
        yield wrong('earns= stands on an exported cell: tags=["export"]')
    if loans and cell.kind != "code":
        yield wrong("loans= stands on a code cell")
    if bool(loans) != bool(repaid):
        yield wrong('a loan says what and by whom: loans="..." repaid="..."')
    for name in earns + loans:
        found = kind(name) if name.startswith("torch.") else "missing"
        if found == "missing":
            yield wrong(f"torch has no {name}")
        if found == "module":
            yield wrong(f"{name} is a module: name what is built or used of it")
    for name in earns:
        proving = tuple(proof for proof in proofs if proof.name == name)
        if not proving:
            mark = f'@pytest.mark.earns("{name}")'
            yield wrong(f"{name} is earned by no test: mark one {mark}")
        if name in ledger.earned:
            owner = ledger.earned[name].chapter.name
            yield wrong(f"{name} is already earned by {owner}")
        else:
            ledger.earned[name] = Earned(name, chapter, cell, proving)
    for name in loans:
        if is_open(name, ledger.rules.allowed | set(ledger.earned)):
            yield wrong(f"{name} needs no loan: it is allowed or earned here")
        ledger.loans.append(Loan(name, chapter, cell, repaid))


def violations(
    ledger: Ledger, chapter: Chapter, uses: list[Named]
) -> Iterator[ChapterError]:
    """The uses that are neither allowed, nor earned, nor on loan."""
    allowed = ledger.rules.allowed
    lent = {loan.name for loan in ledger.open_loans(chapter)}
    opened = allowed | set(ledger.earned) | lent
    for use in dict.fromkeys(uses):
        root = use.name.split(".")[0]
        if root in FREE or is_open(use.name, opened):
            continue
        torch_module = root == "torch" and kind(use.name) == "module"
        if torch_module or any(
            name.startswith(f"{use.name}.") for name in allowed
        ):
            if use.imported:
                continue
            mend = "use its names, so that they can be checked"
        elif root == "torch":
            mend = "build it first (earns=), borrow it (loans=), or compare "
            mend += 'with it in a cell tagged "reference"'
        else:
            mend = "the book uses the standard library and ledger.toml's list"
        full = f" ({use.name})" if use.text != use.name else ""
        message = f"{use.text}{full} is not allowed here: {mend}"
        yield ChapterError(chapter.path, use.line, message)


def is_open(name: str, opened: set[str]) -> bool:
    """Whether a spelling of ``name``, or what it lies beneath, is opened."""
    above = [each for each in prefixes(name)[:-1] if each != "torch.Tensor"]
    return any(spellings(each) & opened for each in [name, *above])


def unpaid(ledger: Ledger) -> Iterator[ChapterError]:
    """The loans whose chapter neither repays them nor is planned."""
    order = [chapter.name for chapter in ledger.chapters]
    for loan in ledger.loans:
        earned = {
            name
            for name, entry in ledger.earned.items()
            if entry.chapter.name == loan.repaid
        }
        if not loan.repaid or loan.repaid in ledger.rules.planned:
            continue
        if loan.repaid not in order:
            problem = (
                "there is no such chapter, nor is it planned in ledger.toml"
            )
        elif order.index(loan.repaid) <= order.index(loan.chapter.name):
            problem = "that chapter does not come later"
        elif not is_open(loan.name, earned):
            problem = "that chapter does not earn it"
        else:
            continue
        message = (
            f"the loan of {loan.name} is repaid by {loan.repaid}: {problem}"
        )
        yield ChapterError(loan.chapter.path, loan.cell.line, message)

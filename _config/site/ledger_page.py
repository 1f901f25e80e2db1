"""The ledger as a page of the site."""

from collections.abc import Iterable, Iterator, Sequence

from _config.ledger.rule import Earned, Ledger, Loan
from _config.runs import ratios

INTRODUCTION = """# The ledger

Only Python, its standard library, tensors as arrays with a random generator,
and plots may be used from the start. Everything else is built first: a chapter
*earns* a name of torch when a test proves that ours agrees with it, and only
then may the real one be used. What must be used before it is built is on
*loan*, until the chapter that repays it. The build refuses any other use."""


def written(ledger: Ledger, measured: dict, keys: dict[str, str]) -> str:
    """The page in MyST; ``measured`` is what ``ratios.read`` returns, ``keys``
    what it would be measured for now."""
    sections = [
        INTRODUCTION,
        "## Earned",
        ratios.provenance(measured, keys),
        grid(
            ("torch", "earned in", "ours", "proved by", "time, ours / torch"),
            (earned(each, measured) for each in ledger.earned.values()),
        ),
        "## On loan",
        grid(
            ("torch", "taken in", "repaid in", "state"),
            (loan(each, ledger) for each in ledger.loans),
        ),
        "## Allowed from the start",
        grid(("what", "names"), allowed(ledger)),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table, or a sentence where there is nothing to show."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    rule = f"| {' | '.join('---' for _ in head)} |"
    return "\n".join(
        [f"| {' | '.join(head)} |", rule, *lines] if lines else ["None yet."]
    )


def allowed(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """A row a group; the standard library and groundup need no names."""
    yield "Python", "the language, its standard library, and `groundup` itself"
    for group, names in ledger.rules.groups.items():
        yield group, " ".join(f"`{name}`" for name in names)


def earned(entry: Earned, measured: dict) -> tuple[str, ...]:
    """The row of an earned name."""
    return (
        f"`{entry.name}`",
        chapter_link(entry.chapter.name),
        f"{{py:obj}}`{entry.ours}`" if entry.ours else "",
        "<br>".join(f"`{proof}`" for proof in entry.proofs),
        "<br>".join(ratios.ratios(entry.name, measured)),
    )


def loan(entry: Loan, ledger: Ledger) -> tuple[str, ...]:
    """The row of a loan."""
    is_open = entry in ledger.open_loans()
    planned = ledger.rules.planned.get(entry.repaid, entry.repaid)
    return (
        f"`{entry.name}`",
        chapter_link(entry.chapter.name),
        f"{planned} (planned)" if is_open else chapter_link(entry.repaid),
        "open" if is_open else "repaid",
    )


def chapter_link(name: str) -> str:
    """A reference to a chapter's page, by its title."""
    return f"{{doc}}`/{name}`"

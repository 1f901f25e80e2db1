"""``python -m _config.ledger`` prints each violation, a line each."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from _config.chapters.files import BOOK, ChapterError
from _config.chapters.parse import read_book
from _config.ledger.proofs import TESTS
from _config.ledger.rule import read_ledger


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each violation; 1 if there is one."""
    parser = argparse.ArgumentParser(prog="python -m _config.ledger")
    parser.add_argument("--book", type=Path, default=BOOK)
    parser.add_argument("--tests", type=Path, default=TESTS)
    options = parser.parse_args(arguments)
    try:
        ledger = read_ledger(read_book(options.book), options.tests)
    except ChapterError as error:
        print(error)
        return 1
    for error in ledger.errors:
        print(error)
    return 1 if ledger.errors else 0


if __name__ == "__main__":
    sys.exit(main())

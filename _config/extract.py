"""The command ``python -m _config.extract [--check] [--through PART]``."""

import argparse
import gc
import sys
from pathlib import Path

from _config.chapters.files import BOOK, SRC, ChapterError, shown
from _config.library.extraction import extract


def main() -> None:
    """Extract, and print the files that changed or what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m _config.extract",
        description="Extract the library from the book.",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing, fail if the library is stale",
    )
    parser.add_argument(
        "--through",
        metavar="PART",
        help="only up to a part (1_pixels, 1) or a chapter",
    )
    parser.add_argument("--book", type=Path, default=BOOK)
    parser.add_argument("--src", type=Path, default=SRC)
    options = parser.parse_args()
    gc.disable()  # it would look through the book's trees again and again
    try:
        changed = extract(**vars(options))
    except ValueError as error:
        parser.error(str(error))
    except ChapterError as error:
        sys.exit(str(error))
    except ExceptionGroup as group:
        sys.exit("\n".join(map(str, group.exceptions)))
    for path in changed:
        print(shown(path) + ": stale" * options.check)
    sys.exit(options.check and bool(changed))


if __name__ == "__main__":
    main()

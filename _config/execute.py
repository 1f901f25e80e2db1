"""Run the chapters whose outputs are not in the store, two at a time.

``python -m _config.execute [CHAPTER ...] [--list-stale] [--jobs N]``
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from _config.chapters.files import BOOK, SRC, ChapterError
from _config.runs.execution import chosen, execute, sort_out
from _config.runs.scratch import interrupted, on_ending
from _config.runs.store import STORE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER")
    parser.add_argument("--list-stale", action="store_true")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--limit", type=float, help="seconds a cell may take")
    parser.add_argument("--book", type=Path, default=BOOK)
    parser.add_argument("--src", type=Path, default=SRC)
    parser.add_argument("--store", type=Path, default=STORE)
    args = parser.parse_args()
    places = (args.book, args.src, args.store)
    on_ending(lambda number: signal.signal(number, interrupted))
    try:
        if not args.list_stale:
            return bool(execute(args.chapters, *places, args.jobs, args.limit))
        stale, _, failures = sort_out(chosen(args.chapters, args.book), *places)
    except LookupError as error:
        print(error, file=sys.stderr)
        return 2
    except ChapterError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted: what had ended is stored", file=sys.stderr)
        return 130
    for failure in failures:
        print(failure, file=sys.stderr)
    for chapter in stale:
        print(chapter.name)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())

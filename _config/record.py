"""Run a chapter's long measurements and keep them beside it.

``python -m _config.record CHAPTER [NAME] [--seeds N]``
"""

import argparse
import sys
from pathlib import Path

from _config.chapters.files import BOOK, SRC, ChapterError, shown
from _config.chapters.parse import read_chapter
from _config.runs.execution import chosen
from _config.runs.measure import measure
from _config.runs.records import record_cells


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("chapter", metavar="CHAPTER")
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument(
        "--seeds", type=int, help="by default as many as kept, or 5"
    )
    parser.add_argument("--book", type=Path, default=BOOK)
    parser.add_argument("--src", type=Path, default=SRC)
    args = parser.parse_args()
    try:
        (path,) = chosen([args.chapter], args.book)
        chapter = read_chapter(path, args.book)
        cells = record_cells(chapter)
        if args.name:
            cells = [c for c in cells if c.metadata["record"] == args.name]
        if not cells:
            wanted = f"record {args.name!r}" if args.name else "record"
            raise ChapterError(chapter.path, 1, f"the chapter has no {wanted}")
        for cell in cells:
            done = measure(chapter, cell, args.seeds, args.src)
            print(f"wrote {shown(done.path)}")
    except (ChapterError, LookupError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

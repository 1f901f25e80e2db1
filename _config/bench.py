"""Our speed beside torch's, as ratios: ``python -m _config.bench``."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from _config.chapters.files import SRC
from _config.runs import ratios
from _config.runs.scratch import interrupted, on_ending


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if an expectation is missed."""
    parser = argparse.ArgumentParser(prog="python -m _config.bench")
    stale = "measure only what has changed, briefly, and pass whatever it is"
    parser.add_argument("--stale", action="store_true", help=stale)
    parser.add_argument("--benchmarks", type=Path, default=ratios.BENCHMARKS)
    parser.add_argument("--store", type=Path, default=ratios.STORE)
    parser.add_argument("--src", type=Path, default=SRC)
    seconds = "for each benchmark; 1 if only stale ones are measured, else 10"
    parser.add_argument("--seconds", type=float, help=seconds)
    options = parser.parse_args(arguments)
    seconds = options.seconds or (1 if options.stale else 10)
    places = options.benchmarks, options.store, options.src
    before = ratios.read(options.store)
    measured = ratios.measure_stale(*places, seconds, options.stale)
    if measured == before:
        return 0
    for each in ratios.results(measured):
        flag = (
            f"  missed: at most {each['at_most']:g}" if each["missed"] else ""
        )
        times = f"{each['ours'] * 1e6:10.1f} us {each['theirs'] * 1e6:10.1f} us"
        what = f"{' '.join(each['names'])} ({each['label']})"
        print(f"{what:56} {times}  {ratios.spread(each)}{flag}")
    print(ratios.provenance(measured, measured["keys"]))
    missed = any(each["missed"] for each in ratios.results(measured))
    return int(missed and not options.stale)


if __name__ == "__main__":
    on_ending(lambda number: signal.signal(number, interrupted))
    try:
        sys.exit(main())
    except (OSError, RuntimeError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)

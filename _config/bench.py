"""The command ``python -m _config.bench``: see ``runs.benchmarks``."""

import sys

from _config.runs.benchmarks import main

if __name__ == "__main__":
    sys.exit(main())

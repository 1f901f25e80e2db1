"""The command ``python -m _config.bench``: see ``runs.ratios``."""

import sys

from _config.runs.ratios import main

if __name__ == "__main__":
    sys.exit(main())

"""The command ``python -m _config.record``: see ``runs.records``."""

import sys

from _config.runs.records import main

if __name__ == "__main__":
    sys.exit(main())

"""The command ``python -m _config.record``: see ``runs.measure``."""

import sys

from _config.runs.measure import main

if __name__ == "__main__":
    sys.exit(main())

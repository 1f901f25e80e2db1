"""The command ``python -m _config.execute``: see ``runs.execution``."""

import sys

from _config.runs.execution import main

if __name__ == "__main__":
    sys.exit(main())

"""The command ``python -m _config.build``: see ``site.steps``."""

import sys

from _config.site.steps import main

if __name__ == "__main__":
    sys.exit(main())

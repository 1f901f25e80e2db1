"""The command ``python -m _config.build``: see ``site.build``."""

import sys

from _config.site.build import main

if __name__ == "__main__":
    sys.exit(main())

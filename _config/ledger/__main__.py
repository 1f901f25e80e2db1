"""The command ``python -m _config.ledger``: each violation, a line each."""

import sys

from _config.ledger.command import main

sys.exit(main())

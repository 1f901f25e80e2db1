"""The command ``python -m _config.extract``: see ``library.extraction``."""

from _config.library.extraction import main

if __name__ == "__main__":
    main()

"""``python -m prunecheck``: the command line."""

import sys

from prunecheck.cli import main

if __name__ == "__main__":
    sys.exit(main())

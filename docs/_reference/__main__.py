"""``python -m docs._reference``: write the generated parts of the pages anew."""

from __future__ import annotations

import sys

from docs._reference import write

# cyclopts names a program that was started with -m by its module, in the usage lines too
sys.argv[0] = "prunecheck"
for name in write():
    print(f"docs/{name}")

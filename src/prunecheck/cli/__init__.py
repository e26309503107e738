"""Command-line interface: parses arguments, calls the package, prints.

Commands import what they need when they are called: torch, pydantic, scipy and matplotlib take up to seconds to
import, and ``--help``, shell completion and ``list`` need none of them.
"""

from prunecheck.cli.main import main

__all__ = ["main"]

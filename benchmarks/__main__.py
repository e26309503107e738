"""``python -m benchmarks [SECTION] [--quick]``: Markdown tables of ratios on stdout.

``all`` takes at most eight minutes on two idle cores; ``sparse``, which is not in it, as long again. ``--quick`` only
shows that everything runs: its numbers mean nothing. Rounds during which others used the machine are thrown away where
the system tells (Linux).
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version

SECTIONS = ("training", "masks", "demo")
ALONE = ("sparse", "precision", "gpu", "planning", "scores", "study", "engines", "many_steps")
"""sections that are too long to be part of ``all``"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables asked for; 1 where a section failed, once the others are done."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.split("\n\n")[1])
    parser.add_argument("section", nargs="?", choices=(*SECTIONS, *ALONE, "all"), default="all")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round: only to see that it runs")
    asked = parser.parse_args(arguments)
    print(f"prunecheck {version('prunecheck')}, torch {version('torch')}, {platform.machine()}, {os.cpu_count()} cores")
    if asked.quick:
        print("\n**Quick run: the numbers mean nothing.**")
    failed = 0
    for name in SECTIONS if asked.section == "all" else (asked.section,):
        print(f"\n## {name}\n", flush=True)
        try:
            print(importlib.import_module(f"benchmarks.{name}").report(asked.quick, say), flush=True)
        except Exception:
            failed = 1
            print("failed, see stderr", flush=True)
            traceback.print_exc()
    return failed


def say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

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

SECTIONS = {
    "training": "the loop on two cores against the official loop of Su et al.; the cost of masks (4 minutes)",
    "masks": "masks from scores and at random, 25.5 million weights: time and memory (2 minutes)",
    "demo": "the time of the demo by kind of step (2 minutes)",
}
ALONE = {
    "sparse": "the sparse backend against the official loop and the dense one (12 minutes)",
    "precision": "dense and sparse training in bfloat16 and float32, on one core (5 minutes)",
    "targets": "ResNet-32 at 98 %: every setting against the official loop, also with AVX2 alone (8 minutes)",
    "gpu": "training on one GPU: recorded steps, evaluation, equal bits, a study; writes gpu-benchmark.md (6 minutes)",
    "planning": "planning, judging and the page, for 100 to 100,000 steps (1 minute)",
    "scores": "SNIP, GraSP and SynFlow in training steps (4 minutes)",
    "study": "an adaptive study against one arm at a time; two workers against one (5 minutes)",
    "engines": "two workers against the ideal; the overhead of a step, in local processes and on Ray (3 minutes)",
    "many_steps": "a study of many simulated steps: run, killed, resumed, reported (10 minutes)",
}
"""sections that are too long to be part of ``all``"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables asked for; 1 where a section failed, once the others are done."""
    parser = argparse.ArgumentParser(
        prog="benchmarks",
        description=__doc__.split("\n\n")[1],
        epilog="\n".join(f"  {name:<12}{what}" for name, what in {**SECTIONS, **ALONE}.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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

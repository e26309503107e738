"""A real A/A study: a random ticket against its own rearrangement, equal in distribution by construction.

Whatever the instrument calls DEPENDS here is a false alarm. The seed pairs are judged all together, and cut into
adaptive studies of ten seeds each, as a user would run them.

    uv run python -m benchmarks.aa_study [--pairs 200] [--store DIR]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

import prunecheck
from prunecheck.statistics import Settings, judge, open_checks, read_rows

CHANCE = 0.1


def study(pairs: int) -> dict[str, Any]:
    """Digits, a small convolutional network, 90 %: about a third of a second per training."""
    return {
        "name": "aa",
        "question": "Does the instrument raise an alarm where there is nothing to find?",
        "model": "convnet",
        "data": "digits",
        "methods": ["random_ticket"],
        "checks": ["layerwise_rearrange"],
        "sparsities": [0.9],
        "seeds": pairs,
        "controls": [],
        "training": {"epochs": 4, "rewind_epoch": 1, "schedule": "linear", "warmup": 0.5},
    }


def small_studies(rows: list[Mapping[str, Any]], margin: float, seeds: int = 10) -> Iterator[str]:
    """The verdict of every group of *seeds* seeds, looked at after 3, 5, 7 and 10 of them."""
    last = max(row["seed"] for row in rows)
    for first in range(0, last + 1 - seeds + 1, seeds):
        for n in (3, 5, 7, 10):
            part = [row for row in rows if first <= row["seed"] < first + n]
            found = judge(read_rows(part), settings=Settings(margin=margin, chance=CHANCE, design="sequential"))
            if n == seeds or not open_checks(found):
                (cell,) = [c.pooled or c.cells[0] for c in found.checks if c.check == "layerwise_rearrange"]
                yield cell.verdict
                break


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--store", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = options.store or Path(scratch) / "store"
        console = Console(stderr=True)
        results = prunecheck.run(study(options.pairs), store=store, folder=Path(scratch) / "out", console=console)
    (check,) = results.verdict.checks
    print(f"{options.pairs} pairs together: {check.sentence}")
    answers = Counter(small_studies(results.rows, results.verdict.margin))
    print(f"{sum(answers.values())} studies of up to 10 seeds: " + ", ".join(f"{n} {a}" for a, n in answers.items()))
    return 1 if answers["DEPENDS"] or check.verdict == "DEPENDS" else 0


if __name__ == "__main__":
    sys.exit(main())

"""How noisy are trained tickets, and how alike are the two arms of a pair? Measured from any study's results.

    uv run python -m benchmarks.seed_noise runs/STUDY/results.csv

For every method x check x sparsity: seeds, the standard deviations of both arms and of their differences in points, the
correlation of the pairs, and beside them the floor that the test set alone gives (Jordan 2023: sqrt(err / 2n)).
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Noise(NamedTuple):
    """All in points of accuracy, but ``n`` pairs and the correlation ``rho``."""

    method: str
    check: str
    sparsity: str
    n: int
    accuracy: float
    sd_clean: float
    sd_corrupted: float
    sd_difference: float
    rho: float
    floor: float


def noises(rows: Iterable[Mapping[str, str]]) -> list[Noise]:
    """One entry per cell with at least three pairs."""
    arms: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    n_test = 1
    for row in rows:
        arms[row["method"], row["check"], row["sparsity"]][row["seed"]] = 100 * float(row["accuracy"])
        n_test = int(float(row["n_test"]))
    found = []
    for (method, check, sparsity), corrupted in arms.items():
        clean = arms.get((method, "clean", sparsity), {})
        seeds = sorted(set(clean) & set(corrupted))
        if check == "clean" or len(seeds) < 3:
            continue
        a, b = np.array([[clean[s], corrupted[s]] for s in seeds]).T
        spread = a.std(ddof=1) * b.std(ddof=1)
        rho = float(np.cov(a, b)[0, 1] / spread) if spread else float("nan")
        floor = 100 * float(np.sqrt((1 - a.mean() / 100) / (2 * n_test)))
        found.append(
            Noise(
                method,
                check,
                sparsity,
                len(seeds),
                float(a.mean()),
                float(a.std(ddof=1)),
                float(b.std(ddof=1)),
                float((a - b).std(ddof=1)),
                rho,
                floor,
            )
        )
    return found


def main() -> None:
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as file:
        found = noises(csv.DictReader(file))
    print("| method | check | sparsity | n | clean | sd clean | sd corrupted | sd difference | correlation | floor |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for one in found:
        numbers = f"{one.accuracy:.1f} | {one.sd_clean:.2f} | {one.sd_corrupted:.2f} | {one.sd_difference:.2f}"
        print(
            f"| {one.method} | {one.check} | {one.sparsity} | {one.n} | {numbers} | {one.rho:.2f} | {one.floor:.2f} |"
        )


if __name__ == "__main__":
    main()

"""Is another metric less noisy than accuracy? Measured from the results of any study that recorded both.

    uv run python -m benchmarks.metric_noise runs/STUDY/results.csv --chance 0.1

For every method x check x sparsity the standard deviation of the paired difference, in margins of its own metric: the
margin rule is applied to the dense runs of that metric, so no corrupted arm takes part in it. The number of seeds that
a verdict needs is proportional to the square; the last column is that square beside accuracy's. Below the table: how
often five seeds, drawn from the cell's own residuals about a true drop of exactly one margin, would give a verdict.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmarks.table import markdown

METRICS = ("accuracy", "p_correct", "brier")
DRAWS, SEEDS = 20_000, 5


class Paired(NamedTuple):
    """``drops``: clean minus corrupted by seed, in points of *metric*."""

    method: str
    check: str
    sparsity: str
    metric: str
    drops: tuple[float, ...]


def margins(rows: Sequence[Mapping[str, str]], chance: float) -> dict[str, float]:
    """The margin rule in points of every metric, from the dense rows."""
    from prunecheck.statistics import settle_margin

    dense = [row for row in rows if row["method"] == "dense"]
    return {
        metric: settle_margin([float(row[metric]) for row in dense], int(dense[0]["n_test"]), chance=chance).points
        for metric in METRICS
        if dense[0].get(metric)
    }


def paired(rows: Iterable[Mapping[str, str]], metrics: Iterable[str]) -> list[Paired]:
    """Every cell with at least three pairs whose arms differ."""
    arms: dict[tuple[str, str, str], dict[str, Mapping[str, str]]] = defaultdict(dict)
    for row in rows:
        arms[row["method"], row["check"], row["sparsity"]][row["seed"]] = row
    found = []
    for (method, check, sparsity), arm in sorted(arms.items()):
        clean = arms.get((method, "clean", sparsity), {})
        seeds = sorted(arm.keys() & clean.keys())
        if check == "clean" or len(seeds) < 3:
            continue
        for metric in metrics:
            drops = tuple(100 * (float(clean[s][metric]) - float(arm[s][metric])) for s in seeds)
            if np.ptp(drops) > 0:
                found.append(Paired(method, check, sparsity, metric, drops))
    return found


def error_at_margin(cells: Sequence[Paired], margin: Mapping[str, float], metric: str) -> float:
    """Share of studies of five seeds that say "below the margin" at 5 % where the true drop is the margin."""
    rng, wrong = np.random.default_rng(0), []
    for cell in cells:
        if cell.metric == metric:
            residuals = np.array(cell.drops) - np.mean(cell.drops)
            drawn = margin[metric] + rng.choice(residuals, size=(DRAWS, SEEDS))
            t = (drawn.mean(axis=1) - margin[metric]) / (drawn.std(axis=1, ddof=1) / np.sqrt(SEEDS))
            wrong.append(float((stats.t.cdf(t, SEEDS - 1) <= 0.05).mean()))
    return float(np.mean(wrong))


def report(path: Path, chance: float) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    margin = margins(rows, chance)
    cells = paired(rows, margin)
    lines, ratios = [], defaultdict(list)
    for base in [cell for cell in cells if cell.metric == "accuracy"]:
        same = {cell.metric: cell for cell in cells if cell[:3] == base[:3]}
        relative = {metric: np.std(cell.drops, ddof=1) / margin[metric] for metric, cell in same.items()}
        for metric in relative:
            ratios[metric].append((relative[metric] / relative["accuracy"]) ** 2)
        shown = [f"{relative[metric]:.2f}" if metric in relative else "" for metric in margin]
        means = [f"{np.mean(same[metric].drops):+.2f}" if metric in same else "" for metric in margin]
        lines.append((f"{base.method} x {base.check}", str(len(base.drops)), *means, *shown))
    heads = ("cell", "pairs", *(f"mean drop, {m}" for m in margin), *(f"sd / margin, {m}" for m in margin))
    below = []
    for metric, points in margin.items():
        variance = float(np.exp(np.mean(np.log(ratios[metric]))))
        below.append(
            f"{metric}: margin {points:.3f} points; variance in margins, beside accuracy's, {variance:.2f} (geometric "
            f"mean); error at the margin {error_at_margin(cells, margin, metric):.3f}"
        )
    return markdown(heads, lines) + "\n\n" + "\n".join(f"- {line}" for line in below)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--chance", type=float, default=0.1)
    asked = parser.parse_args(arguments)
    print(report(asked.results, asked.chance))


if __name__ == "__main__":
    main(sys.argv[1:])

"""How often a study gives the same list of verdicts with other seeds: sequential studies drawn from many seeds.

``python -m benchmarks.demo_stability results.csv --most 20 --studies 1000``. The tables hold runs of the same
study with different seeds (a column of the study's metric each). Every drawn study adds one seed after the other, in a
random order, to whatever is still open, as a study with ``seeds = "auto"`` does. Its margin is 1 % of what its first
three dense networks know above guessing. Another machine rounds differently, which for a trained network is like
another seed.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from prunecheck.statistics import Settings, StudyVerdict, judge, read_rows

Place = tuple[str, str, str]
Runs = Mapping[Place, Mapping[str, Mapping[str, str]]]
FIRST = 3
CHANCE = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--metric", default="p_correct")
    parser.add_argument("--most", type=int, default=20, help="seeds at most")
    parser.add_argument("--studies", type=int, default=1000)
    given = parser.parse_args()
    runs = read_runs(given.tables, given.metric)
    lists, trainings = Counter[str](), []
    for number in range(given.studies):
        verdict, trained = drawn_study(runs, random.Random(number), given.most)
        lists[in_one_line(verdict)] += 1
        trainings.append(trained)
    for text, count in lists.most_common():
        print(f"{count / given.studies:6.1%}  {text}")
    ordered = sorted(trainings)
    median, high = ordered[len(ordered) // 2], ordered[95 * len(ordered) // 100]
    print(f"trained networks: median {median}, 95 % of studies at most {high}")


def read_runs(tables: Iterable[Path], metric: str) -> dict[Place, dict[str, dict[str, str]]]:
    """(method, check, sparsity) -> seed -> row, its accuracy replaced by the metric."""
    runs: dict[Place, dict[str, dict[str, str]]] = {}
    for path in tables:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["check"] != "identity":
                    place = row["method"], row["check"], row["sparsity"]
                    runs.setdefault(place, {})[row["seed"]] = {**row, "accuracy": row[metric]}
    return runs


def drawn_study(runs: Runs, rng: random.Random, most: int) -> tuple[StudyVerdict, int]:
    """The final verdict of one study over seeds in a random order, and how many networks it trained."""
    seeds = sorted(set.intersection(*(set(found) for found in runs.values())))
    rng.shuffle(seeds)
    most = min(most, len(seeds))
    dense = [float(runs["dense", "clean", ""][seed]["accuracy"]) for seed in seeds[:FIRST]]
    margin = 100 * 0.01 * (sum(dense) / FIRST - CHANCE)
    settings = Settings(margin=margin, margin_rule="1%", design="sequential", max_seeds=most, chance=CHANCE)
    used = dict.fromkeys(runs, FIRST)
    while True:
        rows = [runs[place][seed] for place, n in used.items() for seed in seeds[:n]]
        verdict = judge(read_rows(rows), settings=settings)
        wanted = open_arms(verdict, runs)
        n = max(used.values())
        if not wanted or n >= most:
            return verdict, sum(used.values())
        for place in wanted:
            used[place] = n + 1


def open_arms(verdict: StudyVerdict, runs: Runs) -> set[Place]:
    """The arms that need another seed: of open checks with their clean arms, and of open comparisons."""
    methods = {(c.method, c.check) for c in verdict.checks if c.open} | {
        (c.method, "clean") for c in verdict.checks if c.open
    }
    methods |= {(name, "clean") for one in verdict.comparisons if one.open for name in (one.first, one.second)}
    return {place for place in runs if place[:2] in methods}


def in_one_line(verdict: StudyVerdict) -> str:
    """Methods, comparisons and checks with their verdicts; random tickets by the state of their controls."""
    parts = [f"{one.first} against {one.second}: {one.verdict}" for one in verdict.comparisons]
    parts += [f"{one.method}: {one.verdict}" for one in verdict.methods if one.role != "reference"]
    parts += _named(verdict, ("INCONCLUSIVE", "UNINFORMATIVE"))
    parts += [f"control {c.method} {c.check}: {c.status}" for c in verdict.controls if c.status in ("failed", "weak")]
    return "; ".join(parts)


def _named(verdict: StudyVerdict, answers: Sequence[str]) -> list[str]:
    return [
        f"{c.method} x {c.check}: {c.verdict}" for c in verdict.checks if c.verdict in answers and c.control != "aa"
    ]


if __name__ == "__main__":
    main()

"""Sequential studies drawn from many seeds."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from benchmarks.demo_stability import drawn_study, in_one_line, read_runs

DROPS = {"snip": 0.0, "lr_rewinding": 0.04}


def table(path: Path, drops: dict[str, float], noise: float) -> Path:
    rng = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "check", "sparsity", "seed", "accuracy", "p_correct", "n_test"])
        for seed in range(8):
            writer.writerow(["dense", "clean", "", seed, 0.5, 0.95, 2500])
            for method, drop in [*drops.items(), ("random_ticket", None)]:
                clean = 0.93 + rng.gauss(0, noise)
                writer.writerow([method, "clean", 0.8, seed, 0.5, clean, 2500])
                if drop is not None:
                    lost = clean - drop + rng.gauss(0, noise)
                    writer.writerow([method, "layerwise_rearrange", 0.8, seed, 0.5, lost, 2500])
    return path


def test_clear_effects_are_decided_with_few_seeds_and_by_the_metric(tmp_path: Path) -> None:
    runs = read_runs([table(tmp_path / "results.csv", DROPS, 0.001)], "p_correct")
    verdict, trained = drawn_study(runs, random.Random(1), 8)
    assert verdict.margin == pytest.approx(0.85)
    assert in_one_line(verdict) == "snip against random_ticket: NOT BETTER; lr_rewinding: PASSES; snip: FAILS"
    assert 3 * len(runs) <= trained < 8 * len(runs) - 8


def test_effect_at_the_margin_takes_every_seed_and_is_named(tmp_path: Path) -> None:
    runs = read_runs([table(tmp_path / "results.csv", DROPS | {"snip": 0.0085}, 0.01)], "p_correct")
    verdict, trained = drawn_study(runs, random.Random(1), 8)
    assert "snip x layerwise_rearrange: INCONCLUSIVE" in in_one_line(verdict)
    assert trained > 3 * len(runs)

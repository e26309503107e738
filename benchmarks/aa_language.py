"""A/A over calibration draws of a language model: a method against itself with draws of its own.

    uv run python -m benchmarks.aa_language [--pairs 100] [--store DIR]

The model reads bytes and is trained in seconds. Both arms are equal in distribution, so that whatever is judged DEPENDS
is a false alarm. All pairs are judged together, and studies of a few of them, drawn at random, with the arms of each
pair in random order: with the margin of the study (a share of what magnitude pruning loses), and with none, where the
rate of false alarms should be the level.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from tests.tiny_lm import write_example

import prunecheck
from prunecheck.statistics.crossed import p_beyond
from prunecheck.statistics.variance import noise

Array = NDArray[np.float64]
MODEL = Path(__file__).parents[1] / "tests" / "tiny_lm.py"
METHOD, OTHER, SPARSITY = "wanda", "aa", 0.75
DRAWS, LEVELS = (3, 5, 10), (0.05, 0.01)


def study(folder: Path, pairs: int) -> dict[str, Any]:
    """Four sequences of 64 bytes for each draw, so that draws differ."""
    return {
        "task": "language_model",
        "name": "aa-language",
        "model": f"{MODEL}:TinyLM",
        "weights": str(folder / "tiny.safetensors"),
        "methods": ["magnitude", METHOD],
        "checks": ["permuted_norms"],
        "controls": ["aa"],
        "sparsities": [SPARSITY],
        "seeds": pairs,
        "data": {
            "calibration": str(folder / "calibration.jsonl"),
            "evaluation": str(folder / "evaluation.jsonl"),
            "sequences": 4,
            "length": 64,
            "tokens": 400,
        },
    }


def differences(table: Path) -> Array:
    """[documents, draws]: nats per token of the second arm minus the first, of documents.csv."""
    nats: dict[str, dict[tuple[str, int], float]] = defaultdict(dict)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["method"] == METHOD:
                nats[row["check"]][row["document"], int(row["seed"])] = float(row["nll"])
    documents = sorted({document for document, _ in nats[OTHER]})
    draws = sorted({draw for _, draw in nats[OTHER]})
    return np.array([[nats[OTHER][d, s] - nats["clean"][d, s] for s in draws] for d in documents])


def p_values(found: Array, draws: int, margin: float, studies: int, rng: np.random.Generator) -> Array:
    """p of "the second arm is worse by more than *margin*" of *studies*, each of *draws* pairs of *found*: what
    ``documents_by_draws`` gives for one."""
    chosen = np.array([rng.choice(found.shape[1], draws, replace=False) for _ in range(studies)])
    signs = rng.choice([-1.0, 1.0], (studies, draws))
    table = (found[:, chosen] * signs).transpose(1, 2, 0)[None]
    found_p: Array = p_beyond(noise(table.mean(axis=-1), documents=table), margin, 1)[0]
    return found_p


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--studies", type=int, default=20000, help="drawn from the pairs, of each size")
    parser.add_argument("--store", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_example(folder)
        began, cpu = time.perf_counter(), time.process_time()
        results = prunecheck.run(
            study(folder, options.pairs),
            store=options.store or folder / "store",
            folder=folder / "out",
            console=Console(stderr=True),
            workers=1,
        )
        seconds, own = time.perf_counter() - began, time.process_time() - cpu
        found = differences(folder / "out" / "documents.csv")
    (check,) = [one for one in results.verdict.checks if one.check == OTHER]
    margin, prunings = check.cells[0].margin, len(results.rows)
    print(f"{options.pairs} pairs, {prunings} rows in {seconds:.0f} s, {own:.0f} CPU seconds")
    print(f"all together: {check.verdict}. {check.sentence}\n")
    print("| draws of a study | margin | level | false alarms |\n|---|---|---|---|")
    rng = np.random.Generator(np.random.PCG64(0))
    for draws in DRAWS:
        for size, level in [(margin, LEVELS[0]), *((0.0, level) for level in LEVELS)]:
            rate = float((p_values(found, draws, size, options.studies, rng) <= level).mean())
            print(f"| {draws} | {size:.3f} | {level:g} | {rate:.4f} |")
    return 1 if check.verdict == "DEPENDS" else 0


if __name__ == "__main__":
    sys.exit(main())

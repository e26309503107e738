"""Do the dense and the sparse backend train the same networks? One real study on each, judged by the instrument itself.

Every arm of the study is a "method" here, the dense backend its clean arm and the sparse backend its check: equal
seeds share mask, start weights, data order and augmentation, so all that differs is the arithmetic. The answer wanted
is DOES NOT DEPEND for every arm, and equal verdicts of the two studies. With ``--precision`` the same question about
the sparse backend in float32 and in bfloat16; dense networks, and weights that tickets start from, then differ too.

    uv run python -m benchmarks.backends_agree [--precision] [--seeds 10] [--sparsity 0.95] [--store DIR]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

import prunecheck
from prunecheck.statistics import StudyVerdict, verdict

OTHER = "other_arithmetic"


def study(backend: str, precision: str, seeds: int, sparsity: float) -> dict[str, Any]:
    """MNIST's 5,000 images at 16 x 16, ResNet-8: about ten seconds a dense training."""
    return {
        "name": f"{backend}-{precision}",
        "model": "resnet8_w16",
        "data": {"name": "mnist5k", "size": 16},
        "methods": ["snip", "lottery_ticket", "random_ticket"],
        "checks": ["layerwise_rearrange"],
        "sparsities": [sparsity],
        "seeds": seeds,
        "controls": [],
        "backend": backend,
        "precision": precision,
        "training": {"epochs": 3, "rewind_epoch": 1, "lr": 0.1, "schedule": "linear", "warmup": 0.5},
    }


def paired(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of both studies as the rows of one: an arm is a method, the other arithmetic its check."""
    rows = [row for row in one if row["method"] == "dense"]
    for check, found in (("clean", one), (OTHER, other)):
        for row in found:
            if row["method"] != "dense":
                arm = f"{row['method']}/{row['check']}"
                wanted = {k: row[k] for k in ("sparsity", "seed", "accuracy", "n_test", "diverged")}
                rows.append({"method": arm, "check": check, **wanted})
    return rows


def agreement(judged: StudyVerdict) -> list[str]:
    """The arms whose accuracy depends on the arithmetic, or where that is still open."""
    return [f"{check.method}: {check.verdict}" for check in judged.checks if check.verdict != "DOES NOT DEPEND"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", action="store_true", help="float32 against bfloat16, both sparse")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sparsity", type=float, default=0.95)
    parser.add_argument("--store", type=Path, default=None)
    options = parser.parse_args()
    kinds = (("dense", "float32"), ("sparse", "float32"))
    if options.precision:
        kinds = (("sparse", "float32"), ("sparse", "bfloat16"))
    with tempfile.TemporaryDirectory() as scratch:
        store = options.store or Path(scratch) / "store"
        results = [
            prunecheck.run(
                study(backend, precision, options.seeds, options.sparsity),
                store=store,
                folder=Path(scratch) / f"{backend}-{precision}",
                console=Console(stderr=True),
            )
            for backend, precision in kinds
        ]
    first, second = results
    judged = verdict(paired(first.rows, second.rows), first.verdict.margin)
    for check in judged.checks:
        print(check.sentence)
    names = [" ".join(kind) for kind in kinds]
    for one, other in zip(first.verdict.checks, second.verdict.checks, strict=True):
        print(f"{one.method} x {one.check}: {one.verdict} ({names[0]}), {other.verdict} ({names[1]})")
    return 1 if agreement(judged) else 0


if __name__ == "__main__":
    sys.exit(main())

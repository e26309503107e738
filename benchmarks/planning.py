"""What surrounds the trainings, from a hundred to a hundred thousand: planning, judging, the page. Is it linear?

``python -m benchmarks.planning plan|judge N`` measures one size in a process of its own: CPU seconds, so that others
on the machine disturb little, and memory at the highest moment. A million steps: ``… planning plan 1000000``.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.resident import extra_mib
from benchmarks.table import markdown

SIZES = (100, 1_000, 10_000, 100_000)
QUICK_SIZES = (100, 1_000)
METHODS = ("snip", "grasp", "lr_rewinding", "random_ticket", "lottery_ticket", "hybrid_ticket")
CHECKS = ("corrupted_data", "layerwise_rearrange", "layerwise_weight_shuffle")
SPARSITIES = (0.5, 0.9, 0.95, 0.98)
STEPS_PER_SEED = 240
ROWS_PER_SEED = len(METHODS) * (1 + len(CHECKS)) * len(SPARSITIES)
HEAD = ("what", "how many", "CPU s", "µs each", "extra MiB", "kB each")


def report(quick: bool, say: Callable[[str], None]) -> str:
    rows = []
    for what, each in (("plan", "steps planned"), ("judge", "rows judged, page written")):
        for size in QUICK_SIZES if quick else SIZES:
            say(f"planning: {what} {size}")
            command = [sys.executable, "-m", "benchmarks.planning", what, str(size)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            count, seconds, mib = done.stdout.split()
            n = int(count)
            cells = (f"{n}", f"{float(seconds):.2f}", f"{float(seconds) / n * 1e6:.0f}", f"{float(mib):.0f}")
            rows.append((each, *cells, f"{float(mib) * 1024 / n:.2f}"))
    return f"{markdown(HEAD, rows)}\n\nThe same time and memory each, whatever the size: linear."


def plan(size: int) -> tuple[int, float, float]:
    """Steps, CPU seconds and extra MiB of one plan of about *size* steps."""
    from prunecheck.study import Plan, load_study, make_plan

    seeds = list(range(max(1, round(size / STEPS_PER_SEED))))
    fields = {"model": "resnet20", "data": "mnist5k", "methods": list(METHODS), "checks": list(CHECKS)}
    study = load_study({**fields, "sparsities": list(SPARSITIES), "seeds": seeds, "backend": "dense"})
    made: list[Plan] = []
    seconds, mib = _measured(lambda: made.append(make_plan(study)))
    return len(made[0].steps), seconds, mib


def judged(size: int) -> tuple[int, float, float]:
    """Rows, CPU seconds and extra MiB of the verdict on *size* made-up rows and its page."""
    from prunecheck.reporting import ReportData, write
    from prunecheck.statistics import Settings, judge, read_rows

    seeds = max(3, round(size / ROWS_PER_SEED))
    rows = made_up_rows(seeds)
    settings = Settings(margin=1.0, max_seeds=seeds)

    def work(some: list[dict[str, object]]) -> None:
        verdict = judge(read_rows(some), study="made up", settings=settings)
        with tempfile.TemporaryDirectory() as folder:
            write(ReportData(name="made up", rows=some, verdict=verdict), Path(folder))

    work(made_up_rows(3))  # what is loaded on first use is not counted
    return (len(rows), *_measured(lambda: work(rows)))


def made_up_rows(seeds: int) -> list[dict[str, object]]:
    """Results of every method under every check at every sparsity; nothing loses anything."""
    rng = random.Random(0)
    cells: list[tuple[str, str, float | None]] = [("dense", "clean", None)]
    cells += [(m, c, s) for s in SPARSITIES for m in METHODS for c in ("clean", *CHECKS)]
    return [
        {"method": m, "check": c, "sparsity": s, "seed": seed, "accuracy": 0.9 + 0.01 * rng.random(), "n_test": 1000}
        for m, c, s in cells
        for seed in range(seeds)
    ]


def _measured(work: Callable[[], object]) -> tuple[float, float]:
    begun = time.process_time()
    mib = extra_mib(work)
    return time.process_time() - begun, mib


if __name__ == "__main__":
    print(*{"plan": plan, "judge": judged}[sys.argv[1]](int(sys.argv[2])))

"""Where the demo's time goes: a fresh run in a temporary store, read from the times the store keeps of its steps."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.table import markdown
from prunecheck import api
from prunecheck.resources import study_path
from prunecheck.study.step import Step

SECONDS = 120.0
"""after which the demo is stopped; what it did until then tells the shares well enough"""
DEMO = "import sys; from prunecheck.cli import main; sys.exit(main(sys.argv[1:]))"
IMPORTS = "import prunecheck.steps, prunecheck.runner.study_run"
TINY = (
    "seeds=3",
    'methods=["snip", "random_ticket"]',
    'checks=["layerwise_rearrange"]',
    "data.train_size=200",
    "data.test_size=100",
    "training.epochs=1",
    "training.rewind_epoch=0",
    "scoring.samples_per_class=2",
)
WORKERS = 2


def report(quick: bool, say: Callable[[str], None]) -> str:
    overrides = TINY if quick else ()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        say("demo: import")
        imports = _seconds_of([sys.executable, "-c", IMPORTS])
        say("demo: run")
        wall, finished = _run_demo(place, overrides)
        stages, trained = seconds_by_stage(place / "store" / "timings.jsonl", _steps(overrides))
        whole = wall * WORKERS
        spent = {"import (once)": imports, **stages}
        if finished:
            spent |= _verdict_and_report(place, overrides)
    spent["waiting and the rest"] = max(0.0, whole - sum(spent.values()))
    rows = [(stage, f"{100 * seconds / whole:.1f} %") for stage, seconds in spent.items()]
    how = "a whole run" if finished else f"a run stopped after {wall:.0f} s"
    return (
        f"{markdown(('stage of the demo', f'share of {WORKERS} cores'), rows)}\n\n"
        f"For information: {how} took {wall:.1f} s on {WORKERS} workers and trained {trained} networks."
    )


def seconds_by_stage(timings: Path, steps: Mapping[str, Step]) -> tuple[dict[str, float], int]:
    """Core-seconds of every kind of step, and how many networks were trained. The store keeps seconds per unit of
    work, so the plan's *steps* tell how much work a line stands for."""
    spent: dict[str, float] = {}
    trained = 0
    for line in timings.read_text().splitlines():
        record = json.loads(line)
        step = steps.get(record["key"])
        if step is not None:
            spent[step.kind] = spent.get(step.kind, 0.0) + record["seconds"] * max(step.cost_units, 1.0)
            trained += step.kind in ("pretrain", "train")
    order = ("pretrain", "score", "mask", "corrupt", "train", "compare")
    return {kind: spent[kind] for kind in order if kind in spent}, trained


def _run_demo(place: Path, overrides: tuple[str, ...]) -> tuple[float, bool]:
    """Seconds, and whether the demo came to its end."""
    options = ["--workers", str(WORKERS), "--store", str(place / "store"), "--out", str(place / "out")]
    for override in overrides:
        options += ["--set", override]
    begun = time.monotonic()
    with (place / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-c", DEMO, "demo", *options], stdout=log, stderr=log)
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
            return time.monotonic() - begun, False
    if process.returncode:
        raise RuntimeError(f"the demo failed:\n{(place / 'log').read_text()}")
    return time.monotonic() - begun, True


def _verdict_and_report(place: Path, overrides: tuple[str, ...]) -> dict[str, float]:
    """Seconds of judging and of writing the results, done once more from the store."""
    from prunecheck.runner.interim_analyses import settings_of
    from prunecheck.statistics import judge, read_rows
    from prunecheck.study import load_study

    begun = time.perf_counter()
    results = api.report(_study(), overrides=overrides, store=place / "store", folder=place / "out")
    both = time.perf_counter() - begun
    settings = settings_of(load_study(_study(), overrides))
    begun = time.perf_counter()
    judge(read_rows(results.rows), study=results.study.name, settings=settings)
    judging = time.perf_counter() - begun
    return {"verdict": judging, "report": max(0.0, both - judging)}


def _steps(overrides: tuple[str, ...]) -> Mapping[str, Step]:
    return api.plan(_study(), overrides).steps


def _study() -> Path:
    return study_path("demo")


def _seconds_of(command: list[str]) -> float:
    begun = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - begun

"""What engines add to the steps: two workers against the ideal for steps of 5 s, and the overhead of an empty step.

Steps are simulated: a long one sleeps, so that other programs on the machine change little, and an empty one only
commits its result. Start-up is left out by the difference of a long and a short run, and listed by itself. An engine
that is not installed is left out and named.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from benchmarks.table import markdown, times
from prunecheck.runner.engine import execute
from prunecheck.runner.executors import InThisProcess, StepExecutor
from prunecheck.runner.processes import Workers
from prunecheck.runner.ray_cluster import RayExecutor
from prunecheck.runner.worker import WorkerConfig
from prunecheck.steps.perform import STEPS
from prunecheck.store import Store
from prunecheck.study import Step

WORKERS = 2
HEAD = ("engine", "start-up s", "2 workers, 5 s steps", "target", "ms for an empty step", "against local processes")
TARGET = 0.9
PLUGIN = """
import time
from prunecheck.steps.perform import STEPS

def act(step, context):
    time.sleep(step.params["seconds"])
    return {"result.json": b"{}"}

STEPS["mask"] = act
"""


def report(quick: bool, say: Callable[[str], None]) -> str:
    long, each, empty, rounds = (0.2, 1, 4, 1) if quick else (5.0, 3, 400, 3)
    engines: dict[str, Callable[[WorkerConfig], StepExecutor]] = {
        "in this process": InThisProcess,
        "local processes": lambda config: Workers(config, WORKERS),
        "Ray": lambda config: RayExecutor(config, WORKERS, say),
    }
    absent = "Ray is not installed and left out." if find_spec("ray") is None else ""
    if absent:
        del engines["Ray"]
    before = dict(STEPS)
    found: dict[str, tuple[float, float, float]] = {}
    try:
        for name, make in engines.items():
            say(f"engines: {name}")
            found[name] = _measured(make, long, each, empty, rounds)
    finally:
        STEPS.update(before)
    usual = found["local processes"][2]
    rows = []
    for name, (start, efficiency, overhead) in found.items():
        met = "" if name == "in this process" else f"≥ {TARGET:.0%}, {'met' if efficiency >= TARGET else 'missed'}"
        share = "" if name == "in this process" else f"{efficiency:.1%} of ideal"
        rows.append((name, f"{start:.1f}", share, met, f"{overhead * 1000:.1f}", times(overhead / usual)))
    return "\n\n".join(filter(None, (markdown(HEAD, rows), absent)))


def _measured(
    make: Callable[[WorkerConfig], StepExecutor], long: float, each: int, empty: int, rounds: int
) -> tuple[float, float, float]:
    """Seconds until two empty steps are done, start-up included; share of the ideal for steps of *long* seconds on two
    workers; seconds that an empty step takes. *each*: long steps of a worker; *empty*: steps of each of *rounds*, of
    which the median counts."""
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder, "sleeps.py")
        plugin.write_text(PLUGIN)
        Store.open(Path(folder, "store"))
        config = WorkerConfig(Path(folder, "store"), None, (plugin,), Path(folder))
        lasting = make(config)
        # Processes of this machine end with their run, and actors of Ray with their executor.
        executor = (lambda: lasting) if isinstance(lasting, RayExecutor) else (lambda: make(config))
        try:
            start = _seconds(executor(), config, WORKERS, 0.0)[0]
            ready, wall = _seconds(executor(), config, WORKERS * (1 + each), long)
            efficiency = each * long / (wall - ready)
            overheads = []
            for _ in range(rounds):
                ready, wall = _seconds(executor(), config, WORKERS + empty, 0.0)
                overheads.append((wall - ready) / empty)
        finally:
            if isinstance(lasting, RayExecutor):
                lasting.close()
    return start, efficiency, statistics.median(overheads)


_count = 0


def _seconds(executor: StepExecutor, config: WorkerConfig, steps: int, seconds: float) -> tuple[float, float]:
    """Until as many of *steps* new steps are done as there are workers, and until all are."""
    global _count
    made = [Step("mask", {"seconds": seconds, "number": _count + n}, {}, f"{n}") for n in range(steps)]
    _count += steps
    ends: list[float] = []
    begun = time.perf_counter()

    def watch(_step: Step, _seconds: float) -> None:
        ends.append(time.perf_counter() - begun)

    outcome = execute({s.key: s for s in made}, config, WORKERS, lambda _: 1.0, watch, executor)
    assert len(outcome.done) == steps, outcome.failures
    return ends[WORKERS - 1], ends[-1]

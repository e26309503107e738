"""A study of many steps whose computing is simulated: planned, run, killed half-way, resumed, reported. Is it linear?

``python -m benchmarks.many_steps N [--workers W]`` for one size; all of planning, store, engine and report is real. CPU
seconds are those of all processes, memory that of the run's process. The disk needs about 25 kB for each step. With
``--slice K`` the study of N steps is planned, K of its steps run, the run killed, and its status read.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.planning import CHECKS, METHODS, STEPS_PER_SEED
from benchmarks.resident import resident_mib
from benchmarks.table import markdown

if TYPE_CHECKING:
    from prunecheck.store import Store
    from prunecheck.study import Step, Study

SIZES = (2_000, 20_000)
QUICK_SIZES = (240,)
PARTS = 4
"""of the steps, to compare the first with the last"""
HEAD = ("what", "steps", "CPU ms a step", "MiB at the end")
SPARSITIES = (0.5, 0.8, 0.9, 0.95)
WEIGHTS, N_TEST = 1000, 1000

PLUGIN = """
from benchmarks.many_steps import simulate
simulate()
"""
"""plug-in file that every worker loads"""


def report(quick: bool, say: Callable[[str], None]) -> str:
    rows: list[tuple[str, ...]] = []
    for size in QUICK_SIZES if quick else SIZES:
        rows += measured(size, 1, say)
    return f"{markdown(HEAD, rows)}\n\nThe same time at each size and in each part, and memory as the plan's: linear."


def measured(size: int, workers: int, say: Callable[[str], None]) -> Iterator[tuple[str, ...]]:
    """Rows of the table for about *size* steps, all of which are run."""
    with tempfile.TemporaryDirectory() as folder:
        say(f"many_steps: {size}, killed half-way")
        killed = _run(folder, size, workers, "--kill")
        say(f"many_steps: {size}, resumed")
        resumed = _run(folder, size, workers)
    first, steps = killed[0]["steps"], resumed[-1]["steps"]
    done = [line["done"] for line in (killed[-1], *resumed) if "done" in line]
    # Workers finish their step after their run was killed, and it is in neither count.
    lost = workers if workers > 1 else 0
    assert steps - lost <= done[0] + done[-1] <= steps, f"{done} of {steps} steps were computed"
    yield from _parts(killed, "first half")
    yield from _parts(resumed, "second half")
    last = [line for line in resumed if "part" in line][-1]
    yield _start(killed)
    reported = (resumed[-1]["cpu"] - last["cpu"]) / steps * 1000
    yield "judge and report", f"{first}", f"{reported:.2f}", f"{resumed[-1]['mib']:.0f}"


def sliced(size: int, few: int, workers: int, say: Callable[[str], None]) -> Iterator[tuple[str, ...]]:
    """Rows of the table for about *size* steps, of which *few* are run."""
    with tempfile.TemporaryDirectory() as folder:
        say(f"many_steps: {size}, the first {few}")
        killed = _run(folder, size, workers, "--kill", "--slice", str(few))
        say(f"many_steps: {size}, status")
        (found,) = _run(folder, size, workers, "--status")
    steps = found["steps"]
    assert 0 <= found["done"] - few <= workers, found  # workers finish their step after the kill
    killed = [line | {"steps": steps} for line in killed]
    yield _start(killed[1:])  # after the first step, since the run itself has planned by then
    yield from _parts(killed, "slice")
    yield "status", f"{steps}", f"{found['cpu'] / steps * 1000:.2f}", f"{found['mib']:.0f}"


def _start(lines: list[dict[str, Any]]) -> tuple[str, ...]:
    steps = lines[0]["steps"]
    return "start and plan", f"{steps}", f"{lines[0]['cpu'] / steps * 1000:.2f}", f"{lines[0]['mib']:.0f}"


def _parts(lines: list[dict[str, Any]], name: str) -> Iterator[tuple[str, ...]]:
    for before, after in pairwise(line for line in lines if "part" in line):
        each = (after["cpu"] - before["cpu"]) / max(1, after["done"] - before["done"])
        what = f"run, {name}, part {after['part']} of {PARTS}"
        yield what, f"{lines[0]['steps']}", f"{each * 1000:.2f}", f"{after['mib']:.0f}"


def _run(folder: str, size: int, workers: int, *more: str) -> list[dict[str, Any]]:
    words = [sys.executable, "-m", "benchmarks.many_steps", str(size), "--workers", str(workers), "--in", folder]
    done = subprocess.run([*words, *more], capture_output=True, text=True)
    assert done.returncode == (-signal.SIGKILL if "--kill" in more else 0), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def run(folder: Path, size: int, workers: int, kill: bool, few: int | None = None) -> None:
    """Run the study of *size* steps in *folder*; prints a line of JSON for each part, and is killed after *few* steps,
    or half of them."""
    from prunecheck.runner import study_run
    from prunecheck.runner.progress import Progress
    from prunecheck.runner.workspace import Workspace
    from prunecheck.store import Store

    study, store = study_of(folder, size), Store.open(folder / "store")
    steps, todo = (size, few) if few else _planned(study, store)
    every, done = max(1, (todo // 2 if kill and not few else todo) // PARTS), 0
    _print(steps=steps)
    if few:
        study_run.enough_space = lambda *_: None  # type: ignore[assignment]

    def watch(_step: Step, _seconds: float) -> None:
        nonlocal done
        done += 1
        if done == 1 or (done % every == 0 and done // every <= PARTS):
            _print(part=done // every, done=done)
            if kill and done // every == PARTS:
                os.kill(os.getpid(), signal.SIGKILL)

    results = study_run.run_study(study, Workspace(store, folder / "out"), workers, Progress(), watch=watch)
    assert len(results.data.rows) > size // STEPS_PER_SEED
    _print(steps=steps, done=done)


def _planned(study: Study, store: Store) -> tuple[int, int]:
    """How many steps *study* has, and how many of them are not in *store*."""
    from prunecheck.runner.engine import needed
    from prunecheck.study import make_plan

    plan = make_plan(study)
    return len(plan.steps), len(needed(plan.steps, plan.targets, store))


def status(folder: Path, size: int, workers: int) -> None:
    """Print the progress of the study of *size* steps in *folder* as a line of JSON."""
    from prunecheck.runner.status import study_status
    from prunecheck.runner.workspace import Workspace
    from prunecheck.store import Store

    found = study_status(study_of(folder, size), Workspace(Store.open(folder / "store"), folder / "out"), workers)
    _print(steps=found.steps, done=found.done)


def _print(**what: Any) -> None:
    use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps(what | {"cpu": sum(u.ru_utime + u.ru_stime for u in use), "mib": resident_mib()}), flush=True)


def study_of(folder: Path, size: int) -> Study:
    from prunecheck.study import load_study

    plugin = folder / "simulated.py"
    plugin.write_text(PLUGIN)
    fields: dict[str, Any] = {
        "name": "many_steps",
        "model": "convnet",
        "data": {"name": "digits", "train_size": 200, "test_size": 100},
        "methods": list(METHODS),
        "checks": list(CHECKS),
        "sparsities": list(SPARSITIES),
        "seeds": list(range(max(1, round(size / STEPS_PER_SEED)))),
        "training": {"epochs": 3, "rewind_epoch": 1},
        "backend": "dense",
        "plugins": [str(plugin)],
        "controls": [],
    }
    return load_study(fields)


def simulate() -> None:
    """From now on the steps of this process write made-up results and compute nothing."""
    from prunecheck.steps.perform import STEPS

    STEPS.update(dict.fromkeys(STEPS, simulated))


def simulated(step: Step, _context: object) -> dict[str, bytes]:
    """The files of *step*, as small as they can be; a corrupted arm is a little worse."""
    number = int(step.key[:6], 16)
    kept = int(WEIGHTS * (1 - step.params.get("sparsity", 0.5)))
    accuracy = (900 + number % 20) / N_TEST
    result: dict[str, Any] = {}
    files = {f"{step.kind}.safetensors": step.key.encode()}
    if step.kind in ("pretrain", "train"):
        recipe = step.params["recipe"]
        epochs = range(step.params.get("first", 0), step.params.get("until", recipe["epochs"]))
        one = {"train_loss": 0.1, "train_accuracy": 1.0, "test_accuracy": accuracy}
        same = {"accuracy": accuracy, "best_accuracy": accuracy, "train_accuracy": 1.0, "diverged": False}
        span = {"first_epoch": epochs.start, "last_epoch": epochs.stop, "n_train": 200, "n_test": N_TEST}
        result = same | span | {"history": [{"epoch": epoch, **one} for epoch in epochs]}
        files = {"final.safetensors": step.key.encode()}
    elif step.kind in ("mask", "corrupt"):
        layers = [["layer", "linear", [WEIGHTS], kept]]
        result = {"layers": layers, "kept": kept, "weights": WEIGHTS, "empty_layers": []}
        result |= {"effective_kept": kept, "dead_units": 0, "tied": 0}
        files = {"masks.safetensors": step.key.encode()}
    elif step.kind == "compare":
        moved = kept // 2
        result = {"iou": (kept - moved) / (kept + moved), "chance_iou": 0.1, "counts_correlation": 1.0}
        result |= {"kept_clean": kept, "kept_corrupted": kept, "moved": moved}
    return files | {"result.json": json.dumps(result).encode()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kill", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--status", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--slice", type=int, metavar="K")
    args = parser.parse_args()
    if args.folder is not None and args.status:
        status(args.folder, args.size, args.workers)
        return
    if args.folder is not None:
        run(args.folder, args.size, args.workers, args.kill, args.slice)
        return
    begun = time.monotonic()

    def say(what: str) -> None:
        print(what, file=sys.stderr)

    rows = sliced(args.size, args.slice, args.workers, say) if args.slice else measured(args.size, args.workers, say)
    print(markdown(HEAD, list(rows)))
    print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()

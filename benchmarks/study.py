"""A whole settled study against the same one arm at a time with ten seeds each; and two workers against one.

Trainings are counted, not guessed: those a fresh adaptive study ran, against all that stand behind every one of its
arms at ten seeds, nothing shared. Workers are timed in turns on fresh stores, starting them included.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import pairs
from benchmarks.table import Row, ratio_table
from prunecheck import api
from prunecheck.study import Plan, load_study, make_plan
from prunecheck.study.plan import largest_seeds

STUDY: Mapping[str, Any] = {
    "name": "benchmark",
    "model": "convnet",
    "data": {"name": "mnist5k", "size": 14},
    "methods": ["snip", "lr_rewinding", "random_ticket"],
    "checks": ["corrupted_data", "layerwise_rearrange", "layerwise_weight_shuffle"],
    "sparsities": [0.9],
    "seeds": "auto",
    "training": {"epochs": 2, "rewind_epoch": 1},
}
QUICK = {"data": {"name": "digits", "train_size": 500, "test_size": 200}, "training": {"epochs": 1, "rewind_epoch": 0}}
SECONDS = 90.0


def report(quick: bool, say: Callable[[str], None]) -> str:
    fields = {**STUDY, **QUICK} if quick else dict(STUDY)
    say("study: settled")
    seconds, ran = run(fields, workers=2)
    alone = trainings_alone(fields)
    found = pairs.Ratio(alone / ran, alone / ran, alone / ran, 1, 1, True)
    say("study: one worker and two")
    fixed = {**fields, "seeds": 1 if quick else 2}
    arms = {str(workers): lambda workers=workers: run(fixed, workers)[0] for workers in (1, 2)}
    rounds = pairs.take_turns(arms, 0.0 if quick else SECONDS)
    rows = [
        Row("trainings: one arm at a time, 10 seeds / shared and adaptive", found, None, 5),
        Row("seconds: one worker / two", pairs.ratio(rounds, slow="1", fast="2"), 2.0, 1.8),
    ]
    note = f"The settled study ran {ran} trainings in {seconds:.0f} s; one arm at a time it would be {alone}."
    return f"{ratio_table(rows)}\n\n{note}"


def run(fields: Mapping[str, Any], workers: int) -> tuple[float, int]:
    """Seconds of a fresh run of the study, and how many networks it trained."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        results = api.run(fields, store=Path(folder) / "store", folder=Path(folder) / "out", workers=workers)
        return time.monotonic() - begun, results.trained


def trainings_alone(fields: Mapping[str, Any]) -> int:
    """The trainings behind every arm at the largest number of seeds, counted for each arm anew."""
    study = load_study(fields)
    plan = make_plan(study, largest_seeds(study))
    return sum(_behind(plan, arm.train) for arm in plan.arms)


def _behind(plan: Plan, key: str) -> int:
    seen, todo = set(), [key]
    while todo:
        step = plan.steps[todo.pop()]
        if step.key not in seen:
            seen.add(step.key)
            todo += step.inputs.values()
    return sum(plan.steps[one].kind in ("pretrain", "train") for one in seen)

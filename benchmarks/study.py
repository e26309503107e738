"""Two workers against one on the demo's study, in turns on fresh stores, starting the workers included.

How many trainings a settled study takes is measured by ``python -m benchmarks.settled_study``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import pairs
from benchmarks.settled_study import DEMO
from benchmarks.table import Row, ratio_table
from prunecheck import api

STUDY: Mapping[str, Any] = {**DEMO, "name": "benchmark", "seeds": 2, "training": {"epochs": 2, "rewind_epoch": 1}}
QUICK = {
    "data": {"name": "digits", "train_size": 500, "test_size": 200},
    "training": {"epochs": 1, "rewind_epoch": 0},
    "seeds": 1,
}
SECONDS = 90.0


def report(quick: bool, say: Callable[[str], None]) -> str:
    fields = {**STUDY, **QUICK} if quick else STUDY
    say("study: one worker and two")
    arms = {str(workers): lambda workers=workers: run(fields, workers) for workers in (1, 2)}
    rounds = pairs.take_turns(arms, 0.0 if quick else SECONDS)
    return ratio_table([Row("seconds: one worker / two", pairs.ratio(rounds, slow="1", fast="2"), 2.0, 1.8)])


def run(fields: Mapping[str, Any], workers: int) -> float:
    """Seconds of a fresh run of the study."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        api.run(fields, store=Path(folder) / "store", folder=Path(folder) / "out", workers=workers)
        return time.monotonic() - begun

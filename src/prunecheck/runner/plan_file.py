"""What a study was about to do when it was last run, beside its results: it tells afterwards what has changed.

Equal parts of parameters (the data set, the recipe) are written once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunecheck.store.durable import discard, plainly, write_file
from prunecheck.study.plan import Plan
from prunecheck.study.step import canonical, numerics

NAME = "plan.json"
MOST_STEPS = 20_000
"""of larger plans nothing is written: some megabytes are enough for a convenience"""


@dataclass(frozen=True)
class PlannedStep:
    """A step as it was planned. ``inputs``: role -> title of the step it came from."""

    key: str
    params: Mapping[str, Any]
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class LastPlan:
    """``steps`` by title; ``numerics`` as in every key of them."""

    steps: Mapping[str, PlannedStep]
    numerics: Mapping[str, Any]


def write_plan(folder: Path, plan: Plan) -> None:
    """Write down what is about to be done; in place of what was written before."""
    if len(plan.steps) > MOST_STEPS:
        discard(folder / NAME)
        return
    parts: dict[str, int] = {}
    places = {key: place for place, key in enumerate(plan.steps)}
    steps = [
        {
            "title": step.title,
            "key": key,
            "params": {name: parts.setdefault(canonical(value), len(parts)) for name, value in step.params.items()},
            "inputs": {role: places[parent] for role, parent in step.inputs.items()},
        }
        for key, step in plan.steps.items()
    ]
    document = {"numerics": numerics(), "parts": [json.loads(part) for part in parts], "steps": steps}
    with plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / NAME, json.dumps(document, separators=(",", ":")).encode())


def read_plan(folder: Path) -> LastPlan | None:
    """None where there is no such file, or nothing sound in it."""
    try:
        document = json.loads((folder / NAME).read_text(encoding="utf-8"))
        parts, rows = document["parts"], document["steps"]
        steps = {
            str(row["title"]): PlannedStep(
                str(row["key"]),
                {name: parts[place] for name, place in row["params"].items()},
                {role: str(rows[place]["title"]) for role, place in row["inputs"].items()},
            )
            for row in rows
        }
        return LastPlan(steps, dict(document["numerics"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None

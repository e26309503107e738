"""The margin is written down before any corrupted arm is seen, and stays."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prunecheck.errors import StudyError
from prunecheck.runner.engine import Failure
from prunecheck.statistics import Settings
from prunecheck.store.durable import discard, plainly, write_file
from prunecheck.study.plan import Plan
from prunecheck.study.step import Step, canonical, numerics

MARGIN = "margin.json"


def fixed_margin(folder: Path, dense: list[float], n_test: int, settings: Settings, *, write: bool = True) -> Settings:
    """*settings* with the margin of this study: the one written in *folder*, else the one that the rule (or the study
    file) gives now, which is then written (unless dense runs are still to come: ``write=False``). Where the study file
    asks for another than the one written down, the report shows both."""
    from prunecheck.statistics import settle_margin

    path = folder / MARGIN
    written = _read_margin(path)
    now = settle_margin(dense, n_test, chance=settings.chance, override=settings.margin)
    if written is None:
        if write:
            with plainly(folder):
                folder.mkdir(parents=True, exist_ok=True)
            facts = {"margin": now.points, "rule": now.rule, "dense_accuracies": dense, "n_test": n_test}
            write_file(path, json.dumps(facts, indent=2).encode())
        return replace(settings, margin=now.points, margin_rule=now.rule)
    points, rule = written
    if settings.margin is not None and abs(settings.margin - points) > 1e-9:
        return replace(settings, margin_was=points)
    return replace(settings, margin=points, margin_rule=rule)


def _read_margin(path: Path) -> tuple[float, str] | None:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return float(facts["margin"]), str(facts["rule"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise StudyError(f"{path} is damaged ({error}); it holds the margin fixed before results were seen.") from None


FAILED = "failed.json"


def write_failed(folder: Path, failures: Iterable[Failure]) -> None:
    """Write down the failures of a run; without any, nothing is left there."""
    failed = {failure.step.key: f"{failure.step.title}: {failure.reason}" for failure in failures}
    if failed:
        with plainly(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / FAILED, json.dumps(failed, indent=1).encode())
    else:
        discard(folder / FAILED)


def read_failed(folder: Path) -> dict[str, str]:
    """Key -> title and reason; nothing where there is no such file, or nothing sound in it."""
    try:
        failed = json.loads((folder / FAILED).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {str(key): str(reason) for key, reason in failed.items()} if isinstance(failed, dict) else {}


def blocked(steps: Mapping[str, Step], failed: Iterable[str]) -> frozenset[str]:
    """Those of *steps* (inputs first) that failed or need one that did."""
    doomed = set(failed)
    for key, step in steps.items():
        if not doomed.isdisjoint(step.inputs.values()):
            doomed.add(key)
    return frozenset(doomed)


PLAN = "plan.json"
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
        discard(folder / PLAN)
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
    write_file(folder / PLAN, json.dumps(document, separators=(",", ":")).encode())


def read_plan(folder: Path) -> LastPlan | None:
    """None where there is no such file, or nothing sound in it."""
    try:
        document = json.loads((folder / PLAN).read_text(encoding="utf-8"))
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


VERIFICATION = "verify.json"


def write_verification(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / VERIFICATION, text.encode())


def verified(folder: Path, steps: Container[str]) -> dict[str, str]:
    """What the report says of it: one line, or nothing where no step of this plan was computed again."""
    try:
        facts = json.loads((folder / VERIFICATION).read_text(encoding="utf-8"))
        again = sum(key in steps for key in facts["keys"])
        wrong = len(facts["different"]) + len(facts["failed"])
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    if not again:
        return {}
    outcome = f"{wrong} differ or failed" if wrong else "all equal, byte for byte"
    return {"computed again": f"{again} steps, drawn at random: {outcome}"}

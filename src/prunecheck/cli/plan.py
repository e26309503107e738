"""What a plan says about itself, torch-free."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecheck.api import usable_cores

if TYPE_CHECKING:
    from prunecheck.study import Study


@dataclass(frozen=True)
class Forecast:
    document: dict[str, Any]
    lines: list[tuple[str, str]]


def forecast(study: Study, store_root: Path | None) -> Forecast:
    """Counts of steps by kind, wanted, shared and present, and the time the rest should take."""
    from prunecheck.runner.engine import needed
    from prunecheck.runner.estimate import Estimate, spoken
    from prunecheck.runner.workspace import default_store
    from prunecheck.store import Store
    from prunecheck.study import make_plan
    from prunecheck.study.plan import largest_seeds
    from prunecheck.text import percent

    plan = make_plan(study)
    most = make_plan(study, largest_seeds(study)) if study.seeds == "auto" else plan
    store = Store.open(store_root or default_store())
    estimate, cores = Estimate(store), usable_cores()
    spans = []
    for one in (plan, most):
        todo = needed(one.steps, one.targets, store)
        spans.append((one, todo, estimate.total(todo.values()) / cores))
    todo, seconds = spans[0][1], spans[0][2]
    sure = (
        "from earlier timings"
        if estimate.is_measured(todo.values())
        else "a rough guess: nothing like it was timed here"
    )
    rows = [
        ("study", study.name),
        ("trains", f"{study.model} on {study.data.name}, {study.recipe.epochs} epochs"),
        ("methods", ", ".join(m.label or m.name for m in study.methods)),
        ("checks", ", ".join(c.label or c.name for c in study.checks)),
        ("sparsities", ", ".join(percent(s) for s in study.sparsities)),
        ("seeds", _seeds(study)),
        ("arms", str(len(plan.arms))),
        ("trainings", f"{plan.trainings} (without sharing {plan.trainings_requested})"),
    ]
    kinds = Counter(step.kind for step in plan.steps.values())
    open_ = Counter(step.kind for step in todo.values())
    rows += [(kind, f"{count} steps, {open_[kind]} to run") for kind, count in sorted(kinds.items())]
    rows.append(
        ("time", f"about {spoken(seconds)} on {cores} cores ({sure})" if todo else "nothing to run: all of it is there")
    )
    if most is not plan:
        rows.append(
            ("at most", f"{most.trainings} trainings, about {spoken(spans[1][2])}, if every verdict stays open")
        )
    document = {
        "schema_version": 1,
        "study": study.name,
        "arms": len(plan.arms),
        "steps": dict(sorted(kinds.items())),
        "to_run": dict(sorted(open_.items())),
        "trainings": plan.trainings,
        "trainings_without_sharing": plan.trainings_requested,
        "trainings_to_run": open_["pretrain"] + open_["train"],
        "most_trainings": most.trainings,
        "seconds": round(seconds, 1),
        "most_seconds": round(spans[1][2], 1),
        "measured": estimate.is_measured(todo.values()),
        "workers": cores,
    }
    return Forecast(document, rows)


def _seeds(study: Study) -> str:
    if study.seeds == "auto":
        return f"auto: 3, then more only where a verdict is open, at most {study.max_seeds}"
    return ", ".join(str(seed) for seed in study.first_seeds())

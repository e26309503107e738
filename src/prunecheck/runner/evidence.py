"""What a report says of its own making: cost and provenance. Nothing here depends on when or how fast it ran, so that
equal results give equal pages."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version

from prunecheck.runner.results import Facts
from prunecheck.study.plan import Arm, Plan
from prunecheck.study.step import canonical, numerics
from prunecheck.study.study import Study


def cost_of(plan: Plan, largest: Plan) -> dict[str, object]:
    """How many trainings the study needed, shared, and was spared since it asked for more seeds only where a verdict
    was open. *largest*: the plan with all the seeds there can be."""
    kinds = Counter(step.kind for step in plan.steps.values())
    return {
        "arms": len(plan.arms),
        "trainings": plan.trainings,
        "trainings without sharing": plan.trainings_requested,
        "trainings shared": plan.trainings_requested - plan.trainings,
        "trainings with every seed everywhere": largest.trainings,
        "trainings spared by adaptive seeds": largest.trainings - plan.trainings,
        "steps": len(plan.steps),
        **{f"{kind} steps": count for kind, count in sorted(kinds.items())},
    }


def backends_of(arms: Iterable[Arm], facts: Facts) -> dict[str, str]:
    """How the tickets were trained, in one line; nothing where all were trained densely because nothing else was
    asked for."""
    trained = {arm.train: facts.of(arm.train) for arm in arms if arm.mask}
    found = [one for one in trained.values() if "backend" in one]
    if not found:
        return {}
    sparse = sum(one["backend"] == "sparse" for one in found)
    reasons = Counter(one["backend_reason"] for one in found if one["backend"] == "dense")
    told = [f"{sparse} of {len(trained)} tickets trained sparsely"]
    told += [f"{n} densely ({reason})" for reason, n in sorted(reasons.items())]
    return {"backend": "; ".join(told)}


def provenance_of(study: Study, plan: Plan) -> dict[str, str]:
    """Versions and hashes: what must be equal for the results to be equal to the bit."""
    machine = numerics()
    every = hashlib.sha256(canonical(sorted(plan.steps)).encode()).hexdigest()
    fingerprint = next((str(s.params["data"]["fingerprint"]) for s in plan.steps.values() if "data" in s.params), "")
    return {
        "prunecheck": version("prunecheck"),
        "torch": str(machine["torch"]),
        "numpy": str(machine["numpy"]),
        "machine": f"{machine['machine']}, {study.device}, one thread a worker",
        "data fingerprint": fingerprint[:16],
        "plan": every[:16],
    }

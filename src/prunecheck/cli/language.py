"""What the commands print of a study of a language model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from prunecheck.cli.console import open_store
from prunecheck.runner.engine import needed
from prunecheck.runner.estimate import Estimate
from prunecheck.runner.language import in_words
from prunecheck.study import make_plan
from prunecheck.study.gpus import gpu_name, gpus_of
from prunecheck.study.language_arms import control_corruptions, corruptions, prunings
from prunecheck.study.language_study import LanguageStudy
from prunecheck.study.step import KINDS
from prunecheck.text import counted, duration, percent


def language_forecast(
    study: LanguageStudy, store_root: Path | None, workers: int
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The plan as a JSON document and as lines: counts of steps by kind (all, to run), the expected time."""
    plan, store = make_plan(study), open_store(store_root)
    todo, estimate = needed(plan.steps, plan.targets, store), Estimate(store)
    seconds, measured = estimate.total(todo.values()) / workers, estimate.is_measured(todo.values())
    kinds, open_ = (Counter(step.kind for step in steps.values()) for steps in (plan.steps, todo))
    methods, checks = prunings(study), [*corruptions(study), *control_corruptions(study)]
    left_out = {method.label: [c.label for c in checks if c.why_not(method)] for method in methods}
    sure = "from earlier timings" if measured else "a rough guess: no such pruning was timed on this machine"
    where = f"{counted(workers, 'process', 'processes')} on {gpu_name(study.device) or study.device}"
    time = f"about {duration(seconds)} with {where} ({sure})" if todo else "nothing to run: every step is in the store"
    rows = [
        ("study", study.name),
        ("prunes", in_words(study)),
        ("methods", ", ".join(method.label for method in methods)),
        ("checks", ", ".join(check.label for check in checks)),
        *(("", f"{name}: {', '.join(found)} does not apply") for name, found in left_out.items() if found),
        ("sparsities", ", ".join(percent(sparsity) for sparsity in study.sparsities)),
        ("draws", ", ".join(map(str, study.draws))),
        (
            "margin",
            f"{study.margin} nats per token" if study.share_of_loss is None else str(study.margin),
        ),
        ("arms", str(len(plan.arms))),
        *((KINDS[kind], f"{count} steps, {open_[kind]} to run") for kind, count in sorted(kinds.items())),
        ("time", time),
    ]
    if study.device.startswith("cuda") and not gpus_of(study.device):
        rows.append(("missing", f"device = {study.device!r}, but this machine has no such GPU"))
    document = {
        "schema_version": 1,
        "study": study.name,
        "task": study.task,
        "arms": len(plan.arms),
        "steps": dict(sorted(kinds.items())),
        "to_run": dict(sorted(open_.items())),
        "seconds": round(seconds, 1),
        "measured": measured,
        "workers": workers,
    }
    return document, rows

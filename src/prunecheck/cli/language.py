"""What the commands print of a study of a language model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prunecheck.cli.console import open_store
from prunecheck.models.language import is_loadable
from prunecheck.runner.engine import needed
from prunecheck.runner.estimate import Estimate
from prunecheck.runner.language import in_words, rough_seconds
from prunecheck.study import make_plan
from prunecheck.study.gpus import gpu_name, gpus_of
from prunecheck.study.language_arms import (
    ResolvedCorruption,
    ResolvedPruning,
    control_corruptions,
    corruptions,
    prunings,
)
from prunecheck.study.language_study import LanguageStudy
from prunecheck.study.step import KINDS
from prunecheck.text import counted, duration, percent


def language_forecast(
    study: LanguageStudy, store_root: Path | None, workers: int
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The plan as a JSON document and as lines: counts of steps by kind (all, to run), the expected time."""
    plan, store = make_plan(study), open_store(store_root)
    todo, estimate = needed(plan.steps, plan.targets, store), Estimate(store, rough_seconds(study))
    seconds, measured = estimate.total(todo.values()) / workers, estimate.is_measured(todo.values())
    kinds, open_ = (Counter(step.kind for step in steps.values()) for steps in (plan.steps, todo))
    methods, checks = prunings(study), [*corruptions(study), *control_corruptions(study)]
    sure = "from earlier timings" if measured else "a rough guess from sizes: not every such pruning was timed here yet"
    where = f"{counted(workers, 'process', 'processes')} on {gpu_name(study.device) or study.device}"
    time = f"about {duration(seconds)} with {where} ({sure})" if todo else "nothing to run: every step is in the store"
    rows = [
        ("study", study.name),
        ("prunes", in_words(study)),
        ("methods", ", ".join(method.label for method in methods)),
        ("checks", ", ".join(check.label for check in checks)),
        *(("" if i else "left out", line) for i, line in enumerate(_left_out(methods, checks))),
        ("sparsities", ", ".join(percent(sparsity) for sparsity in study.sparsities)),
        ("draws", ", ".join(map(str, study.draws))),
        (
            "margin",
            f"{study.margin} nats per token" if study.share_of_loss is None else str(study.margin),
        ),
        ("arms", str(len(plan.arms))),
        *((KINDS[kind], f"{count}, {_to_run(open_[kind], count)}") for kind, count in sorted(kinds.items())),
        ("time", time),
    ]
    if study.device.startswith("cuda") and not gpus_of(study.device):
        rows.append(("missing", f"device = {study.device!r}, but this machine has no such GPU"))
    if not is_loadable(study.model):
        rows.append(("missing", "transformers, of the extra prunecheck[llm]; its version is part of every key"))
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


def _to_run(open_: int, count: int) -> str:
    return {0: "none to run", count: "all to run" if count > 1 else "to run"}.get(open_, f"{open_} to run")


def _left_out(methods: Sequence[ResolvedPruning], checks: Sequence[ResolvedCorruption]) -> list[str]:
    """The checks that have nothing to corrupt, a line for each reason: ``magnitude, random: random_tokens (each does
    not look at calibration tokens)``."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for method in methods:
        for check in checks:
            if why := check.why_not(method):
                by_reason.setdefault((method.label, why.reason), []).append(check.label)
    lines: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (label, reason), found in by_reason.items():
        lines.setdefault((reason, tuple(found)), []).append(label)
    return [
        f"{', '.join(labels)}: {', '.join(found)} ({'each ' if len(labels) > 1 else ''}{reason})"
        for (reason, found), labels in lines.items()
    ]

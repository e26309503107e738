"""Why a step will run, or need not, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping

from prunecheck.runner.engine import needed
from prunecheck.runner.records import FEW, LastPlan, PlannedStep, differences, read_failed, read_plan
from prunecheck.runner.status import running_step
from prunecheck.runner.workspace import Workspace
from prunecheck.study.numerics import numerics
from prunecheck.study.step import Step
from prunecheck.text import duration, printable


def why(step: Step, steps: Mapping[str, Step], workspace: Workspace) -> str:
    """What the next run does with *step*, one of *steps* of a study, and why."""
    who = f"{step.kind} {step.key[:16]} ({step.title})"
    if workspace.store.has(step.key):
        return printable(f"{who} is in the store and will not run again.", 400)
    holder = workspace.store.holders().get(step.key)
    if holder is not None:
        now = running_step(step, holder)
        by = f" by process {now.process} on {now.host}" if now.process and now.host else ""
        return printable(f"{who} is being made now{by}, for {duration(now.seconds, whole_seconds=True)}.", 400)
    failed = read_failed(workspace.folder).get(step.key)
    if failed is not None:
        reason = failed.removeprefix(f"{step.title}: ")
        return printable(f"{who} will run: it failed when it was last tried ({reason}).", 600)
    return printable(f"{who} will run: {_history(step, steps, workspace)}.{_inputs(step, steps, workspace)}", 1000)


def _history(step: Step, steps: Mapping[str, Step], workspace: Workspace) -> str:
    """What the records of the last run say about it."""
    last = read_plan(workspace.folder)
    if last is None:
        return "it was never run"
    before = last.steps.get(step.title)
    if before is None:
        return "it was never run, and no step of that name was in the last run"
    if before.key == step.key:
        return "it was in the last run, which did not come to it (or its artefact was removed since)"
    kept = "is in the store" if workspace.store.has(before.key) else "is not in the store either"
    return (
        f"it is not what the last run made: {_changes(step, before, last, steps)}; that one ({before.key[:16]}) {kept}"
    )


def _changes(step: Step, before: PlannedStep, last: LastPlan, steps: Mapping[str, Step]) -> str:
    found = [*differences(last.numerics, numerics()), *differences(before.params, step.params)]
    if not found:
        parents = [f"{role} ({steps[key].title})" for role, key in sorted(step.inputs.items()) if key in steps]
        return f"what it is made from has changed, {' or '.join(parents)}" if parents else "it has another key"
    more = f" and {len(found) - FEW} more" if len(found) > FEW else ""
    return f"{', '.join(found[:FEW])}{more}"


def _inputs(step: Step, steps: Mapping[str, Step], workspace: Workspace) -> str:
    absent = needed(steps, {step.key}, workspace.store).keys() - {step.key}
    direct = [f"{role} ({steps[key].title})" for role, key in sorted(step.inputs.items()) if key in absent]
    if not step.inputs:
        return ""
    if not absent:
        return f" All it is made from ({', '.join(sorted(step.inputs))}) is there."
    others = f", {len(absent)} steps in all" if len(absent) > len(direct) else ""
    return f" Missing as well, and made before it: {', '.join(direct)}{others}."

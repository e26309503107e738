"""Run a study: train what is missing, look at the verdict, add seeds where it is open, write the results.

``report`` walks the same looks without training anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path

from prunecheck.errors import PrunecheckError, StepError, StudyError
from prunecheck.pruning.plugins import Plugin
from prunecheck.reporting import MaskOverlap, ReportData, write
from prunecheck.runner.adaptive import (
    AtWork,
    Settle,
    Settled,
    StudyLook,
    gap_of,
    settings_of,
    train_nothing,
    walk,
)
from prunecheck.runner.engine import Failure, Outcome, Watcher, execute, needed, unwatched
from prunecheck.runner.estimate import Estimate
from prunecheck.runner.preflight import enough_space
from prunecheck.runner.progress import Progress
from prunecheck.runner.records import verified, write_failed, write_plan
from prunecheck.runner.report_data import (
    StepResults,
    backends_of,
    cost_of,
    curves,
    layer_tables,
    overlaps,
    present,
    provenance_of,
    published_for,
)
from prunecheck.runner.results import Results
from prunecheck.runner.worker import WorkerConfig
from prunecheck.runner.workspace import Workspace
from prunecheck.statistics import StudyVerdict
from prunecheck.statistics.gates import collapse_line
from prunecheck.store import Damaged, Store
from prunecheck.study.arms import ResolvedMethod, control_arms, resolved_checks, resolved_methods
from prunecheck.study.plan import Plan, largest_seeds, make_plan
from prunecheck.study.step import Step
from prunecheck.study.study import Study, located
from prunecheck.study.toml import to_toml

__all__ = ["largest_seeds", "mask_tier", "report_study", "run_study", "settings_of"]

ROUNDS = 3
"""how often steps are tried whose inputs turn out to be damaged, and are made again"""


def run_study(
    study: Study, workspace: Workspace, workers: int, progress: Progress, command: str = "", watch: Watcher = unwatched
) -> Results:
    """Train what is missing and judge. ``watch`` is told of every step that was finished. Raises StepError where
    steps failed, once everything else is done and the results of what is there are written."""
    from prunecheck.runner.preflight import preflight

    model_bytes = preflight(study)
    plan = make_plan(study)
    enough_space(needed(plan.steps, plan.targets, workspace.store).values(), model_bytes, workspace.store)
    write_failed(workspace.folder, ())  # what failed last time is tried again
    write_plan(workspace.folder, plan)
    results = _look_until_settled(
        study, workspace, _workshop(study, workspace.store, workers, progress, watch), progress, command
    )
    if results.failures:
        raise StepError(_failed(results.failures, results.page))
    return results


def report_study(study: Study, workspace: Workspace, command: str = "") -> Results:
    """The same results from what the store holds; trains nothing. Raises StudyError where there is nothing yet."""
    return _look_until_settled(study, workspace, train_nothing, Progress(), command)


def _workshop(study: Study, store: Store, workers: int, progress: Progress, watch: Watcher = unwatched) -> AtWork:
    """What runs the steps that some targets need; where an artefact turns out to be damaged, it is made again."""
    estimate = Estimate(store)
    config = WorkerConfig(store.root, located(study).root, study.plugin_files, study.folder)
    hidden = hidden_from_workers(study)
    if hidden is not None and workers > 1:
        workers = 1
        progress.note(
            f"{hidden.name!r} is defined in {hidden.origin}, where worker processes cannot see it: all steps run in "
            "this one. Put it into a file and name that in plugins to use every core."
        )

    @contextmanager
    def at_work(plan: Plan) -> Iterator[Settle]:
        todo = needed(plan.steps, plan.targets, store)
        with progress.phase(todo.values(), estimate.seconds, workers) as tick:

            def finished(step: Step, seconds: float) -> None:
                tick(step, seconds)
                watch(step, seconds)

            def settle(targets: set[str]) -> Outcome:
                total = Outcome()
                for _ in range(ROUNDS):
                    _set_damaged_aside(targets, store)
                    steps = needed(plan.steps, targets, store)
                    outcome = execute(steps, config, workers, estimate.seconds, finished)
                    total = total.then(outcome)
                    if not any(failure.damaged for failure in outcome.failures):
                        break
                return total

            yield settle

    return at_work


def _set_damaged_aside(targets: set[str], store: Store) -> None:
    """What the results would be read from and cannot be is made again."""
    for key in targets - store.missing(targets):
        with suppress(Damaged):
            store.read(key, "result.json")


def _look_until_settled(
    study: Study, workspace: Workspace, at_work: AtWork, progress: Progress, command: str
) -> Results:
    facts, settled = StepResults(workspace.store), Settled()
    ran: list[Step] = []
    seconds, memory = 0.0, 0
    for look in walk(study, workspace, facts, at_work):
        ran += look.outcome.done
        seconds += look.outcome.seconds
        memory = max(memory, look.outcome.memory)
        if at_work is not train_nothing:
            write_failed(workspace.folder, look.outcome.failures)
            write_plan(workspace.folder, look.plan)
        if study.seeds == "auto" and look.verdict is not None and look.whole:
            news = settled.news(look.verdict)
            for line in news if look.outcome.done else ():
                progress.note(line)
    failures = look.outcome.failures
    if look.verdict is None:
        raise _nothing_to_judge(study, workspace, failures)
    data = _evidence(study, workspace, look, look.verdict, facts, command)
    return Results(study, data, write(data, workspace.folder), look.plan, ran, seconds, failures, memory)


def _nothing_to_judge(study: Study, workspace: Workspace, failures: list[Failure]) -> PrunecheckError:
    if failures:
        return StepError(_failed(failures, None))
    return StudyError(f"study {study.name!r} has no results to judge in {workspace.store.root} yet: run it first.")


def _evidence(
    study: Study, workspace: Workspace, look: StudyLook, verdict: StudyVerdict, facts: StepResults, command: str
) -> ReportData:
    plan, arms = look.plan, present(look.plan, workspace.store)
    return ReportData(
        name=study.name,
        rows=look.rows,
        verdict=verdict,
        question=study.question,
        study_toml=to_toml(study),
        layers=layer_tables(study, arms, facts),
        curves=curves(arms, facts),
        overlaps=overlaps(arms, facts),
        cost=cost_of(plan, make_plan(study, largest_seeds(study)) if study.seeds == "auto" else plan),
        provenance=provenance_of(study, plan) | backends_of(arms, facts) | verified(workspace.folder, plan.steps),
        command=command,
        published=published_for(study),
        collapse_line=collapse_line(look.settings.chance, verdict.n_test, verdict.dense_accuracy),
        unfinished=gap_of(plan, workspace).sentence,
    )


def _failed(failures: list[Failure], page: Path | None) -> str:
    """At most four lines: how many, the first three, where the rest of the results are."""
    rest = f"the others are finished and in {page}" if page else "nothing is left to judge"
    lines = [f"{len(failures)} of the steps failed; {rest}."]
    lines += [f"  {failure.step.title}: {failure.reason}" for failure in failures[:3]]
    return "\n".join(lines)


def mask_tier(
    study: Study, store: Store, workers: int, progress: Progress
) -> tuple[tuple[MaskOverlap, ...], list[str]]:
    """The mask tier of every method that needs no training, and the methods left out because they do."""
    from prunecheck.runner.preflight import preflight

    preflight(study)
    plan = make_plan(study, train=False)
    with _workshop(study, store, workers, progress)(plan) as settle:
        outcome = settle(plan.targets)
    if outcome.failures:
        raise StepError(outcome.failures[0].reason)
    left_out = [method.label for method in resolved_methods(study) if method.needs_training]
    return overlaps(plan.arms, StepResults(store)), left_out


GROUPS = ("prunecheck.methods", "prunecheck.allocations", "prunecheck.checks")


def hidden_from_workers(study: Study) -> Plugin | None:
    """A plug-in of the study that was defined in this process alone (a notebook, a script, a module imported there);
    None where there is none."""
    installed = {point.module.split(".")[0] for group in GROUPS for point in entry_points(group=group)}
    for plugin in _plugins(study):
        from_file = plugin.origin.endswith(".py")
        if plugin.origin != "built-in" and not from_file and plugin.origin.split(".")[0] not in installed:
            return plugin
    return None


def _plugins(study: Study) -> Iterator[Plugin]:
    controls = control_arms(study)
    for method in [*resolved_methods(study), *(method for method, _ in controls)]:
        yield from _plugins_of(method)
    for check in [*resolved_checks(study), *(check for _, check in controls)]:
        yield check.plugin


def _plugins_of(method: ResolvedMethod) -> Iterator[Plugin]:
    yield method.plugin
    yield method.allocation
    if method.counts_of is not None:
        yield from _plugins_of(method.counts_of)

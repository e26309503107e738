"""Runs a study: trains what is missing, judges, adds seeds where a verdict is open, writes the results.

``report_study`` goes through the same interim analyses without training anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

from prunecheck.errors import PrunecheckError, StepError, StudyError
from prunecheck.pruning.plugins import Plugin
from prunecheck.reporting import MaskOverlap, ReportData, write
from prunecheck.runner.dense_weights import dense_remark
from prunecheck.runner.engine import Failure, Outcome, Watcher, execute, needed, unwatched
from prunecheck.runner.equal_masks import equal_methods
from prunecheck.runner.equal_trainings import EqualTrainings
from prunecheck.runner.estimate import Estimate
from prunecheck.runner.executors import Engine
from prunecheck.runner.interim_analyses import (
    Decisions,
    Executor,
    InterimAnalysis,
    ReadOnly,
    interim_analyses,
    unfinished_steps,
)
from prunecheck.runner.preflight import enough_space
from prunecheck.runner.progress import Progress
from prunecheck.runner.records import (
    check_folder,
    mark_reported,
    read_verification,
    take_folder,
    write_failed,
    write_plan,
)
from prunecheck.runner.report_data import (
    backends_of,
    cost_of,
    curves,
    layer_tables,
    overlaps,
    patterns_in_words,
    present,
    provenance_of,
    published_for,
    study_images,
    trained_in_words,
)
from prunecheck.runner.results import Results
from prunecheck.runner.step_results import StepResults
from prunecheck.runner.worker import WorkerConfig
from prunecheck.runner.workspace import Workspace
from prunecheck.statistics import StudyVerdict
from prunecheck.statistics.gates import collapse_line
from prunecheck.store import Damaged, Store
from prunecheck.study.arms import ResolvedMethod, control_arms, resolved_checks, resolved_methods
from prunecheck.study.gpus import gpus_of
from prunecheck.study.plan import Plan, largest_seeds, make_plan
from prunecheck.study.step import Step
from prunecheck.study.study import Study, located
from prunecheck.study.toml import to_toml

ATTEMPTS = 3
"""how often steps are run whose inputs turn out to be damaged and are computed again"""
GROUPS = (
    "prunecheck.methods",
    "prunecheck.allocations",
    "prunecheck.checks",
    "prunecheck.post_training_methods",
    "prunecheck.post_training_checks",
)
"""entry points of installed plug-ins"""


def run_study(
    study: Study,
    workspace: Workspace,
    workers: int,
    progress: Progress,
    command: str = "",
    watch: Watcher = unwatched,
    engine: Engine | None = None,
) -> Results:
    """Train what is missing and judge. ``watch`` is called after every finished step; *engine* makes the executor of
    the steps, by default processes of this machine. Raises StepError if steps failed, once everything else is done and
    the results of what is there are written."""
    from prunecheck.runner.preflight import preflight

    model_bytes = preflight(study)
    for remark in filter(None, (dense_remark(study), *study_images(study).notes)):
        progress.note(remark)
    plan = make_plan(study)
    enough_space(needed(plan.steps, plan.targets, workspace.store).values(), model_bytes, workspace.store)
    if note := take_folder(workspace.folder, study):
        progress.note(note)
    write_failed(workspace.folder, ())  # what failed in the last run is tried again
    write_plan(workspace.folder, plan)
    with closing(Trainer(study, workspace.store, workers, progress, watch, engine)) as trainer:
        results = _analyse_and_report(study, workspace, trainer, progress, command)
    if results.failures:
        raise StepError(_failure_message(results.failures, results.page))
    return results


def report_study(study: Study, workspace: Workspace, command: str = "") -> Results:
    """The same results from what the store holds; trains nothing. Raises StudyError if there is nothing to judge."""
    note = check_folder(workspace.folder, study)
    results = _analyse_and_report(study, workspace, ReadOnly(), Progress(), command)
    results.notes[:0] = [note] if note else []
    return results


def mask_tier(
    study: Study, store: Store, workers: int, progress: Progress
) -> tuple[tuple[MaskOverlap, ...], list[str], list[str]]:
    """The mask tier of every method that needs no training, the methods left out because they do, and which methods
    have equal masks."""
    from prunecheck.runner.preflight import preflight

    # First of all: a fault in a plug-in would otherwise appear only after the dense trainings it builds on.
    preflight(study)
    plan = make_plan(study, train=False)
    trainer = Trainer(study, store, workers, progress)
    with trainer.phase(plan):
        outcome = trainer.make(plan.targets)
    if outcome.failures:
        raise StepError(outcome.failures[0].reason)
    left_out = [method.label for method in resolved_methods(study) if method.needs_training]
    results = StepResults(store)
    return overlaps(plan.arms, results), left_out, equal_methods(plan.arms, results)


def worker_config(study: Study, store: Store) -> WorkerConfig:
    gpus = gpus_of(study.device)
    root = located(study).root
    return WorkerConfig(
        store.root, root, study.plugin_files, study.folder, gpus, study.tickets_per_gpu, study.loader_threads
    )


class Trainer(Executor):
    """Runs the steps that some targets need, and again those whose artefacts turn out to be damaged."""

    trains = True

    def __init__(
        self,
        study: Study,
        store: Store,
        workers: int,
        progress: Progress,
        watch: Watcher = unwatched,
        engine: Engine | None = None,
    ) -> None:
        self._store, self._progress, self._watch = store, progress, watch
        self._estimate = Estimate(store)
        self._config = worker_config(study, store)
        self._results = StepResults(store)
        self._plan = Plan()
        self._tick: Watcher = unwatched
        self._workers = workers
        self._locks_checked = False
        unimportable = unimportable_plugin(study)
        if unimportable is not None and engine is not None:
            raise StudyError(
                f"{unimportable.name!r} is defined in {unimportable.origin}, which workers on other machines cannot "
                "import. Move it into a file and name that in plugins."
            )
        self._executor = None if engine is None else engine(self._config, progress.note)
        if unimportable is not None and workers > 1:
            self._workers = 1
            progress.note(
                f"{unimportable.name!r} is defined in {unimportable.origin}, which worker processes cannot import: all "
                "steps run in this process. Move it into a file and name that in plugins to use every core."
            )

    def close(self) -> None:
        """End the processes of the executor."""
        if self._executor is not None:
            self._executor.close()

    @contextmanager
    def phase(self, plan: Plan) -> Iterator[None]:
        todo = needed(plan.steps, plan.targets, self._store)
        with self._progress.phase(todo.values(), self._estimate.seconds, self._workers) as tick:
            self._plan, self._tick = plan, tick
            yield

    def make(self, targets: set[str]) -> Outcome:
        total = Outcome()
        for _ in range(ATTEMPTS):
            # Damage found while the report is written would come too late to compute anything again.
            self._reject_damaged(targets)
            steps = needed(self._plan.steps, targets, self._store)
            if steps and not self._locks_checked:
                self._check_locks()
            equal = EqualTrainings(self._plan.steps, self._store)
            how = self._config, self._workers, self._estimate.seconds, self._finished
            outcome = execute(steps, *how, self._executor, equal, self._progress.running)
            total = total.then(outcome)
            # Only damage is repaired by another attempt; any other failure would happen again.
            if not any(failure.damaged for failure in outcome.failures):
                break
        return total

    def _check_locks(self) -> None:
        self._locks_checked = True
        if reason := self._store.why_no_locks():
            self._store.use_leases()
            self._progress.note(
                f"File locks do not work on the store ({reason}): steps are claimed by leases, and those of a machine "
                "that is lost stay claimed for a minute and a half."
            )

    def _reject_damaged(self, targets: set[str]) -> None:
        """Read the results that the report will need; the store sets aside what is damaged, so that it is missing."""
        for key in targets - self._store.missing(targets):
            with suppress(Damaged):
                self._results.whole(self._plan.steps[key].kind, key)

    def _finished(self, step: Step, seconds: float) -> None:
        self._tick(step, seconds)
        self._watch(step, seconds)


def unimportable_plugin(study: Study) -> Plugin | None:
    """A plug-in of the study that was defined in this process alone (a notebook, a script, a module imported there);
    None where there is none. Worker processes have installed plug-ins and those in the study's plug-in files."""
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


def _analyse_and_report(
    study: Study, workspace: Workspace, executor: Executor, progress: Progress, command: str
) -> Results:
    """Go through the interim analyses, then write the results of the last one."""
    results, decisions = StepResults(workspace.store), Decisions()
    total, notes = Outcome(), []
    for analysis in interim_analyses(study, workspace, results, executor):
        total = total.then(analysis.outcome)
        if executor.trains:
            write_failed(workspace.folder, analysis.outcome.failures)
            write_plan(workspace.folder, analysis.plan)
        if analysis.note:
            notes.append(analysis.note)
            progress.note(analysis.note)
        if study.seeds == "auto" and analysis.verdict is not None and analysis.complete:
            news = decisions.news(analysis.verdict)
            # A resumed run goes through earlier analyses without training; an earlier run has reported their decisions.
            for line in news if analysis.outcome.done or analysis.outcome.copied else ():
                progress.note(line)
    if analysis.verdict is None:
        raise _nothing_to_judge(study, workspace, total.failures)
    equal = equal_methods(present(analysis.plan, workspace.store), results)
    for line in equal if executor.trains else ():
        progress.note(line)
    dense = dense_remark(study)
    remarks = *equal, *([dense] if dense else []), *analysis.verdict.notes, *study_images(study).notes
    verdict = replace(analysis.verdict, notes=remarks)
    data = _report_data(study, workspace, analysis, verdict, results, command)
    page = workspace.shown(write(data, workspace.folder))
    mark_reported(workspace.folder, study)
    results_of_run = total.done, total.seconds, total.failures, total.memory
    return Results(study, data, page, analysis.plan, *results_of_run, notes, len(total.copied))


def _nothing_to_judge(study: Study, workspace: Workspace, failures: list[Failure]) -> PrunecheckError:
    if failures:
        return StepError(_failure_message(failures, None))
    return StudyError(f"study {study.name!r} has no results to judge in {workspace.store.root} yet: run it first.")


def _report_data(
    study: Study,
    workspace: Workspace,
    analysis: InterimAnalysis,
    verdict: StudyVerdict,
    results: StepResults,
    command: str,
) -> ReportData:
    plan, arms = analysis.plan, present(analysis.plan, workspace.store)
    verified = read_verification(workspace.folder, plan.steps)
    return ReportData(
        name=study.name,
        rows=analysis.rows,
        verdict=verdict,
        question=study.question,
        trained=trained_in_words(study),
        check_words={check.label: check.plugin.summary for check in resolved_checks(study)},
        study_toml=to_toml(study),
        layers=layer_tables(study, arms, results),
        curves=curves(arms, results),
        overlaps=overlaps(arms, results),
        cost=cost_of(plan, make_plan(study, largest_seeds(study)) if study.seeds == "auto" else plan),
        provenance=provenance_of(study, plan)
        | backends_of(arms, results)
        | patterns_in_words(arms, results)
        | verified,
        command=command,
        published=published_for(study),
        collapse_line=collapse_line(analysis.settings.chance, verdict.n_test, verdict.dense_accuracy),
        unfinished=unfinished_steps(plan, workspace).sentence,
    )


def _failure_message(failures: list[Failure], page: Path | None) -> str:
    """At most four lines: how many failed, the first three, and where the other results are."""
    rest = f"the others are finished and in {page}" if page else "nothing is left to judge"
    lines = [f"{len(failures)} of the steps failed; {rest}."]
    lines += [f"  {failure.step.title}: {failure.reason}" for failure in failures[:3]]
    return "\n".join(lines)

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
from prunecheck.models.language import is_loadable
from prunecheck.reporting import MaskOverlap
from prunecheck.runner.empty_layers import methods_with_empty_layers
from prunecheck.runner.engine import Failure, Outcome, Watcher, execute, needed, unwatched
from prunecheck.runner.equal_masks import equal_methods
from prunecheck.runner.equal_trainings import EqualTrainings
from prunecheck.runner.estimate import Estimate
from prunecheck.runner.executors import Engine
from prunecheck.runner.interim_analyses import (
    Decisions,
    Executor,
    ReadOnly,
)
from prunecheck.runner.preflight import enough_space
from prunecheck.runner.progress import Progress
from prunecheck.runner.records import (
    check_folder,
    mark_reported,
    take_folder,
    write_failed,
    write_plan,
)
from prunecheck.runner.report_data import overlaps, present
from prunecheck.runner.results import Results
from prunecheck.runner.step_results import StepResults
from prunecheck.runner.tasks import AnyPlugin, task_of
from prunecheck.runner.worker import WorkerConfig
from prunecheck.runner.workspace import Workspace
from prunecheck.store import Damaged, Store
from prunecheck.study import AnyStudy, make_plan
from prunecheck.study.arms import resolved_methods
from prunecheck.study.gpus import gpus_of
from prunecheck.study.language_study import LanguageStudy
from prunecheck.study.plan import Plan
from prunecheck.study.step import Step

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
    study: AnyStudy,
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
    task = task_of(study)
    model_bytes = task.before(study)
    given = list(task.remarks(study))
    for remark in given:
        progress.note(remark)
    plan = make_plan(study)
    enough_space(needed(plan.steps, plan.targets, workspace.store).values(), model_bytes, workspace.store)
    if note := take_folder(workspace.folder, study):
        progress.note(note)
    write_failed(workspace.folder, ())  # what failed in the last run is tried again
    write_plan(workspace.folder, plan)
    with closing(Trainer(study, workspace.store, workers, progress, watch, engine)) as trainer:
        results = _analyse_and_report(study, workspace, trainer, progress, command)
    results.given = given if progress.console is not None else []
    if results.failures:
        raise StepError(_failure_message(results.failures, results.page))
    return results


def report_study(study: AnyStudy, workspace: Workspace, command: str = "") -> Results:
    """The same results from what the store holds; trains nothing. Raises StudyError if there is nothing to judge."""
    note = check_folder(workspace.folder, study)
    results = _analyse_and_report(study, workspace, ReadOnly(), Progress(), command)
    results.notes[:0] = [note] if note else []
    return results


def mask_tier(
    study: AnyStudy, store: Store, workers: int, progress: Progress
) -> tuple[tuple[MaskOverlap, ...], list[str], list[str]]:
    """The mask tier of every method that needs no training, the methods left out because they do, and remarks: which
    methods keep nothing of a layer, which have equal masks."""
    if isinstance(study, LanguageStudy):
        raise StudyError(
            "a language model is pruned and evaluated in one step, so that masks alone are not made. Run the study: "
            "its page and results.csv have the overlaps of the masks."
        )
    # First of all: a fault in a plug-in would otherwise appear only after the dense trainings it builds on.
    task_of(study).before(study)
    plan = make_plan(study, train=False)
    trainer = Trainer(study, store, workers, progress)
    with trainer.phase(plan):
        outcome = trainer.make(plan.targets)
    if outcome.failures:
        raise StepError(outcome.failures[0].reason)
    left_out = [method.label for method in resolved_methods(study) if method.needs_training]
    results = StepResults(store)
    remarks = [*methods_with_empty_layers(plan.arms, results), *equal_methods(plan.arms, results)]
    return overlaps(plan.arms, results), left_out, remarks


def worker_config(study: AnyStudy, store: Store) -> WorkerConfig:
    own = {"data_root": None, "gpus": gpus_of(study.device)} | task_of(study).worker_fields(study)
    return WorkerConfig(store=store.root, plugins=study.plugin_files, folder=study.folder, **own)


class Trainer(Executor):
    """Runs the steps that some targets need, and again those whose artefacts turn out to be damaged."""

    trains = True

    def __init__(
        self,
        study: AnyStudy,
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
        # each of them has the other processes of its trainings beside it
        self._workers = max(1, workers // self._config.processes)
        self._locks_checked = False
        self._phases = 0
        unimportable = unimportable_plugin(study)
        if unimportable is not None and engine is not None:
            raise StudyError(
                f"{unimportable.name!r} is defined in {unimportable.origin}, which workers on other machines cannot "
                "import. Move it into a file and name that in plugins."
            )
        if self._config.processes > 1 and engine is not None:
            raise StudyError(
                f"processes_per_training = {self._config.processes} takes processes of one machine, which an "
                "engine such as Ray does not start. Run without --engine, or with 1."
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
        if todo and self._phases == 1:
            self._progress.note("Open verdicts get more seeds, one at a time, with an estimate for each.")
        self._phases += bool(todo)
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


def unimportable_plugin(study: AnyStudy) -> AnyPlugin | None:
    """A plug-in of the study that was defined in this process alone (a notebook, a script, a module imported there);
    None where there is none. Worker processes have installed plug-ins and those in the study's plug-in files."""
    installed = {point.module.split(".")[0] for group in GROUPS for point in entry_points(group=group)}
    for plugin in task_of(study).plugins(study):
        from_file = plugin.origin.endswith(".py")
        if plugin.origin != "built-in" and not from_file and plugin.origin.split(".")[0] not in installed:
            return plugin
    return None


def _analyse_and_report(
    study: AnyStudy, workspace: Workspace, executor: Executor, progress: Progress, command: str
) -> Results:
    """Go through the interim analyses, then write the results of the last one."""
    task, results, decisions = task_of(study), StepResults(workspace.store), Decisions()
    total, notes = Outcome(), []
    for analysis in task.analyses(study, workspace, results, executor):
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
    notes_on_study = (*equal, *task.notes(study, analysis.verdict.notes))
    verdict = replace(analysis.verdict, notes=notes_on_study)
    data = task.report_data(study, workspace, analysis, verdict, results, command)
    page = workspace.shown(task.write(data, workspace.folder))
    mark_reported(workspace.folder, study)
    results_of_run = total.done, total.seconds, total.failures, total.memory
    return Results(study, data, page, analysis.plan, *results_of_run, notes, len(total.copied))


def _nothing_to_judge(study: AnyStudy, workspace: Workspace, failures: list[Failure]) -> PrunecheckError:
    if failures:
        return StepError(_failure_message(failures, None))
    found = f"study {study.name!r} has no results to judge in {workspace.store.root} yet"
    if isinstance(study, LanguageStudy) and not is_loadable(study.model):
        return StudyError(
            f"{found}. Results of a hf: model are found by the version of transformers, which is not installed: "
            "install prunecheck[llm] with the version that the run had."
        )
    if (workspace.folder / "results.csv").is_file():
        return StudyError(
            f"{found}; those in {workspace.shown(workspace.folder)} are of another study file, version or processor, "
            "or of steps that were removed from the store. Run it again, or judge these rows with prunecheck verify."
        )
    return StudyError(f"{found}: run it first.")


def _failure_message(failures: list[Failure], page: Path | None) -> str:
    """At most four lines: how many failed, the first three, and where the other results are."""
    rest = f"the others are finished and in {page}" if page else "nothing is left to judge"
    lines = [f"{len(failures)} of the steps failed; {rest}."]
    lines += [f"  {failure.step.title}: {failure.reason}" for failure in failures[:3]]
    return "\n".join(lines)

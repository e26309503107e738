"""The interim analyses of a study, one after the other: run a plan, judge it, add seeds where a verdict is open.

The dense runs come first and fix the margin before any corrupted arm is judged. With ``ReadOnly`` nothing is trained:
the interim analyses use the results that are in the store, as far as they go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from math import isfinite
from typing import Protocol

from prunecheck.runner.engine import Outcome, needed
from prunecheck.runner.records import DenseRuns, blocked, fix_margin, read_failed
from prunecheck.runner.report_data import Row, present, rows, study_images
from prunecheck.runner.step_results import StepResults
from prunecheck.runner.workspace import Workspace
from prunecheck.statistics import Cell, CheckVerdict, Settings, StudyVerdict, next_look
from prunecheck.statistics.margin import ENOUGH_DENSE
from prunecheck.statistics.rows import CLEAN, DENSE, number
from prunecheck.study.plan import Arm, Plan, make_plan
from prunecheck.study.step import Step
from prunecheck.study.study import Study
from prunecheck.text import counted, percent

Seeds = dict[tuple[str, str], tuple[int, ...]]
"""(method, check) -> seeds"""


class Executor(Protocol):
    """Makes artefacts: within ``phase(plan)``, ``make`` runs the steps of *plan* that some targets need."""

    trains: bool

    def phase(self, plan: Plan) -> AbstractContextManager[None]: ...

    def make(self, targets: set[str]) -> Outcome: ...


class ReadOnly:
    """The executor of ``report`` and ``status``: makes nothing."""

    trains = False

    def phase(self, _plan: Plan) -> AbstractContextManager[None]:
        return nullcontext()

    def make(self, _targets: set[str]) -> Outcome:
        return Outcome()


@dataclass(frozen=True)
class InterimAnalysis:
    """One interim analysis. ``verdict``: None where there is nothing to judge yet; provisional unless ``complete``,
    that is, unless every arm of the plan is there. ``note``: what the user should know about the margin, or ""."""

    plan: Plan
    settings: Settings
    rows: list[Row]
    verdict: StudyVerdict | None
    complete: bool
    outcome: Outcome
    note: str = ""


def interim_analyses(
    study: Study, workspace: Workspace, results: StepResults, executor: Executor, *, write_margin: bool = True
) -> Iterator[InterimAnalysis]:
    """The interim analyses of *study*, up to the first that is incomplete or asks for no more seeds.

    The margin is recorded (if at all) once all dense runs that fix it are there, or will never be.
    """
    settings: Settings | None = None
    seeds: Seeds = {}
    while True:
        plan = make_plan(study, seeds)
        dense_arms = [arm for arm in plan.arms if arm.method == DENSE]
        with executor.phase(plan):
            outcome = executor.make({key for arm in dense_arms for key in (arm.train, arm.evaluate) if key})
            dense = _first_dense_runs(study, dense_arms, workspace, results)
            if dense is None:
                yield InterimAnalysis(plan, Settings(), [], None, False, outcome)
                return
            settings = settings or settings_of(study)
            final = write_margin and (executor.trains or len(dense.values) == len(dense.planned))
            in_terms = study.margin if isinstance(study.margin, str) else ""
            fixed, note = fix_margin(workspace.folder, dense, settings, in_terms=in_terms, write=final)
            outcome = outcome.then(executor.make(plan.targets))
        arms = present(plan, workspace.store)
        found, complete = rows(arms, results), len(arms) == len(plan.arms)
        verdict = _judge(study, found, fixed)
        yield InterimAnalysis(plan, fixed, found, verdict, complete, outcome, note)
        # No seeds are added after an incomplete analysis: the error rates do not cover verdicts that are read from it.
        more = _more_seeds(study, verdict, seeds, fixed) if verdict and complete else {}
        if not more:
            return
        seeds.update(more)


def settings_of(study: Study) -> Settings:
    """The statistics' part of a study."""
    fixed = study.seeds != "auto"
    return Settings(
        margin=None if isinstance(study.margin, str) else study.margin,
        design="fixed" if fixed else "sequential",
        max_seeds=max(len(study.first_seeds()), 3) if fixed else study.max_seeds,
        compare=study.compare,
        metric=study.metric,
        chance=_chance(study),
    )


@dataclass(frozen=True)
class Unfinished:
    """The steps a plan still needs; those of them that failed in the last run (key -> reason); and those that cannot
    be computed because of these."""

    missing: Mapping[str, Step]
    failed: Mapping[str, str]
    blocked: frozenset[str]

    @property
    def is_final(self) -> bool:
        """Whether every missing step failed or needs one that did."""
        return self.blocked >= self.missing.keys()

    @property
    def sentence(self) -> str:
        """What a reader of the results must know; empty where nothing is missing."""
        if not self.missing:
            return ""
        trainings = sum(step.kind in ("pretrain", "train") for step in self.missing.values())
        what = f"{trainings} trainings ({len(self.missing)} steps) are missing"
        if any(step.kind in ("prune", "likelihood") for step in self.missing.values()):
            what = f"{len(self.missing)} steps are missing"
        if self.is_final:
            steps = "step" if len(self.failed) == 1 else "steps"
            return f"Not complete: {len(self.failed)} {steps} failed, and for that {what}."
        return (
            f"Not finished: {what}. What is reported here may still change, and the error rates do not cover verdicts "
            "that are read before an interim analysis is complete."
        )


def unfinished_steps(plan: Plan, workspace: Workspace) -> Unfinished:
    """What is missing of a plan, and why as far as that is known."""
    missing = needed(plan.steps, plan.targets, workspace.store)
    failed = {key: reason for key, reason in read_failed(workspace.folder).items() if key in missing}
    return Unfinished(missing, failed, blocked(missing, failed))


@dataclass
class Decisions:
    """Which cells were decided, so that each is reported once, and again only if a later analysis changes it (as the
    result of a control can)."""

    reported: dict[tuple[str, str, float], str] = field(default_factory=dict)
    """(method, check, sparsity) -> verdict"""

    def news(self, verdict: StudyVerdict) -> list[str]:
        """One line per cell that *verdict*, of a complete interim analysis, decides or changes."""
        lines, is_last = [], not any(check.open for check in verdict.checks)
        for check in verdict.checks:
            for cell in check.cells if check.control != "identity" else ():
                index = (check.method, check.check, cell.sparsity)
                before, decided = self.reported.get(index), _decided(check, cell, is_last)
                if decided is None or decided == before:
                    continue
                self.reported[index] = decided
                lines.append(f"{'changed' if before else 'decided'}: {_cell_line(check, cell)}")
        return lines


def _decided(check: CheckVerdict, cell: Cell, is_last: bool) -> str | None:
    """The cell's verdict; None while more seeds are to come for it, or for a control it depends on."""
    provisional = ("INCONCLUSIVE",) if is_last else ("INCONCLUSIVE", "UNINFORMATIVE")
    return None if check.open or cell.verdict in provisional else cell.verdict


def _cell_line(check: CheckVerdict, cell: Cell) -> str:
    where = f"{check.method} x {check.check} at {percent(cell.sparsity)}"
    judged = isfinite(cell.low) and isfinite(cell.high)
    interval = f" [{number(cell.low, cell.unit)}, {number(cell.high, cell.unit)}]" if judged else ""
    drop = number(cell.mean_drop, cell.unit)
    return f"{where}: {cell.verdict.lower()}, {drop}{interval} {cell.unit}, {counted(cell.n, 'seed')}"


def _chance(study: Study) -> float:
    """Accuracy of always guessing the commonest class of the test set."""
    import numpy as np

    targets = study_images(study).test_targets
    return float(np.bincount(targets).max() / len(targets))


def _first_dense_runs(
    study: Study, dense_arms: list[Arm], workspace: Workspace, results: StepResults
) -> DenseRuns | None:
    """The dense runs of the study's first seeds, which fix the margin; None if too few are there for that: none, or
    for a margin in standard deviations less than three."""
    first = [arm for arm in dense_arms if arm.seed in set(study.first_seeds())]
    absent = workspace.store.missing({key for arm in first for key in (arm.train, arm.evaluate) if key})
    finished = [arm for arm in first if absent.isdisjoint((arm.train, arm.evaluate))]
    if len(finished) < (ENOUGH_DENSE if isinstance(study.margin, str) else 1):
        return None
    values = {
        arm.train: results.evaluation(arm.evaluate)[study.metric]
        if arm.evaluate
        else results.training(arm.train)["accuracy"]
        for arm in finished
    }
    n_test = results.training(finished[0].train)["n_test"]
    return DenseRuns(values, frozenset(arm.train for arm in first), n_test)


def _judge(study: Study, found: list[Row], settings: Settings) -> StudyVerdict | None:
    """None where there is nothing to judge: then the statistics are not imported, which takes half a second."""
    if not any(row["check"] != CLEAN for row in found):
        return None
    from prunecheck.statistics import judge, read_rows

    return judge(read_rows(found), study=study.name, settings=settings)


def _more_seeds(study: Study, verdict: StudyVerdict, seeds: Seeds, settings: Settings) -> Seeds:
    """The seeds of the next interim analysis, for the methods and checks whose verdict is open."""
    if study.seeds != "auto":
        return {}
    from prunecheck.statistics import open_checks

    more = {}
    for pair in sorted(open_checks(verdict)):
        have = seeds.get(pair, study.first_seeds())
        seeds_then = next_look(len(have), settings)
        if seeds_then is not None and seeds_then > len(have):
            more[pair] = tuple(range(seeds_then))
    return more

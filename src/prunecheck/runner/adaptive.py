"""The looks of a study, one after the other: what is there, what the verdict says of it, which seeds it asks for next.

The dense runs come first and fix the margin before any corrupted arm is looked at. Whoever trains nothing walks the
same looks, as far as they go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from math import isfinite

from prunecheck import data
from prunecheck.runner.engine import Outcome, needed
from prunecheck.runner.records import blocked, fixed_margin, read_failed
from prunecheck.runner.report_data import Row, StepResults, present, rows
from prunecheck.runner.workspace import Workspace
from prunecheck.statistics import Cell, CheckVerdict, Settings, StudyVerdict, next_look
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.study.plan import Plan, make_plan
from prunecheck.study.step import Step
from prunecheck.study.study import Study, located
from prunecheck.text import percent

Seeds = Mapping[tuple[str, str], tuple[int, ...]]
Settle = Callable[[set[str]], Outcome]
"""makes some targets of a plan, as far as that is possible"""
AtWork = Callable[[Plan], AbstractContextManager[Settle]]


@dataclass(frozen=True)
class StudyLook:
    """What is there of one look. ``verdict``: None where there is nothing to judge. ``whole``: every arm of the plan is
    there, so that the verdict counts; otherwise it is what it would be if nothing more came."""

    plan: Plan
    settings: Settings
    rows: list[Row]
    verdict: StudyVerdict | None
    whole: bool
    outcome: Outcome


def train_nothing(_plan: Plan) -> AbstractContextManager[Settle]:
    """For those who only look."""
    return nullcontext(lambda _targets: Outcome())


def walk(
    study: Study,
    workspace: Workspace,
    facts: StepResults,
    at_work: AtWork = train_nothing,
    *,
    write_margin: bool = True,
) -> Iterator[StudyLook]:
    """The looks of *study*, up to the first that is not whole or asks for no more seeds. ``at_work`` makes what a look
    needs. The margin is written down once all dense runs that fix it are there (or will never be), if at all."""
    settings: Settings | None = None
    seeds: dict[tuple[str, str], tuple[int, ...]] = {}
    trains = at_work is not train_nothing
    while True:
        plan = make_plan(study, seeds)
        dense = {arm.train for arm in plan.arms if arm.method == DENSE}
        with at_work(plan) as settle:
            outcome = settle(dense)
            first = _first_dense_rows(study, workspace, plan, facts)
            if not first:
                yield StudyLook(plan, Settings(), [], None, False, outcome)
                return
            settings = settings or settings_of(study)
            final = write_margin and (trains or len(first) == len(study.first_seeds()))
            accuracies = [row["accuracy"] for row in first]
            fixed = fixed_margin(workspace.folder, accuracies, first[0]["n_test"], settings, write=final)
            outcome = outcome.then(settle(plan.targets))
        arms = present(plan, workspace.store)
        found, whole = rows(arms, facts), len(arms) == len(plan.arms)
        verdict = _judged(study, found, fixed)
        yield StudyLook(plan, fixed, found, verdict, whole, outcome)
        more = _more_seeds(study, verdict, seeds, fixed) if verdict and whole else {}
        if not more:
            return
        seeds.update(more)


def settings_of(study: Study) -> Settings:
    """The statistics' part of a study."""
    fixed = study.seeds != "auto"
    return Settings(
        margin=study.margin,
        fixed_n=fixed,
        max_seeds=max(len(study.first_seeds()), 3) if fixed else study.max_seeds,
        chance=_chance(study),
    )


@dataclass(frozen=True)
class Gap:
    """The steps a look still needs, those of them that failed when they were last tried (key -> reason), and those that
    cannot be made before these."""

    missing: Mapping[str, Step]
    failed: Mapping[str, str]
    blocked: frozenset[str]

    @property
    def is_final(self) -> bool:
        """Whether nothing is left that could be made without a step that failed."""
        return self.blocked >= self.missing.keys()

    @property
    def sentence(self) -> str:
        """What a reader of the results must know; empty where nothing is missing."""
        if not self.missing:
            return ""
        trainings = sum(step.kind in ("pretrain", "train") for step in self.missing.values())
        what = f"{trainings} trainings ({len(self.missing)} steps) are missing"
        if self.is_final:
            steps = "step" if len(self.failed) == 1 else "steps"
            return f"Not complete: {len(self.failed)} {steps} failed, and for that {what}."
        return (
            f"Not finished: {what}. What is said here may still change, and the error rates do not cover verdicts "
            "that are read before their look is complete."
        )


def gap_of(plan: Plan, workspace: Workspace) -> Gap:
    """What is missing of a plan, and why as far as that is known."""
    missing = needed(plan.steps, plan.targets, workspace.store)
    failed = {key: reason for key, reason in read_failed(workspace.folder).items() if key in missing}
    return Gap(missing, failed, blocked(missing, failed))


def _chance(study: Study) -> float:
    """Accuracy of always guessing the commonest class of the test set."""
    import numpy as np

    targets = data.load(located(study)).test_targets
    return float(np.bincount(targets).max() / len(targets))


def _first_dense_rows(study: Study, workspace: Workspace, plan: Plan, facts: StepResults) -> list[Row]:
    """The dense runs that fix the margin, as far as they are there."""
    first = set(study.first_seeds())
    arms = [arm for arm in present(plan, workspace.store) if arm.method == DENSE and arm.seed in first]
    return rows(arms, facts)


def _judged(study: Study, found: list[Row], settings: Settings) -> StudyVerdict | None:
    """None where there is nothing to judge: then the statistics need not be loaded, which takes half a second."""
    if not any(row["check"] != CLEAN for row in found):
        return None
    from prunecheck.statistics import judge, read_rows

    return judge(read_rows(found), study=study.name, settings=settings)


def _more_seeds(study: Study, verdict: StudyVerdict, seeds: Seeds, settings: Settings) -> Seeds:
    """The seeds to add at the next look, only where the verdict is open."""
    if study.seeds != "auto":
        return {}
    from prunecheck.statistics import open_checks

    more = {}
    for pair in sorted(open_checks(verdict)):
        have = seeds.get(pair, study.first_seeds())
        look = next_look(len(have), settings)
        if look is not None and look > len(have):
            more[pair] = tuple(range(look))
    return more


@dataclass
class Settled:
    """``said``: the answers given so far, by method, check and sparsity."""

    said: dict[tuple[str, str, float], str] = field(default_factory=dict)

    def news(self, verdict: StudyVerdict) -> list[str]:
        """The lines for what *verdict* (of a whole look) settles or changes."""
        lines, is_last = [], not any(check.open for check in verdict.checks)
        for check in verdict.checks:
            for cell in check.cells if check.control != "identity" else ():
                place = (check.method, check.check, cell.sparsity)
                before, answer = self.said.get(place), _answer(check, cell, is_last)
                if answer is None or answer == before:
                    continue
                self.said[place] = answer
                lines.append(f"{'changed' if before else 'settled'}: {_sentence(check, cell)}")
        return lines


def _answer(check: CheckVerdict, cell: Cell, is_last: bool) -> str | None:
    """None where nothing is settled yet: its seeds are still to come, or those of a control that could show that the
    check can tell after all."""
    provisional = ("INCONCLUSIVE",) if is_last else ("INCONCLUSIVE", "UNINFORMATIVE")
    return None if check.open or cell.verdict in provisional else cell.verdict


def _sentence(check: CheckVerdict, cell: Cell) -> str:
    where = f"{check.method} x {check.check} at {percent(cell.sparsity)}"
    judged = isfinite(cell.low) and isfinite(cell.high)
    interval = f" [{cell.low:+.2f}, {cell.high:+.2f}]" if judged else ""
    return f"{where}: {cell.verdict.lower()}, {cell.mean_drop:+.2f}{interval} points, {cell.n} seeds"

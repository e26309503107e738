"""Run a study: train what is missing, look at the verdict, add seeds where it is open, write the results.

The dense runs come first and fix the margin before any corrupted arm is looked at. ``report`` walks the same looks
without training anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prunecheck import data
from prunecheck.core.errors import PrunecheckError, StepError, StudyError
from prunecheck.report import Evidence, MaskOverlap, write
from prunecheck.run.engine import Failure, Outcome, Watcher, execute, needed, unwatched
from prunecheck.run.estimate import Estimate
from prunecheck.run.evidence import cost_of, provenance_of
from prunecheck.run.homes import hidden_from_workers
from prunecheck.run.margin_file import fixed_margin
from prunecheck.run.progress import Progress
from prunecheck.run.published import published_for
from prunecheck.run.results import Facts, Row, curves, layer_tables, overlaps, present, rows
from prunecheck.run.space import enough_space
from prunecheck.run.study_results import Results
from prunecheck.run.verify_file import verified
from prunecheck.run.worker import Bench
from prunecheck.store import Damaged, Store
from prunecheck.study.entrants import DENSE, entrants
from prunecheck.study.plan import CLEAN, Plan, make_plan
from prunecheck.study.step import Step
from prunecheck.study.study import Study, located
from prunecheck.study.text import to_toml
from prunecheck.verdict import Settings, StudyVerdict, judge, next_look, open_checks, read_rows

ROUNDS = 3
"""how often steps are tried whose inputs turn out to be damaged, and are made again"""
Seeds = Mapping[tuple[str, str], tuple[int, ...]]
Settle = Callable[[Plan, set[str]], Outcome]


@dataclass(frozen=True)
class Place:
    """Where a study lives: ``store`` holds artefacts and is shared between studies, ``folder`` gets the results."""

    store: Store
    folder: Path


def run_study(
    study: Study, place: Place, workers: int, progress: Progress, command: str = "", watch: Watcher = unwatched
) -> Results:
    """Train what is missing and judge. ``watch`` is told of every step that was finished. Raises StepError where
    steps failed, once everything else is done and the results of what is there are written."""
    from prunecheck.run.preflight import preflight

    model_bytes = preflight(study)
    plan = make_plan(study)
    enough_space(needed(plan.steps, plan.targets, place.store).values(), model_bytes, place.store)
    settle = _settler(study, place.store, workers, progress, watch)
    results = _look_until_settled(study, place, settle, command)
    if results.failures:
        raise StepError(_failed(results.failures, results.page))
    return results


def _settler(study: Study, store: Store, workers: int, progress: Progress, watch: Watcher = unwatched) -> Settle:
    """What runs the steps that some targets need; where an artefact turns out to be damaged, it is made again."""
    estimate = Estimate(store)
    bench = Bench(store.root, located(study).root, study.plugin_files)
    hidden = hidden_from_workers(study)
    if hidden is not None and workers > 1:
        workers = 1
        progress.note(
            f"{hidden.name!r} is defined in {hidden.origin}, where worker processes cannot see it: all steps run in "
            "this one. Put it into a file and name that in plugins to use every core."
        )

    def settle(plan: Plan, targets: set[str]) -> Outcome:
        total = Outcome()
        for _ in range(ROUNDS):
            _set_damaged_aside(targets, store)
            steps = needed(plan.steps, targets, store)
            with progress.phase(steps.values(), estimate.seconds, workers) as tick:

                def finished(step: Step, seconds: float, tick: Watcher = tick) -> None:
                    tick(step, seconds)
                    watch(step, seconds)

                outcome = execute(steps, bench, workers, estimate.seconds, finished)
            outcome.done[:0], outcome.seconds = total.done, outcome.seconds + total.seconds
            total = outcome
            if not any(failure.damaged for failure in outcome.failures):
                break
        return total

    return settle


def _set_damaged_aside(targets: set[str], store: Store) -> None:
    """What the results would be read from and cannot be is made again."""
    for key in targets - store.missing(targets):
        with suppress(Damaged):
            store.read(key, "result.json")


def report_study(study: Study, place: Place, command: str = "") -> Results:
    """The same results from what the store holds; trains nothing. Raises StudyError where there is nothing yet."""
    return _look_until_settled(study, place, lambda _plan, _targets: Outcome(), command)


def _look_until_settled(study: Study, place: Place, settle: Settle, command: str) -> Results:
    settings = settings_of(study)
    seeds: dict[tuple[str, str], tuple[int, ...]] = {}
    ran: list[Step] = []
    seconds = 0.0
    while True:
        plan = make_plan(study, seeds)
        dense = {arm.train for arm in plan.arms if arm.method == DENSE}
        for targets in (dense, plan.targets):
            outcome = settle(plan, targets)
            ran += outcome.done
            failures = outcome.failures  # a dense training that failed was tried again with all the others
            seconds += outcome.seconds
            if targets is dense:
                settings = _with_margin(study, place, plan, settings, failures)
        facts = Facts(place.store)
        found = rows(present(plan, place.store), facts)
        if not any(row["check"] != CLEAN for row in found):
            raise _nothing_to_judge(study, place, failures)
        verdict = judge(read_rows(found), study=study.name, settings=settings)
        more = {} if failures or len(found) < len(plan.arms) else _more_seeds(study, verdict, seeds, settings)
        if not more:
            evidence = _evidence(study, place, plan, verdict, found, facts, command)
            return Results(study, evidence, write(evidence, place.folder), plan, ran, seconds, failures)
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


def _chance(study: Study) -> float:
    """Accuracy of always guessing the commonest class of the test set."""
    import numpy as np

    targets = data.load(located(study)).test_targets
    return float(np.bincount(targets).max() / len(targets))


def _nothing_to_judge(study: Study, place: Place, failures: list[Failure]) -> PrunecheckError:
    if failures:
        return StepError(_failed(failures, None))
    return StudyError(f"study {study.name!r} has no results to judge in {place.store.root} yet: run it first.")


def _with_margin(study: Study, place: Place, plan: Plan, settings: Settings, failures: list[Failure]) -> Settings:
    first = set(study.first_seeds())
    arms = [arm for arm in present(plan, place.store) if arm.method == DENSE and arm.seed in first]
    if not arms:
        raise _nothing_to_judge(study, place, failures)
    facts = Facts(place.store)
    found = rows(arms, facts)
    return fixed_margin(place.folder, [row["accuracy"] for row in found], found[0]["n_test"], settings)


def _more_seeds(study: Study, verdict: StudyVerdict, seeds: Seeds, settings: Settings) -> Seeds:
    """The seeds to add at the next look, only where the verdict is open."""
    if study.seeds != "auto":
        return {}
    more = {}
    for pair in sorted(open_checks(verdict)):
        have = seeds.get(pair, study.first_seeds())
        look = next_look(len(have), settings)
        if look is not None and look > len(have):
            more[pair] = tuple(range(look))
    return more


def _evidence(
    study: Study,
    place: Place,
    plan: Plan,
    verdict: StudyVerdict,
    found: list[Row],
    facts: Facts,
    command: str,
) -> Evidence:
    arms = present(plan, place.store)
    return Evidence(
        name=study.name,
        rows=found,
        verdict=verdict,
        question=study.question,
        study_toml=to_toml(study),
        layers=layer_tables(study, arms, facts),
        curves=curves(arms, facts),
        overlaps=overlaps(arms, facts),
        cost=cost_of(plan),
        provenance=provenance_of(study, plan) | verified(place.folder, plan.steps),
        command=command,
        published=published_for(study),
    )


def _failed(failures: list[Failure], page: Path | None) -> str:
    """At most four lines: how many, the first three, where the rest of the results are."""
    rest = f"the others are finished and in {page}" if page else "nothing is left to judge"
    lines = [f"{len(failures)} of the steps failed; {rest}."]
    lines += [f"  {failure.step.title}: {failure.reason}" for failure in failures[:3]]
    return "\n".join(lines)


def largest_seeds(study: Study) -> Seeds:
    """Every pair at its last look: the most an adaptive study can come to."""
    seeds = tuple(range(study.max_seeds))
    plan = make_plan(study)
    return {(arm.method, arm.check): seeds for arm in plan.arms if arm.check != CLEAN}


def mask_tier(
    study: Study, store: Store, workers: int, progress: Progress
) -> tuple[tuple[MaskOverlap, ...], list[str]]:
    """The mask tier of every method that needs no training, and the methods left out because they do."""
    from prunecheck.run.preflight import preflight

    preflight(study)
    plan = make_plan(study, train=False)
    outcome = _settler(study, store, workers, progress)(plan, plan.targets)
    if outcome.failures:
        raise StepError(outcome.failures[0].reason)
    left_out = [entrant.label for entrant in entrants(study) if entrant.needs_training]
    return overlaps(plan.arms, Facts(store)), left_out

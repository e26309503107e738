"""What the runner needs of a classification study: its checks before the start, its analyses, its report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prunecheck.pruning.plugins import Plugin
from prunecheck.reporting import ReportData
from prunecheck.runner.interim_analyses import InterimAnalysis, unfinished_steps
from prunecheck.runner.network_remarks import network_remarks
from prunecheck.runner.records import read_verification
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
    repeatability_of,
    study_images,
    too_few_updates,
    trained_in_words,
)
from prunecheck.runner.step_results import StepResults
from prunecheck.runner.workspace import Workspace
from prunecheck.statistics import StudyVerdict
from prunecheck.statistics.gates import collapse_line
from prunecheck.study.arms import ResolvedMethod, control_arms, resolved_checks, resolved_methods
from prunecheck.study.plan import largest_seeds, make_plan
from prunecheck.study.study import Study, located
from prunecheck.study.toml import to_toml


def before(study: Study) -> int:
    """See ``preflight``, which imports torch."""
    from prunecheck.runner.preflight import preflight

    return preflight(study)


def remarks(study: Study) -> list[str]:
    """What stays dense or multiplies padding only, masks that hardly change, and what was found in the data."""
    return [*network_remarks(study).given, *too_few_updates(study), *study_images(study).notes]


def notes(study: Study, of_verdict: Iterable[str]) -> list[str]:
    """The notes of a verdict among the remarks on its study, in the order of the report."""
    return [*network_remarks(study).given, *too_few_updates(study), *of_verdict, *study_images(study).notes]


def worker_fields(study: Study) -> dict[str, Any]:
    return {
        "data_root": located(study).root,
        "tickets_per_gpu": study.tickets_per_gpu,
        "loader_threads": study.loader_threads,
        "processes": study.processes_per_training,
    }


def plugins(study: Study) -> Iterator[Plugin]:
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


def report_data(
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
        | repeatability_of(study)
        | verified,
        command=command,
        published=published_for(study),
        collapse_line=collapse_line(analysis.settings.chance, verdict.n_test, verdict.dense_accuracy),
        unfinished=unfinished_steps(plan, workspace).sentence,
    )

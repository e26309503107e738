"""What differs between the tasks of studies when they run: checks before the start, analyses, report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunecheck.pruning.plugins import Plugin
from prunecheck.pruning.post_training_plugins import PostTrainingCheck, PostTrainingMethod
from prunecheck.reporting import write
from prunecheck.reporting.language import write_language
from prunecheck.runner import classification, language
from prunecheck.runner.interim_analyses import InterimAnalysis, interim_analyses
from prunecheck.study import AnyStudy
from prunecheck.study.language_study import TASK

AnyPlugin = Plugin | PostTrainingMethod | PostTrainingCheck


@dataclass(frozen=True)
class RunnerTask:
    """``before(study)``: checks before the first step; the bytes of the network. ``remarks(study)``: sentences for the
    user; ``notes(study, of_verdict)``: these and a verdict's own, for the report. ``worker_fields(study)``: what
    workers must know beside the store and plug-ins. ``plugins(study)``: all that its steps call. ``analyses``: see
    ``interim_analyses``. ``report_data``: the content of the report of one analysis; ``write(data, folder)``: its
    files, and the path of the page."""

    before: Callable[[Any], int]
    remarks: Callable[[Any], Iterable[str]]
    notes: Callable[[Any, Iterable[str]], Iterable[str]]
    worker_fields: Callable[[Any], dict[str, Any]]
    plugins: Callable[[Any], Iterable[AnyPlugin]]
    analyses: Callable[..., Iterator[InterimAnalysis]]
    report_data: Callable[..., Any]
    write: Callable[[Any, Path], Path]


_TASKS = {
    "classification": RunnerTask(
        classification.before,
        classification.remarks,
        classification.notes,
        classification.worker_fields,
        classification.plugins,
        interim_analyses,
        classification.report_data,
        write,
    ),
    TASK: RunnerTask(
        language.before,
        language.remarks,
        language.notes,
        language.worker_fields,
        language.plugins,
        language.analyses,
        language.report_data,
        write_language,
    ),
}


def task_of(study: AnyStudy) -> RunnerTask:
    return _TASKS[study.task]

"""What differs between the tasks of studies, before anything runs: fields, validation, plan. Does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prunecheck.errors import StudyError
from prunecheck.study import language_plan, language_validate, plan, validate
from prunecheck.study.language_study import TASK, LanguageStudy
from prunecheck.study.plan import Plan
from prunecheck.study.study import Study
from prunecheck.text import printable, unknown

AnyStudy = Study | LanguageStudy
Seeds = Mapping[tuple[str, str], Iterable[int]]


@dataclass(frozen=True)
class StudyTask:
    """``fields``: the class of its studies. ``resolve(study, allow_absent=)``: validation across fields.
    ``plan``: see ``make_plan``. ``largest``: see ``largest_seeds``."""

    fields: type[Study] | type[LanguageStudy]
    resolve: Callable[..., None]
    plan: Callable[..., Plan]
    largest: Callable[..., dict[tuple[str, str], tuple[int, ...]]]


TASKS: dict[str, StudyTask] = {
    "classification": StudyTask(Study, validate.resolve, plan.make_plan, plan.largest_seeds),
    TASK: StudyTask(LanguageStudy, language_validate.resolve, language_plan.make_plan, lambda _, **__: {}),
}


def fields_of(given: Mapping[str, Any]) -> type[Study] | type[LanguageStudy]:
    """The class whose fields *given* are. Raises StudyError for an unknown task."""
    task = given.get("task", "classification")
    if not isinstance(task, str) or task not in TASKS:
        raise StudyError(f"task = {unknown('task', printable(str(task), 60), TASKS)}")
    return TASKS[task].fields


def resolve(study: AnyStudy, *, allow_absent: bool = False) -> None:
    """Load the study's plug-ins and look up all its names. Raises StudyError (or a kind of it) naming the field."""
    TASKS[study.task].resolve(study, allow_absent=allow_absent)


def make_plan(study: AnyStudy, seeds: Seeds | None = None, *, train: bool = True, allow_absent: bool = False) -> Plan:
    """The plan of a study. ``seeds``: per (method label, check label) the seeds wanted, where they differ from the
    study's own; ``train=False`` stops at the masks of methods that need no training. ``allow_absent``: plan by the
    published numbers where the data are not there; such a plan has other keys and can only be looked at."""
    return TASKS[study.task].plan(study, seeds, train=train, allow_absent=allow_absent)


def largest_seeds(study: AnyStudy, *, allow_absent: bool = False) -> dict[tuple[str, str], tuple[int, ...]]:
    """The seeds of every method and check at the last interim analysis: the largest an adaptive study can become."""
    return TASKS[study.task].largest(study, allow_absent=allow_absent)

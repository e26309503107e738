"""Small JSON files beside the results: whose results they are, the margin, failed steps, the last plan, the last rerun.

Each is written whole or not at all, and validated when it is read again: what was edited or damaged is refused with
StudyError, because a wrong margin or a foreign plan would change what the report says.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import stdev
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from prunecheck.errors import StudyError
from prunecheck.runner.engine import Failure
from prunecheck.statistics import Margin, Settings, settle_margin
from prunecheck.statistics.margin import note_on_change
from prunecheck.statistics.margin_terms import CleanRuns, derive_margin, parse_margin
from prunecheck.statistics.rows import Metric
from prunecheck.store.durable import discard, plainly, read_file, write_file
from prunecheck.study import AnyStudy
from prunecheck.study.numerics import numerics
from prunecheck.study.plan import Plan
from prunecheck.study.step import Step, canonical
from prunecheck.text import printable, printable_path

STUDY, MARGIN, FAILED, PLAN, VERIFICATION = "study.json", "margin.json", "failed.json", "plan.json", "verify.json"
LIMIT = 100_000_000
"""bytes: more than a plan of MOST_STEPS takes"""
MOST_STEPS = 20_000
"""of larger plans no plan.json is written: it is a convenience, and should not take more than some megabytes"""
FEW = 4
"""how many differences are named"""
SHORT = 24
"""characters of a value that is shown; of a longer one only that it has changed"""
ABANDONED_SECONDS = 600
"""age of a temporary file that no process can still be writing"""
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")

Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
T = TypeVar("T")


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Study(_Document):
    source: str
    study: dict[str, Any]
    reported: bool
    """whether the results in the folder are of this study, or still of the one before"""


class _Margin(_Document):
    margin: Annotated[float, Field(gt=0, le=100)]
    rule: Annotated[str, Field(max_length=2000)]
    dense_runs: dict[Key, Annotated[float, Field(ge=-1, le=1)]]
    n_test: Annotated[int, Field(ge=1)]
    chance: Annotated[float, Field(ge=0, le=1)]
    set_by_hand: Annotated[float, Field(gt=0, le=100)] | None
    in_terms: Annotated[str, Field(max_length=100)] = ""
    """the study's margin where it is no number, such as "1 sd"; left out of the file otherwise"""
    metric: Metric = "accuracy"


class _PlanStep(_Document):
    title: str
    key: Key
    params: dict[str, Annotated[int, Field(ge=0)]]
    inputs: dict[str, Annotated[int, Field(ge=0)]]


class _Plan(_Document):
    numerics: dict[str, Any]
    parts: list[Any]
    steps: list[_PlanStep]


class _Verification(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    keys: list[Key]
    equal: list[str]
    different: list[str]
    failed: dict[str, str]


_FAILED = TypeAdapter(dict[Key, str], config=ConfigDict(strict=True))


@dataclass(frozen=True)
class DenseRuns:
    """The dense runs that fix a margin: ``values`` of the study's metric by key of those that are finished, in the
    order of their seeds; ``planned``: the keys of all; ``n_test``: test samples."""

    values: Mapping[str, float]
    planned: frozenset[str]
    n_test: int


@dataclass(frozen=True)
class PlannedStep:
    """A step as it was planned. ``inputs``: role -> title of the step it came from."""

    key: str
    params: Mapping[str, Any]
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class LastPlan:
    """``steps`` by title; ``numerics`` as in every key of them."""

    steps: Mapping[str, PlannedStep]
    numerics: Mapping[str, Any]


def check_folder(folder: Path, study: AnyStudy) -> str:
    """A sentence if results of an earlier version of *study* are going to be replaced in *folder*, else "".

    Raises StudyError if *folder* holds the results of another study, or a page that prunecheck did not write.
    """
    before = _read_study(folder)
    if before is None:
        if (folder / "index.html").is_file() and not _is_our_page(folder / "index.html"):
            raise StudyError(
                f"{printable_path(folder)} holds an index.html that is not a report of prunecheck. "
                "Choose another folder with --out."
            )
        return ""
    changed = list(differences(before.study, _fields(study)))
    if not changed:
        return ""
    if _is_other(before, study):
        raise StudyError(
            f"{printable_path(folder)} holds the results of another study ({printable_path(before.source)}). "
            "Choose another folder with --out, or delete this one."
        )
    held = "holds" if before.reported else "was begun with"
    return f"{printable_path(folder)} {held} results of this study before {_listed(changed)}; they are replaced."


def take_folder(folder: Path, study: AnyStudy) -> str:
    """``check_folder``, then record that the results in *folder* will be those of *study* and remove abandoned
    temporary files there."""
    note = check_folder(folder, study)
    before = _read_study(folder)
    reported = before is not None and before.reported and not note
    _write(folder / STUDY, _study_document(study, reported=reported))
    _remove_abandoned(folder)
    return note


def mark_reported(folder: Path, study: AnyStudy) -> None:
    """Record that the results in *folder* are those of *study*."""
    _write(folder / STUDY, _study_document(study, reported=True))


def foreign_results(folder: Path, study: AnyStudy) -> str:
    """Why the results in *folder* are not those of *study*; "" where they are, or where there are none."""
    before = _read_study(folder)
    if before is None or not (changed := list(differences(before.study, _fields(study)))):
        return "" if before is None or before.reported else "they are not written yet"
    if _is_other(before, study):
        return f"it holds another study ({printable_path(before.source)})"
    return f"they were written before {_listed(changed)}"


def fix_margin(
    folder: Path, dense: DenseRuns, settings: Settings, *, in_terms: str = "", write: bool = True
) -> tuple[Settings, str]:
    """*settings* with the margin of this study, and a sentence where that is not the one in *folder*, else "".

    The margin is fixed before any corrupted arm is seen: the one recorded in *folder* holds, if it was derived from
    dense runs of this study. Otherwise the rule (or the study file) gives it now, and it is recorded, unless dense
    runs are still to come (``write=False``). A margin that the study file asks for later is used, and the recorded
    one is reported beside it. *in_terms*: the margin of the study file where it is no number, such as "1 sd". Raises
    StudyError for a record that contradicts itself or the dense runs it names, and
    for another metric than the recorded one: a metric is chosen before results are seen.
    """
    path = folder / MARGIN
    recorded = _read(path, TypeAdapter(_Margin), "the margin is then fixed anew from the dense runs")
    now = _derive_margin(dense.values, dense.n_test, settings.chance, settings.margin, in_terms)
    if recorded is None or dense.planned.isdisjoint(recorded.dense_runs):
        if write:
            record = {
                "margin": now.points,
                "rule": now.rule,
                "dense_runs": dict(dense.values),
                "n_test": dense.n_test,
                "chance": settings.chance,
                "set_by_hand": settings.margin,
                "metric": settings.metric,
            } | ({"in_terms": in_terms} if in_terms else {})
            _write(path, record)
        note = "" if recorded is None else _other_margin(path, recorded, now.points)
        return replace(settings, margin=now.points, margin_rule=now.rule), note
    if recorded.metric != settings.metric:
        raise StudyError(
            f"{printable_path(path)} fixed the margin for the metric {recorded.metric!r} before results were seen, "
            f"and the study now asks for {settings.metric!r}. Keep the metric, or choose another folder with --out."
        )
    rule = _check_margin(path, recorded, dense)
    if settings.margin is not None and not math.isclose(settings.margin, recorded.margin):
        return replace(settings, margin_was=recorded.margin), ""
    if in_terms and in_terms != recorded.in_terms:
        changed = now.rule + note_on_change(now, recorded.margin)
        return replace(settings, margin=now.points, margin_rule=changed, margin_was=recorded.margin), ""
    return replace(settings, margin=recorded.margin, margin_rule=rule), ""


def write_failed(folder: Path, failures: Iterable[Failure]) -> None:
    """Record the failures of a run; without any, no file is left."""
    failed = {failure.step.key: f"{failure.step.title}: {failure.reason}" for failure in failures}
    if failed:
        _write(folder / FAILED, failed)
    else:
        discard(folder / FAILED)


def read_failed(folder: Path) -> dict[str, str]:
    """Key -> title and reason of the steps that failed in the last run."""
    return _read(folder / FAILED, _FAILED, "the next run writes it again") or {}


def blocked(steps: Mapping[str, Step], failed: Iterable[str]) -> frozenset[str]:
    """Those of *steps* (inputs first) that failed or need one that did."""
    doomed = set(failed)
    for key, step in steps.items():
        if not doomed.isdisjoint(step.inputs.values()):
            doomed.add(key)
    return frozenset(doomed)


def write_plan(folder: Path, plan: Plan) -> None:
    """Record what is about to be computed. Equal parts of parameters (the data set, the recipe) are written once."""
    if len(plan.steps) > MOST_STEPS:
        discard(folder / PLAN)
        return
    parts: dict[str, int] = {}
    positions = {key: position for position, key in enumerate(plan.steps)}
    steps = [
        {
            "title": step.title,
            "key": key,
            "params": {name: parts.setdefault(canonical(value), len(parts)) for name, value in step.params.items()},
            "inputs": {role: positions[parent] for role, parent in step.inputs.items()},
        }
        for key, step in plan.steps.items()
    ]
    document = {"numerics": numerics(), "parts": [json.loads(part) for part in parts], "steps": steps}
    _write(folder / PLAN, document, compact=True)


def read_plan(folder: Path) -> LastPlan | None:
    """The plan of the last run; None where there is none."""
    plan = _read(folder / PLAN, TypeAdapter(_Plan), "the next run writes it again")
    if plan is None:
        return None
    try:
        steps = {
            step.title: PlannedStep(
                step.key,
                {name: plan.parts[position] for name, position in step.params.items()},
                {role: plan.steps[position].title for role, position in step.inputs.items()},
            )
            for step in plan.steps
        }
    except IndexError:
        raise _damaged(folder / PLAN, "a step names a part that is not there", "the next run writes it again") from None
    return LastPlan(steps, plan.numerics)


def write_verification(folder: Path, document: Mapping[str, Any]) -> None:
    """Record the last ``prunecheck verify --rerun``."""
    _write(folder / VERIFICATION, document)


def read_verification(folder: Path, steps: Container[str]) -> dict[str, str]:
    """The line of the report about it; empty where no step of this plan was computed again."""
    found = _read(folder / VERIFICATION, TypeAdapter(_Verification), "the report then does not mention it")
    again = 0 if found is None else sum(key in steps for key in found.keys)
    if found is None or not again:
        return {}
    wrong = len(found.different) + len(found.failed)
    outcome = f"{wrong} differ or failed" if wrong else "all equal, byte for byte"
    return {"computed again": f"{again} steps, drawn at random: {outcome}"}


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """``training.epochs was 3 and is 5`` for every leaf in which two JSON values differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*new, *old]):
            yield from differences(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif old != new:
        texts = [repr(value) if value is not None else "not set" for value in (old, new)]
        longest = max(map(len, texts))
        name = printable(path, 60)
        yield f"{name} was {texts[0]} and is {texts[1]}" if longest <= SHORT else f"{name} has changed"


def _listed(changed: Collection[str]) -> str:
    few = list(changed)[:FEW]
    more = f" and {len(changed) - FEW} more" if len(changed) > FEW else ""
    return f"it changed ({', '.join(few)}{more})"


def _fields(study: AnyStudy) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(study.model_dump_json(exclude_none=True))
    return fields


def _source(study: AnyStudy) -> str:
    return str(study.folder / study.file) if study.file else ""


def _study_document(study: AnyStudy, *, reported: bool) -> dict[str, Any]:
    return {"source": _source(study), "study": _fields(study), "reported": reported}


def _read_study(folder: Path) -> _Study | None:
    return _read(folder / STUDY, TypeAdapter(_Study), "the results in this folder are then replaced without a question")


def _is_other(before: _Study, study: AnyStudy) -> bool:
    """Whether both come from files, and from different ones. A study from Python has no file to compare."""
    return bool(before.source) and bool(study.file) and before.source != _source(study)


def _is_our_page(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return b"prunecheck" in file.read(100_000)
    return False


def _other_margin(path: Path, recorded: _Margin, points: float) -> str:
    return (
        f"{printable_path(path)} held a margin of {recorded.margin:.2f} points for other dense runs (on "
        f"{recorded.n_test} test samples); for those of this study it is {points:.2f}."
    )


def _derive_margin(
    dense_runs: Mapping[str, float], n_test: int, chance: float, by_hand: float | None, in_terms: str
) -> Margin:
    term = parse_margin(in_terms) if in_terms else by_hand
    dense = list(dense_runs.values())
    if term is None or isinstance(term, float):
        return settle_margin(dense, n_test, chance=chance, override=term)
    sd = 100 * stdev(dense) if len(dense) > 1 else None
    return derive_margin(term, CleanRuns(n_test, sd, len(dense), {}, {}))


def _check_margin(path: Path, recorded: _Margin, dense: DenseRuns) -> str:
    """The rule as a sentence. Raises StudyError unless the margin follows from the runs it names, and they have these
    accuracies."""
    try:
        follows = _derive_margin(
            recorded.dense_runs, recorded.n_test, recorded.chance, recorded.set_by_hand, recorded.in_terms
        )
    except StudyError as error:
        raise _damaged(path, str(error), "the margin is then fixed anew from the dense runs") from None
    other = [key for key, found in dense.values.items() if recorded.dense_runs.get(key, found) != found]
    if not math.isclose(follows.points, recorded.margin) or other or recorded.n_test != dense.n_test:
        reason = f"a margin of {recorded.margin:g} points does not follow from the dense runs it names"
        raise _damaged(path, reason, "the margin is then fixed anew from the dense runs")
    return follows.rule


def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files that a killed process left. One that may still be written is left alone."""
    with suppress(OSError):
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name) and time.time() - path.lstat().st_mtime > ABANDONED_SECONDS:
                discard(path)


def _write(path: Path, document: Mapping[str, Any], *, compact: bool = False) -> None:
    with plainly(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, separators=(",", ":")) if compact else json.dumps(document, indent=1)
    write_file(path, text.encode())


def _read(path: Path, adapter: TypeAdapter[T], remedy: str) -> T | None:
    """The validated document at *path*; None where there is none."""
    with plainly(path):
        if not path.is_symlink() and not path.exists():
            return None
    text = read_file(path, LIMIT)
    if text is None:
        raise _damaged(path, f"it is no plain file of at most {LIMIT} bytes", remedy)
    try:
        return adapter.validate_python(json.loads(text))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise _damaged(path, f"{where} {problem['msg']}".strip(), remedy) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error) or type(error).__name__, remedy) from None


def _damaged(path: Path, reason: str, remedy: str) -> StudyError:
    return StudyError(f"{printable_path(path)} is damaged: {printable(reason, 160)}. Delete it: {remedy}.")

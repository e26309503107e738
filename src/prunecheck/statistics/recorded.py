"""Verdicts that are written down: which of them changed, and whether their rows still give them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from prunecheck.errors import StudyError
from prunecheck.paths import file_problem
from prunecheck.statistics.judge_table import verdict
from prunecheck.statistics.language_table import (
    is_language_table,
    judge_language_table,
    language_origin,
    read_language_table,
)
from prunecheck.statistics.origin import FILE, origin_of
from prunecheck.statistics.outcome import StudyVerdict
from prunecheck.statistics.rows import number, unit
from prunecheck.statistics.tables import read_rows
from prunecheck.text import printable, printable_path

RESULTS = "results.csv"
CLOSE = {"points": 0.005, "nats": 0.0005}
"""half of the last digit that reports print"""


class Change(NamedTuple):
    """One verdict that is not what it was. None: it is not there."""

    what: str
    before: str | None
    after: str | None

    @property
    def sentence(self) -> str:
        return f"{self.what}: {self.before or 'not there'} -> {self.after or 'not there'}"


@dataclass(frozen=True)
class JudgedAgain:
    """The rows of a results folder, judged anew with the settings of its record."""

    folder: Path
    rows: int
    rows_sha256: str
    verdict: StudyVerdict
    changes: tuple[Change, ...]


def read_verdicts(path: Path) -> dict[str, Any]:
    """The verdicts.json at *path*, or in the folder *path*. Raises StudyError."""
    record = _read_record(path)
    if not all(isinstance(record.get(k), list) for k in ("methods", "checks")):
        file = path / FILE if path.is_dir() else path
        raise StudyError(f"{printable_path(file)} is no {FILE} of prunecheck: it has no list of methods and of checks.")
    return record


def _read_record(path: Path) -> dict[str, Any]:
    file = path / FILE if path.is_dir() else path
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        why = file_problem(file) or f"{printable_path(file)} is not JSON: {printable(str(error))}."
        raise StudyError(why) from None
    except OSError as error:
        if path.exists() and not path.is_dir():
            why = f"{printable_path(path)} cannot be read: {error.strerror}."
        elif path.is_dir():
            why = f"{printable_path(path)} holds no {FILE}, which a run of a study writes."
        else:
            why = file_problem(path)
        raise StudyError(why) from None
    if not isinstance(record, dict):
        raise StudyError(f"{printable_path(file)} is no {FILE} of prunecheck: it is no JSON object.")
    return record


def verdicts_of(record: Mapping[str, Any]) -> dict[str, str]:
    """What was judged -> its verdict: checks, methods, comparisons, and whether a control failed. Raises StudyError."""
    try:
        found = {f"{one['method']} x {one['check']}": str(one["verdict"]) for one in record["checks"]}
        found |= {str(one["method"]): str(one["verdict"]) for one in record["methods"]}
        found |= {
            f"{one['first']} against {one['second']}": str(one["verdict"]) for one in record.get("comparisons", ())
        }
    except (KeyError, TypeError):
        raise StudyError(f"This {FILE} was written by another version of prunecheck: a verdict has no name.") from None
    return found | {"the study's controls": "FAILED" if record.get("banner") else "NOT FAILED"}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """The verdicts that differ, in the order of *before*, then those that are new; both are of ``verdicts_of``."""
    names = dict.fromkeys([*before, *after])
    return tuple(
        Change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    )


def judge_again(folder: Path, *, settings_suffice: bool = False) -> JudgedAgain:
    """Judge ``results.csv`` of a results folder again and compare with its ``verdicts.json``, verdicts and numbers.
    With ``settings_suffice`` that file may hold the study's settings (``origin``) alone; there are no ``changes`` then.

    Raises StudyError where one of them is missing, or where the verdicts are of other rows.
    """
    record, table = (_read_record if settings_suffice else read_verdicts)(folder), folder / RESULTS
    if is_language_table(table):
        return _language_again(folder, record)
    rows = read_rows(table)
    origin, remark = origin_of(table, rows)
    if origin is None:
        raise StudyError(f"{printable_path(table)} cannot be judged again. {remark}")
    again = verdict(table)
    return JudgedAgain(folder, len(rows), str(record["origin"]["rows_sha256"]), again, _differences(record, again))


def _language_again(folder: Path, record: Mapping[str, Any]) -> JudgedAgain:
    table = read_language_table(folder / RESULTS)
    remark = language_origin(table)
    if remark:
        raise StudyError(f"{printable_path(table.path)} cannot be judged again. {remark}")
    again = judge_language_table(table)
    differ = _differences(record, again)
    return JudgedAgain(folder, len(table.rows), str(record["origin"]["documents_sha256"]), again, differ)


def _differences(record: Mapping[str, Any], again: StudyVerdict) -> tuple[Change, ...]:
    """None where *record* holds the settings alone."""
    if "checks" not in record:
        return ()
    after = again.to_dict()
    return changes(verdicts_of(record), verdicts_of(after)) + _other_numbers(record, after)


def _other_numbers(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    old, new = _numbers(before), _numbers(after)
    of = unit(after["metric"])
    return tuple(
        Change(name, number(old[name], of), number(new[name], of))
        for name in old.keys() & new.keys()
        if not math.isclose(old[name], new[name], rel_tol=0, abs_tol=CLOSE[of])
    )


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, Any] = {"margin": record.get("margin")}
    for one in record["checks"]:
        cell = one.get("pooled") or (one["cells"][0] if len(one.get("cells", ())) == 1 else {})
        for name in ("mean_drop", "low", "high"):
            found[f"{one['method']} x {one['check']}, {name.replace('_', ' ')}"] = cell.get(name)
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}

"""The settings a study was judged with, bound to its rows: its table, judged again, gives the study's own verdict.

They stand in ``verdicts.json`` beside ``results.csv``, with a hash of the rows. A table whose rows differ in any value
that verdicts rest on is never judged with them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Any, NamedTuple

from prunecheck.errors import StudyError
from prunecheck.statistics.rows import Row
from prunecheck.statistics.settings import Settings

FILE = "verdicts.json"


class Origin(NamedTuple):
    """The study a table comes from, and the settings it was judged with there."""

    study: str
    settings: Settings


def origin_record(rows: Iterable[Row], settings: Settings) -> dict[str, Any]:
    """What ``verdicts.json`` keeps of rows and settings."""
    return {"rows_sha256": fingerprint(rows), "settings": asdict(settings)}


def fingerprint(rows: Iterable[Row]) -> str:
    """A hash of the rows that does not depend on their order, nor on how numbers are written."""
    lines = sorted({json.dumps(_values(row)) for row in rows})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _values(row: Row) -> tuple[Any, ...]:
    """Without ``nll`` where it was not measured, so that the hashes of older tables stay what they were."""
    values = astuple(row)
    assert fields(row)[-1].name == "nll"
    return values if row.nll is not None else values[:-1]


def origin_of(table: Path, rows: Iterable[Row]) -> tuple[Origin | None, str]:
    """The study whose ``verdicts.json`` lies beside *table*, and a remark where there is one that does not count."""
    path = table.parent / FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError):
        return None, f"The {FILE} beside the table cannot be read: judged without the settings of a study."
    origin = record.get("origin") if isinstance(record, dict) else None
    if not isinstance(origin, dict) or origin.get("rows_sha256") != fingerprint(rows):
        return None, f"The {FILE} beside the table is of other rows: judged without the settings of a study."
    settings = _settings(origin.get("settings"))
    if settings is None:
        return None, f"The {FILE} beside the table is of another version: judged without the settings of a study."
    return Origin(str(record.get("study", table.stem)), settings), ""


def _settings(written: Any) -> Settings | None:
    known = {field.name for field in fields(Settings)}
    if not isinstance(written, Mapping) or set(written) != known:
        return None
    try:
        return Settings(**{name: _frozen(value) for name, value in written.items()})
    except (StudyError, TypeError, ValueError):
        return None


def _frozen(value: Any) -> Any:
    """Lists of JSON as the tuples that settings hold."""
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value

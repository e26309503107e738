"""Statistics: rows of results in, verdicts with stated error rates out. No torch; numpy and scipy only when judging."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunecheck.statistics.judging import exit_code, judge, open_checks, verdict
    from prunecheck.statistics.junit_xml import junit
    from prunecheck.statistics.margin import Margin, settle_margin
    from prunecheck.statistics.outcome import Cell, CheckVerdict, Control, MethodVerdict, StudyVerdict
    from prunecheck.statistics.rows import Row
    from prunecheck.statistics.settings import Look, Settings, next_look, schedule
    from prunecheck.statistics.tables import Reading, Table, read_rows, read_table

_HOMES = {
    "judging": ("exit_code", "judge", "open_checks", "verdict"),
    "junit_xml": ("junit",),
    "margin": ("Margin", "settle_margin"),
    "outcome": ("Cell", "CheckVerdict", "Control", "MethodVerdict", "StudyVerdict"),
    "rows": ("Row",),
    "tables": ("Reading", "Table", "read_rows", "read_table"),
    "settings": ("Look", "Settings", "next_look", "schedule"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Cell",
    "CheckVerdict",
    "Control",
    "Look",
    "Margin",
    "MethodVerdict",
    "Reading",
    "Row",
    "Settings",
    "StudyVerdict",
    "Table",
    "exit_code",
    "judge",
    "junit",
    "next_look",
    "open_checks",
    "read_rows",
    "read_table",
    "schedule",
    "settle_margin",
    "verdict",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

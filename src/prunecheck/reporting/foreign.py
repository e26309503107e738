"""The report of a table from any program: what ``prunecheck verdict`` judges."""

from __future__ import annotations

from pathlib import Path

from prunecheck.reporting.data import ReportData
from prunecheck.reporting.language import LanguageReport
from prunecheck.statistics import Reading, StudyVerdict, read_table, verdict
from prunecheck.statistics.language import LanguageVerdict
from prunecheck.statistics.language_table import read_language_table


def data_of_table(
    path: Path,
    margin: float | str | None = None,
    judged: StudyVerdict | None = None,
    reading: Reading | None = None,
    *,
    chance: float | None = None,
    classes: int | None = None,
) -> ReportData | LanguageReport:
    """Judge the file (unless *judged* is its verdict already) and hold its rows beside the answer.

    *margin*: points of the metric or in terms of clean runs; None sets it by rule from the dense rows and *chance* (or
    the number of *classes*).
    Raises StudyError where the file holds no results.
    """
    judged = judged or verdict(path, margin, chance=chance, classes=classes)
    if isinstance(judged, LanguageVerdict):
        table = read_language_table(path)
        return LanguageReport(judged.study, table.rows, table.documents, judged)
    return ReportData(name=judged.study, rows=read_table(path, reading).records, verdict=judged)

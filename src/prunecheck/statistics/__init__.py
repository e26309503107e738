"""Statistics: rows of results in, verdicts with stated error rates out. No torch; numpy and scipy only when judging."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck._lazy import lazily

if TYPE_CHECKING:
    from prunecheck.statistics.judge_table import verdict
    from prunecheck.statistics.judging import exit_code, judge, open_checks
    from prunecheck.statistics.junit_xml import junit
    from prunecheck.statistics.margin import Margin, settle_margin
    from prunecheck.statistics.outcome import (
        Cell,
        CheckVerdict,
        ComparisonVerdict,
        Control,
        MarginCurve,
        MethodVerdict,
        StudyVerdict,
    )
    from prunecheck.statistics.rows import Row
    from prunecheck.statistics.sample_verdicts import JudgedSamples, judge_samples
    from prunecheck.statistics.settings import Settings, interim_analyses, next_look
    from prunecheck.statistics.tables import Reading, Table, read_rows, read_table

__all__ = [
    "Cell",
    "CheckVerdict",
    "ComparisonVerdict",
    "Control",
    "JudgedSamples",
    "Margin",
    "MarginCurve",
    "MethodVerdict",
    "Reading",
    "Row",
    "Settings",
    "StudyVerdict",
    "Table",
    "exit_code",
    "interim_analyses",
    "judge",
    "judge_samples",
    "junit",
    "next_look",
    "open_checks",
    "read_rows",
    "read_table",
    "settle_margin",
    "verdict",
]

__getattr__ = lazily(
    __name__,
    {
        "prunecheck.statistics.sample_verdicts": ("JudgedSamples", "judge_samples"),
        "prunecheck.statistics.judge_table": ("verdict",),
        "prunecheck.statistics.judging": ("exit_code", "judge", "open_checks"),
        "prunecheck.statistics.junit_xml": ("junit",),
        "prunecheck.statistics.margin": ("Margin", "settle_margin"),
        "prunecheck.statistics.outcome": (
            "Cell",
            "CheckVerdict",
            "ComparisonVerdict",
            "Control",
            "MarginCurve",
            "MethodVerdict",
            "StudyVerdict",
        ),
        "prunecheck.statistics.rows": ("Row",),
        "prunecheck.statistics.tables": ("Reading", "Table", "read_rows", "read_table"),
        "prunecheck.statistics.settings": ("Settings", "interim_analyses", "next_look"),
    },
)

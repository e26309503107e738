"""The report of a study: one self-contained HTML page, a Markdown version, tables for programs and papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck._lazy import lazily

if TYPE_CHECKING:
    from prunecheck.reporting.data import REFERENCES, Curve, LayerTable, MaskOverlap, ReportData
    from prunecheck.reporting.page import write

__all__ = ["REFERENCES", "Curve", "LayerTable", "MaskOverlap", "ReportData", "write"]

__getattr__ = lazily(
    __name__,
    {
        "prunecheck.reporting.data": ["REFERENCES", "Curve", "LayerTable", "MaskOverlap", "ReportData"],
        "prunecheck.reporting.page": ["write"],
    },
)

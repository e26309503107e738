"""The report of a study: one self-contained page, its Markdown twin, tables for programs and papers."""

from prunecheck.report.evidence import Curve, Evidence, LayerTable, MaskOverlap
from prunecheck.report.folder import write
from prunecheck.report.page import page

__all__ = ["Curve", "Evidence", "LayerTable", "MaskOverlap", "page", "write"]

"""The report of a study: one self-contained page, its Markdown twin, tables for programs and papers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunecheck.reporting.data import REFERENCES, Curve, LayerTable, MaskOverlap, ReportData
    from prunecheck.reporting.page import write

_HOME = {
    **dict.fromkeys(("REFERENCES", "Curve", "LayerTable", "MaskOverlap", "ReportData"), "prunecheck.reporting.data"),
    "write": "prunecheck.reporting.page",
}

__all__ = ["REFERENCES", "Curve", "LayerTable", "MaskOverlap", "ReportData", "write"]


def __getattr__(name: str) -> Any:
    """The front door opens this room before anything else: its parts come when they are used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)

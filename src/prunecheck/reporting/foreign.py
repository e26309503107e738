"""Somebody else's table of accuracies as evidence: the CSV file that ``prunecheck verdict`` judges."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from prunecheck.reporting.data import CLEAN, Evidence
from prunecheck.statistics import StudyVerdict, verdict
from prunecheck.statistics.rows import DENSE
from prunecheck.text import parse_sparsity

NAMES = ("method", "check")
WORDS = {"": None, "nan": None, "none": None, "null": None, "na": None, "true": True, "false": False}


def evidence_of(path: Path, margin: float | None = None, judged: StudyVerdict | None = None) -> Evidence:
    """Judge the file (unless *judged* is its verdict already) and hold its rows beside the answer.

    *margin*: points of accuracy; by rule from the dense rows when None. Raises StudyError where the file holds no
    results.
    """
    judged = judged or verdict(path, margin)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        reader.fieldnames = [column.strip() for column in reader.fieldnames or ()]
        rows = [_row(values) for values in reader if any(value and value.strip() for value in values.values())]
    return Evidence(name=judged.study, rows=rows, verdict=judged)


def _row(values: dict[str, str | None]) -> dict[str, Any]:
    """Numbers as numbers, truth as truth; a dense row has no sparsity and no check but the clean one."""
    texts = {column: (text or "").strip() for column, text in values.items()}
    row = {column: text if column in NAMES else _value(text) for column, text in texts.items()}
    if row["method"] == DENSE:
        return row | {"check": CLEAN, "sparsity": None}
    missing = row["sparsity"] is None
    return row | {"sparsity": None if missing else round(parse_sparsity(_value(texts["sparsity"])), 9)}


def _value(text: str) -> Any:
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text

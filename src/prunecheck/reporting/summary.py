"""Rows -> arms: one line per method x check x sparsity, seeds together. Orders are those of the verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeGuard

from prunecheck.reporting.data import REFERENCES, Curve, LayerTable, MaskOverlap, ReportData, Row
from prunecheck.statistics.rows import CLEAN


@dataclass(frozen=True)
class Arm:
    """All seeds of one method x check x sparsity. Accuracies are fractions; spreads are the extreme seeds.

    ``collapsed``: how many seeds did not learn; None if unknown.
    """

    method: str
    check: str
    sparsity: float
    n: int
    mean: float
    low: float
    high: float
    collapsed: int | None
    diverged: int
    dead_layers: str
    effective_sparsity: float | None


@dataclass(frozen=True)
class Order:
    """The one order of methods, checks (without the clean arm) and sparsities, used in every table and figure."""

    methods: tuple[str, ...]
    checks: tuple[str, ...]
    sparsities: tuple[float, ...]

    def place(self, method: str, check: str, sparsity: float) -> tuple[int, int, float]:
        """A sorting key; unknown names come last."""
        where = self.checks.index(check) if check in self.checks else (-1 if check == CLEAN else len(self.checks))
        which = self.methods.index(method) if method in self.methods else len(self.methods)
        return which, where, sparsity


def order(data: ReportData) -> Order:
    """Methods and checks as the verdict lists them, reference methods last; then other names from rows and masks."""
    verdict = data.verdict
    methods = [m.method for m in sorted(verdict.methods, key=lambda m: m.role is not None)]
    methods += [c.method for c in verdict.checks]
    checks = [c.check for c in verdict.checks]
    others: list[LayerTable | Curve | MaskOverlap] = [*data.layers, *data.curves, *data.overlaps]
    pruned = [row for row in data.rows if is_number(row["sparsity"])]
    methods += sorted({str(row["method"]) for row in pruned} | {o.method for o in others} - {*REFERENCES})
    checks += sorted(({str(row["check"]) for row in pruned} | {o.check for o in others}) - {CLEAN})
    sparsities = {float(row["sparsity"]) for row in pruned}
    sparsities |= {cell.sparsity for check in verdict.checks for cell in check.cells if math.isfinite(cell.sparsity)}
    return Order(tuple(dict.fromkeys(methods)), tuple(dict.fromkeys(checks)), tuple(sorted(sparsities)))


def arms(data: ReportData) -> tuple[Arm, ...]:
    """Every arm with at least one finite accuracy, in the report's order. Dense runs have no sparsity and no arm."""
    groups: dict[tuple[str, str, float], list[Row]] = {}
    for row in data.rows:
        if is_number(row["sparsity"]) and is_number(row["accuracy"]):
            groups.setdefault((str(row["method"]), str(row["check"]), float(row["sparsity"])), []).append(row)
    known = order(data)
    return tuple(
        _arm(key, groups[key], data.collapse_line) for key in sorted(groups, key=lambda key: (known.place(*key), key))
    )


def _arm(key: tuple[str, str, float], rows: Sequence[Row], line: float | None) -> Arm:
    accuracies = [float(row["accuracy"]) for row in rows]
    effective = [float(row["effective_sparsity"]) for row in rows if is_number(row.get("effective_sparsity"))]
    return Arm(
        *key,
        n=len(rows),
        mean=mean(accuracies),
        low=min(accuracies),
        high=max(accuracies),
        collapsed=_collapsed(rows, line),
        diverged=sum(row.get("diverged") is True for row in rows),
        dead_layers=_dead_layers(rows),
        effective_sparsity=mean(effective) if effective else None,
    )


def _collapsed(rows: Sequence[Row], line: float | None) -> int | None:
    """By a row's own word where it has one, else by its accuracy against *line*, as the verdict counts them."""
    words = [row.get("collapsed") for row in rows]
    if line is None and not any(isinstance(word, bool) for word in words):
        return None
    low = [line is not None and float(row["accuracy"]) <= line for row in rows]
    return sum(word if isinstance(word, bool) else at for word, at in zip(words, low, strict=True))


def _dead_layers(rows: Sequence[Row]) -> str:
    """``0``, ``2``, or ``1 to 3`` dead layers over the seeds; empty if unknown."""
    counts = []
    for row in rows:
        dead = row.get("dead_layers")
        if isinstance(dead, (list, tuple)):
            counts.append(len(dead))
        elif is_number(dead):
            counts.append(int(dead))
    if not counts:
        return ""
    return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def seeds(rows: Iterable[Row]) -> list[object]:
    """The different seeds, in natural order."""
    return sorted({row["seed"] for row in rows}, key=natural)


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def natural(value: object) -> tuple[tuple[int, float, str], ...]:
    """A sorting key under which seed 10 comes after seed 9, whether numbers or text."""
    return _natural(str(value))


@lru_cache(maxsize=10_000)
def _natural(text: str) -> tuple[tuple[int, float, str], ...]:
    parts = re.split(r"(\d+)", text)
    return tuple((1, float(part), "") if part.isdecimal() else (0, 0.0, part) for part in parts)

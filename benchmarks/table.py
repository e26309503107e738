"""Markdown tables of ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.pairs import Ratio

HEAD = ("what", "ratio", "min to max", "ceiling", "target", "rounds used")


@dataclass(frozen=True)
class Row:
    """``ceiling``: the best ratio possible, where it is known. ``at_most``: the target is an upper bound."""

    what: str
    ratio: Ratio
    ceiling: float | None = None
    target: float | None = None
    at_most: bool = False


def ratio_table(rows: Sequence[Row]) -> str:
    return markdown(HEAD, [_cells(row) for row in rows])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned to be read as plain text too."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (head, *rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cells(row: Row) -> list[str]:
    ratio = row.ratio
    used = f"{ratio.used} of {ratio.rounds}" + ("" if ratio.clean else ", noisy")
    return [
        row.what,
        times(ratio.median),
        f"{times(ratio.low)} to {times(ratio.high)}",
        "" if row.ceiling is None else times(row.ceiling),
        _target(row),
        used,
    ]


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    wish = f"{'≤' if row.at_most else '≥'} {row.target:g}"
    if not row.ratio.clean:
        return wish
    met = row.ratio.median <= row.target if row.at_most else row.ratio.median >= row.target
    return f"{wish}, {'met' if met else 'missed'}"


def times(value: float) -> str:
    """Three digits: 1.02, 12.3, 456."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"

"""The tables of a study for other programs, and the grid of its verdicts. CSV is escaped for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from prunecheck.reporting import views
from prunecheck.reporting.data import Row
from prunecheck.reporting.summary import is_number, natural
from prunecheck.reporting.text import clean, effect, headline, name
from prunecheck.statistics.outcome import CheckVerdict, StudyVerdict

FIRST_COLUMNS = (
    "method",
    "check",
    "sparsity",
    "seed",
    "accuracy",
    "n_test",
    "best_accuracy",
    "train_accuracy",
    "epochs",
    "kept",
    "weights",
    "effective_sparsity",
    "dead_layers",
    "collapsed",
    "diverged",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_columns(rows: Iterable[Row]) -> list[str]:
    """The columns of results.csv: the known ones that occur, in a fixed order, then all others by name."""
    found = {str(key) for row in rows for key in row}
    return [c for c in FIRST_COLUMNS if c in found] + sorted(found - set(FIRST_COLUMNS))


def results_csv(rows: Sequence[Row]) -> str:
    """One line a trained arm, sorted by method, check, sparsity and seed: any order of *rows* gives the same text.

    Numbers are written in full. Text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    columns = csv_columns(rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_csv_cell(column) for column in columns])
    writer.writerows([_csv_cell(row.get(column)) for column in columns] for row in ranked(rows))
    return out.getvalue()


def ranked(rows: Sequence[Row]) -> list[Row]:
    """*rows* by method, check, sparsity and seed, and where these are equal by all they hold."""
    columns = csv_columns(rows)
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(natural(row.get(column)) for column in FIRST_COLUMNS[:4]), []).append(row)
    return [
        row
        for place in sorted(groups)
        for row in sorted(groups[place], key=lambda row: [_csv_cell(row.get(column)) for column in columns])
    ]


def verdict_table(verdict: StudyVerdict) -> list[list[str]]:
    """Methods x checks, the head first; a cell reads ``depends  +6.10 [+5.20, +7.00]``.

    Combinations that were not run are empty. Names are cut and made harmless; numbers are in points.
    """
    methods, checks, found = grid(verdict)
    table = [["method", *[name(check) for check in checks]]]
    for method in methods:
        cells = [found.get((method, check)) for check in checks]
        table.append(
            [name(method), *[f"{c.verdict.lower()}  {effect(headline(c))}".rstrip() if c else "" for c in cells]]
        )
    return table


def verdict_rows(verdict: StudyVerdict) -> list[dict[str, Any]]:
    """One mapping a method x check, the controls' own included: the numbers of the cell that speaks for it.

    Drops and bounds in points; None where there is no such cell or no such number.
    """
    rows = []
    for check in verdict.checks:
        cell = headline(check)
        figures = (None, None, None) if cell is None else (cell.mean_drop, cell.low, cell.high)
        drop, low, high = (value if is_number(value) else None for value in figures)
        numbers = {"mean_drop": drop, "low": low, "high": high, "seeds": 0 if cell is None else cell.n}
        rows.append({"method": check.method, "check": check.check, "verdict": check.verdict, **numbers})
    return rows


def grid(verdict: StudyVerdict) -> tuple[list[str], list[str], dict[tuple[str, str], CheckVerdict]]:
    """Methods, checks, and what was found for each pair that was run; what only controls use is left out."""
    found = {(c.method, c.check): c for c in verdict.checks if c.control not in views.OFF_MATRIX}
    methods = dict.fromkeys([m.method for m in verdict.methods] + [method for method, _ in found])
    return list(methods), list(dict.fromkeys(check for _, check in found)), found


def _csv_cell(value: object) -> str:
    if isinstance(value, float):
        return repr(float(value))
    if type(value) is int:
        return str(value)
    text = " ".join(clean(views.raw_text(value), limit=1000).split("\n"))
    return "'" + text if not isinstance(value, int) and _formula(text) else text


def _formula(text: str) -> bool:
    """Would a spreadsheet run it? Spaces in front do not save it."""
    return text.lstrip(" ").startswith(FORMULA)

"""The tables of a study for other programs: CSV escaped for spreadsheets, Parquet, LaTeX without commands in names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from prunecheck.errors import StudyError
from prunecheck.reporting import views
from prunecheck.reporting.data import ReportData, Row
from prunecheck.reporting.summary import Arm, arms, is_number, natural, order
from prunecheck.reporting.text import check_effect, effect
from prunecheck.statistics.outcome import (
    INSTRUMENT_CONTROLS,
    CheckVerdict,
    StudyVerdict,
    control_word,
    headline,
    interval_name,
    plain,
)
from prunecheck.statistics.rows import METRIC_NAMES, unit
from prunecheck.text import percent, points, printable, printable_line, printable_lines

FIRST_COLUMNS = (
    "method",
    "check",
    "sparsity",
    "seed",
    "document",
    "nll",
    "perplexity",
    "bits_per_byte",
    "documents",
    "tokens",
    "accuracy",
    "n_test",
    "best_accuracy",
    "train_accuracy",
    "epochs",
    "mask_epochs",
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
    """One line per trained arm, sorted by method, check, sparsity and seed: any order of *rows* gives the same text.

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


def verdicts_document(data: ReportData) -> dict[str, Any]:
    """The content of verdicts.json: the verdict and, under ``report``, what the page prints and results.csv does
    not hold: kept weights of layers, the overlap of masks, published accuracies, the cost. Empty parts are left out."""
    parts: dict[str, Any] = {
        "layers": [asdict(one) for one in data.layers],
        "masks": [{**asdict(one), "above_chance": one.above_chance} for one in data.overlaps],
        "published": [asdict(one) for one in data.published],
        "cost": data.cost,
    }
    held = {name: plain(value) for name, value in parts.items() if value}
    return data.verdict.to_dict() | ({"report": held} if held else {})


def verdict_table(verdict: StudyVerdict) -> list[list[str]]:
    """Methods x checks, the head first; a cell reads ``depends  +6.10 [+5.20, +7.00]`` (or ``control ok  ...``).

    Combinations that were not run are empty. Names are cut and made harmless; numbers are in points.
    """
    methods, checks, found = grid(verdict)
    table = [["method", *[printable(check) for check in checks]]]
    for method in methods:
        cells = [found.get((method, check)) for check in checks]
        table.append([printable(method), *[_verdict_cell(c, verdict) if c else "" for c in cells]])
    return table


def _verdict_cell(check: CheckVerdict, verdict: StudyVerdict) -> str:
    word = control_word(check, verdict.controls) or check.verdict.lower()
    return f"{word}  {check_effect(check)}".rstrip()


def verdict_rows(verdict: StudyVerdict) -> list[dict[str, Any]]:
    """One mapping per method x check, controls included: the numbers of the cell that speaks for it.

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
    """Methods, checks, and the verdict of each pair that was run; pairs that only controls use are left out."""
    found = {(c.method, c.check): c for c in verdict.checks if c.control not in INSTRUMENT_CONTROLS}
    methods = dict.fromkeys([m.method for m in verdict.methods] + [method for method, _ in found])
    return list(methods), list(dict.fromkeys(check for _, check in found)), found


def _csv_cell(value: object) -> str:
    if isinstance(value, float):
        return repr(float(value))
    if type(value) is int:
        return str(value)
    text = " ".join(printable_lines(views.raw_text(value), limit=1000).split("\n"))
    return "'" + text if not isinstance(value, int) and _formula(text) else text


def _formula(text: str) -> bool:
    """Whether a spreadsheet would run it as a formula, also after spaces."""
    return text.lstrip(" ").startswith(FORMULA)


LATEX_MARKS = {"DEPENDS": r"$\bullet$", "DOES NOT DEPEND": r"$\circ$", "INCONCLUSIVE": "?", "UNINFORMATIVE": "--"}


def require_pyarrow() -> None:
    """Raises StudyError, with the line that installs it, where pyarrow is missing."""
    if find_spec("pyarrow") is None:
        raise StudyError("results.parquet needs pyarrow, which is not installed: pip install 'prunecheck[parquet]'")


def results_parquet(rows: Sequence[Row]) -> bytes:
    """Rows and columns of results.csv, numbers as numbers; a column of mixed kinds becomes text.

    Raises StudyError where pyarrow is missing.
    """
    require_pyarrow()
    import pyarrow
    from pyarrow import parquet

    ordered = ranked(rows)
    columns = {column: _column([row.get(column) for row in ordered]) for column in csv_columns(rows)}
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


def _column(values: list[Any]) -> Any:
    import pyarrow

    plain = [
        printable_lines(views.raw_text(value)) if isinstance(value, (str, list, tuple)) else value for value in values
    ]
    try:
        return pyarrow.array(plain)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
        return pyarrow.array([None if value is None else views.raw_text(value) for value in plain])


def latex_verdicts(data: ReportData) -> str:
    """The verdict matrix, methods x checks, ready for ``\\input``; needs the package booktabs."""
    verdict = data.verdict
    methods, checks, found = grid(verdict)
    rows = []
    for method in methods:
        cells = [tex_name(method)]
        for check in checks:
            one = found.get((method, check))
            cells.append(f"{LATEX_MARKS[one.verdict]}~{_drop(effect(headline(one)))}" if one else "")
        rows.append(cells)
    sparsities = ", ".join(percent(s) for s in order(data).sparsities)
    what = f"{METRIC_NAMES[verdict.metric]} ({unit(verdict.metric)})"
    caption = (
        f"{tex(printable(data.name))}: mean drop in {what} and {tex(interval_name(verdict))} at "
        f"{tex(sparsities)} sparsity; margin {points(verdict.margin)}. $\\bullet$ depends, $\\circ$ does not depend, "
        "? inconclusive, -- uninformative."
    )
    return latex_table(["method", *map(tex_name, checks)], rows, caption, "tab:prunecheck")


def latex_accuracies(data: ReportData) -> str:
    """Mean accuracy of every arm, rows are methods x checks, columns sparsities; the extreme seeds in brackets."""
    found, known = arms(data), order(data)
    places = {(arm.method, arm.check, arm.sparsity): arm for arm in found}
    pairs = dict.fromkeys((arm.method, arm.check) for arm in found)
    rows = [
        [
            tex_name(m),
            tex_name(c),
            *[_accuracy(places.get((m, c, s))) for s in known.sparsities],
        ]
        for m, c in pairs
    ]
    dense = data.verdict.dense_accuracy
    epoch = " after the last epoch" if data.study_toml else ""  # unknown of a table from elsewhere
    trained = "" if dense is None else f" Dense networks reach {100 * dense:.2f}."
    caption = (
        f"{tex(printable(data.name))}: mean test accuracy (\\%){epoch} by sparsity, "
        f"lowest and highest seed in brackets.{trained}"
    )
    return latex_table(
        ["method", "check", *[tex(percent(s)) for s in known.sparsities]], rows, caption, "tab:prunecheck-accuracy"
    )


def tex(text: object) -> str:
    """*text* as LaTeX prints it: nothing in it is a command."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: "\\" + c for c in "&%$#_{}"}
    return "".join(special.get(c, c) for c in printable_line(text))


def latex_table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str, label: str) -> str:
    lines = [
        r"\begin{table}",
        r"\centering\footnotesize",
        rf"\caption{{{caption}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{'l' * len(head)}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *[" & ".join(row) + r" \\" for row in rows],
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def tex_name(text: str) -> str:
    """A method or check as LaTeX prints it, with spaces for underscores."""
    return tex(printable(text).replace("_", " "))


def _drop(drop: str) -> str:
    mean, _, bounds = drop.partition(" ")
    return rf"${mean}$ ${bounds}$" if bounds else f"${mean}$" if mean else ""


def _accuracy(arm: Arm | None) -> str:
    """``92.81 [92.50, 93.12]``; empty where the arm was not run."""
    return "" if arm is None else f"{100 * arm.mean:.2f} [{100 * arm.low:.2f}, {100 * arm.high:.2f}]"

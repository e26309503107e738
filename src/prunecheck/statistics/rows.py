"""Rows of results: one retrained network each. From a CSV file, from dicts, or already made."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from prunecheck.errors import StudyError
from prunecheck.text import nearest, parse_sparsity, percent, printable, printable_path

REQUIRED = ("method", "check", "sparsity", "seed", "accuracy", "n_test")
CLEAN = "clean"
DENSE = "dense"
_TRUE = {"true", "yes", "1", "1.0"}
_FALSE = {"false", "no", "0", "0.0"}
_MISSING = {"", "nan", "none", "null", "na"}


@dataclass(frozen=True)
class Row:
    """One network after its last epoch. ``accuracy`` on the test set, a fraction in [0, 1]; ``n_test`` its size.

    ``check`` is ``clean`` for the untouched arm; ``method`` is ``dense`` for the unpruned network (sparsity None).
    ``kept``: weights kept. ``overlap``: shared share (intersection over union) of this mask and the clean one.
    ``collapsed``: no better than guessing, None = to be judged from the accuracy.
    """

    method: str
    check: str
    sparsity: float | None
    seed: int
    accuracy: float
    n_test: int
    kept: int | None = None
    diverged: bool = False
    collapsed: bool | None = None
    overlap: float | None = None

    @property
    def place(self) -> tuple[str, str, float, int]:
        """What makes the row this row and no other; sorts."""
        return (self.method, self.check, -1.0 if self.sparsity is None else self.sparsity, self.seed)

    def __str__(self) -> str:
        where = "" if self.sparsity is None else f" at {percent(self.sparsity)}"
        return printable(f"{self.method} x {self.check}{where}, seed {self.seed}")


def read_rows(source: str | Path | Iterable[Mapping[str, Any] | Row]) -> tuple[Row, ...]:
    """Rows from a CSV file or from dicts with the columns ``REQUIRED`` (others of ``Row`` are optional, more ignored).

    Sorted, each once. Raises StudyError, naming file and line, for anything that is not a result: missing columns,
    percent where a fraction belongs, NaN, contradicting duplicates, a corrupted arm without any clean arm.
    """
    read = _from_csv(Path(source)) if isinstance(source, str | Path) else _from_values(source)
    # another unpruned network (say, one trained longer) is context, not a party to any verdict
    located = [(where, row) for where, row in read if row.method == DENSE or row.sparsity is not None]
    if not located:
        name = printable_path(source) if isinstance(source, str | Path) else "the list of rows"
        raise StudyError(f"{name} holds no results: a row is needed for every retrained network.")
    rows = unique(located)
    _refuse_orphans(located, rows)
    return rows


def unique(located: Iterable[tuple[str, Row]]) -> tuple[Row, ...]:
    """Rows (each after the place it was read at), sorted, exact duplicates once. Contradictions raise StudyError."""
    found: dict[tuple[str, str, float, int], tuple[str, Row]] = {}
    for where, row in located:
        earlier, known = found.setdefault(row.place, (where, row))
        if known != row:
            raise StudyError(
                f"{where}: {row} was already given at {earlier} with other values "
                f"(accuracy {known.accuracy:g}, now {row.accuracy:g}). Which one is it?"
            )
    return tuple(row for _, (_, row) in sorted(found.items()))


def _refuse_orphans(located: Sequence[tuple[str, Row]], rows: Iterable[Row]) -> None:
    clean = {(row.method, row.sparsity) for row in rows if row.check == CLEAN}
    for where, row in located:
        if row.method != DENSE and (row.method, row.sparsity) not in clean:
            raise StudyError(
                f"{where}: {row} has nothing to be compared with: no row with check {CLEAN!r} "
                f"for this method and sparsity."
            )


def _from_csv(path: Path) -> list[tuple[str, Row]]:
    name = printable_path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            if columns:
                _refuse_columns(name, columns)
            return [
                (f"{name}, line {reader.line_num}", _row(f"{name}, line {reader.line_num}", values))
                for values in reader
                if any(isinstance(value, str) and value.strip() for value in values.values())
            ]
    except OSError as error:
        raise StudyError(f"{name} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise StudyError(f"{name} is not a text file (UTF-8): results are read from CSV.") from None
    except csv.Error as error:
        raise StudyError(f"{name} is not a CSV file: {error}.") from None


def _from_values(values: Iterable[Mapping[str, Any] | Row]) -> list[tuple[str, Row]]:
    located = []
    for number, value in enumerate(values, start=1):
        where = f"row {number}"
        if isinstance(value, Row):
            located.append((where, _row(where, {f.name: getattr(value, f.name) for f in fields(Row)})))
        elif isinstance(value, Mapping):
            _refuse_columns(where, [str(key) for key in value])
            located.append((where, _row(where, value)))
        else:
            raise StudyError(f"{where} is neither a Row nor a dict with {', '.join(REQUIRED)}.")
    return located


def _refuse_columns(where: str, columns: Sequence[str]) -> None:
    missing = [column for column in REQUIRED if column not in columns]
    if not missing:
        return
    guess = nearest(missing[0], [column for column in columns if column not in REQUIRED])
    there = ", ".join(printable(column) for column in columns)
    tail = f"Is it {printable(guess)!r}? Call it {missing[0]!r}." if guess else f"There are: {there or 'none'}."
    raise StudyError(f"{where}: no column {missing[0]!r}. {tail}")


def _row(where: str, values: Mapping[Any, Any]) -> Row:
    if None in values:
        raise StudyError(f"{where}: more values than columns. A decimal comma? Write 0.934, not 0,934.")
    text = {str(key): "" if value is None else str(value).strip() for key, value in values.items()}
    method = _name(where, text, "method")
    check = CLEAN if method == DENSE else _name(where, text, "check")
    overlap = text.get("overlap", "")
    return Row(
        method=method,
        check=check,
        sparsity=None
        if method == DENSE or (check == CLEAN and _missing(text, "sparsity"))
        else _sparsity(where, text["sparsity"]),
        seed=_whole(where, "seed", text["seed"]),
        accuracy=_fraction(where, "accuracy", text["accuracy"]),
        n_test=_whole(where, "n_test", text["n_test"], least=1),
        kept=None if _missing(text, "kept") else _whole(where, "kept", text["kept"], least=0),
        diverged=_flag(where, text, "diverged") or False,
        collapsed=_flag(where, text, "collapsed"),
        overlap=None if _missing(text, "overlap") else _fraction(where, "overlap", overlap),
    )


def _missing(text: Mapping[str, str], column: str) -> bool:
    return text.get(column, "").lower() in _MISSING


def _name(where: str, text: Mapping[str, str], column: str) -> str:
    if not text[column]:
        raise StudyError(f"{where}: {column} is empty.")
    return text[column]


def _sparsity(where: str, text: str) -> float:
    try:
        return round(parse_sparsity(text if text.endswith("%") else _number(where, "sparsity", text)), 9)
    except StudyError as error:
        raise StudyError(str(error) if str(error).startswith(where) else f"{where}: {error}") from None


def _number(where: str, column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        shown = f"{printable(text)!r} is not a number" if text else "is empty"
        raise StudyError(f"{where}: {column} {shown}.") from None


def _fraction(where: str, column: str, text: str) -> float:
    number = _number(where, column, text)
    if not math.isfinite(number):
        hint = " A diverged run still has a test accuracy: give that one." if column == "accuracy" else ""
        raise StudyError(f"{where}: {column} is {text}.{hint}")
    if number > 1:
        hint = f" {number:g} looks like percent: did you mean {number / 100:g}?" if number <= 100 else ""
        raise StudyError(f"{where}: {column} is a fraction;{hint or f' {number:g} is above 1.'}")
    if number < 0:
        raise StudyError(f"{where}: {column} is a fraction; {number:g} is below 0.")
    return number


def _whole(where: str, column: str, text: str, least: int | None = None) -> int:
    number = _number(where, column, text)
    if not (math.isfinite(number) and number == int(number)):
        raise StudyError(f"{where}: {column} {printable(text)} is not a whole number.")
    if least is not None and number < least:
        raise StudyError(f"{where}: {column} {printable(text)} must be at least {least}.")
    return int(number)


def _flag(where: str, text: Mapping[str, str], column: str) -> bool | None:
    word = text.get(column, "").lower()
    if word in _MISSING:
        return None
    if word not in _TRUE | _FALSE:
        raise StudyError(f"{where}: {column} {printable(word)!r} is neither true nor false.")
    return word in _TRUE

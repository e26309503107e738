"""The text of a table file: its encoding, its separator and its cells, before any of them means something."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from prunecheck.errors import StudyError
from prunecheck.paths import file_problem
from prunecheck.text import printable, printable_path

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FORMATS = (
    (b"PK\x03\x04", "a workbook or another archive: save the table as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook: save the table as CSV (UTF-8)"),
    (b"PAR1", "a Parquet file: read it with pandas or polars and give prunecheck.verdict the DataFrame"),
    (b"\x1f\x8b", "compressed: unpack it first"),
)


class Lines(NamedTuple):
    """``columns`` as they are written; ``cells``: line number and one text per column, blank lines left out."""

    columns: tuple[str, ...]
    cells: tuple[tuple[int, tuple[str, ...]], ...]
    remarks: tuple[str, ...]
    """what a reader should know about how the file was read"""


def read_lines(path: Path, known: Collection[str]) -> Lines:
    """The cells of a CSV file. The separator is the one under which the header holds most of the *known* names.

    UTF-8, and UTF-16 or UTF-32 with a byte order mark; a first line ``sep=;`` and lines beginning with ``#`` above
    the header are skipped. Raises StudyError, naming the file and the remedy, for everything else.
    """
    name = printable_path(path)
    text = _decoded(path, name)
    lines = list(io.StringIO(text, newline=""))
    first, told = _header(lines)
    if first == len(lines):
        return Lines((), (), ())
    separator = told or max(SEPARATORS, key=lambda one: _recognised(lines[first], one, known))
    try:
        cells = list(_cells(lines[first:], separator, first))
    except csv.Error as error:
        raise StudyError(f"{name} is not a CSV file: {printable(str(error))}.") from None
    (_, columns), *rows = cells
    _refuse_repeated(name, columns)
    width = len(columns)
    for line, row in rows:
        if any(row) and len(row) < width:  # which of them is missing cannot be told
            raise StudyError(f"{name}, line {line}: {len(row)} values for {width} columns. Is one missing?")
        if any(cell for cell in row[width:]):
            raise StudyError(f"{name}, line {line}: more values than columns. A decimal comma? Write 0.934, not 0,934.")
    full = [(line, row[:width]) for line, row in rows if any(row)]
    remarks = () if separator == "," else (f"Read as columns separated by {SEPARATORS.get(separator, separator)}.",)
    return Lines(columns, tuple(full), remarks)


def _decoded(path: Path, name: str) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise StudyError(file_problem(path) or f"{name} cannot be read: {error.strerror or error}.") from None
    except ValueError:
        raise StudyError(f"{printable(name)!r} cannot be the name of a file.") from None
    for magic, what in _OTHER_FORMATS:
        if raw.startswith(magic):
            raise StudyError(f"{name} is {what}.")
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        raise StudyError(f"{name} is not UTF-8 text: save the table as CSV (UTF-8).") from None
    if "\0" in text:
        raise StudyError(f"{name} holds null characters, so it is no text in UTF-8: save the table as CSV (UTF-8).")
    return text


def _header(lines: list[str]) -> tuple[int, str]:
    """The index of the header, and the separator that a line ``sep=;`` above it names (empty without one)."""
    told = ""
    for index, line in enumerate(lines):
        text = line.strip(" \r\n")
        if text.lower().startswith("sep=") and len(text) == 5:
            told = text[4]
        elif text and not text.startswith("#"):
            return index, told
    return len(lines), told


def _recognised(header: str, separator: str, known: Collection[str]) -> tuple[int, int]:
    """How many known names, then how many names, the header holds under *separator*."""
    try:
        names = next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return 0, 0
    return sum(plain_name(name) in known for name in names), len(names)


def _cells(lines: list[str], separator: str, skipped: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    for row in reader:
        yield reader.line_num + skipped, tuple(cell.strip() for cell in row)


def _refuse_repeated(name: str, columns: tuple[str, ...]) -> None:
    counts = Counter(plain_name(column) for column in columns if column)
    twice = next((column for column in columns if counts[plain_name(column)] > 1), None)
    if twice is not None:
        raise StudyError(f"{name}: two columns are called {printable(twice)!r}: delete or rename one of them.")


def plain_name(column: str) -> str:
    """The name of a column in small letters, without a percent sign: ``Accuracy (%)`` -> ``accuracy``."""
    name = column.strip().lower()
    for sign in ("(%)", "[%]", "%"):
        name = name.removesuffix(sign).rstrip()
    return name.replace(" ", "_")

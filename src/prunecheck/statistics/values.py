"""One cell of a table as a number, a fraction, a count or a yes: or a sentence that says why it is none."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal

from prunecheck.errors import StudyError
from prunecheck.text import parse_sparsity, printable

_TRUE = {"true", "yes", "1", "1.0"}
_FALSE = {"false", "no", "0", "0.0"}
MISSING = {"", "nan", "none", "null", "na", "n/a", "<na>"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
_THOUSANDS = re.compile(r"\d{1,3}([.,' ]\d{3})+", re.ASCII)

Texts = Mapping[str, str]
"""one row of a table: column -> text"""


def is_missing(texts: Texts, column: str) -> bool:
    """Whether the row has nothing in *column*."""
    return texts.get(column, "").lower() in MISSING


def has_decimal_comma(text: str) -> bool:
    """Whether *text* is a number such as ``0,93``."""
    return _DECIMAL_COMMA.fullmatch(text.removesuffix("%").strip()) is not None


def plain_number(text: str) -> str:
    """A decimal comma as a point."""
    return text.replace(",", ".") if has_decimal_comma(text) else text


def name_of(where: str, texts: Texts, column: str) -> str:
    if not texts[column]:
        raise StudyError(f"{where}: {column} is empty.")
    return texts[column]


def number(where: str, column: str, text: str) -> float:
    text = plain_number(text)
    if not _NUMBER.fullmatch(text):
        shown = f"{printable(text)!r} is not a number" if text else "is empty"
        raise StudyError(f"{where}: {column} {shown}.")
    return float(text)


def positive(where: str, column: str, text: str) -> float:
    """A finite number of at least 0."""
    value = number(where, column, text)
    if not (math.isfinite(value) and value >= 0):
        raise StudyError(f"{where}: {column} is {printable(text)}: it must be a number of at least 0.")
    return value


def between(where: str, column: str, text: str, low: float, high: float) -> float:
    """A number in [*low*, *high*]."""
    value = number(where, column, text)
    if not low <= value <= high:
        raise StudyError(f"{where}: {column} is {printable(text)}: it must lie between {low:g} and {high:g}.")
    return value


def sparsity(where: str, text: str) -> float:
    text = plain_number(text)
    try:
        return round(parse_sparsity(text if text.endswith("%") else number(where, "sparsity", text)), 9)
    except StudyError as error:
        raise StudyError(str(error) if str(error).startswith(where) else f"{where}: {error}") from None


def fraction(where: str, column: str, text: str, *, percent: bool = False) -> float:
    """A number in [0, 1]; in [0, 100] with or without a sign where the table is in *percent*."""
    if percent:
        text = text.removesuffix("%").rstrip()
    value = number(where, column, text)
    if not math.isfinite(value):
        hint = " A diverged run still has a test accuracy: give that one." if column == "accuracy" else ""
        raise StudyError(f"{where}: {column} is {text}.{hint}")
    most = 100 if percent else 1
    if value > most:
        hint = f" {value:g} looks like percent: did you mean {value / 100:g}?" if value <= 100 else ""
        raise StudyError(
            f"{where}: {column} is {'in percent' if percent else 'a fraction'};{hint or f' {value:g} is above {most}.'}"
        )
    if value < 0:
        raise StudyError(f"{where}: {column} is {'in percent' if percent else 'a fraction'}; {value:g} is below 0.")
    # through Decimal, so that 94.12 in percent is the same number as 0.9412
    return float(Decimal(plain_number(text)) / 100) if percent else value


def whole(where: str, column: str, text: str, least: int | None = None) -> int:
    if _THOUSANDS.fullmatch(text):
        digits = re.sub(r"\D", "", text)
        raise StudyError(f"{where}: {column} {printable(text)} can be read in two ways: did you mean {digits}?")
    value = number(where, column, text)
    # exact, since a seed may have more digits than a float holds; a few digits of exponent, since 1e999999999 is none
    exact = Decimal(plain_number(text)) if math.isfinite(value) and abs(value) < 1e30 else Decimal("nan")
    if exact != exact.to_integral_value():
        raise StudyError(f"{where}: {column} {printable(text)} is not a whole number.")
    if least is not None and exact < least:
        raise StudyError(f"{where}: {column} {printable(text)} must be at least {least}.")
    return int(exact)


def flag(where: str, texts: Texts, column: str) -> bool | None:
    word = texts.get(column, "").lower()
    if word in MISSING:
        return None
    if word not in _TRUE | _FALSE:
        raise StudyError(f"{where}: {column} {printable(word)!r} is neither true nor false.")
    return word in _TRUE

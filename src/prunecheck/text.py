"""Text helpers: suggestions for a misspelt name, text made safe to print, numbers and durations in words."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

from prunecheck.errors import StudyError


def nearest(word: str, choices: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The choice that *word* most probably meant, or None where none is as similar as *cutoff*, from 0 to 1."""
    table = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(word.lower(), table, n=1, cutoff=cutoff)
    return table[close[0]] if close else None


def unknown(kind: str, word: str, choices: Iterable[str]) -> str:
    """``'snap' is not a method. Did you mean 'snip'?`` (or the list of choices where nothing is close)."""
    known = sorted(choices)
    guess = nearest(word, known)
    tail = f"Did you mean {guess!r}?" if guess else f"There are: {', '.join(known) or 'none'}."
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{printable(word)!r} is not {article} {kind}. {tail}"


def printable(text: object, limit: int = 80) -> str:
    """*text* cut to *limit* characters, every character that could steer a terminal or a reader (control characters,
    line ends, changes of the writing direction) replaced by U+FFFD."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def printable_error(error: BaseException, limit: int = 200) -> str:
    """``ValueError: wrong shape``, printable; *error* may come from a plug-in, whose ``__str__`` may raise anything."""
    try:
        text = str(error)
    except BaseException:
        text = "(an error that cannot be printed)"
    name = printable(type(error).__name__)
    return f"{name}: {printable(text, limit)}" if text else name


def printable_line(text: object, limit: int = 4000) -> str:
    """Like ``printable``, for a sentence: runs of spaces, tabs and line ends become one space."""
    return printable(re.sub(r"\s+", " ", str(text)), limit)


def printable_lines(text: object, limit: int = 4000) -> str:
    """Like ``printable`` for text of several lines: line ends stay, tabs become spaces, *limit* holds for a line."""
    plain = str(text)
    if plain.isprintable() and len(plain) <= limit:
        return plain
    return "\n".join(printable(line.replace("\t", "    "), limit) for line in re.split(r"\r\n|\r|\n", plain))


def printable_path(path: object, limit: int = 240) -> str:
    """Like ``printable`` for a path: where it is too long its beginning is cut off, since its end says more."""
    clean = printable(str(path), 100_000)
    return clean if len(clean) <= limit else "…" + clean[1 - limit :]


def signed(value: float, places: int = 2) -> str:
    """``6.1 -> '+6.10'``, ``-0.001 -> '0.00'``; ``n/a`` where the value is not finite."""
    if not math.isfinite(value):
        return "n/a"
    text = f"{value:+.{places}f}"
    return text if text.strip("+-0.") else f"{0:.{places}f}"


def decimal(value: float | None, places: int = 2) -> str:
    """``6.1 -> '6.10'``; ``n/a`` where there is no finite value."""
    return "n/a" if value is None or not math.isfinite(value) else f"{value:.{places}f}"


def points(value: float) -> str:
    """A margin: ``0.8413 -> '0.84'``, ``0.0512 -> '0.051'``."""
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"


def duration(seconds: float, *, whole_seconds: bool = False) -> str:
    """``95 -> '1 min 35 s'``; two units at most, seconds below a minute to three digits or whole."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole if whole_seconds else f'{max(0.0, seconds):.3g}'} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{round(whole / 60)} min"
    if whole < 36 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole / 86400:.1f} days"


def counted(n: int, noun: str, plural: str = "") -> str:
    """``1 seed``, ``3 seeds``, ``10,000 weights``."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listing(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def parse_sparsity(value: object) -> float:
    """The fraction removed, in (0, 1), from ``0.98`` or ``"98%"``. Raises StudyError with the probable intention."""
    number = _parse_percent(value) if isinstance(value, str) else as_number(value)
    if number is None or math.isnan(number):
        raise StudyError(f'{printable(value)!r} is not a sparsity. Write 0.98 or "98%".')
    if not 0 < number < 1:
        is_percent = isinstance(value, str) and value.strip().endswith("%")
        hint = f" Did you mean {number / 100:g}?" if 1 < number < 100 and not is_percent else ""
        raise StudyError(
            f"sparsity {printable(value, 12)} is outside (0, 1): it is the fraction of weights removed.{hint}"
        )
    return number


def _parse_percent(text: str) -> float | None:
    text = text.strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        return None
    return round(number / 100, 12) if text.endswith("%") else number


def as_number(value: Any) -> float | None:
    """A number of any numeric type (int, float, Fraction, Decimal, a numpy or torch scalar) as the float it was
    written as; None for bool, and for what is no single number.

    A float32 0.9 is 0.89999997..., which is not what its author wrote: narrow types are read to the digits they hold.
    """
    narrow = "float16" in (kind := str(getattr(value, "dtype", ""))) or "float32" in kind
    if callable(item := getattr(value, "item", None)):
        if getattr(value, "ndim", 0) != 0 or "bool" in kind:
            return None
        value = item()
    if isinstance(value, bool) or not isinstance(value, (Real, Decimal)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return -math.inf if str(value).startswith("-") else math.inf
    if narrow:
        return float(f"{number:.{3 if 'float16' in kind else 7}g}")
    return number


def percent(sparsity: float) -> str:
    """``0.98 -> '98%'``, ``0.998 -> '99.8%'``."""
    return f"{round(sparsity * 100, 6):g}%"


def byte_size(size: float) -> str:
    """``1234567 -> '1.2 MB'``, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} B" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"

"""Small talk with the user: the nearest right name, and numbers as people write them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from prunecheck.errors import StudyError


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that *word* most probably meant, or None where nothing is close."""
    table = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(word.lower(), table, n=1, cutoff=0.5)
    return table[close[0]] if close else None


def unknown(kind: str, word: str, choices: Iterable[str]) -> str:
    """``'snap' is not a method. Did you mean 'snip'?`` (or the list of choices where nothing is close)."""
    known = sorted(choices)
    guess = nearest(word, known)
    tail = f"Did you mean {guess!r}?" if guess else f"There are: {', '.join(known) or 'none'}."
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{printable(word)!r} is not {article} {kind}. {tail}"


def printable(text: str, limit: int = 80) -> str:
    """*text* cut to *limit* characters, control characters replaced: safe to show in a terminal."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def shown_path(path: object, limit: int = 240) -> str:
    """The same for a path: where it is too long its beginning goes, since its end says more."""
    clean = printable(str(path), 100_000)
    return clean if len(clean) <= limit else "…" + clean[1 - limit :]


def parse_sparsity(value: object) -> float:
    """The fraction removed, in (0, 1), from ``0.98`` or ``"98%"``. Raises StudyError with the probable intention."""
    if isinstance(value, str):
        text = value.strip()
        try:
            number = float(text.removesuffix("%"))
        except ValueError:
            raise StudyError(f'{printable(value)!r} is not a sparsity. Write 0.98 or "98%".') from None
        value = round(number / 100, 12) if text.endswith("%") else number
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise StudyError(f'{printable(str(value))} is not a sparsity. Write 0.98 or "98%".')
    if not 0 < value < 1:
        hint = f" Did you mean {value / 100:g}?" if 1 < value < 100 else ""
        raise StudyError(
            f"sparsity {printable(str(value), 12)} is outside (0, 1): it is the fraction of weights removed.{hint}"
        )
    return float(value)


def percent(sparsity: float) -> str:
    """``0.98 -> '98%'``, ``0.998 -> '99.8%'``."""
    return f"{round(sparsity * 100, 6):g}%"

"""One arm of a published table: the mean and the spread of several runs instead of the runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prunecheck.errors import StudyError
from prunecheck.statistics import values
from prunecheck.text import percent, printable

Spread = Literal["std", "population", "se"]
SPREAD_COLUMNS: dict[str, Spread] = {
    "std": "std",
    "sd": "std",
    "se": "se",
    "sem": "se",
    "stderr": "se",
    "std_error": "se",
}
_PLUS_MINUS = re.compile(r"(.+?)\s*(?:±|\+/-|\+-|\\pm)\s*(.+)")


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation (divisor n - 1) of the accuracies of ``n`` runs, both in points.

    ``mean_step``, ``sd_step``: one unit of the last digit that was printed, points; the true value may lie half of it
    to either side. ``sd`` is None where the table gives no spread or only one run.
    """

    method: str
    check: str
    sparsity: float | None
    mean: float
    mean_step: float
    sd: float | None
    sd_step: float
    n: int
    n_test: int

    @property
    def place(self) -> tuple[str, str, float]:
        return (self.method, self.check, -1.0 if self.sparsity is None else self.sparsity)

    def __str__(self) -> str:
        where = "" if self.sparsity is None else f" at {percent(self.sparsity)}"
        return printable(f"{self.method} x {self.check}{where}")


def split_plus_minus(text: str) -> tuple[str, str] | None:
    """``"92.33±0.21"`` as mean and spread; None for anything else."""
    match = _PLUS_MINUS.fullmatch(text.replace("$", ""))
    return (match[1].strip(), match[2].strip()) if match else None


def last_digits(texts: Iterable[str]) -> dict[str, float]:
    """Every number of one column -> one unit of its last printed digit.

    A program that writes numbers drops trailing zeros, so 92.3 among numbers of two digits means 92.30; where some
    number ends in a zero after the point they were kept, and every number counts for itself.
    """
    digits = {text: _decimals(text) for text in texts}
    kept_zeros = any(count and text.rstrip("% ").endswith("0") for text, count in digits.items())
    most = max(digits.values(), default=0)
    return {text: 10.0 ** -(count if kept_zeros else most) for text, count in digits.items()}


def _decimals(text: str) -> int:
    mantissa, _, exponent = values.plain_number(text.rstrip("% ")).lower().partition("e")
    _, _, after = mantissa.partition(".")
    return max(0, len(after) - int(exponent or 0))


def sample_sd(where: str, value: float, n: int, spread: Spread) -> float | None:
    """*value* (a spread of that kind over *n* runs) as a standard deviation with divisor n - 1; None for one run."""
    if n < 2:
        if value:
            raise StudyError(
                f"{where}: one run has no spread, but the table gives {value:g}. How many runs were there?"
            )
        return None
    if spread == "se":
        return value * math.sqrt(n)
    return value * math.sqrt(n / (n - 1)) if spread == "population" else value


def unique_summaries(located: Iterable[tuple[str, Summary]]) -> tuple[Summary, ...]:
    """Sorted, exact duplicates once; contradictions and corrupted arms without a clean one raise StudyError."""
    found: dict[tuple[str, str, float], tuple[str, Summary]] = {}
    for where, one in located:
        earlier, known = found.setdefault(one.place, (where, one))
        if known != one:
            raise StudyError(f"{where}: {one} was already given at {earlier} with other values. Which one is it?")
    return tuple(one for _, (_, one) in sorted(found.items()))

"""What a verdict is: values with sentences. The shape of ``verdicts.json``; differences and margins in points."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SCHEMA_VERSION = 1

Answer = Literal["DEPENDS", "DOES NOT DEPEND", "INCONCLUSIVE", "UNINFORMATIVE"]
INSTRUMENT_CONTROLS = ("identity", "planted")
"""control roles that test the instrument and no method: tables of methods and checks leave them out"""

MethodAnswer = Literal["PASSES", "FAILS", "INCONCLUSIVE", "UNINFORMATIVE"]


@dataclass(frozen=True)
class Cell:
    """One method x check x sparsity. ``low``/``high``: the two one-sided 95 % bounds of the mean drop (90 % CI).

    The bounds hold over all looks together, so DEPENDS is ``low > margin`` and DOES NOT DEPEND ``high < margin``.
    Infinite before the first look. A mean over several sparsities has NaN for its ``sparsity``.
    """

    sparsity: float
    verdict: Answer
    n: int
    mean_drop: float
    low: float
    high: float
    margin: float
    p_depends: float
    p_not: float
    sd: float
    borrowed_sd: float
    d0: float
    floor_sd: float
    break_even: float
    seeds_needed: int | None
    win_share: float
    differences: dict[str, float]
    """seed -> clean minus corrupted, in points"""
    sentence: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckVerdict:
    """One method x check over all its sparsities; ``pooled`` is the per-seed mean over the informative ones."""

    method: str
    check: str
    verdict: Answer
    sentence: str
    cells: tuple[Cell, ...]
    pooled: Cell | None
    everywhere: bool
    """does not depend at every single sparsity, not only on average"""
    open: bool
    """more seeds could still change this verdict"""
    control: str | None = None
    """None, or the role: 'positive', 'aa', 'identity', 'planted'"""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodVerdict:
    method: str
    verdict: MethodAnswer
    sentence: str
    failed_checks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    role: Literal["reference", "positive"] | None = None
    """'reference' for the random ticket, 'positive' for the positive control: not methods on trial"""


@dataclass(frozen=True)
class Control:
    """One control of the study: did the instrument itself work?"""

    role: Literal["positive", "aa", "identity", "planted"]
    method: str
    check: str
    sparsity: float | None
    status: Literal["ok", "failed", "weak", "missing"]
    sentence: str


@dataclass(frozen=True)
class StudyVerdict:
    """Everything the statistics have to say about a study."""

    study: str
    margin: float
    margin_rule: str
    alpha: float
    looks: tuple[int, ...]
    dense_accuracy: float | None
    """mean over the dense runs, a fraction"""
    n_test: int
    methods: tuple[MethodVerdict, ...]
    checks: tuple[CheckVerdict, ...]
    controls: tuple[Control, ...]
    banner: str | None
    """None, or the sentence that replaces every answer when the controls failed"""
    notes: tuple[str, ...] = ()
    schema_version: int = field(default=SCHEMA_VERSION)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; non-finite numbers become None."""
        plain = _plain(asdict(self))
        assert isinstance(plain, dict)
        return plain

    def __repr__(self) -> str:
        from prunecheck.statistics.display import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from prunecheck.statistics.display import as_html

        return as_html(self)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value

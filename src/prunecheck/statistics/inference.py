"""Interim analyses of cells: p values and bounds of the mean drop that hold over all analyses together.

The question is asked from both sides at full alpha each, because the true drop lies on one side of the margin only
(Schuirmann 1987; Goeman, Solari and Stijnen 2010). The p value of an analysis is turned into the smallest total error
rate at which its boundary would have been crossed, and the smallest of all analyses counts; bounds are those of
Jennison and Turnbull 1989 (repeated confidence intervals), so that bound and p value always agree.

Whether the drop *exceeds* the margin is tested a second time with drops above a limit counted as the limit. Their mean
is at most the mean drop, so that a lower bound of it is one of the mean drop too, and a few very large drops no longer
inflate the variance (docs/decisions/0018).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from prunecheck.statistics.boundaries import LEVELS, level_table
from prunecheck.statistics.crossed import p_beyond, quantile, standard_error
from prunecheck.statistics.settings import MIN_SEEDS
from prunecheck.statistics.variance import Array, Noise, Numbers, noise

LIMIT = 5.0
"""In margins: larger drops count as this in the second test for "the drop exceeds the margin"."""
PENALTY = 2.0
"""Factor on the p value of the second test, because the better of two tests counts."""


class Looks(NamedTuple):
    """The analyses made. ``analyses``: numbers of seeds of all that are planned; ``seen``: arrays (analyses, ...,
    cells), NaN where a cell was not analysed; ``calibration``: share of alpha that is used, see ``calibration``."""

    analyses: tuple[int, ...]
    seen: Noise
    calibration: Array | float = 1.0


def look(
    differences: Array,
    before: int,
    owners: Numbers | None = None,
    guard: Array | float = 0.0,
    cap: float = 4.0,
    likeness: Array | None = None,
    documents: Array | None = None,
    limit: float = np.inf,
) -> Noise:
    """One analysis of (..., sparsities, cells, seeds); *before*: the number of seeds of the analysis before.

    A cell without a new seed since then is not analysed (but its variance is used), nor is one with fewer than
    three pairs.
    """
    seen = noise(differences, owners, guard, cap, likeness, documents, limit)
    fresh = np.isfinite(differences[..., before:]).any(axis=-1) & (seen.n >= MIN_SEEDS)
    return Noise(*(np.where(fresh, part, np.nan) for part in seen))._replace(likeness=seen.likeness)


def stack(analyses: tuple[int, ...], seen: Sequence[Noise]) -> Looks:
    """The analyses made so far, as one; those of *analyses* still to come are NaN."""
    to_come = [Noise(*(np.full_like(part, np.nan) for part in seen[0]))] * (len(analyses) - len(seen))
    return Looks(analyses, Noise(*(np.stack(parts) for parts in zip(*seen, *to_come, strict=True))))


def take_looks(
    differences: Array,
    analyses: tuple[int, ...],
    owners: Numbers | None = None,
    guard: Array | float = 0.0,
    cap: float = 4.0,
    likeness: Array | None = None,
    documents: Array | None = None,
    limit: float = np.inf,
) -> Looks:
    """Every analysis of *differences* (..., sparsities, cells, seeds), the seeds in the order in which they came.

    *likeness*: (analyses, ..., 1, cells) of another set of differences of the same cells, None = of these.
    *documents*: the differences of single documents, see ``variance.noise``. They stay the same over the analyses, so
    that the scores of two analyses are more alike than the boundaries assume, which errs on the safe side. *limit*:
    see ``variance.Noise.limited_mean``.
    """
    seen = []
    for number, (before, n) in enumerate(zip((0, *analyses[:-1]), analyses, strict=True)):
        known = None if likeness is None else likeness[number]
        single = None if documents is None else documents[..., :n, :]
        seen.append(look(differences[..., :n], before, owners, guard, cap, known, single, limit))
    return stack(analyses, seen)


def p_above(looks: Looks, margin: float) -> Array:
    """p for "the drop exceeds *margin*" over all analyses, (..., cells); 1 where none was made."""
    return _over_analyses(looks, np.fmin(p_beyond(looks.seen, margin, 1), _p_limited(looks.seen, margin)))


def p_below(looks: Looks, margin: float) -> Array:
    """p for "the drop stays below *margin*" over all analyses, (..., cells); 1 where none was made."""
    return _over_analyses(looks, p_beyond(looks.seen, margin, -1))


def bounds(looks: Looks, level: Array | float) -> tuple[Array, Array]:
    """Lower and upper one-sided bounds of the drop, each wrong in at most *level* of studies over all analyses.

    The lower bound exceeds a margin exactly where ``p_above(looks, margin) < level``, and likewise for the upper one.
    Infinite where no analysis was made.
    """
    seen = looks.seen
    nominal = nominal_level(looks.analyses, np.broadcast_to(level * looks.calibration, seen.mean.shape[1:]))
    reach = quantile(seen, 1 - nominal) * standard_error(seen)
    # The bounds of all analyses hold together, so that the tightest counts.
    low = np.maximum(np.nan_to_num(seen.mean - reach, nan=-np.inf).max(axis=0), limited_low(looks, level))
    high = np.nan_to_num(seen.mean + reach, nan=np.inf).min(axis=0)
    return low, high


def limited_low(looks: Looks, level: Array | float) -> Array:
    """The lower bound of the mean drop that counts drops up to a limit, minus infinity where none was above it.

    It is part of ``bounds``.
    """
    seen = looks.seen
    nominal = nominal_level(looks.analyses, np.broadcast_to(level * looks.calibration, seen.mean.shape[1:])) / PENALTY
    reach = stdtrit(seen.n - 1, 1 - nominal) * np.sqrt(seen.limited_variance / seen.n)
    low = np.where(_smallest_p(seen.n) <= nominal, seen.limited_mean - reach, np.nan)
    return np.asarray(np.nan_to_num(low, nan=-np.inf).max(axis=0), dtype=np.float64)


def _p_limited(seen: Noise, margin: float) -> Array:
    """Plain p for "the mean exceeds *margin*" from the limited differences; NaN where none was above the limit."""
    error = np.sqrt(seen.limited_variance / seen.n)
    distance = margin - seen.limited_mean
    certain = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
    p = stdtr(seen.n - 1, np.where(error > 0, distance / np.where(error > 0, error, 1.0), certain))
    p = np.where(np.isfinite(seen.limited_mean), p, np.nan)
    return np.asarray(PENALTY * np.maximum(p, _smallest_p(seen.n)), dtype=np.float64)


def _smallest_p(n: Array | int) -> Array:
    """The smallest p that *n* limited differences can have: the chance that all of them exceed their median.

    Differences that are all equal to the limit have no variance left, so that a t test would be certain.
    """
    return np.asarray(0.5**n, dtype=np.float64)


def nominal_level(analyses: tuple[int, ...], total: Array) -> Array:
    """The nominal level of each analysis, (analyses, ...), where *total* (...) is spent on all of them."""
    if len(analyses) == 1:
        return np.asarray(total, dtype=np.float64)[None]
    # Interpolated in logarithms, because the levels of the table span nine powers of ten.
    table, logs = level_table(analyses), np.log(np.maximum(total, 1e-300))
    scale = np.minimum(total / LEVELS[0], 1.0)  # below the table: in proportion
    return np.stack([np.exp(np.interp(logs, np.log(LEVELS), np.log(row))) * scale for row in table])


def total_level(analyses: tuple[int, ...], p: Array) -> Array:
    """The inverse: the total error rate at which nominal *p* (analyses, ...) would just have been enough, at most 1."""
    if len(analyses) == 1:
        return p
    logs = np.log(np.maximum(p, 1e-300))
    found = []
    for row, own, plain in zip(level_table(analyses), logs, p, strict=True):
        total = np.exp(np.interp(own, np.log(row), np.log(LEVELS))) * np.minimum(plain / row[0], 1.0)
        # The table ends at a total of 0.5; a p value beyond it decides nothing.
        found.append(np.where(plain > row[-1], 1.0, total))
    return np.stack(found)


def latest(values: Array) -> Array:
    """The last value along the first axis that is not NaN; NaN where there is none."""
    result = np.full(values.shape[1:], np.nan)
    for value in values:
        result = np.where(np.isnan(value), result, value)
    return result


def _over_analyses(looks: Looks, p: Array) -> Array:
    total = total_level(looks.analyses, np.nan_to_num(p, nan=1.0)).min(axis=0)
    return np.asarray(np.minimum(total / looks.calibration, 1.0), dtype=np.float64)

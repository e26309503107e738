"""Looking more than once: what each look saw, sequential p values, and bounds that hold over all looks.

At look l the one-sided level is alpha_l; the alphas sum to alpha, so by the union bound the chance of ever being
wrong is at most alpha, whatever the dependence between looks (Lan and DeMets 1983 for the idea of spending;
Jennison and Turnbull 1989 for confidence bounds repeated at every look). The question is asked from both sides at
full alpha each, because the true drop lies on one side of the margin only (Schuirmann 1987; Goeman, Solari and
Stijnen 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from prunecheck.statistics.settings import MIN_SEEDS, Look
from prunecheck.statistics.variance import Array, Noise, noise


class Looks(NamedTuple):
    """What the looks saw. ``alpha``: (looks,); the others (looks, ..., cells), NaN where a cell took no such look."""

    alpha: Array
    seen: Noise


def look(differences: Array, before: int, guard: Array | float = 0.0, cap: float = 4.0) -> Noise:
    """One look at the cells of a stratum, (..., cells, seeds); *before*: the seeds of the look before.

    A cell without a new seed since then takes no look (but lends its variance), nor does one with fewer than
    three pairs.
    """
    seen = noise(differences, guard, cap)
    fresh = np.isfinite(differences[..., before:]).any(axis=-1) & (seen.n >= MIN_SEEDS)
    return Noise(*(np.where(fresh, part, np.nan) for part in seen))


def stack(schedule: Sequence[Look], seen: Sequence[Noise]) -> Looks:
    """The looks taken so far, as one; those of *schedule* still to come are NaN."""
    alpha = np.array([one.alpha for one in schedule])
    to_come = [Noise(*(np.full_like(part, np.nan) for part in seen[0]))] * (len(schedule) - len(seen))
    return Looks(alpha, Noise(*(np.stack(parts) for parts in zip(*seen, *to_come, strict=True))))


def take_looks(differences: Array, schedule: Sequence[Look], guard: Array | float = 0.0, cap: float = 4.0) -> Looks:
    """Every look of *schedule* at *differences* (..., cells, seeds), the seeds in the order in which they came."""
    starts = [0, *(one.n for one in schedule[:-1])]
    pairs = zip(starts, schedule, strict=True)
    return stack(schedule, [look(differences[..., : one.n], start, guard, cap) for start, one in pairs])


def p_above(looks: Looks, margin: float) -> Array:
    """Sequential p for "the drop exceeds *margin*", (..., cells); 1 where no look was taken."""
    return _spent(looks, _p_each(looks, margin))


def p_below(looks: Looks, margin: float) -> Array:
    """Sequential p for "the drop stays below *margin*", (..., cells); 1 where no look was taken."""
    return _spent(looks, _p_each(looks, margin, side=-1))


def hint_above(looks: Looks, margin: float) -> Array:
    """Smallest plain p for "the drop exceeds *margin*" of any look so far, (..., cells); 1 where none was taken."""
    return np.asarray(np.nan_to_num(_p_each(looks, margin), nan=1.0).min(axis=0), dtype=np.float64)


def bounds(looks: Looks, share: float = 1.0) -> tuple[Array, Array]:
    """Lower and upper one-sided bounds of the drop, each at level 1 - alpha * *share* over all looks together.

    The lower bound exceeds a margin exactly where ``p_above(looks, margin) <= alpha * share``, and likewise for the
    upper one. Infinite where no look was taken.
    """
    seen = looks.seen
    level = 1 - looks.alpha.reshape(-1, *[1] * (seen.mean.ndim - 1)) * share
    reach = stdtrit(seen.dof, level) * _error(seen)
    low = np.nan_to_num(seen.mean - reach, nan=-np.inf).max(axis=0)
    high = np.nan_to_num(seen.mean + reach, nan=np.inf).min(axis=0)
    return low, high


def latest(values: Array) -> Array:
    """The last value along the first axis that is not NaN; NaN where there is none."""
    result = np.full(values.shape[1:], np.nan)
    for value in values:
        result = np.where(np.isnan(value), result, value)
    return result


def _error(seen: Noise) -> Array:
    """Standard error of the mean, points."""
    return np.asarray(np.sqrt(seen.borrowed / seen.n), dtype=np.float64)


def _p_each(looks: Looks, margin: float, side: int = 1) -> Array:
    """Plain p of each look for "the drop exceeds *margin*" (*side* 1) or "stays below it" (*side* -1)."""
    seen = looks.seen
    return np.asarray(stdtr(seen.dof, side * (margin - seen.mean) / _error(seen)), dtype=np.float64)


def _spent(looks: Looks, p: Array) -> Array:
    dear = looks.alpha.sum() / looks.alpha
    spent = np.nan_to_num(p, nan=1.0) * dear.reshape(-1, *[1] * (p.ndim - 1))
    return np.asarray(np.minimum(spent.min(axis=0), 1.0), dtype=np.float64)

"""When more seeds are unlikely to bring an answer: a check that cannot be decided stops early.

Predictive power: the chance, given what was seen and no opinion about the true drop, that the last analysis decides.
Stopping for futility is non-binding: a study that goes on all the same keeps its error rates.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

from prunecheck.statistics.crossed import quantile, standard_error
from prunecheck.statistics.inference import nominal_level
from prunecheck.statistics.procedure import ONE_SPARSITY, Flags
from prunecheck.statistics.variance import Array, Noise

SMALLEST_CHANCE = 0.05
"""A check is stopped where both answers are less likely than this."""
FIRST_SEEDS = 5
"""No check is stopped before so many seeds: the spread of three or four differences says too little about the rest."""


def is_futile(
    cells: Noise, mean: Noise, analyses: tuple[int, ...], margin: float, depends_level: Array, fails_level: Array
) -> Flags:
    """Which checks (..., checks) are unlikely to be decided by the last of *analyses*.

    *cells*: the latest analysis of each cell, arrays (..., sparsities, checks); *mean*: that of the mean over
    sparsities, (..., checks). *depends_level*, *fails_level*: (..., checks) total levels that the two answers need.
    """
    last = analyses[-1]
    depends = nominal_level(analyses, np.asarray(depends_level))[-1]
    fails = nominal_level(analyses, np.asarray(fails_level))[-1]
    hurt = np.fmax(
        np.fmax.reduce(_power(cells, last, depends[..., None, :], margin, 1), axis=-2),
        _power(mean, last, depends, margin, 1),
    )
    unhurt = np.fmin(
        np.fmin.reduce(_power(cells, last, fails[..., None, :], ONE_SPARSITY * margin, -1), axis=-2),
        _power(mean, last, fails, margin, -1),
    )
    return np.asarray((np.fmax(hurt, unhurt) < SMALLEST_CHANCE) & (mean.n >= FIRST_SEEDS))


def _power(seen: Noise, last: int, level: Array, margin: float, side: int) -> Array:
    """The chance that a test at *last* seeds shows that the drop is above (*side* 1) or below (-1) *margin*."""
    coming = np.maximum(last - seen.n, 0)
    at_last = seen._replace(n=np.where(seen.n > 0, last, np.nan), dof=seen.dof + coming)
    distance = side * (seen.mean - margin) - quantile(at_last, 1 - level) * standard_error(at_last)
    spread = np.sqrt(seen.borrowed * np.maximum(1 / seen.n - 1 / last, 1e-12))
    return np.asarray(stdtr(seen.dof, distance / np.maximum(spread, 1e-300)), dtype=np.float64)

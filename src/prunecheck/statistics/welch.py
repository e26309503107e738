"""Two arms of which only mean, spread and number of runs were published: Welch's test at the margin.

Welch 1947 (Biometrika 34:28): unequal variances, degrees of freedom by Satterthwaite. The seeds of the two arms cannot
be paired, so a difference is seen less often than from the runs themselves. What rounding hid is taken against the
answer: a mean may be off by half a unit of its last digit, and a spread counts as the largest that prints the same.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.special import stdtr, stdtrit

from prunecheck.statistics.summaries import Summary

GUARD = 0.25
"""Share of the variance of the test set alone below which no printed variance is believed."""


class Difference(NamedTuple):
    """First mean minus second, points. ``error``: its standard error with ``dof`` degrees of freedom; ``slack``: how
    far the rounding of the two means may have moved it; NaN ``error`` where an arm has no spread."""

    mean: float
    error: float
    dof: float
    slack: float

    @property
    def is_known(self) -> bool:
        """Whether the noise is known, so that anything can be tested."""
        return math.isfinite(self.error)

    def p_above(self, margin: float) -> float:
        """p of "the true difference exceeds *margin*" against "it does not"; 1 where nothing can be tested."""
        return self._p(margin + self.slack - self.mean)

    def p_below(self, margin: float) -> float:
        """p of "the true difference is below *margin*"."""
        return self._p(self.mean + self.slack - margin)

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Two one-sided bounds of the true difference, each at level 1 - *alpha*; infinite where nothing is known."""
        if not self.is_known:
            return -math.inf, math.inf
        reach = float(stdtrit(self.dof, 1 - alpha)) * self.error + self.slack
        return self.mean - reach, self.mean + reach

    def _p(self, short: float) -> float:
        """p of a mean that lies *short* points on the wrong side (negative: on the right one)."""
        return float(stdtr(self.dof, short / self.error)) if self.is_known else 1.0


def difference(first: Summary, second: Summary) -> Difference:
    """The difference of two arms with at least two runs and a spread each."""
    mean, slack = first.mean - second.mean, first.mean_step / 2 + second.mean_step / 2
    parts = [largest_sd(one) ** 2 / one.n for one in (first, second) if one.sd is not None]
    if len(parts) < 2:
        return Difference(mean, math.nan, math.nan, slack)
    variance = sum(parts)
    dof = variance**2 / sum(part**2 / (one.n - 1) for part, one in zip(parts, (first, second), strict=True))
    return Difference(mean, math.sqrt(variance), dof, slack)


def largest_sd(one: Summary) -> float:
    """The largest standard deviation that prints as this one, and never below what the test set alone explains."""
    assert one.sd is not None
    return max(one.sd + one.sd_step / 2, math.sqrt(GUARD) * floor_sd(one))


def floor_sd(one: Summary) -> float:
    """Standard deviation, points, that a test set of this size gives to equally good networks: errors / (2 n_test).

    Jordan 2023 (arXiv:2304.01910). No error at all counts as one.
    """
    errors = max(1 - one.mean / 100, 1 / one.n_test)
    return 100 * math.sqrt(errors / (2 * one.n_test))

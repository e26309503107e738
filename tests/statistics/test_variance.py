"""Borrowed variance, against a worked example, plain loops, and the limits where theory says what must come out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import polygamma

from prunecheck.statistics.variance import Array, inverse_trigamma

WORKED = np.array(
    [
        [
            [-0.2, 0.02, -0.31, 0.6, 0.1],
            [0.42, -0.23, -0.09, 0.55, 0.15],
            [-1.27, -0.17, 0.19, 0.06, -0.36],
            [2.26, 2.65, 1.98, 2.66, 1.95],
            [0.27, 0.86, 0.56, 0.57, 1.36],
            [3.42, 4.08, 3.42, 2.43, 3.83],
        ]
    ]
)


def by_hand(d: Array, guard: float = 0.0, cap: float = 4.0) -> tuple[list[float], float]:
    """Smyth's estimators, one number at a time; bisection for the inverse trigamma."""
    rows = [row[np.isfinite(row)] for row in d]
    s2, f = [float(np.var(row, ddof=1)) for row in rows], [len(row) - 1 for row in rows]
    pool = [(max(s, guard), g) for s, g in zip(s2, f, strict=True) if g >= 2 and s > 0]
    e = [math.log(s) - float(polygamma(0, g / 2)) + math.log(g / 2) for s, g in pool]
    v = float(np.var(e, ddof=1)) - float(np.mean([float(polygamma(1, g / 2)) for _, g in pool]))
    if v > 0:
        low, high = 1e-6, 1e6
        for _ in range(200):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if float(polygamma(1, middle)) > v else (low, middle)
        d0 = 2 * low
        prior = math.exp(float(np.mean(e)) + float(polygamma(0, d0 / 2)) - math.log(d0 / 2))
    else:
        d0, prior = math.inf, math.exp(float(np.mean(e)))
    d0 = min(d0, cap)
    return [max((d0 * prior + g * s) / (d0 + g), guard) for s, g in zip(s2, f, strict=True)], d0


def test_inverse_trigamma() -> None:
    x = np.array([1e-2, 0.1, 0.5, 1.0, 2.0, 10.0, 1e3, 1e5])
    assert inverse_trigamma(polygamma(1, x)) == pytest.approx(x, rel=1e-6)
    assert np.isfinite(inverse_trigamma(np.array([1e-300, 1e300]))).all()

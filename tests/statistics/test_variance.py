"""Borrowed variance, against a worked example, plain loops, and the limits where theory says what must come out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import polygamma

from prunecheck.statistics.variance import Array, inverse_trigamma, noise

WORKED = np.array(
    [
        [-0.2, 0.02, -0.31, 0.6, 0.1],
        [0.42, -0.23, -0.09, 0.55, 0.15],
        [-1.27, -0.17, 0.19, 0.06, -0.36],
        [2.26, 2.65, 1.98, 2.66, 1.95],
        [0.27, 0.86, 0.56, 0.57, 1.36],
        [3.42, 4.08, 3.42, 2.43, 3.83],
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


def test_worked_example() -> None:
    seen = noise(WORKED)
    assert seen.d0 == pytest.approx([4.0] * 6)
    assert seen.borrowed == pytest.approx([0.18135, 0.17344, 0.28546, 0.17896, 0.20410, 0.31695], rel=1e-3)
    assert seen.dof == pytest.approx([8.0] * 6)
    assert seen.n == pytest.approx([5.0] * 6)
    assert seen.mean == pytest.approx(WORKED.mean(axis=1))
    assert seen.variance == pytest.approx(WORKED.var(axis=1, ddof=1))


@pytest.mark.parametrize("cap", [0.0, 0.5, 4.0, 100.0])
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("guard", [0.0, 0.3])
def test_against_the_naive_twin(spread: float, cap: float, guard: float) -> None:
    rng = np.random.default_rng(7)
    d = rng.standard_normal((8, 6)) * np.exp(spread * rng.standard_normal((8, 1))) + 2
    d[0, 3:] = np.nan
    d[1, 5] = np.nan
    expected, d0 = by_hand(d, guard, cap)
    seen = noise(d, guard, cap)
    assert seen.borrowed == pytest.approx(expected, rel=1e-6)
    assert seen.d0 == pytest.approx([d0] * 8, rel=1e-6)
    assert seen.dof == pytest.approx(np.array([2, 4, 5, 5, 5, 5, 5, 5]) + d0, rel=1e-6)


def test_two_cells_borrow_nothing() -> None:
    seen = noise(WORKED[:2])
    assert seen.borrowed == pytest.approx(seen.variance)
    assert seen.d0 == pytest.approx([0.0, 0.0])
    assert seen.dof == pytest.approx([4.0, 4.0])
    assert noise(WORKED[:3]).d0[0] > 0


def test_cells_without_spread_or_with_two_pairs_lend_nothing() -> None:
    d = np.vstack([WORKED[:3], np.full(5, 1.0), [1.0, 2.0, np.nan, np.nan, np.nan]])
    seen, alone = noise(d), noise(WORKED[:3])
    assert seen.borrowed[:3] == pytest.approx(alone.borrowed)
    assert 0 < seen.borrowed[3] < seen.borrowed[0]
    assert seen.dof[4] == pytest.approx(alone.d0[0] + 1)
    assert noise(d[2:]).d0 == pytest.approx([0.0] * 3)


def test_empty_and_single_cells_are_nan_not_errors() -> None:
    d = np.full((4, 3), np.nan)
    d[1, 0] = 2.0
    seen = noise(d)
    assert seen.n.tolist() == [0, 1, 0, 0]
    assert np.isnan(seen.mean).tolist() == [True, False, True, True]
    assert np.isnan(seen.borrowed).all()
    assert np.isnan(seen.variance).all()
    assert np.isnan(seen.dof).all()


def test_strata_do_not_see_each_other() -> None:
    rng = np.random.default_rng(3)
    d = rng.standard_normal((2, 3, 5, 4)) * np.array([1.0, 5.0, 20.0])[None, :, None, None]
    guard = rng.random((2, 3, 5))
    whole = noise(d, guard)
    for index in np.ndindex(2, 3):
        for part, alone in zip(whole, noise(d[index], guard[index]), strict=True):
            assert part[index] == pytest.approx(alone)


def test_the_guard_is_a_floor() -> None:
    d = WORKED * 1e-6
    assert noise(d, 0.25).borrowed == pytest.approx([0.25] * 6)
    assert noise(np.zeros((4, 3)), 0.25).borrowed == pytest.approx([0.25] * 4)


def test_inverse_trigamma() -> None:
    x = np.array([1e-2, 0.1, 0.5, 1.0, 2.0, 10.0, 1e3, 1e5])
    assert inverse_trigamma(polygamma(1, x)) == pytest.approx(x, rel=1e-6)
    assert np.isfinite(inverse_trigamma(np.array([1e-300, 1e300]))).all()

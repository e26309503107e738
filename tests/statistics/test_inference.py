"""Looks, sequential p values and bounds, against Student's t from scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prunecheck.statistics.inference import (
    bounds,
    hint_above,
    latest,
    look,
    p_above,
    p_below,
    stack,
    take_looks,
)
from prunecheck.statistics.settings import Look
from prunecheck.statistics.variance import noise
from tests.statistics.test_variance import WORKED

ONE = (Look(5, 0.05),)
TWO = (Look(3, 0.01), Look(5, 0.04))


def test_worked_example() -> None:
    looks = take_looks(WORKED, ONE)
    assert p_below(looks, 0.84) == pytest.approx(
        [0.00152, 0.00324, 0.00067, 0.99997, 0.29082, 1.0], rel=1e-3, abs=5.1e-6
    )
    assert p_above(looks, 0.84) == pytest.approx([0.99848, 0.99676, 0.99933, 0.00003, 0.70918, 0.0], rel=1e-3, abs=5e-6)


def test_sequential_p_is_the_cheapest_look() -> None:
    looks = take_looks(WORKED, TWO)
    early, late = noise(WORKED[:, :3]), noise(WORKED)
    plain = [stats.t.sf((s.mean - 0.5) / np.sqrt(s.borrowed / s.n), s.dof) for s in (early, late)]
    expected = np.minimum(np.minimum(plain[0] * 5, plain[1] * 1.25), 1)
    assert p_above(looks, 0.5) == pytest.approx(expected, rel=1e-9)
    assert hint_above(looks, 0.5) == pytest.approx(np.minimum(*plain), rel=1e-9)
    expected = np.minimum(np.minimum((1 - plain[0]) * 5, (1 - plain[1]) * 1.25), 1)
    assert p_below(looks, 0.5) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_bounds_turn_where_the_p_values_cross(share: float) -> None:
    looks = take_looks(WORKED, TWO)
    low, high = bounds(looks, share)
    for j in range(len(WORKED)):
        assert p_above(looks, low[j] - 1e-6)[j] < 0.05 * share < p_above(looks, low[j] + 1e-6)[j]
        assert p_below(looks, high[j] + 1e-6)[j] < 0.05 * share < p_below(looks, high[j] - 1e-6)[j]


def test_a_single_look_gives_the_usual_interval() -> None:
    low, high = bounds(take_looks(WORKED[:2], ONE))
    usual = stats.ttest_1samp(WORKED[:2], 0, axis=1).confidence_interval(0.9)
    assert low == pytest.approx(usual.low)
    assert high == pytest.approx(usual.high)


def test_a_cell_without_a_new_seed_takes_no_look_but_lends_its_variance() -> None:
    d = WORKED.copy()
    d[0, 3:] = np.nan
    late = look(d, 3)
    assert np.isnan(late.mean).tolist() == [True, False, False, False, False, False]
    assert late.borrowed[1:] == pytest.approx(noise(d).borrowed[1:])
    looks = take_looks(d, TWO)
    early = noise(WORKED[:, :3])
    plain = stats.t.sf((early.mean[0] - 0.5) / np.sqrt(early.borrowed[0] / 3), early.dof[0])
    assert p_above(looks, 0.5)[0] == pytest.approx(min(1, plain * 5))


def test_fewer_than_three_pairs_are_no_look() -> None:
    d = np.array([[1.0, 2.0, np.nan, np.nan, np.nan], [1.0, 2.0, np.nan, 3.0, np.nan], [np.nan] * 5])
    looks = take_looks(d, TWO)
    assert np.isnan(looks.seen.n).tolist() == [[True, True, True], [True, False, True]]
    assert p_above(looks, -99.0)[[0, 2]].tolist() == [1.0, 1.0]
    assert p_below(looks, 99.0)[[0, 2]].tolist() == [1.0, 1.0]
    assert hint_above(looks, -99.0)[[0, 2]].tolist() == [1.0, 1.0]
    low, high = bounds(looks)
    assert low[0] == -np.inf
    assert high[0] == np.inf
    assert np.isfinite([low[1], high[1]]).all()
    assert latest(looks.seen.mean)[1] == pytest.approx(2.0)
    assert np.isnan(latest(looks.seen.mean)[0])


def test_looks_still_to_come_change_nothing_yet() -> None:
    first = stack(TWO, [look(WORKED[:, :3], 0)])
    assert first.seen.mean.shape == (2, 6)
    early = take_looks(WORKED[:, :3], (Look(3, 0.01),))
    assert p_above(first, 0.5) == pytest.approx(np.minimum(p_above(early, 0.5) * 5, 1))


def test_latest_takes_the_last_number() -> None:
    values = np.array([[1.0, 2.0, np.nan], [3.0, np.nan, np.nan]])
    assert latest(values)[:2].tolist() == [3.0, 2.0]
    assert np.isnan(latest(values)[2])


def test_leading_axes_are_separate_studies() -> None:
    d = np.random.default_rng(0).standard_normal((4, 3, 6, 5))
    looks = take_looks(d, TWO, cap=2.0)
    one = take_looks(d[2, 1], TWO, cap=2.0)
    assert p_above(looks, 0.3)[2, 1] == pytest.approx(p_above(one, 0.3))
    for whole, alone in zip(bounds(looks), bounds(one), strict=True):
        assert whole[2, 1] == pytest.approx(alone)

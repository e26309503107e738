"""Interim analyses: p values and bounds, against Student's t from scipy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from prunecheck.statistics.inference import (
    bounds,
    latest,
    limited_low,
    look,
    nominal_level,
    p_above,
    p_below,
    stack,
    take_looks,
    total_level,
)
from prunecheck.statistics.variance import noise
from tests.statistics.test_variance import WORKED

ONE = (5,)
TWO = (3, 5)


def plain_p(d: np.ndarray, margin: float) -> np.ndarray:
    seen = noise(d)
    return stats.t.sf((seen.mean[0] - margin) / np.sqrt(seen.borrowed[0] / seen.n[0]), seen.dof[0])


def test_one_analysis_gives_the_t_test_with_the_moderated_variance() -> None:
    looks = take_looks(WORKED, ONE)
    assert p_above(looks, 0.84)[0] == pytest.approx(plain_p(WORKED, 0.84))
    assert p_below(looks, 0.84)[0] == pytest.approx(1 - plain_p(WORKED, 0.84))


def test_several_analyses_count_by_the_total_level_of_their_boundaries() -> None:
    looks = take_looks(WORKED, TWO)
    p = np.stack([plain_p(WORKED[..., :3], 0.5), plain_p(WORKED, 0.5)])
    assert p_above(looks, 0.5)[0] == pytest.approx(total_level(TWO, p).min(axis=0))
    assert p_below(looks, 0.5)[0] == pytest.approx(total_level(TWO, 1 - p).min(axis=0))


@pytest.mark.parametrize("analyses", [(5,), (3, 5), tuple(range(3, 13))])
def test_nominal_and_total_level_are_inverse(analyses: tuple[int, ...]) -> None:
    for total in (1e-12, 1e-4, 0.0123, 0.05, 0.3):
        nominal = nominal_level(analyses, np.array([total]))
        assert total_level(analyses, nominal) == pytest.approx(np.full(nominal.shape, total), rel=1e-9)


@pytest.mark.parametrize("level", [0.05, 0.0125])
def test_bounds_turn_where_the_p_values_cross(level: float) -> None:
    looks = take_looks(WORKED, TWO)
    low, high = bounds(looks, level)
    for j in range(WORKED.shape[1]):
        assert p_above(looks, low[0, j] - 1e-6)[0, j] < level < p_above(looks, low[0, j] + 1e-6)[0, j]
        assert p_below(looks, high[0, j] + 1e-6)[0, j] < level < p_below(looks, high[0, j] - 1e-6)[0, j]


def test_one_analysis_of_one_cell_gives_the_usual_interval() -> None:
    d = WORKED[:, :1]
    low, high = bounds(take_looks(d, ONE), 0.05)
    usual = stats.ttest_1samp(d, 0, axis=-1).confidence_interval(0.9)
    assert low == pytest.approx(usual.low)
    assert high == pytest.approx(usual.high)


def test_a_cell_without_a_new_seed_is_not_analysed_but_its_variance_counts() -> None:
    d = WORKED.copy()
    d[0, 0, 3:] = np.nan
    late = look(d, 3)
    assert np.isnan(late.mean[0]).tolist() == [True, False, False, False, False, False]
    assert late.borrowed[0, 1:] == pytest.approx(noise(d).borrowed[0, 1:])
    early = plain_p(WORKED[..., :3], 0.5)[0]
    assert p_above(take_looks(d, TWO), 0.5)[0, 0] == pytest.approx(total_level(TWO, np.array([early, 1.0])).min())


def test_fewer_than_three_pairs_are_not_analysed() -> None:
    d = np.array([[[1.0, 2.0, np.nan, np.nan, np.nan], [1.0, 2.0, np.nan, 3.0, np.nan], [np.nan] * 5]])
    looks = take_looks(d, TWO)
    assert np.isnan(looks.seen.n[:, 0]).tolist() == [[True, True, True], [True, False, True]]
    assert p_above(looks, -99.0)[0, [0, 2]].tolist() == [1.0, 1.0]
    assert p_below(looks, 99.0)[0, [0, 2]].tolist() == [1.0, 1.0]
    low, high = bounds(looks, 0.05)
    assert low[0, 0] == -np.inf
    assert high[0, 0] == np.inf
    assert np.isfinite([low[0, 1], high[0, 1]]).all()
    assert latest(looks.seen.mean)[0, 1] == pytest.approx(2.0)
    assert np.isnan(latest(looks.seen.mean)[0, 0])


def test_analyses_still_to_come_change_nothing_yet() -> None:
    first = stack(TWO, [look(WORKED[..., :3], 0)])
    assert first.seen.mean.shape == (2, 1, 6)
    p = np.stack([plain_p(WORKED[..., :3], 0.5), np.ones(6)])
    assert p_above(first, 0.5)[0] == pytest.approx(total_level(TWO, p).min(axis=0))


def test_latest_takes_the_last_number() -> None:
    values = np.array([[1.0, 2.0, np.nan], [3.0, np.nan, np.nan]])
    assert latest(values)[:2].tolist() == [3.0, 2.0]
    assert np.isnan(latest(values)[2])


def test_leading_axes_are_separate_studies() -> None:
    d = np.random.default_rng(0).standard_normal((4, 3, 2, 6, 5))
    looks = take_looks(d, TWO, cap=2.0)
    one = take_looks(d[2, 1], TWO, cap=2.0)
    assert p_above(looks, 0.3)[2, 1] == pytest.approx(p_above(one, 0.3))
    for whole, alone in zip(bounds(looks, 0.05), bounds(one, 0.05), strict=True):
        assert whole[2, 1] == pytest.approx(alone)


def test_equal_differences_without_a_guard_are_decided_without_a_warning() -> None:
    d = np.stack([np.full(4, 80.0), np.zeros(4), np.full(4, 1.0), np.full(4, np.nan)])[None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        looks = take_looks(d, (4,))
        above, below = p_above(looks, 1.0), p_below(looks, 1.0)
        low, high = bounds(looks, 0.05)
    assert above.tolist() == [[0.0, 1.0, 0.5, 1.0]]
    assert below.tolist() == [[1.0, 0.0, 0.5, 1.0]]
    assert low[0, :3].tolist() == high[0, :3].tolist() == [80.0, 0.0, 1.0]


SKEWED = np.array([2.1, 9.5, 4.9, 5.4, 16.0, 5.1, 3.5])
"""Drops in margins, five of them above 5."""


def limited_p(drops: np.ndarray, margin: float) -> float:
    counted = np.minimum(drops, 5.0)
    return 2 * max(stats.ttest_1samp(counted, margin, alternative="greater").pvalue, 0.5 ** len(drops))


def test_second_test_counts_drops_up_to_the_limit_and_doubles_its_p() -> None:
    looks = take_looks(SKEWED[None, None], (7,), limit=5.0)
    for margin in (1.0, 3.1):
        plain = stats.ttest_1samp(SKEWED, margin, alternative="greater").pvalue
        assert p_above(looks, margin)[0, 0] == pytest.approx(min(plain, limited_p(SKEWED, margin)))
    assert p_above(looks, 3.1)[0, 0] == pytest.approx(limited_p(SKEWED, 3.1))
    assert p_below(looks, 1.0)[0, 0] == p_below(take_looks(SKEWED[None, None], (7,)), 1.0)[0, 0]


@pytest.mark.parametrize("analyses", [(7,), (3, 5, 7)])
def test_lower_bound_turns_where_the_better_of_both_tests_does(analyses: tuple[int, ...]) -> None:
    looks = take_looks(SKEWED[None, None], analyses, limit=5.0)
    low = bounds(looks, 0.05)[0][0, 0]
    assert low == limited_low(looks, 0.05)[0, 0] > bounds(take_looks(SKEWED[None, None], analyses), 0.05)[0][0, 0]
    assert p_above(looks, low - 1e-6)[0, 0] < 0.05 < p_above(looks, low + 1e-6)[0, 0]


def test_drops_all_beyond_the_limit_are_no_more_certain_than_the_signs_of_their_seeds() -> None:
    drops = np.array([6.0, 30.0, 8.0, 7.0, 45.0, 9.0])
    six, five = (take_looks(drops[None, None, :n], (n,), limit=5.0) for n in (6, 5))
    assert p_above(six, 4.9)[0, 0] == pytest.approx(2 * 0.5**6)
    assert bounds(six, 0.05)[0][0, 0] == 5.0
    assert limited_low(five, 0.05)[0, 0] == -np.inf


def test_drops_below_the_limit_and_tests_of_documents_are_as_without_it() -> None:
    inside = WORKED / WORKED.max() * 4.9
    for one, other in zip(take_looks(inside, (5,), limit=5.0).seen, take_looks(inside, (5,)).seen, strict=True):
        assert np.array_equal(one, other, equal_nan=True)
    single = np.stack([SKEWED - 0.5, SKEWED + 0.5], axis=-1)[None, None]
    looks = take_looks(SKEWED[None, None], (7,), documents=single, limit=5.0)
    assert limited_low(looks, 0.05)[0, 0] == -np.inf


def test_variance_of_limited_drops_is_not_below_that_of_the_other_checks() -> None:
    rng = np.random.default_rng(0)
    others = 3 * rng.standard_normal((1, 6, 7))
    looks = take_looks(np.concatenate([SKEWED[None, None], others], axis=1), (7,), limit=5.0)
    counted = np.minimum(SKEWED, 5.0)
    variance = looks.seen.limited_variance[0, 0, 0]
    assert variance > 4 * counted.var(ddof=1)
    reach = stats.t.ppf(0.975, 6) * (variance / 7) ** 0.5
    assert limited_low(looks, 0.05)[0, 0] == pytest.approx(counted.mean() - reach)

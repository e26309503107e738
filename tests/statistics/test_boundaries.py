"""Boundaries of interim analyses: against simulation, published values and each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prunecheck.statistics.boundaries import LEVELS, level_table, nominal_levels


def test_one_analysis_gets_the_whole_error_rate() -> None:
    assert nominal_levels((7,), 0.05) == pytest.approx((0.05,), rel=1e-6)


def test_two_analyses_against_the_bivariate_normal_distribution() -> None:
    first, second = nominal_levels((5, 10), 0.025)
    z = stats.norm.isf([first, second])
    covariance = [[1, np.sqrt(0.5)], [np.sqrt(0.5), 1]]
    inside = stats.multivariate_normal([0, 0], covariance).cdf(z)
    assert 1 - inside == pytest.approx(0.025, rel=1e-4)
    assert first == pytest.approx(0.025 * np.log(1 + (np.e - 1) / 2), rel=1e-6)


def test_equal_steps_give_nearly_the_constant_boundary_of_pocock() -> None:
    # Jennison and Turnbull 2000, table 2.1: constant 2.413 for five analyses at 5 % two-sided
    z = stats.norm.isf(nominal_levels((2, 4, 6, 8, 10), 0.025))
    assert z == pytest.approx(np.full(5, 2.413), abs=0.03)


@pytest.mark.parametrize("analyses", [(3, 4, 5, 6, 7, 8, 9, 10), (3, 5, 7, 10), (3, 20, 21)])
def test_the_whole_error_rate_is_spent_exactly(analyses: tuple[int, ...]) -> None:
    sums = np.random.default_rng(1).standard_normal((200_000, analyses[-1])).cumsum(axis=1)
    z = sums[:, np.array(analyses) - 1] / np.sqrt(analyses)
    crossed = (z > stats.norm.isf(nominal_levels(analyses, 0.05))).any(axis=1)
    assert crossed.mean() == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 200_000))


def test_many_analyses_are_possible() -> None:
    levels = nominal_levels(tuple(range(3, 201)), 0.05)
    assert min(levels) > 0
    assert levels[0] == pytest.approx(0.05 * np.log(1 + (np.e - 1) * 3 / 200), rel=1e-6)


def test_a_larger_error_rate_gives_a_larger_level_at_every_analysis() -> None:
    table = level_table((3, 4, 5, 6, 7, 8, 9, 10))
    assert table.shape == (8, len(LEVELS))
    assert (np.diff(table, axis=1) > 0).all()

"""Welch's test at the margin against scipy, its error rate, and what rounding takes away."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from prunecheck.statistics.summaries import Summary, last_digits, sample_sd, split_plus_minus
from prunecheck.statistics.welch import difference, floor_sd


def arm(mean: float, sd: float | None, n: int = 3, step: float = 0.0, n_test: int = 10_000) -> Summary:
    return Summary("m", "clean", 0.9, mean, step, sd, step, n, n_test)


def test_without_rounding_it_is_welchs_test_of_scipy() -> None:
    found = difference(arm(92.8, 0.3, 3), arm(92.1, 0.7, 5))
    expected = stats.ttest_ind_from_stats(92.8, 0.3, 3, 92.1, 0.7, 5, equal_var=False)
    assert found.p_above(0.0) == pytest.approx(expected.pvalue / 2)
    assert found.p_below(0.0) == pytest.approx(1 - expected.pvalue / 2)
    low, high = found.bounds(0.05)
    interval = expected.confidence_interval(0.9) if hasattr(expected, "confidence_interval") else None
    if interval is not None:
        assert (low, high) == pytest.approx((interval.low, interval.high))
    assert found.p_above(low) == pytest.approx(0.05)
    assert found.p_below(high) == pytest.approx(0.05)


def test_the_published_example_is_decided_as_printed_and_open_with_rounding() -> None:
    printed = difference(arm(92.8, 0.3), arm(92.6, 0.4))
    rounded = difference(arm(92.8, 0.3, step=0.1), arm(92.6, 0.4, step=0.1))
    assert printed.p_below(0.84) == pytest.approx(0.048, abs=5e-4)
    assert rounded.p_below(0.84) == pytest.approx(0.090, abs=5e-4)
    assert (rounded.mean, rounded.slack) == (pytest.approx(0.2), pytest.approx(0.1))


def test_without_a_spread_nothing_is_tested() -> None:
    found = difference(arm(92.8, 0.3), arm(60.0, None, n=1))
    assert (found.p_above(0.1), found.p_below(100.0)) == (1.0, 1.0)
    assert found.bounds(0.05) == (-math.inf, math.inf)


def test_a_spread_of_zero_is_not_believed() -> None:
    found = difference(arm(92.8, 0.0), arm(92.8, 0.0))
    assert found.error == pytest.approx(math.sqrt(2 / 3) * floor_sd(arm(92.8, 0.0)) / 2)
    assert floor_sd(arm(100.0, 0.0)) > 0


@pytest.mark.parametrize(("n", "ratio"), [(3, 1.0), (5, 1.0), (3, 3.0), (5, 3.0)])
@pytest.mark.parametrize("step", [0.0, 0.1])
def test_error_rate_at_the_margin_is_at_most_6_percent(n: int, ratio: float, step: float) -> None:
    rng = np.random.default_rng(n)
    first = rng.normal(90.0, 0.5, (4000, n))
    second = rng.normal(89.0, 0.5 * ratio, (4000, n))  # the true difference is 1.0

    def summary(runs: np.ndarray) -> Summary:
        mean, sd = float(runs.mean()), float(runs.std(ddof=1))
        if step:
            mean, sd = round(mean, 1), round(sd, 1)
        return replace(arm(mean, sd, n, step), n_test=1_000_000)

    pairs = [difference(summary(a), summary(b)) for a, b in zip(first, second, strict=True)]
    assert np.mean([one.p_above(1.0) <= 0.05 for one in pairs]) <= 0.06
    assert np.mean([one.p_below(1.0) <= 0.05 for one in pairs]) <= 0.06


def test_every_kind_of_spread_becomes_the_sample_standard_deviation() -> None:
    runs = np.array([91.0, 92.5, 92.9, 90.7])
    sample = float(runs.std(ddof=1))
    assert sample_sd("", float(runs.std()), 4, "population") == pytest.approx(sample)
    assert sample_sd("", float(stats.sem(runs)), 4, "se") == pytest.approx(sample)
    assert sample_sd("", sample, 4, "std") == sample
    assert sample_sd("", 0.0, 1, "std") is None


@pytest.mark.parametrize("text", ["92.33±0.21", "92.33 ± 0.21", "92.33+-0.21", "92.33 +/- 0.21", r"$92.33 \pm 0.21$"])
def test_plus_minus_is_split_however_it_is_written(text: str) -> None:
    assert split_plus_minus(text) == ("92.33", "0.21")
    assert split_plus_minus("92.33") is None


def test_the_last_digit_counts_zeros_that_a_program_drops() -> None:
    assert last_digits(["92.33", "92.3", "92"]) == {"92.33": 0.01, "92.3": 0.01, "92": 0.01}
    assert last_digits(["92.30", "92.3", "92"]) == {"92.30": 0.01, "92.3": 0.1, "92": 1.0}
    assert last_digits(["9.233e1", "92,3%"]) == {"9.233e1": pytest.approx(0.01), "92,3%": pytest.approx(0.01)}

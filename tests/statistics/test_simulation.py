"""Error rates by simulation: the functions that judge a real study judge made-up ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import operating_characteristics as oc

STUDIES = 400
MOST = 0.06 + 3 * (0.06 * 0.94 / STUDIES) ** 0.5


@pytest.mark.parametrize("label", ["one method", "K=3", "fixed 5", "first check 4x, C=3"])
def test_at_the_margin_neither_verdict_is_given_often(label: str) -> None:
    rates = oc.play(replace(oc.TUNING[label], futility=False), STUDIES, np.random.default_rng(3))
    assert max(rates.depends, rates.fails, *rates.more.values()) <= MOST


def test_clear_truths_are_found() -> None:
    assert oc.play(oc.Truth(0.0, 0.25), 200, np.random.default_rng(3)).method_fails >= 0.97
    assert oc.play(oc.Truth(4.0, 0.5), 200, np.random.default_rng(3)).passes >= 0.97


def test_a_corruption_that_ruins_every_fifth_run_is_rarely_called_harmless() -> None:
    rates = oc.play(oc.SKEWED["20 % lose 10, all checks"], STUDIES, np.random.default_rng(3))
    assert rates.method_fails <= 0.10 + 3 * (0.1 * 0.9 / STUDIES) ** 0.5


DROPS = 2000
TOO_OFTEN = 0.05 + 3 * (0.05 * 0.95 / DROPS) ** 0.5


@pytest.mark.parametrize("seeds", [6, 7, None])
@pytest.mark.parametrize("label", ["normal, sd 6", "lognormal, log-sd 1", "one run in 5 loses 5", "t3, sd 5"])
def test_second_test_keeps_the_error_rate_of_depends_at_the_margin(label: str, seeds: int | None) -> None:
    assert oc.share_depends(oc.AT_THE_MARGIN[label], DROPS, seeds) <= TOO_OFTEN


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 7, 10])
@pytest.mark.parametrize("label", sorted(oc.AT_THE_MARGIN))
def test_second_test_adds_hardly_any_errors_to_those_of_the_t_test(label: str, seeds: int) -> None:
    plain, both = (oc.share_depends(oc.AT_THE_MARGIN[label], 20_000, seeds, 1, limit) for limit in (np.inf, 5.0))
    assert plain <= both <= max(0.05, plain) + 0.005


def test_skewed_losses_are_found_far_more_often_and_ordinary_ones_as_often_as_before() -> None:
    skewed, ordinary = (oc.ABOVE_THE_MARGIN[one] for one in ("3, and 28 in 40 % of runs", "normal, mean 2, sd 1"))
    assert oc.share_depends(skewed, 400, 7) >= 0.99
    assert oc.share_depends(skewed, 400, 7, limit=np.inf) <= 0.85
    assert oc.share_depends(ordinary, 400, 7) == pytest.approx(oc.share_depends(ordinary, 400, 7, limit=np.inf))

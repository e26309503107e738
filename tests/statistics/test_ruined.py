"""Ruined runs: which count as ruined, how many runs exclude a rate, and what they forbid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prunecheck.statistics import CheckVerdict, Row, Settings, judge
from prunecheck.statistics import ruined as ruined_runs
from prunecheck.statistics.ruined import CONFIDENCE, FAR, RATE, highest_rate, is_excluded, ruined
from tests.statistics.makers import arm

NAN = float("nan")
WOBBLE = (0.1, -0.2, 0.15, -0.1, 0.05, 0.2, -0.15, 0.0, -0.05, 0.12)


def test_ruined_runs_are_far_below_the_median_of_their_arm() -> None:
    runs = np.array([[90.0, 90.2, 89.9, 90.1, 70.0], [90.0, 90.1, 89.9, 90.2, 110.0]])
    assert ruined(runs).tolist() == [[False] * 4 + [True], [False] * 5]


def test_an_arm_with_two_ruined_runs_of_five_still_shows_them() -> None:
    assert ruined(np.array([[90.0, 70.0, 90.1, 60.0, 89.9], [90.0, 90.2, 89.9, 90.1, 90.3]]))[0].sum() == 2


def test_runs_that_are_not_there_are_not_ruined() -> None:
    assert not ruined(np.array([[NAN, NAN, NAN], [90.0, NAN, 89.0]])).any()


def test_a_smallest_standard_deviation_keeps_rounded_runs_from_looking_ruined() -> None:
    rounded = np.array([[90.0, 90.0, 90.0, 90.0, 89.9]])
    assert ruined(rounded).sum() == 1
    assert not ruined(rounded, 0.1 / FAR).any()


def test_normal_runs_are_rarely_called_ruined() -> None:
    runs = np.random.default_rng(1).standard_normal((500, 4, 5))
    assert ruined(runs).mean() < 0.01


@given(st.integers(0, 40), st.integers(0, 40))
def test_exclusion_is_a_binomial_test(runs: int, bad: int) -> None:
    bad = min(bad, runs)
    expected = runs > 0 and stats.binom.cdf(bad, runs, RATE) <= 1 - CONFIDENCE
    assert bool(is_excluded(np.array(runs), np.array(bad))) == expected


@pytest.mark.parametrize(("runs", "bad", "excluded"), [(10, 0, False), (11, 0, True), (17, 1, False), (18, 1, True)])
def test_how_many_runs_exclude_a_rate_of_a_fifth(runs: int, bad: int, excluded: bool) -> None:
    assert bool(is_excluded(np.array(runs), np.array(bad))) == excluded


@given(st.integers(1, 60), st.integers(0, 59))
def test_one_more_ruined_run_never_makes_exclusion_easier(runs: int, bad: int) -> None:
    bad = min(bad, runs - 1)
    fewer, more = is_excluded(np.array([runs, runs]), np.array([bad, bad + 1]))
    assert fewer or not more


def test_the_highest_rate_that_is_not_excluded() -> None:
    assert highest_rate(0) == 1.0
    assert [round(highest_rate(n), 2) for n in (3, 5, 11)] == [0.54, 0.37, 0.19]
    assert is_excluded(np.array(11), np.array(0)) == (highest_rate(11) < RATE)


def table(checks: int, seeds: int, bad: int = 0, clean_bad: int = 0, loss: float = 3.0) -> list[Row]:
    """One method; of each check's runs and of the clean runs the last so many lose *loss* points more."""
    spread = np.array([WOBBLE[seed % 10] for seed in range(seeds)])
    lost = np.where(np.arange(seeds) >= seeds - clean_bad, loss, 0.0)
    rows = arm("snip", "clean", 0.9, list(90 + spread - lost))
    for number in range(checks):
        drop = np.where(np.arange(seeds) >= seeds - bad, loss, 0.0)
        rows += arm("snip", f"check{number}", 0.9, list(90 + np.roll(spread, number + 1) - drop))
    return rows


def first(rows: list[Row], margin: float = 20.0, **changes: object) -> CheckVerdict:
    return judge(rows, settings=Settings(margin=margin, chance=0.1, **changes)).checks[0]  # type: ignore[arg-type]


def test_a_finished_check_of_five_runs_without_a_ruined_one_may_be_independent() -> None:
    assert first(table(1, 5)).verdict == "DOES NOT DEPEND"
    four = first(table(1, 4))
    assert four.verdict == "INCONCLUSIVE"
    assert four.sentence.endswith("4 corrupted runs without a ruined one do not exclude that up to 44% are ruined.")


def test_runs_of_all_checks_of_a_method_count_together() -> None:
    assert first(table(4, 3)).verdict == "DOES NOT DEPEND"
    assert first(table(3, 3)).verdict == "INCONCLUSIVE"


def test_a_sequential_check_waits_until_a_rate_of_a_fifth_is_excluded() -> None:
    assert first(table(1, 7), design="sequential").verdict == "INCONCLUSIVE"
    assert first(table(1, 7), design="sequential").open
    assert first(table(2, 6), design="sequential").verdict == "DOES NOT DEPEND"
    assert first(table(1, 10), design="sequential", max_seeds=10).verdict == "DOES NOT DEPEND"


def test_one_ruined_run_of_five_forbids_independence_even_where_the_mean_is_far_below_the_margin() -> None:
    found = first(table(1, 5, bad=1))
    assert found.verdict == "INCONCLUSIVE"
    assert found.pooled is not None
    assert found.pooled.p_not < 0.001
    assert "1 of 5 corrupted runs of this method are ruined: a rate above 20% is not excluded" in found.sentence


def test_runs_ruined_as_often_in_the_clean_arm_do_not_forbid_independence() -> None:
    assert first(table(2, 10, bad=2)).verdict == "INCONCLUSIVE"
    assert first(table(2, 10, bad=2, clean_bad=2)).verdict == "DOES NOT DEPEND"


def test_a_ruined_run_does_not_keep_a_check_from_depending() -> None:
    found = first(table(1, 10, bad=1), margin=0.01)
    assert found.verdict == "INCONCLUSIVE"
    rows = [
        r if r.check == "clean" else Row("snip", r.check, 0.9, r.seed, r.accuracy - 0.1, 10_000)
        for r in table(1, 10, 1)
    ]
    assert first(rows, margin=1.0).verdict == "DEPENDS"


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(3, 8), st.integers(0, 3), st.integers(0, 2), st.booleans())
def test_more_ruined_runs_never_make_independence_easier(
    checks: int, seeds: int, bad: int, clean_bad: int, sequential: bool
) -> None:
    design = "sequential" if sequential else "fixed"
    bad, clean_bad = min(bad, (seeds - 1) // 2), min(clean_bad, (seeds - 1) // 2)
    fewer = first(table(checks, seeds, max(bad - 1, 0), clean_bad), design=design).verdict
    more = first(table(checks, seeds, bad, clean_bad), design=design).verdict
    assert fewer == "DOES NOT DEPEND" or more != "DOES NOT DEPEND"


def test_a_corrupted_arm_without_a_clean_one_is_judged_as_having_no_pairs() -> None:
    found = first([row for row in table(1, 5) if row.check != "clean"])
    assert (found.verdict, found.cells[0].n) == ("INCONCLUSIVE", 0)


@pytest.mark.parametrize("decimals", [1, 17])
def test_many_runs_have_the_quartiles_of_all_their_distances(decimals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, with ties, missing runs and arms of one run or none."""
    runs = np.random.default_rng(decimals).normal(90, 1, (5, 150)).round(decimals)
    runs[0, :3] = 20.0
    runs[1, 40:] = runs[2, 1:] = runs[3] = np.nan
    first, second = np.triu_indices(150, 1)
    gaps = np.abs(runs[:, first] - runs[:, second])
    own, pooled = ruined_runs._quarter_of_many(runs)
    np.testing.assert_array_equal(own, ruined_runs._quantile(gaps, 0.25))
    np.testing.assert_array_equal(pooled, ruined_runs._quantile(gaps.reshape(-1), 0.25))
    found = ruined(runs)
    assert found.any()
    monkeypatch.setattr(ruined_runs, "_MANY_RUNS", 150)
    np.testing.assert_array_equal(found, ruined(runs))

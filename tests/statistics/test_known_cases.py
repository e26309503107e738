"""Cases in which an earlier procedure gave a wrong answer or a misleading sentence, with the right answer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from prunecheck.statistics import CheckVerdict, Row, Settings, StudyVerdict, judge, open_checks, verdict
from prunecheck.statistics.boundaries import nominal_levels
from prunecheck.statistics.controls import AA_ALPHA
from tests.statistics.makers import arm, dense

SMALL = (-0.05, 0.05, 0.1, -0.1, 0.0)
WIDE = (0.55, -0.55, 0.6, -0.6, 0.0)


def pairs(drops: Sequence[float], sparsity: float = 0.9, method: str = "snip", check: str = "labels") -> list[Row]:
    """A clean and a corrupted arm; the noise is in both, so that neither looks free of noise."""
    wobble = [0.3 * (-1) ** seed * (1 + seed % 3) for seed in range(len(drops))]
    return arm(method, "clean", sparsity, [90 + w for w in wobble]) + arm(
        method, check, sparsity, [90 + w - d for w, d in zip(wobble, drops, strict=True)]
    )


def several(drops: dict[float, Sequence[float]]) -> list[Row]:
    return [row for sparsity, one in drops.items() for row in pairs(one, sparsity)]


def judged(rows: Sequence[Row], margin: float = 1.0, **changes: object) -> StudyVerdict:
    return judge(rows, settings=Settings(margin=margin, chance=0.1, **changes))  # type: ignore[arg-type]


def only(found: StudyVerdict) -> CheckVerdict:
    [check] = found.checks
    return check


def test_a_finished_table_of_five_seeds_spends_the_whole_alpha_on_its_only_test() -> None:
    found = only(verdict(pairs(WIDE), margin=1.0))
    assert found.verdict == "DOES NOT DEPEND"
    assert found.pooled is not None
    reach = stats.t.ppf(0.95, 4) * np.std(WIDE, ddof=1) / 5**0.5
    assert (found.pooled.low, found.pooled.high) == pytest.approx((-reach, reach), abs=1e-6)
    assert "90% interval [-0.55, +0.55]" in found.sentence


@pytest.mark.parametrize("seeds", [3, 4, 5, 6, 8, 10, 14])
def test_the_only_test_of_a_fixed_design_is_at_five_percent_and_uses_every_seed(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    drops = rng.standard_normal(seeds)
    drops -= drops.mean()
    reach = float(stats.t.ppf(0.95, seeds - 1) * np.std(drops, ddof=1) / seeds**0.5)
    inside, outside = judged(pairs(drops), 1.001 * reach), judged(pairs(drops), 0.999 * reach)
    assert only(inside).cells[0].n == seeds
    assert only(inside).cells[0].p_not < 0.05 < only(outside).cells[0].p_not
    assert only(inside).cells[0].p_not == pytest.approx(0.05, abs=1e-3)


def test_a_sequential_study_of_the_same_seeds_has_a_wider_interval_and_stays_open() -> None:
    found = only(judged(pairs(WIDE), design="sequential"))
    assert found.verdict == "INCONCLUSIVE"
    assert found.open
    assert found.pooled is not None
    nominal = nominal_levels(tuple(range(3, 11)), 0.05 * 0.8)[2]
    reach = stats.t.ppf(1 - nominal, 4) * np.std(WIDE, ddof=1) / 5**0.5
    assert found.pooled.high == pytest.approx(reach, rel=0.01)


ONE_BAD = {0.8: (0.1, 0.3, 0.2, 0.1, 0.3), 0.9: (0.2, 0.1, 0.0, 0.2, 0.1), 0.95: (1.6, 1.9, 1.7, 1.5, 1.8)}


def test_a_drop_at_one_sparsity_is_named_where_the_interval_of_the_mean_lies_below_the_margin() -> None:
    found = only(judged(several(ONE_BAD)))
    assert found.verdict == "DEPENDS"
    assert found.pooled is not None
    assert found.pooled.high < found.pooled.margin
    assert found.sentence.endswith(
        "Holds for any margin below 1.44: so much is lost at 95% (bound corrected for several sparsities)."
    )


def test_a_method_does_not_fail_by_a_check_that_it_depends_on_at_one_sparsity() -> None:
    """The mean is below the margin and no sparsity loses two margins, yet one loses more than the margin."""
    found = judged(several(ONE_BAD))
    [method] = found.methods
    assert (method.verdict, method.failed_checks) == ("PASSES", ())
    assert method.curve is not None
    assert method.curve.not_above >= method.curve.depends_below == pytest.approx(1.44, abs=0.01)


def test_the_interval_of_an_open_check_contains_the_margin_where_only_the_correction_keeps_it_open() -> None:
    base = np.array([0.0, 0.6, -0.6, 0.3, -0.3])
    rows = several({0.8: 1.55 + base, 0.9: 1.5 + base, 0.95: 1.45 + base})
    found = only(judged(rows))
    assert found.pooled is not None
    assert found.pooled.p_depends < 0.05
    assert found.verdict == "INCONCLUSIVE"
    assert found.pooled.low < 1.0 < found.pooled.high
    assert found.pooled.low_level == pytest.approx(0.05 / 4)
    assert "93.8% interval" in found.sentence


ONE_LARGER = {0.8: SMALL, 0.9: SMALL[::-1], 0.95: (0.6, 0.7, 0.5, 0.55, 0.65)}


def test_the_margins_at_which_a_verdict_turns_are_those_of_the_whole_rule_over_three_sparsities() -> None:
    found = only(judged(several(ONE_LARGER)))
    assert found.verdict == "DOES NOT DEPEND"
    limit = float(found.sentence.rsplit("any margin above ", 1)[1].rstrip("."))
    assert only(judged(several(ONE_LARGER), limit + 0.01)).verdict == "DOES NOT DEPEND"
    assert only(judged(several(ONE_LARGER), limit - 0.01)).verdict != "DOES NOT DEPEND"
    assert found.curve is not None
    assert only(judged(several(ONE_LARGER), found.curve.depends_below - 1e-6)).verdict == "DEPENDS"
    assert only(judged(several(ONE_LARGER), found.curve.depends_below + 1e-6)).verdict != "DEPENDS"


CONTROL = (2.0, 1.0, 3.0, 0.5, 3.5)


def with_control(drops: Sequence[float]) -> CheckVerdict:
    found = judged(pairs(SMALL) + pairs(drops, method="lr_rewinding"))
    return next(check for check in found.checks if check.method == "snip")


def test_a_positive_control_that_is_not_shown_to_be_hurt_yet_leaves_the_check_open() -> None:
    found = with_control(CONTROL)
    assert found.verdict == "INCONCLUSIVE"
    assert found.sentence.endswith("the positive control is not shown to be hurt yet (unguarded yet).")
    assert "(unguarded yet) the positive control is not shown to be hurt here yet" in found.cells[0].notes


def test_a_positive_control_shown_to_lose_less_than_the_margin_makes_the_check_uninformative() -> None:
    found = with_control([0.2 + drop for drop in SMALL])
    assert found.verdict == "UNINFORMATIVE"
    assert "is shown to lose less than the margin" in found.sentence


def test_a_positive_control_shown_to_be_hurt_lets_the_check_be_called_independent() -> None:
    assert with_control([4 + drop for drop in CONTROL]).verdict == "DOES NOT DEPEND"


def test_checks_that_fail_only_without_the_correction_are_explained_by_the_method() -> None:
    rows = arm("snip", "clean", 0.9, [90, 90.3, 89.7, 90.1, 89.9])
    noise = np.array([-0.9, -0.3, 0.2, 0.4, 0.6]) * 1.25
    for shift, check in enumerate("abc"):
        drops = np.roll(noise, shift)
        rows += arm("snip", check, 0.9, [90 - d + w for d, w in zip(drops, (0, 0.3, -0.3, 0.1, -0.1), strict=True)])
    found = judged(rows, 0.8)
    assert {check.verdict for check in found.checks} == {"DOES NOT DEPEND"}
    [method] = found.methods
    assert method.sentence == (
        "snip: INCONCLUSIVE. 0 of 3 checks depend. a, b and c alone each would not depend, but not after correction "
        "for 3 checks (needs 1.67% instead of 5%)."
    )


def test_one_sparsity_that_may_lose_two_margins_keeps_a_sequential_check_open_not_closed_for_ever() -> None:
    def drops(seeds: int) -> dict[float, Sequence[float]]:
        wobble = [SMALL[seed % 5] for seed in range(seeds)]
        large = [1.2 + shift for shift in itertools.islice(itertools.cycle((-0.5, 0.5, -0.4, 0.4, 0.0)), seeds)]
        return {0.8: wobble, 0.9: wobble[::-1], 0.95: large}

    early, late = (only(judged(several(drops(n)), design="sequential")) for n in (3, 9))
    assert (early.verdict, early.open) == ("INCONCLUSIVE", True)
    assert "at 95% a drop of 2 margins is not excluded" in early.sentence
    assert late.verdict == "DOES NOT DEPEND"


def equal_by_construction(
    drops: Sequence[float], check: str = "layerwise_rearrange", **changes: object
) -> StudyVerdict:
    return judged(pairs(drops, method="random_ticket", check=check), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("check", ["layerwise_rearrange", "layerwise_weight_shuffle"])
def test_arms_equal_by_construction_are_tested_against_zero_not_against_the_margin(check: str) -> None:
    half_a_margin = [0.5 + drop for drop in SMALL]
    found = equal_by_construction(half_a_margin, check)
    assert stats.ttest_1samp(half_a_margin, 0).pvalue < AA_ALPHA
    assert [control.status for control in found.controls if control.role == "aa"] == ["failed"]
    assert found.banner is not None
    assert "where by construction there is none" in found.banner
    assert equal_by_construction(SMALL, check).banner is None


def test_arms_equal_by_construction_ask_for_three_seeds_and_no_more() -> None:
    noisy = (0.9, -0.8, 0.4)
    assert open_checks(equal_by_construction(noisy[:2], design="sequential"))
    assert not open_checks(equal_by_construction(noisy, design="sequential"))


def test_a_sequential_study_goes_on_after_ten_seeds_where_more_are_allowed() -> None:
    rng = np.random.default_rng(1)
    drops = rng.standard_normal(20) * 1.3
    drops += 0.3 - drops[:10].mean()
    ten = only(judged(pairs(drops[:10]), design="sequential", max_seeds=20))
    assert (ten.verdict, ten.open) == ("INCONCLUSIVE", True)
    assert not only(judged(pairs(drops[:10]), design="sequential", max_seeds=10)).open
    twenty = judged(pairs(drops), design="sequential", max_seeds=20)
    assert twenty.looks == tuple(range(3, 21))
    assert only(twenty).cells[0].n == 20
    assert not only(twenty).open


def test_a_margin_of_the_rule_travels_into_the_sentence() -> None:
    found = judge(dense(94.0, 94.2, 93.8) + pairs(SMALL), settings=Settings(chance=0.1))
    assert found.margin == pytest.approx(0.84)
    assert "margin 0.84" in only(found).sentence


LOSSES = (7.88, 25.84, 4.76, 3.88, 12.76, 4.12, 2.8)
"""What learning-rate rewinding lost to corrupted data on MNIST at 80 % (docs/results/mnist.md), points."""


def test_large_losses_in_every_seed_depend_although_they_differ_tenfold() -> None:
    found = only(judged(pairs(LOSSES), margin=0.8))
    [cell] = found.cells
    assert found.verdict == cell.verdict == "DEPENDS"
    assert (cell.limit, cell.mean_drop) == pytest.approx((4.0, 8.863), abs=1e-3)
    assert 0.8 < cell.low < 4.0 < cell.mean_drop < cell.high
    assert cell.break_even == cell.low
    assert f"(at least {cell.low:.2f}, counting larger differences as 4.00)" in found.sentence


def test_five_seeds_are_too_few_to_count_large_losses_up_to_the_limit() -> None:
    [cell] = only(judged(pairs((9.28, 41.04, 6.6, 4.84, 3.0)), margin=0.8)).cells
    assert (cell.verdict, cell.limit) == ("INCONCLUSIVE", None)

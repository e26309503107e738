"""Comparisons of methods: paired by seed, in both directions, and their error rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from prunecheck.errors import StudyError
from prunecheck.statistics import ComparisonVerdict, Row, Settings, judge, open_checks
from prunecheck.statistics.calibration import calibration
from prunecheck.statistics.inference import p_above, p_below, take_looks
from prunecheck.statistics.procedure import p_check_depends, p_check_fails
from tests.statistics.makers import THREE, arm, full, hurt

NOISE = (0.3, -0.4, 0.2, -0.2, 0.1)
BASE = (0.5, -0.9, 0.8, 0.1, -0.5)


def two(lead: Sequence[float], sparsity: float = 0.9, first: str = "a", second: str = "b") -> list[Row]:
    """Two clean arms, of which the first leads by *lead* points at each seed."""
    base = [80 + BASE[seed % 5] for seed in range(len(lead))]
    return arm(second, "clean", sparsity, base) + arm(
        first, "clean", sparsity, [b + x for b, x in zip(base, lead, strict=True)]
    )


def compared(rows: Sequence[Row], *pair: str, margin: float = 1.0, **changes: object) -> ComparisonVerdict:
    names = (pair or ("a", "b"),)
    settings = Settings(margin=margin, chance=0.1, compare=names, **changes)  # type: ignore[arg-type]
    [found] = judge(rows, settings=settings).comparisons
    return found


def about(lead: float, scale: float = 1.0) -> list[float]:
    return [lead + scale * x for x in NOISE]


@pytest.mark.parametrize(
    ("lead", "scale", "answer", "equivalent"),
    [
        (3.0, 1.0, "BETTER", False),
        (0.0, 1.0, "NOT BETTER", True),
        (-1.0, 1.0, "NOT BETTER", False),
        (-3.0, 1.0, "WORSE", False),
        (1.0, 1.0, "INCONCLUSIVE", False),
        (0.0, 9.0, "INCONCLUSIVE", False),
    ],
)
def test_answers_by_lead(lead: float, scale: float, answer: str, equivalent: bool) -> None:
    found = compared(two(about(lead, scale)))
    assert (found.verdict, found.equivalent) == (answer, equivalent)
    assert found.cells[0].verdict == answer
    assert found.sentence.startswith(f"a against b: {answer}. Lead {lead:+.2f}".replace("+0.00", "0.00"))


@pytest.mark.parametrize("lead", [-3.0, -1.0, -0.4, 0.0, 0.4, 1.0, 3.0])
def test_exchanging_the_methods_mirrors_leads_bounds_and_answers(lead: float) -> None:
    rows = two(about(lead))
    one, other = compared(rows, "a", "b"), compared(rows, "b", "a")
    assert one.pooled is not None
    assert other.pooled is not None
    assert (other.pooled.low, other.pooled.high) == pytest.approx((-one.pooled.high, -one.pooled.low))
    assert other.pooled.mean_drop == pytest.approx(-one.pooled.mean_drop)
    assert (one.curve, one.reverse) == (other.reverse, other.curve)
    mirrored = {"BETTER": {"WORSE"}, "WORSE": {"BETTER"}, "NOT BETTER": {"NOT BETTER", "INCONCLUSIVE"}}
    assert other.verdict in mirrored.get(one.verdict, {"INCONCLUSIVE", "NOT BETTER"})
    assert one.equivalent == other.equivalent


@pytest.mark.parametrize("lead", [-4.0, 0.0, 4.0])
def test_exchanging_the_methods_mirrors_a_comparison_over_several_sparsities_among_checks(lead: float) -> None:
    rows = full(0.0, 5.0, 5, (0.8, 0.9)) + two(about(lead), 0.8) + two(about(lead, 1.1), 0.9)
    rows += hurt("a", THREE[0], 0.0, 0.8, 5, 80)
    one, other = compared(rows, "a", "b"), compared(rows, "b", "a")
    assert one.pooled is not None
    assert other.pooled is not None
    assert (other.pooled.low_level, other.pooled.high_level) == (one.pooled.high_level, one.pooled.low_level)
    assert (other.pooled.low, other.pooled.high) == pytest.approx((-one.pooled.high, -one.pooled.low), abs=0.05)
    assert {one.verdict, other.verdict} in ({"BETTER", "WORSE"}, {"NOT BETTER"})


@pytest.mark.parametrize("lead", [[3.0], about(0.0)])
def test_sentence_says_where_one_method_learned_its_masks_for_longer(lead: list[float]) -> None:
    rows = two(lead)
    assert "equal training" not in compared(rows).sentence
    learned = [replace(row, mask_epochs=12.5) if row.method == "a" else row for row in rows]
    found = compared(learned)
    assert found.sentence.endswith(
        "Not at equal training: a has 12.5 epochs to learn masks, b 0 epochs to learn masks, pretraining not counted."
    )
    assert found.notes == (*compared(rows).notes, found.sentence[found.sentence.index("Not at") :])
    assert compared([replace(row, mask_epochs=12.5) for row in rows]).sentence == compared(rows).sentence


def test_training_of_a_method_without_learned_masks_may_be_longer_by_as_much() -> None:
    learned = [replace(row, mask_epochs=4.0 if row.method == "a" else None, epochs=6.0) for row in two(about(0.0))]
    assert compared(learned).sentence.endswith(
        "Not at equal training: a has 10 epochs (4 to learn masks), b 6 epochs, pretraining not counted."
    )
    matched = [row if row.method == "a" else replace(row, epochs=10.0) for row in learned]
    assert compared(matched).sentence == compared(two(about(0.0))).sentence
    without = [replace(row, mask_epochs=None) for row in learned]
    assert compared(without).sentence == compared(two(about(0.0))).sentence


def test_leads_are_paired_by_seed_not_by_order() -> None:
    rows = two(about(1.5, 0.1))
    renumbered = [
        row if row.method == "b" else Row("a", "clean", 0.9, 4 - row.seed, row.accuracy, 10_000) for row in rows
    ]
    paired, unpaired = compared(rows), compared(renumbered)
    assert paired.pooled is not None
    assert unpaired.pooled is not None
    assert paired.pooled.mean_drop == pytest.approx(unpaired.pooled.mean_drop)
    assert paired.pooled.sd < 0.1 < 1.0 < unpaired.pooled.sd
    assert (paired.verdict, unpaired.verdict) == ("BETTER", "INCONCLUSIVE")


def test_seeds_of_one_method_alone_do_not_count() -> None:
    rows = two(about(2.0, 0.1))
    fewer = [row for row in rows if (row.method, row.seed) != ("b", 1)]
    found = compared(fewer)
    assert found.cells[0].n == 4
    assert set(found.cells[0].differences) == {"0", "2", "3", "4"}
    apart = [row if row.method == "a" else replace(row, seed=9 + row.seed) for row in rows]
    assert compared(apart).sentence == "a against b: INCONCLUSIVE. They have no sparsity and seed in common."
    two_seeds = compared([row for row in rows if row.seed < 2])
    assert (two_seeds.verdict, two_seeds.pooled) == ("INCONCLUSIVE", None)


def test_a_lead_at_one_sparsity_and_a_deficit_at_another_decide_nothing() -> None:
    found = compared(two(about(4.0), 0.8) + two(about(-4.0), 0.9))
    assert [cell.verdict for cell in found.cells] == ["BETTER", "WORSE"]
    assert found.verdict == "INCONCLUSIVE"
    assert found.sentence.endswith("One leads at one sparsity, the other at another.")


def test_a_lead_at_one_of_two_sparsities_is_corrected_for_both() -> None:
    found = compared(two(about(4.0), 0.8) + two(about(0.0), 0.9))
    assert found.verdict == "BETTER"
    assert found.pooled is not None
    assert (found.pooled.low_level, found.pooled.high_level) == pytest.approx((0.05 / 3, 0.05))


def test_not_better_needs_every_sparsity_within_two_margins() -> None:
    open_at_one = two(about(-0.8), 0.8) + two([2.3, 0.4, 2.4, 0.5, 1.9], 0.9)
    assert compared(open_at_one).verdict == "INCONCLUSIVE"
    assert compared(two(about(-0.8), 0.8) + two(about(0.2), 0.9)).verdict == "NOT BETTER"


@pytest.mark.parametrize(("lead", "answer"), [(3.0, "BETTER"), (-3.0, "WORSE")])
def test_the_interval_of_a_decided_comparison_excludes_the_margin(lead: float, answer: str) -> None:
    rows = [row for sparsity in (0.8, 0.9, 0.95) for row in two(about(lead), sparsity)]
    found = compared(rows)
    assert found.verdict == answer
    assert found.pooled is not None
    assert found.pooled.low > 1.0 if answer == "BETTER" else found.pooled.high < -1.0


def test_a_sequential_comparison_uses_the_calibrated_level_of_checks_and_stays_open() -> None:
    drops = np.array(about(0.0))
    found = compared(two(about(0.0)), design="sequential", max_seeds=10)
    looks = take_looks(drops[None, None], tuple(range(3, 11)))
    share = calibration(np.zeros(1, dtype=int), sequential=True)
    assert share < 1
    assert found.cells[0].p_not == pytest.approx(float(p_below(looks, 1.0)[0, 0]) / share, rel=1e-3)
    unsure = judge(
        two(about(1.0)), settings=Settings(margin=1.0, chance=0.1, compare=(("a", "b"),), design="sequential")
    )
    assert open_checks(unsure) == {("a", "clean"), ("b", "clean")}


def test_comparisons_answer_at_any_margin_as_their_curves_say() -> None:
    rng = np.random.default_rng(5)
    rows = [row for k in (0.8, 0.9) for row in two(list(rng.normal(1.0, 0.8, 5)), k)]
    found = compared(rows)
    for margin in rng.uniform(0.05, 4.0, 25):
        again = compared(rows, margin=float(margin))
        expected = "INCONCLUSIVE"
        if margin < found.curve.depends_below:
            expected = "BETTER"
        elif margin > found.curve.not_above:
            expected = "NOT BETTER"
        assert again.verdict == expected


def test_unknown_methods_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(StudyError, match=r"no clean arm of 'lr_rewindin' is there. Did you mean 'lr_rewinding'"):
        compared(full(seeds=3), "snip", "lr_rewindin")


STUDIES = 4000


def rates_at_the_margin(seeds: int, sparsities: int, analyses: tuple[int, ...]) -> NDArray[np.float64]:
    """How often three methods, each better than one random ticket by the margin, are BETTER and NOT BETTER."""
    rng = np.random.default_rng(seeds)
    common = rng.standard_normal((STUDIES, sparsities, 1, seeds))
    leads = 1.0 + rng.standard_normal((STUDIES, sparsities, 3, seeds)) - common
    owners = np.zeros(3, dtype=int)
    share = calibration(owners, sequential=len(analyses) > 1)
    cells, mean = (
        take_looks(d, analyses, owners)._replace(calibration=share) for d in (leads, leads.mean(axis=1, keepdims=True))
    )
    above, below = (test(mean, 1.0)[:, 0] for test in (p_above, p_below))
    better = p_check_depends(p_above(cells, 1.0), above) <= 0.05
    not_better = p_check_fails(below, p_below(cells, 2.0)) <= 0.05
    return np.array([better.mean(), not_better.mean()])


@pytest.mark.parametrize("sparsities", [1, 3])
@pytest.mark.parametrize("seeds", [3, 4, 5, 6])
def test_a_lead_of_exactly_the_margin_is_decided_in_at_most_six_percent(seeds: int, sparsities: int) -> None:
    assert rates_at_the_margin(seeds, sparsities, (seeds,)).max() <= 0.06 + 3 * (0.06 * 0.94 / STUDIES) ** 0.5


def test_a_sequential_comparison_errs_in_at_most_six_percent() -> None:
    assert rates_at_the_margin(10, 1, tuple(range(3, 11))).max() <= 0.06 + 3 * (0.06 * 0.94 / STUDIES) ** 0.5


def test_skewed_lead_is_decided_in_both_directions_with_its_interval() -> None:
    lead = [3.0, 32.0, 6.0, 5.0, 16.0, 5.5, 4.0]
    better, worse = (compared(two([sign * x for x in lead])) for sign in (1, -1))
    assert (better.verdict, worse.verdict) == ("BETTER", "WORSE")
    assert better.pooled is not None
    assert worse.pooled is not None
    assert (worse.pooled.low, worse.pooled.high) == pytest.approx((-better.pooled.high, -better.pooled.low))
    assert better.pooled.limit == worse.pooled.limit == 5.0
    for found in (better, worse):
        assert "(at least 3.84, counting larger differences as 5.00)" in found.sentence


@pytest.mark.parametrize(("lead", "scale", "is_said"), [(0.0, 1.0, True), (0.0, 9.0, False), (3.0, 1.0, False)])
def test_lead_is_called_below_the_margin_only_where_the_data_say_so(lead: float, scale: float, is_said: bool) -> None:
    rows = two(about(lead, scale), first="a", second="random_ticket") + hurt("a", THREE[0], 0.0, 0.9, 5, 80)
    settings = Settings(margin=1.0, chance=0.1, compare=(("a", "random_ticket"),))
    [method] = [one for one in judge(rows, settings=settings).methods if one.method == "a"]
    assert any("only makes its tickets random cannot cost more" in note for note in method.notes) is is_said

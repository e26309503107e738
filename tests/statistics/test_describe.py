"""The numbers and sentences of cells."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunecheck.statistics import Cell, CheckVerdict, Row, Settings, StudyVerdict, judge
from prunecheck.statistics.outcome import intervals_sentence
from tests.statistics.makers import arm, clean
from tests.statistics.test_known_cases import SMALL, judged, only, pairs

BASE = (90.0, 90.4, 89.7, 90.2, 89.8)
DROPS = {
    "a": (0.1, -0.2, 0.3, 0.0, -0.1),
    "b": (2.1, 1.6, 2.4, 1.9, 2.2),
    "c": (1.2, 0.3, 1.9, -0.4, 0.8),
}


def three_checks(**changes: object) -> dict[str, CheckVerdict]:
    rows = arm("snip", "clean", 0.9, BASE)
    for check, drops in DROPS.items():
        rows += arm("snip", check, 0.9, [x - drop for x, drop in zip(BASE, drops, strict=True)])
    return {one.check: one for one in judged(rows, 1.0, **changes).checks}


GOLDEN = [
    ("fixed", "a", "DOES NOT DEPEND", -0.2438, 0.2838, 0.99983, 0.00017, 0.30415, 2.06521),
    ("fixed", "b", "DEPENDS", 1.77000, 2.31000, 0.00029, 0.99971, 0.29897, 0.95185),
    ("fixed", "c", "INCONCLUSIVE", -0.04529, 1.56529, 0.71846, 0.28154, 0.85562, 0.18878),
    ("sequential", "a", "DOES NOT DEPEND", -0.40009, 0.44009, 1.0, 0.00120, 0.30415, 2.06521),
    ("sequential", "b", "DEPENDS", 1.59505, 2.48495, 0.00197, 1.0, 0.29897, 0.95185),
    ("sequential", "c", "INCONCLUSIVE", -0.57810, 2.13573, 1.0, 1.0, 0.85562, 0.18878),
]


@pytest.mark.parametrize(("design", "check", "answer", "low", "high", "p_depends", "p_not", "sd", "d0"), GOLDEN)
def test_numbers_of_six_cells(
    design: str,
    check: str,
    answer: str,
    low: float,
    high: float,
    p_depends: float,
    p_not: float,
    sd: float,
    d0: float,
) -> None:
    found = three_checks(design=design)[check]
    [cell] = found.cells
    assert (found.verdict, cell.verdict, cell.n) == (answer, answer, 5)
    numbers = (cell.low, cell.high, cell.p_depends, cell.p_not, cell.borrowed_sd, cell.d0)
    assert numbers == pytest.approx((low, high, p_depends, p_not, sd, d0), abs=2e-5)


def test_sentences_of_the_three_answers() -> None:
    found = three_checks()
    assert found["a"].sentence == (
        "snip x a: DOES NOT DEPEND. Mean drop +0.02 points, 90% interval [-0.24, +0.28], 5 seeds, over 90%, margin "
        "1.00. Holds for any margin above 0.28."
    )
    assert found["b"].sentence == (
        "snip x b: DEPENDS. Mean drop +2.04 points, 90% interval [+1.77, +2.31], 5 seeds, over 90%, margin 1.00. "
        "Holds for any margin below 1.77."
    )
    assert found["c"].sentence == (
        "snip x c: INCONCLUSIVE. Mean drop +0.76 points, 90% interval [-0.05, +1.57], 5 seeds, over 90%, margin 1.00. "
        "Neither more nor less than the margin is shown; a study with about 7 seeds would be likely to decide."
    )


def test_a_cell_with_its_own_variance_alone() -> None:
    [cell] = only(judged(pairs([5 * drop for drop in SMALL]))).cells
    assert cell.sentence == (
        "90%: mean drop 0.00 points, 90% interval [-0.38, +0.38], 5 seeds, DOES NOT DEPEND, (unguarded)."
    )
    assert cell.sd == cell.borrowed_sd == pytest.approx(5 * 0.0790569)
    assert (cell.d0, cell.win_share, cell.break_even) == (0.0, 0.5, cell.high)
    assert cell.floor_sd == pytest.approx(100 * math.sqrt(2 * 0.1 / 20_000), rel=0.02)


def test_a_corruption_that_helps() -> None:
    found = only(judged(pairs([drop - 3 for drop in SMALL])))
    assert found.verdict == "DOES NOT DEPEND"
    assert found.sentence.endswith(
        "margin 1.00. Holds for any margin above 0.00. The corrupted arm is better by more than the margin."
    )
    assert "corruption helps" in found.cells[0].sentence


def test_the_interval_of_every_cell_agrees_with_its_verdict() -> None:
    for found in (*three_checks().values(), *three_checks(design="sequential").values()):
        [cell] = found.cells
        assert (cell.low > cell.margin) == (cell.p_depends < 0.05) == (cell.verdict == "DEPENDS")
        assert (cell.high < cell.margin) == (cell.p_not < 0.05) == (cell.verdict == "DOES NOT DEPEND")


def test_mean_outside_its_bounds_is_explained() -> None:
    drifting = judged(pairs([0.0, 0.02, -0.02, 20.0, 30.0]), 1.0, design="sequential", looks=(3, 5))
    [cell] = only(drifting).cells
    assert cell.mean_drop > cell.high
    assert "] from an earlier analysis" in cell.sentence
    assert "Some means lie outside their interval: " in intervals_sentence(drifting)
    assert "Some means lie outside their interval: " in repr(drifting)
    steady = judged(pairs([0.0, 0.02, -0.02, 0.01, 0.0]), 1.0, design="sequential", looks=(3, 5))
    assert intervals_sentence(steady) == "Mean drop in points [90% interval]."
    assert "earlier" not in only(steady).cells[0].sentence


def test_seeds_between_analyses_wait_and_those_beyond_the_last_are_left_out() -> None:
    wobble = [0.05, -0.05, 0.1, -0.1]
    [four] = only(judged(pairs(wobble), design="sequential", looks=(3, 5))).cells
    assert four.notes[-1] == "1 seed waiting for the analysis at 5"
    assert set(four.differences) == {"0", "1", "2"}
    [eight] = only(judged(pairs(wobble * 2), design="sequential", looks=(3, 5), max_seeds=5)).cells
    assert eight.notes[-1] == "3 seeds beyond the last analysis at 5 left out"
    assert eight.n == 5


def test_fewer_than_three_seeds_have_no_interval() -> None:
    found = only(judged(pairs([0.0, 0.1])))
    [cell] = found.cells
    assert (found.verdict, cell.n, cell.low, cell.high) == ("INCONCLUSIVE", 2, -math.inf, math.inf)
    assert (cell.p_depends, cell.p_not, cell.seeds_needed) == (1.0, 1.0, None)
    assert cell.notes[-1] == "needs at least 3 seeds"


def collapsed(seeds: int) -> Cell:
    [cell] = only(judged(clean("snip", seeds=seeds) + arm("snip", "labels", 0.9, [10.0] * seeds))).cells
    return cell


def test_four_collapsed_runs_against_none_are_significant_and_three_are_not() -> None:
    assert (collapsed(3).verdict, collapsed(4).verdict) == ("INCONCLUSIVE", "DEPENDS")
    assert collapsed(4).p_depends == pytest.approx(1 / math.comb(8, 4))
    assert collapsed(3).notes == ("3 of 3 corrupted and 0 of 3 clean runs collapsed: unstable",)


def test_collapse_in_both_arms_is_uninformative() -> None:
    found = judged(clean("snip", at=10.0, seeds=4) + arm("snip", "labels", 0.9, [10.0] * 4))
    assert only(found).verdict == "UNINFORMATIVE"
    assert not only(found).open
    assert found.methods[0].sentence.endswith(
        "Uninformative: runs collapsed to guessing in both arms, so that no difference could show."
    )


def test_some_collapsed_runs_at_one_sparsity_forbid_independence_on_average() -> None:
    calm = pairs(SMALL, 0.8)
    bad = [90, 10, 90, 90, 90]
    worse = only(judged(calm + clean("snip", 0.98, 5) + arm("snip", "labels", 0.98, bad)))
    assert [cell.verdict for cell in worse.cells] == ["DOES NOT DEPEND", "INCONCLUSIVE"]
    assert worse.verdict == "INCONCLUSIVE"
    assert worse.sentence.endswith("The mean is below the margin, but more corrupted than clean runs collapsed.")
    better = arm("snip", "clean", 0.98, bad) + arm("snip", "labels", 0.98, [90] * 5)
    assert only(judged([*calm, *better])).verdict == "DOES NOT DEPEND"


ODD = st.lists(
    st.tuples(st.sampled_from(["clean", "a", "b"]), st.integers(0, 8), st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(ODD, st.sampled_from(["fixed", "sequential"]))
@pytest.mark.filterwarnings("error")
def test_any_rows_can_be_judged_without_a_warning(odd: list[tuple[str, int, float]], design: str) -> None:
    rows = {(check, seed): Row("m", check, 0.9, seed, accuracy, 100) for check, seed, accuracy in odd}
    rows["a", 9] = Row("m", "a", 0.9, 9, 0.5, 100)
    found: StudyVerdict = judge(
        rows.values(),
        settings=Settings(margin=0.5, chance=0.1, design=design),  # type: ignore[arg-type]
    )
    json.dumps(found.to_dict(), allow_nan=False)

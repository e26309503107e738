"""What a reader reads, word for word; and the gates as they show in a whole study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from prunecheck.statistics import Cell, CheckVerdict, Row, Settings, StudyVerdict, judge, open_checks
from prunecheck.statistics.controls import signed
from prunecheck.statistics.describe import seeds_needed, strata
from tests.statistics.makers import arm, clean, dense, hurt, study


def judged(rows: Sequence[Row], **changes: Any) -> StudyVerdict:
    return judge(rows, settings=Settings(**{"margin": 0.5, "chance": 0.1, **changes}))


def one_check(rows: Sequence[Row], **changes: Any) -> CheckVerdict:
    [found] = judged(rows, **changes).checks
    return found


def one_cell(rows: Sequence[Row], **changes: Any) -> Cell:
    [found] = one_check(rows, **changes).cells
    return found


def pairs(drops: Sequence[float], sparsity: float = 0.9) -> list[Row]:
    return clean("snip", sparsity, len(drops)) + arm("snip", "labels", sparsity, [90 - drop for drop in drops])


def test_seeds_needed() -> None:
    assert [seeds_needed(ratio, 1.0) for ratio in (0.3, 0.7, 1.0, 1.4, 2.1)] == [3, 5, 9, 17, 38]
    assert seeds_needed(1.4, 0.5) == seeds_needed(2.8, 1.0) == 68


def test_no_negative_nothing() -> None:
    assert [signed(x) for x in (-0.001, 0.0, 0.004, -0.006, 12.345)] == ["+0.00", "+0.00", "+0.00", "-0.01", "+12.35"]


def test_strata() -> None:
    assert strata([0.9, 0.95, 0.998]) == "90/95/99.8%"


def test_does_not_depend() -> None:
    found = one_check(pairs([0.1, -0.1, 0.0, 0.05, -0.05]), looks=(5,))
    assert found.verdict == "DOES NOT DEPEND"
    assert found.sentence == (
        "snip x labels: DOES NOT DEPEND (fails). Mean drop +0.00 points, 90% CI [-0.15, +0.15], 5 seeds, over 90%, "
        "margin 0.50. Holds for any margin above 0.15."
    )
    [cell] = found.cells
    assert cell.sentence == (
        "90%: mean drop +0.00 points, 90% CI [-0.15, +0.15], 5 seeds, DOES NOT DEPEND, (unguarded)."
    )
    assert cell.break_even == cell.high
    assert cell.floor_sd == pytest.approx(100 * (2 * 0.1 / 20_000) ** 0.5)
    assert cell.borrowed_sd == pytest.approx(max(cell.floor_sd / 2, cell.sd))
    assert cell.sd == pytest.approx(0.0790569)
    assert cell.win_share == 0.5
    assert cell.d0 == 0.0
    assert cell.p_not < 0.01
    assert cell.p_depends > 0.99
    assert cell.seeds_needed is None
    assert found.pooled is not None
    assert (found.pooled.low, found.pooled.p_not, found.pooled.floor_sd) == (cell.low, cell.p_not, cell.floor_sd)


def test_corruption_may_even_help() -> None:
    found = one_check(pairs([-2.1, -1.9, -2.0, -2.05, -1.95]), looks=(5,))
    assert found.verdict == "DOES NOT DEPEND"
    assert found.sentence.endswith("Holds for any margin above -1.86. Corruption even helps.")
    assert found.cells[0].sentence.endswith("5 seeds, DOES NOT DEPEND, corruption helps, (unguarded).")
    assert found.cells[0].win_share == 0.0


def test_depends() -> None:
    found = one_check(pairs([2.1, 1.9, 2.0, 2.05, 1.95]), looks=(5,))
    assert found.sentence == (
        "snip x labels: DEPENDS (passes). Mean drop +2.00 points, 90% CI [+1.84, +2.16], 5 seeds, over 90%, "
        "margin 0.50. Holds for any margin below 1.84."
    )
    assert found.cells[0].break_even == found.cells[0].low
    assert found.cells[0].win_share == 1.0


def test_the_break_even_margin_of_several_sparsities_is_where_the_verdict_turns() -> None:
    rows = [row for k, shift in ((0.8, 0.0), (0.9, 0.5)) for row in pairs([2.1 + shift, 1.7, 2.0 + shift, 2.3, 1.9], k)]
    found = one_check(rows, looks=(5,))
    text = found.sentence.rsplit("Holds for any margin below ", 1)[1]
    turn = float(text.split()[0].rstrip("."))
    assert one_check(rows, looks=(5,), margin=turn - 0.01).verdict == "DEPENDS"
    assert one_check(rows, looks=(5,), margin=turn + 0.01).verdict != "DEPENDS"


@pytest.mark.parametrize(
    ("drops", "words"),
    [
        ([0.9, 0.1, 1.2, 0.3, 1.5], "It hurts, how much is unclear; needs about 13 seeds, more than the 5 allowed."),
        ([0.1, -0.9, 1.9, 0.0, 0.5], "No clear sign of harm; needs about 36 seeds, more than the 5 allowed."),
        ([0.45, 0.5, 0.5, 0.5, 0.55], "It hurts, how much is unclear; too close to the margin to call."),
    ],
)
def test_inconclusive(drops: list[float], words: str) -> None:
    found = one_check(pairs(drops), looks=(5,))
    assert found.verdict == "INCONCLUSIVE"
    assert found.sentence.startswith("snip x labels: INCONCLUSIVE. Mean drop +0.")
    assert found.sentence.endswith(f"margin 0.50. {words}")
    lean = words.split(", more")[0].rstrip(".")
    assert found.cells[0].sentence.endswith(f"INCONCLUSIVE, {lean[0].lower()}{lean[1:]}.")
    assert found.cells[0].break_even == found.cells[0].high


def test_seeds_still_allowed_are_not_called_too_many() -> None:
    found = one_check(pairs([0.9, 0.3, 1.0]))
    assert found.sentence.endswith("needs about 5 seeds.")
    assert found.cells[0].seeds_needed == 5


def test_looks_that_contradict_each_other_settle_nothing() -> None:
    drops = [3.0, 3.01, 2.99, -3.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0]
    cell = one_cell(pairs(drops))
    assert (cell.p_depends < 0.05, cell.p_not < 0.05) == (True, True)
    assert cell.verdict == "INCONCLUSIVE"
    assert cell.notes == ("the looks contradict each other",)


def test_both_arms_collapsed() -> None:
    found = one_check(clean("snip", at=10.0, seeds=4) + arm("snip", "labels", 0.9, [10.0] * 4))
    assert found.verdict == "UNINFORMATIVE"
    assert found.sentence == (
        "snip x labels: UNINFORMATIVE. 90%: mean drop +0.00 points, 4 seeds, UNINFORMATIVE, 4 of 4 corrupted and "
        "4 of 4 clean runs collapsed: nobody learned, so nobody can tell, 1 seed waiting for the look at 5."
    ).replace("4 seeds", "3 seeds").replace("4 of 4", "3 of 3")
    assert found.pooled is None
    assert not found.open


def test_every_corrupted_run_collapsed_and_no_clean_one() -> None:
    for seeds, answer in ((3, "INCONCLUSIVE"), (5, "DEPENDS"), (10, "DEPENDS")):
        found = one_check(clean("snip", seeds=seeds) + arm("snip", "labels", 0.9, [10.0] * seeds))
        assert found.verdict == found.cells[0].verdict == answer
        assert found.open == (answer == "INCONCLUSIVE")
    assert found.sentence == (
        "snip x labels: DEPENDS (passes). 90%: mean drop +80.00 points, 10 seeds, DEPENDS, 10 of 10 corrupted and "
        "0 of 10 clean runs collapsed."
    )
    five = one_cell(clean("snip", seeds=5) + arm("snip", "labels", 0.9, [10.0] * 5))
    assert five.p_depends == pytest.approx(0.05 / 0.007 / 252)
    assert five.p_not == 1.0
    fixed = one_cell(clean("snip", seeds=4) + arm("snip", "labels", 0.9, [10.0] * 4), fixed_n=True)
    assert fixed.p_depends == pytest.approx(1 / 70)


def test_a_collapse_at_one_sparsity_stands_beside_the_mean_of_the_others() -> None:
    rows = pairs([0.0, 0.1, -0.1] * 3, 0.8) + clean("snip", 0.98, 9) + arm("snip", "labels", 0.98, [10.0] * 9)
    found = one_check(rows)
    assert [cell.verdict for cell in found.cells] == ["DOES NOT DEPEND", "DEPENDS"]
    assert found.verdict == "DEPENDS"
    assert found.sentence.endswith("margin 0.50. At 98% every corrupted run collapsed and no clean one did.")


def test_some_collapsed_runs_forbid_the_verdict_that_nothing_is_lost() -> None:
    calm = pairs([0.0, 0.1, -0.1, 0.05, -0.05], 0.8)
    worse = clean("snip", 0.98, 5) + arm("snip", "labels", 0.98, [90, 10, 90, 90, 90])
    better = arm("snip", "clean", 0.98, [90, 10, 90, 90, 90]) + arm("snip", "labels", 0.98, [90] * 5)
    found = one_check([*calm, *worse], looks=(5,))
    assert [cell.verdict for cell in found.cells] == ["DOES NOT DEPEND", "INCONCLUSIVE"]
    assert found.verdict == "INCONCLUSIVE"
    assert found.sentence.endswith("margin 0.50. On average below the margin, but 98% hints at harm.")
    assert found.cells[1].notes == ("1 of 5 corrupted and 0 of 5 clean runs collapsed: unstable",)
    assert found.cells[1].p_depends == found.cells[1].p_not == 1.0
    assert one_check([*calm, *better], looks=(5,)).verdict == "DOES NOT DEPEND"


def test_unequal_budgets_are_refused() -> None:
    rows = arm("snip", "clean", 0.9, [90] * 5, kept=1000) + arm("snip", "labels", 0.9, [90] * 5, kept=900)
    found = one_check(rows, looks=(5,))
    assert found.verdict == "UNINFORMATIVE"
    assert found.cells[0].notes == (
        "refused: seed 0 kept 1000 weights clean and 900 corrupted: an unequal budget is not a check",
    )
    assert not open_checks(judged(rows))


def test_diverged_runs_and_unchanged_masks_are_mentioned() -> None:
    rows = clean("snip", seeds=5) + arm(
        "snip", "labels", 0.9, [90.1, 89.9, 90, 90.05, 89.95], diverged=True, overlap=1.0
    )
    assert one_cell(rows, looks=(5,)).notes == (
        "(unguarded)",
        "5 diverged runs kept, with the accuracy reached",
        "corruption hardly changed the mask (overlap 1.000)",
    )


def test_controls_are_not_said_to_pass_or_fail() -> None:
    verdict = judged(study({"random_ticket": {"layerwise_rearrange": 0.0}, "lr_rewinding": {"a": 5.0}}))
    assert [one.sentence.split(". ")[0] for one in verdict.checks] == [
        "lr_rewinding x a: DEPENDS",
        "random_ticket x layerwise_rearrange: DOES NOT DEPEND",
    ]
    assert verdict.methods[1].sentence == "random_ticket: UNINFORMATIVE. Nothing but controls was run."
    assert verdict.methods[0].sentence == "lr_rewinding: PASSES. It depends on what a destroys."


def test_a_check_that_nobody_can_judge() -> None:
    rows = dense() + clean("snip") + hurt("snip", "a", 0.0) + clean("lr_rewinding") + hurt("lr_rewinding", "a", 0.0)
    sentence = judged(rows).checks[1].sentence
    assert sentence.startswith("snip x a: UNINFORMATIVE. Mean drop ")
    assert sentence.endswith("margin 0.50. The positive control is not hurt either, so nobody can tell.")


def test_without_chance_collapse_goes_unseen_and_the_study_says_so() -> None:
    assert judged(pairs([0.0] * 3), chance=0.0).notes[-1] == (
        "Chance accuracy was not given: only runs near 0% count as collapsed."
    )

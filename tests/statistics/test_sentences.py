"""What a reader reads, word for word; and the gates as they show in a whole study."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from prunecheck.statistics import Cell, CheckVerdict, Row, Settings, StudyVerdict, judge, open_checks
from prunecheck.statistics.describe import seeds_needed, seeds_needed_at, strata
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


def test_strata() -> None:
    assert strata([0.9, 0.95, 0.998]) == "90/95/99.8%"


def test_the_break_even_margin_of_several_sparsities_is_where_the_verdict_turns() -> None:
    rows = [row for k, shift in ((0.8, 0.0), (0.9, 0.5)) for row in pairs([2.1 + shift, 1.7, 2.0 + shift, 2.3, 1.9], k)]
    found = one_check(rows)
    text = found.sentence.rsplit("Holds for any margin below ", 1)[1]
    turn = float(text.split()[0].rstrip("."))
    assert one_check(rows, margin=turn - 0.01).verdict == "DEPENDS"
    assert one_check(rows, margin=turn + 0.01).verdict != "DEPENDS"


def test_a_collapse_at_one_sparsity_stands_beside_the_mean_of_the_others() -> None:
    rows = pairs([0.0, 0.1, -0.1] * 3, 0.8) + clean("snip", 0.98, 9) + arm("snip", "labels", 0.98, [10.0] * 9)
    found = one_check(rows)
    assert [cell.verdict for cell in found.cells] == ["DOES NOT DEPEND", "DEPENDS"]
    assert found.verdict == "DEPENDS"
    assert found.sentence.endswith("margin 0.50. At 98% every corrupted run collapsed and no clean one did.")


def test_unequal_budgets_are_refused() -> None:
    rows = arm("snip", "clean", 0.9, [90] * 5, kept=1000) + arm("snip", "labels", 0.9, [90] * 5, kept=900)
    found = one_check(rows)
    assert found.verdict == "UNINFORMATIVE"
    assert found.cells[0].notes == (
        "refused: seed 0 kept 1000 weights clean and 900 corrupted: an unequal budget is not a check",
    )
    assert not open_checks(judged(rows))


def test_diverged_runs_and_unchanged_masks_are_mentioned() -> None:
    rows = clean("snip", seeds=5) + arm(
        "snip", "labels", 0.9, [90.1, 89.9, 90, 90.05, 89.95], diverged=True, overlap=1.0
    )
    assert one_cell(rows).notes == (
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
    assert verdict.methods[1].sentence == "random_ticket: UNINFORMATIVE. Only controls were run."
    assert verdict.methods[0].sentence == "lr_rewinding: PASSES. It depends on what a destroys."


def test_prompt_and_notebook_show_controls_as_controls_and_the_reference_without_a_verdict() -> None:
    verdict = judged(study({"random_ticket": {"layerwise_rearrange": 0.0}, "lr_rewinding": {"a": 5.0}}))
    lines = repr(verdict).splitlines()
    place = lines.index("– random_ticket: the reference.")
    assert lines[place + 1].startswith("  ✓ layerwise_rearrange: control ok, ")
    assert any(line.startswith("  ● a: depends, ") for line in lines)
    shown = verdict._repr_html_()
    assert "✓ control ok" in shown
    assert "UNINFORMATIVE" not in shown


def test_without_chance_collapse_goes_unseen_and_the_study_says_so() -> None:
    note = judged(pairs([0.0] * 3), chance=0.0).notes[-1]
    assert note.startswith("Chance accuracy was not given and counts as 0: a margin by rule is then too large")
    assert "--classes" in note


def noisy_study(drops: Sequence[float]) -> StudyVerdict:
    """A sequential study of up to ten seeds, margin 1, in which snip loses *drops* and its control 20 points."""
    rows = [*dense(94.0, 94.1, 93.9), *clean("snip", seeds=len(drops)), *clean("lr_rewinding", seeds=len(drops))]
    rows += arm("snip", "random_labels", 0.9, [90.0 - drop for drop in drops])
    rows += hurt("lr_rewinding", "random_labels", 20.0, seeds=len(drops))
    return judge(rows, settings=Settings(design="sequential", max_seeds=10, margin=1.0, chance=0.1))


def test_a_check_stopped_for_futility_says_so_and_what_it_would_need() -> None:
    stopped = next(c for c in noisy_study([1.6, -0.4, 2.5, -1.6, 3.4, 0.0, 2.9]).checks if c.method == "snip")
    assert (stopped.verdict, stopped.open) == ("INCONCLUSIVE", False)
    assert re.search(
        r"is shown\. Stopped early: up to 10 seeds are unlikely to decide it\. If the true drop is the one seen, a "
        r"study would need (about \d\d+|more than 1,000) seeds\.$",
        stopped.sentence,
    ), stopped.sentence
    assert stopped.sentence.count("a study") == 1


def test_a_check_that_goes_on_or_is_decided_was_not_stopped() -> None:
    going_on = next(c for c in noisy_study([1.4, 0.6, 2.5]).checks if c.method == "snip")
    assert (going_on.verdict, going_on.open) == ("INCONCLUSIVE", True)
    decided = next(c for c in noisy_study([5.0, 5.1, 5.2]).checks if c.method == "snip")
    assert decided.verdict == "DEPENDS"
    assert "Stopped early" not in going_on.sentence + decided.sentence


def test_the_seeds_a_drop_needs_grow_without_bound_towards_the_margin() -> None:
    assert seeds_needed_at(2.0, 1.0, 1.0) == seeds_needed_at(0.0, 1.0, 1.0) == seeds_needed(1.0, 1.0)
    assert seeds_needed_at(1.1, 1.0, 1.0) > 50 * seeds_needed_at(2.0, 1.0, 1.0)
    assert seeds_needed_at(1.0, 1.0, 1.0) == math.inf


def test_method_sentence_says_why_an_interval_below_the_margin_decides_nothing() -> None:
    """Three runs cannot exclude rare ruined runs, however narrow their interval is."""
    verdict = judged(study({"snip": {"layerwise_rearrange": 0.0}}, seeds=3))
    (check,) = verdict.checks
    assert check.verdict == "INCONCLUSIVE"
    assert check.pooled is not None
    assert check.pooled.high < check.pooled.margin
    reason = "the mean is below the margin, but 3 corrupted runs without a ruined one do not exclude"
    (method,) = verdict.methods
    assert f"not decided: layerwise_rearrange. layerwise_rearrange: {reason}" in method.sentence
    assert method.reasons[0].startswith(f"layerwise_rearrange: {reason}")
    (written,) = verdict.to_dict()["methods"]
    assert written["sentence"] == method.sentence
    assert "reasons" not in written

"""Margin curves, and the comparisons of methods in every output."""

from __future__ import annotations

import io
import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from prunecheck.reporting.answers import clean_accuracies
from prunecheck.reporting.data import ReportData
from prunecheck.reporting.export import latex_verdicts
from prunecheck.reporting.margins import (
    MarginAxis,
    check_segments,
    comparison_segments,
    describe,
    lead_sentence,
    margin_groups,
    ticks,
)
from prunecheck.reporting.markdown import markdown
from prunecheck.reporting.page import page
from prunecheck.reporting.paper import methods_paragraph
from prunecheck.reporting.terminal import print_verdict
from prunecheck.statistics.outcome import ComparisonVerdict, MarginCurve, StudyVerdict, interval_name
from tests.reporting import sample

BOUND = st.one_of(st.floats(-5, 20), st.just(math.inf), st.just(-math.inf))


def curve(depends_below: float, not_above: float, guarded_below: float = math.inf) -> MarginCurve:
    return MarginCurve(depends_below, max(depends_below, not_above), guarded_below)


def verdict() -> StudyVerdict:
    """The sample with a curve for every check and a comparison that SNIP loses."""
    made = sample.verdict()
    pooled = made.checks[0].pooled
    assert pooled is not None
    sentence = "snip against random_ticket: NOT BETTER. Lead +0.20 points, 5 seeds, margin 0.84. Equivalent."
    one = ComparisonVerdict(
        "snip",
        "random_ticket",
        "NOT BETTER",
        sentence,
        (),
        replace(pooled, mean_drop=0.2),
        True,
        False,
        curve(-0.1, 0.6),
        curve(-1, 0.3),
    )
    checks = tuple(replace(check, curve=curve(0.2, 0.7)) for check in made.checks)
    return replace(made, checks=checks, comparisons=(one,), seed_sd=0.4)


@given(BOUND, BOUND, st.floats(0, 20), st.floats(0.001, 30))
def test_segments_of_a_check_are_the_rule_at_every_margin(
    depends: float, not_: float, guarded: float, margin: float
) -> None:
    found = curve(depends, not_, guarded)
    answer = "INCONCLUSIVE"
    if margin < found.depends_below:
        answer = "DEPENDS"
    elif found.not_above < margin < found.guarded_below:
        answer = "DOES NOT DEPEND"
    assert answer_at(check_segments(found, "DEPENDS", "DOES NOT DEPEND"), margin) in (answer, None)


@given(BOUND, BOUND, BOUND, st.floats(0.001, 30))
def test_segments_of_a_comparison_are_the_rule_at_every_margin(
    better: float, not_: float, worse: float, margin: float
) -> None:
    found, reverse = curve(better, not_), curve(worse, math.inf)
    answer = "INCONCLUSIVE"
    if (margin < better) != (margin < worse):
        answer = "BETTER" if margin < better else "WORSE"
    elif margin > found.not_above:
        answer = "NOT BETTER"
    assert answer_at(comparison_segments(found, reverse), margin) in (answer, None)


def answer_at(segments: tuple, margin: float) -> str | None:  # type: ignore[type-arg]
    """The verdict at a margin, found by looking at every segment; None on the border of two."""
    assert segments[0].low == 0
    assert math.isinf(segments[-1].high)
    assert all(one.high == other.low for one, other in itertools.pairwise(segments))
    return next((part.answer for part in segments if part.low < margin < part.high), None)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (curve(0.6, 1.4), "depends below 0.60, open from 0.60 to 1.40 and does not depend above 1.40"),
        (curve(-1, 0.8, 4), "open below 0.80, does not depend from 0.80 to 4.00 and open above 4.00"),
        (curve(-1, math.inf), "open at every margin"),
        (curve(-1, -0.2), "does not depend at every margin"),
    ],
)
def test_curve_in_words(found: MarginCurve, text: str) -> None:
    assert describe(check_segments(found, "DEPENDS", "DOES NOT DEPEND")) == text


def test_ticks_are_the_margin_one_seed_sd_and_five_test_examples() -> None:
    assert [(tick.name, tick.points) for tick in ticks(verdict())] == [
        ("fixed margin", 0.84),
        ("one sd between seeds", 0.4),
        ("5 test examples", 0.05),
    ]


def test_every_check_and_comparison_has_a_curve_under_its_method() -> None:
    groups = {group.method: group for group in margin_groups(verdict())}
    assert [line.label for line in groups["snip"].lines] == [*sample.CHECKS, "against random_ticket"]
    assert lead_sentence(groups["snip"]) == "Lead over the random ticket: +0.20 points."
    assert lead_sentence(groups["grasp"]) == ""
    assert "at lead" in groups["snip"].lines[0].drawing
    assert "at lead" not in groups["grasp"].lines[0].drawing


def test_axis_is_monotone_and_holds_its_ticks() -> None:
    axis = MarginAxis(0.84, 12.0)
    places = [axis.place(value / 10) for value in range(121)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0.0, 1.0)
    assert axis.place(math.inf) == 1.0
    assert {0.0, 1.0, 10.0} <= set(axis.ticks())


def test_comparisons_are_in_every_output() -> None:
    judged = verdict()
    data = ReportData("s", list(sample.rows(judged)), judged)
    console = Console(file=io.StringIO(), width=100)
    print_verdict(judged, console)
    terminal = console.file.getvalue()  # type: ignore[attr-defined]
    lead = "ead +0.20 [-0.19, +0.35] points (5 seeds): equal within the margin."
    assert f"snip against random_ticket: not better. L{lead}" in " ".join(terminal.split())
    assert terminal.index("against random_ticket") < terminal.index("random_ticket: fails")
    text = markdown(data)
    clean = clean_accuracies(data)
    first, second = clean["snip"], clean["random_ticket"]
    assert f"**snip against random_ticket: not better.** {first} against {second}, l{lead}" in text
    assert "- snip, against random_ticket: open below 0.60 and not better above 0.60." in text
    html = page(data)
    assert 'lead over <span class="code">random_<wbr>ticket</span>' in html
    assert 'id="margins"' in html
    assert "The clean arms of snip and random\\_ticket are compared" in methods_paragraph(data)


def test_page_without_curves_has_no_section_of_margins() -> None:
    assert 'id="margins"' not in page(sample.data())


def test_interval_is_named_by_the_level_the_verdicts_use() -> None:
    made = sample.verdict()
    assert interval_name(made) == "90% interval"
    first = made.checks[0]
    assert first.pooled is not None
    wider = replace(first, pooled=replace(first.pooled, low_level=0.05 / 3))
    mixed = replace(made, checks=(wider, *made.checks[1:]))
    assert interval_name(mixed) == "90% to 93.3% interval"
    assert "93.3\\% interval" in latex_verdicts(ReportData("s", list(sample.rows(made)), mixed))

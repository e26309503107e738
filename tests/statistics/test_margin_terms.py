"""Margins in terms of clean runs."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import stdev

import pytest

import prunecheck
from prunecheck.errors import StudyError
from prunecheck.statistics.margin_terms import SeedSds, ShareOfLead, parse_margin

DENSE = (0.930, 0.934, 0.941)
OFFSETS = (0.0, 0.004, -0.003)


def table(corrupted: float = 0.85, methods: Iterable[tuple[str, float]] = (("snip", 0.90),)) -> list[dict[str, object]]:
    """A random ticket of 88 % and other methods at two sparsities, three seeds each; 10,000 test examples."""
    arms = [(name, "clean", accuracy) for name, accuracy in (("random_ticket", 0.88), *methods)]
    arms.append(("snip", "random_labels", corrupted))
    rows = [
        {"method": m, "check": c, "sparsity": sparsity, "seed": seed, "accuracy": a + OFFSETS[seed], "n_test": 10_000}
        for m, c, a in arms
        for sparsity in (0.9, 0.95)
        for seed in range(3)
    ]
    return rows + [
        {"method": "dense", "check": "clean", "sparsity": "", "seed": seed, "accuracy": accuracy, "n_test": 10_000}
        for seed, accuracy in enumerate(DENSE)
    ]


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("0.5", 0.5),
        (0.5, 0.5),
        ("1 sd", SeedSds(1)),
        ("1.5 seed sd", SeedSds(1.5)),
        ("2SD", SeedSds(2)),
        ("30% of lead", ShareOfLead(0.3, None)),
        ("30 % of the lead of snip", ShareOfLead(0.3, "snip")),
    ],
)
def test_margins_are_read(text: str | float, term: object) -> None:
    assert parse_margin(text) == term


@pytest.mark.parametrize("text", ["", "30% lead", "sd", "half", "1 se", "-1 sd", "30% of lead of two methods"])
def test_other_texts_are_refused_with_examples(text: str) -> None:
    with pytest.raises(StudyError, match=r'"1 sd".*"30% of lead"'):
        parse_margin(text)


@pytest.mark.parametrize("text", ["0 sd", "0% of lead", "101 sd"])
def test_a_margin_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(StudyError, match="must be above 0"):
        parse_margin(text)


def test_a_margin_of_one_seed_sd_is_that_of_the_dense_runs() -> None:
    found = prunecheck.verdict(table(), "1 sd", classes=10)
    assert found.margin == pytest.approx(100 * stdev(DENSE))
    assert found.margin_rule == (
        "The margin of 0.56 points is 1 standard deviation between seeds, estimated from 3 dense runs. The error rates "
        "take it as known."
    )
    assert prunecheck.verdict(table(), "2 sd", classes=10).margin == pytest.approx(200 * stdev(DENSE))


def test_a_share_of_the_lead_is_that_over_the_random_ticket() -> None:
    found = prunecheck.verdict(table(), "30% of lead", classes=10)
    assert found.margin == pytest.approx(0.6)
    assert found.margin_rule == (
        "The margin of 0.60 points is 30% of the lead of snip over the random ticket (+2.00 points, 6 pairs of clean "
        "runs). The error rates take it as known."
    )


@pytest.mark.parametrize("margin", ["1 sd", "30% of lead"])
def test_corrupted_arms_cannot_move_the_margin(margin: str) -> None:
    found = [prunecheck.verdict(table(corrupted), margin, classes=10) for corrupted in (0.90, 0.5)]
    assert found[0].margin == found[1].margin
    assert found[0].checks[0].verdict != found[1].checks[0].verdict == "DEPENDS"


def test_several_leads_need_a_name_and_the_positive_control_has_none() -> None:
    several = table(methods=(("snip", 0.90), ("grasp", 0.89)))
    with pytest.raises(StudyError, match=r'whose lead\? There are grasp and snip: write "30% of lead of grasp"'):
        prunecheck.verdict(several, "30% of lead")
    assert prunecheck.verdict(several, "30% of lead of grasp").margin == pytest.approx(0.3)
    with pytest.raises(StudyError, match=r"Did you mean 'grasp'\?"):
        prunecheck.verdict(several, "30% of lead of grap")
    control = table(methods=(("snip", 0.90), ("lr_rewinding", 0.93)))
    assert prunecheck.verdict(control, "30% of lead").margin == pytest.approx(0.6)


def test_margins_that_clean_runs_do_not_give_are_refused() -> None:
    with pytest.raises(StudyError, match="at least 3 dense runs, and their spread; there are 0"):
        prunecheck.verdict([row for row in table() if row["method"] != "dense"], "1 sd")
    with pytest.raises(StudyError, match="needs clean arms of random_ticket"):
        prunecheck.verdict([row for row in table() if row["method"] != "random_ticket"], "30% of lead")
    with pytest.raises(StudyError, match=r"snip has no lead over the random ticket \(-1\.00 points\)"):
        prunecheck.verdict(table(methods=(("snip", 0.87),)), "30% of lead")


def test_such_a_margin_is_never_below_five_test_examples() -> None:
    small = [row | {"n_test": 500} for row in table()]
    found = prunecheck.verdict(small, "30% of lead", classes=10)
    assert found.margin == 1.0
    assert found.margin_rule.startswith("The margin of 1.00 points is 5 of the 500 test examples: 30% of the lead of")
    assert any("the test set decides it" in note for note in found.notes)


def test_tables_of_means_have_such_margins_too() -> None:
    means = [
        {"method": m, "check": c, "sparsity": s, "mean": mean, "std": sd, "n": 5, "n_test": 10_000}
        for m, c, s, mean, sd in (
            ("dense", "clean", "", 93.5, 0.45),
            ("random_ticket", "clean", 0.9, 88.0, 0.3),
            ("snip", "clean", 0.9, 90.0, 0.3),
            ("snip", "random_labels", 0.9, 85.0, 0.3),
        )
    ]
    by_sd, by_lead = (prunecheck.verdict(means, margin, classes=10) for margin in ("1 sd", "25% of lead"))
    assert by_sd.margin == pytest.approx(0.45)
    assert "1 standard deviation between seeds, estimated from 5 dense runs" in by_sd.margin_rule
    assert by_lead.margin == pytest.approx(0.5)
    assert "25% of the lead of snip" in by_lead.margin_rule
    assert {by_sd.checks[0].verdict, by_lead.checks[0].verdict} == {"DEPENDS"}


def test_the_metric_of_the_margin_is_that_of_the_verdict() -> None:
    rows = [row | {"p_correct": 0.5 * float(str(row["accuracy"]))} for row in table()]
    assert prunecheck.verdict(rows, "1 sd", metric="p_correct").margin == pytest.approx(50 * stdev(DENSE))
    assert prunecheck.verdict(rows, "30% of lead", metric="p_correct").margin == pytest.approx(0.3)

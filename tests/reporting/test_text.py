"""Numbers and notes as the report writes them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prunecheck.reporting.text import check_effect, minus, remarks, share
from tests.reporting import sample


@pytest.mark.parametrize(
    ("value", "places", "text"), [(-0.001, 0, "0%"), (-0.2, 0, "-20%"), (0.941, 1, "94.1%"), (None, 1, "n/a")]
)
def test_share_has_no_negative_zero(value: float | None, places: int, text: str) -> None:
    assert share(value, places) == text


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("drop -0.43 [-1.00, +0.20]", "drop \N{MINUS SIGN}0.43 [\N{MINUS SIGN}1.00, +0.20]"),
        ("resnet-32, CIFAR-10 at 3-10 seeds", "resnet-32, CIFAR-10 at 3-10 seeds"),
        ("--set seeds=3", "--set seeds=3"),
    ],
)
def test_minus_is_typographic_before_numbers_only(text: str, printed: str) -> None:
    assert minus(text) == printed


def test_remarks_are_sentences_each_once_and_none_that_the_sentence_says() -> None:
    notes = ("equal to the bit", "2 seeds without a partner", "equal to the bit", "needs at least 3 seeds.")
    assert remarks(notes, "drop +0.10. Needs at least 3 seeds.") == "Equal to the bit. 2 seeds without a partner."


def test_effect_without_an_interval_says_that_runs_collapsed() -> None:
    check = sample.verdict().checks[0]
    assert check.pooled is not None
    cell = replace(check.pooled, mean_drop=16.6, low=float("-inf"), high=float("inf"), notes=("3 runs collapsed",))
    assert check_effect(replace(check, pooled=cell)) == "+16.60 (runs collapsed)"
    assert "collapsed" not in check_effect(check)

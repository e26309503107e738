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
    assert check_effect(replace(check, pooled=cell)) == "+16.60, runs collapsed"
    assert "collapsed" not in check_effect(check)


def test_effect_of_a_check_that_depends_at_one_sparsity_only_is_that_of_this_sparsity() -> None:
    check = next(c for c in sample.verdict().checks if c.method == "lr_rewinding")
    open_mean = replace(check.pooled, low=-0.2) if check.pooled else None
    calm, decisive = (
        replace(check.cells[0], verdict="INCONCLUSIVE"),
        replace(check.cells[1], verdict="DEPENDS", mean_drop=2.0, low=1.5, high=2.5),
    )
    assert check_effect(replace(check, pooled=open_mean, cells=(calm, decisive))) == "+2.00 [+1.50, +2.50] at 95%"
    assert " at " not in check_effect(check)

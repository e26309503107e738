"""The margin: by rule from dense runs, or by hand."""

from __future__ import annotations

import pytest

import prunecheck
from prunecheck.errors import StudyError
from prunecheck.statistics.margin import settle_margin


@pytest.mark.parametrize(
    ("dense", "chance", "n_test", "points", "reason"),
    [
        (0.94, 0.1, 10_000, 0.84, "1% of what the dense network (94.00%) knows above chance (10.00%)"),
        (0.74, 0.01, 10_000, 0.73, "1% of what the dense network (74.00%) knows above chance (1.00%)"),
        (0.60, 0.005, 10_000, 0.595, "1% of what"),
        (0.992, 0.1, 10_000, 0.16, "a fifth of the dense network's errors (0.80%)"),
        (0.976, 0.1, 797, 500 / 797, "5 of the 797 test examples"),
        (0.05, 0.1, 1000, 0.5, "5 of the 1000 test examples"),
    ],
)
def test_the_rule(dense: float, chance: float, n_test: int, points: float, reason: str) -> None:
    margin = settle_margin([dense - 0.001, dense, dense + 0.001], n_test, chance=chance)
    assert margin.points == pytest.approx(points, rel=1e-9)
    assert margin.rule.startswith(f"The margin of {points:.2f} points is {reason}")


def test_unknown_chance_is_not_presented_as_zero() -> None:
    margin = settle_margin([0.94] * 3, 10_000)
    assert margin == (
        pytest.approx(0.94),
        "The margin of 0.94 points is 1% of the dense network's accuracy (94.00%), since chance accuracy is unknown.",
    )


def test_a_margin_of_five_test_examples_is_remarked_unless_it_was_chosen_by_hand() -> None:
    def dense(n_test: int) -> list[dict[str, object]]:
        arms = [("dense", "clean", ""), ("mine", "clean", 0.9), ("mine", "layerwise_rearrange", 0.9)]
        return [
            {"method": m, "check": c, "sparsity": s, "seed": seed, "accuracy": 0.9 + 0.01 * seed, "n_test": n_test}
            for m, c, s in arms
            for seed in range(3)
        ]

    def remarks(n_test: int, margin: float | None = None) -> list[str]:
        found = prunecheck.verdict(dense(n_test), margin, classes=10)
        return [note for note in found.notes if "the test set decides it" in note]

    assert remarks(200) == [
        "The margin of 2.50 points is that of 5 of the 200 test examples: the size of the test set decides it, and "
        "with more test examples it would be smaller."
    ]
    assert remarks(10_000) == remarks(200, margin=2.5) == []
    means = [
        {"method": m, "check": c, "sparsity": 0.9, "mean": 90.5, "std": 0.4, "n": 5, "n_test": 200}
        for m, c in [("dense", "clean"), ("mine", "clean"), ("mine", "layerwise_rearrange")]
    ]
    assert any("the test set decides it" in note for note in prunecheck.verdict(means, classes=10).notes)


def test_by_hand() -> None:
    assert settle_margin([], 100, override=0.5) == (0.5, "The margin of 0.50 points was set by hand.")
    assert settle_margin([0.9], 100, override=0.5, was=0.5).rule == "The margin of 0.50 points was set by hand."
    assert settle_margin([0.9], 100, override=0.5, was=0.84).rule == (
        "The margin of 0.50 points was set by hand. Changed after results were seen: it was 0.84."
    )


def test_few_dense_runs_are_mentioned() -> None:
    assert settle_margin([0.94, 0.94], 10_000).rule.endswith(" Only 2 dense runs: the margin itself is uncertain.")
    assert settle_margin([0.94], 10_000).rule.endswith(" Only 1 dense run: the margin itself is uncertain.")
    assert settle_margin([0.94] * 3, 10_000).rule.endswith("chance accuracy is unknown.")


def test_no_margin() -> None:
    with pytest.raises(StudyError) as caught:
        settle_margin([], 100)
    assert str(caught.value) == (
        "no margin: there is no row with method 'dense' to derive it from. Add the unpruned network's accuracy, "
        "or give a margin in points, such as 0.5."
    )

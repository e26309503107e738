"""Gates: what must not be judged by its mean."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from prunecheck.statistics.gates import (
    Gate,
    Pair,
    collapse_gate,
    collapse_line,
    gate,
    is_collapsed,
    learning_epochs,
    p_all_or_none,
    remarks,
)
from prunecheck.statistics.rows import Row


def pair(clean: float = 0.9, corrupted: float = 0.9, **more: object) -> Pair:
    kept = more.pop("kept", (None, None))
    assert isinstance(kept, tuple)
    return (
        Row("m", "clean", 0.9, 4, clean, 1000, kept=kept[0]),
        Row("m", "c", 0.9, 4, corrupted, 1000, kept=kept[1], **more),  # type: ignore[arg-type]
    )


def test_the_line_of_collapse() -> None:
    assert collapse_line(0.1, 10_000, 0.94) == pytest.approx(0.1 + 0.02 * 0.84)
    assert collapse_line(0.1, 900, 0.5) == pytest.approx(0.1 + 3 * 0.01)
    assert collapse_line(0.1, 900, None) == pytest.approx(0.13)
    assert collapse_line(0.0, 900, None) == 0.0


def test_a_run_may_say_itself_that_it_collapsed() -> None:
    assert is_collapsed(Row("m", "c", 0.9, 0, 0.12, 10), 0.12)
    assert not is_collapsed(Row("m", "c", 0.9, 0, 0.1201, 10), 0.12)
    assert is_collapsed(Row("m", "c", 0.9, 0, 0.5, 10, collapsed=True), 0.12)
    assert not is_collapsed(Row("m", "c", 0.9, 0, 0.1, 10, collapsed=False), 0.12)


@pytest.mark.parametrize(
    ("n", "clean", "corrupted", "both", "state", "harm"),
    [
        (5, 0, 0, 0, "fine", False),
        (5, 5, 5, 5, "collapsed", False),
        (6, 3, 3, 3, "collapsed", False),
        (6, 3, 3, 2, "unstable", False),
        (5, 2, 3, 2, "unstable", True),
        (5, 0, 2, 0, "unstable", True),
        (5, 2, 0, 0, "unstable", False),
        (5, 1, 5, 1, "unstable", True),
        (5, 0, 5, 0, "all or none", True),
        (4, 0, 4, 0, "all or none", True),
        (3, 0, 3, 0, "unstable", True),
        (0, 0, 0, 0, "fine", False),
    ],
)
def test_collapsed_runs(n: int, clean: int, corrupted: int, both: int, state: str, harm: bool) -> None:
    found = collapse_gate(n, clean, corrupted, both)
    assert (found.state, found.harm) == (state, harm)
    assert found.p == (1 / math.comb(2 * n, n) if state == "all or none" else 1.0)


def test_reasons() -> None:
    assert collapse_gate(5, 1, 2, 0).reason == "2 of 5 corrupted and 1 of 5 clean runs collapsed: unstable"
    assert collapse_gate(4, 0, 4, 0).reason == "4 of 4 corrupted and 0 of 4 clean runs collapsed"
    assert collapse_gate(2, 2, 2, 2).reason == (
        "2 of 2 corrupted and 2 of 2 clean runs collapsed: neither arm learned, so that no difference could show"
    )


def test_exact_p() -> None:
    assert [round(p_all_or_none(n), 3) for n in (3, 4, 5)] == [0.05, 0.014, 0.004]


def test_collapse_is_counted_per_seed() -> None:
    line = 0.2
    assert gate("c", [pair()] * 3, line) == Gate("fine")
    assert gate("c", [pair(0.1, 0.1), pair(0.1, 0.1), pair()], line).state == "collapsed"
    assert gate("c", [pair(0.1, 0.9), pair(0.9, 0.1)], line).state == "unstable"
    assert gate("c", [pair(0.9, 0.1)] * 4, line).state == "all or none"
    assert gate("c", [], line) == Gate("fine")


@pytest.mark.parametrize(
    ("check", "kept", "refused"),
    [
        ("random_labels", (10_000, 10_010), False),
        ("random_labels", (10_000, 10_011), True),
        ("random_labels", (10_000, 9_989), True),
        ("random_labels", (100, 101), False),
        ("random_labels", (100, 102), True),
        ("random_labels", (None, 102), False),
        ("random_labels", (102, None), False),
        ("layerwise_rearrange", (10_000, 10_001), True),
        ("layerwise_rearrange", (10_000, 10_000), False),
        ("aa", (10_000, 10_001), True),
        ("identity", (10_000, 10_001), True),
        ("planted_0.5", (10_000, 10_001), True),
    ],
)
def test_unequal_budgets_are_refused(check: str, kept: tuple[int, int], refused: bool) -> None:
    found = gate(check, [pair(), pair(kept=kept)], 0.0)
    assert found.state == ("refused" if refused else "fine")
    if refused:
        assert found.reason == (
            f"seed 4 kept {kept[0]} weights clean and {kept[1]} corrupted: an unequal budget is not a check"
        )


def test_remarks() -> None:
    assert remarks([pair()]) == ()
    assert remarks([pair(diverged=True), pair()]) == ("1 diverged run kept, with the accuracy reached",)
    assert remarks([pair(diverged=True)] * 2) == ("2 diverged runs kept, with the accuracy reached",)
    assert remarks([pair(overlap=1.0), pair(overlap=0.99), pair()]) == (
        "corruption hardly changed the mask (overlap 0.995)",
    )
    assert remarks([pair(overlap=0.99)]) == ()


def test_remark_where_the_arms_learned_their_masks_in_different_numbers_of_epochs() -> None:
    clean, corrupted = (replace(row, mask_epochs=10.0) for row in pair())
    assert remarks([(clean, corrupted)]) == ()
    assert remarks([(clean, replace(corrupted, mask_epochs=7.5))] * 2) == (
        "masks learned in 10 epochs in the clean arm and 7.5 in the corrupted one",
    )
    assert learning_epochs([(clean, replace(corrupted, mask_epochs=None))]) == (10, 0)
    assert learning_epochs([]) == (0, 0)

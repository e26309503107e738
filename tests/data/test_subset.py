"""Subsets are balanced, nested and for ever the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecheck.data.subset import balanced, scattered
from prunecheck.errors import DataError


@given(st.integers(1, 5), st.integers(1, 60))
def test_classes_differ_by_one_at_most(num_classes: int, n: int) -> None:
    targets = np.repeat(np.arange(num_classes), 60)
    counts = np.bincount(targets[balanced(targets, n, num_classes, "train_size")], minlength=num_classes)
    assert counts.sum() == n
    assert counts.max() - counts.min() <= 1
    assert sorted(counts, reverse=True) == list(counts)


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_smaller_subset_lies_in_the_larger(a: int, b: int) -> None:
    targets = np.arange(120) % 3
    small, large = (set(balanced(targets, n, 3, "train_size").tolist()) for n in sorted((a, b)))
    assert small <= large


def test_the_order_never_changes() -> None:
    assert scattered(10).tolist() == [9, 8, 4, 3, 0, 1, 7, 2, 6, 5]
    assert sorted(scattered(1000)) == list(range(1000))


def test_positions_come_sorted_and_once() -> None:
    chosen = balanced(np.arange(100) % 4, 20, 4, "train_size")
    assert (np.diff(chosen) > 0).all()


def test_too_rare_a_class_is_named_with_the_largest_possible_subset() -> None:
    targets = np.array([0] * 10 + [1] * 3)
    with pytest.raises(DataError, match=r"train_size=8 takes 4 images of class 1, which has 3: at most 6 are balanced"):
        balanced(targets, 8, 2, "train_size")

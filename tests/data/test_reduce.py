"""Subsets are balanced, nested and for ever the same."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecheck.data import reduce as module
from prunecheck.data.reduce import balanced, scattered, shrink
from prunecheck.errors import DataError
from tests.data.makers import Pixels, images


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


def mean_over_area(image: Pixels, size: int) -> list[list[int]]:
    """The definition, in exact fractions: overlap by overlap, halves up."""
    side = len(image)
    step = Fraction(side, size)

    def overlap(new: int, old: int) -> Fraction:
        return max(Fraction(0), min((new + 1) * step, Fraction(old + 1)) - max(new * step, Fraction(old)))

    def pixel(row: int, column: int) -> int:
        total = sum(overlap(row, i) * overlap(column, j) * int(image[i, j]) for i in range(side) for j in range(side))
        return int(total / step**2 + Fraction(1, 2))

    return [[pixel(row, column) for column in range(size)] for row in range(size)]


@pytest.mark.parametrize(("side", "size"), [(8, 4), (8, 8), (7, 3), (10, 4), (5, 1)])
def test_every_pixel_is_the_mean_of_its_area(side: int, size: int) -> None:
    pixels = images(2, 2, side)
    small = shrink(pixels, size)
    assert small.dtype == np.uint8
    for image, expected in zip(small.reshape(4, size, size), pixels.reshape(4, side, side), strict=True):
        assert image.tolist() == mean_over_area(expected, size)


def test_halves_are_rounded_up() -> None:
    assert shrink(np.array([[[[0, 1], [1, 0]]]], dtype=np.uint8), 1).item() == 1
    assert shrink(np.array([[[[255, 255], [255, 254]]]], dtype=np.uint8), 1).item() == 255


def test_reduction_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = images(10, 1, 6)
    whole = shrink(pixels, 4)
    monkeypatch.setattr(module, "CHUNK", 3)
    assert np.array_equal(shrink(pixels, 4), whole)


def test_images_are_never_enlarged() -> None:
    with pytest.raises(DataError, match="size=9 is over the 8 pixels"):
        shrink(images(1, side=8), 9)

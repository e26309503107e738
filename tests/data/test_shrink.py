"""Area down-sampling against the plain definition."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from prunecheck.data import shrink as module
from prunecheck.data.shrink import shrink
from prunecheck.errors import DataError
from tests.data.makers import Pixels, images


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


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = images(10, 1, 6)
    whole = shrink(pixels, 4)
    monkeypatch.setattr(module, "CHUNK", 3)
    assert np.array_equal(shrink(pixels, 4), whole)


def test_images_are_never_enlarged() -> None:
    with pytest.raises(DataError, match="size=9 is over the 8 pixels"):
        shrink(images(1, side=8), 9)

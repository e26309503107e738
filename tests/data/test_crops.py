"""Crops of the reference recipe against their definition, written out plainly."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from prunecheck.data.crops import center_cropped, random_box, randomly_cropped

SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def image(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_boxes_have_the_share_and_the_ratio_that_are_asked_for() -> None:
    rng = np.random.default_rng(3)
    shares, ratios = [], []
    for _ in range(400):
        left, upper, right, lower = random_box(500, 375, rng, SCALE, RATIO)
        assert 0 <= left < right <= 500
        assert 0 <= upper < lower <= 375
        shares.append((right - left) * (lower - upper) / (500 * 375))
        ratios.append((right - left) / (lower - upper))
    assert min(shares) > 0.079
    assert max(shares) <= 1
    assert min(ratios) > 0.74
    assert max(ratios) < 1.35
    # uniform but for boxes that do not fit, and symmetric on a logarithmic scale
    assert np.mean(shares) == pytest.approx(0.45, abs=0.05)
    assert np.mean(np.log(ratios)) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("size", "box"),
    [((40, 4), (17, 0, 22, 4)), ((4, 40), (0, 18, 4, 22)), ((1, 1), (0, 0, 1, 1))],
)
def test_image_that_no_box_fits_is_cropped_in_its_centre(size: tuple[int, int], box: tuple[int, ...]) -> None:
    assert random_box(*size, np.random.default_rng(0), (1.0, 1.0), (1.0, 1.3)) == box


def test_random_crop_is_cut_out_and_then_resized() -> None:
    picture = image(30, 20)
    found = randomly_cropped(picture, 8, np.random.default_rng(5), SCALE, RATIO)
    left, upper, right, lower = random_box(30, 20, np.random.default_rng(5), SCALE, RATIO)
    part = Image.fromarray(np.asarray(picture)[upper:lower, left:right])
    assert np.array_equal(np.asarray(found), np.asarray(part.resize((8, 8), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize(("width", "height"), [(500, 375), (375, 500), (300, 300), (257, 501)])
def test_evaluation_resizes_the_shorter_side_to_256_and_keeps_the_centre(width: int, height: int) -> None:
    picture = image(width, height)
    resized = (256, int(256 * height / width)) if width <= height else (int(256 * width / height), 256)
    whole = np.asarray(picture.resize(resized, Image.Resampling.BILINEAR))
    upper, left = round((resized[1] - 224) / 2), round((resized[0] - 224) / 2)
    found = np.asarray(center_cropped(picture, 224, 0.875))
    assert np.array_equal(found, whole[upper : upper + 224, left : left + 224])

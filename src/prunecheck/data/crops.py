"""The crops of ImageNet's reference recipe, as torchvision's transforms take them, for one Pillow image at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

if TYPE_CHECKING:
    from numpy.random import Generator

TRIES = 10

Box = tuple[int, int, int, int]
"""left, upper, right, lower in pixels"""


def center_cropped(image: Image.Image, size: int, share: float) -> Image.Image:
    """The central square with *share* of the shorter side, *size* pixels a side.

    For a share below 1 as the reference evaluation does it: the shorter side is resized (bilinear) to ``size / share``
    pixels, then the centre is cut out; ``size = 224, share = 0.875`` resizes to 256. The whole shorter side
    (``share = 1``) is averaged over areas, as for data sets in memory.
    """
    if share == 1:
        return ImageOps.fit(image, (size, size), method=Image.Resampling.BOX)
    shorter = round(size / share)
    width, height = image.size
    # the longer side is rounded down, as torchvision does
    resized = shorter * width // min(width, height), shorter * height // min(width, height)
    image = image.resize(resized, Image.Resampling.BILINEAR)
    left, upper = (round((side - size) / 2) for side in image.size)
    return image.crop((left, upper, left + size, upper + size))


def randomly_cropped(
    image: Image.Image, size: int, rng: Generator, scale: tuple[float, float], ratio: tuple[float, float]
) -> Image.Image:
    """A random part of the image, resized (bilinear) to *size* pixels a side; see ``random_box``."""
    return image.crop(random_box(*image.size, rng, scale, ratio)).resize((size, size), Image.Resampling.BILINEAR)


def random_box(width: int, height: int, rng: Generator, scale: tuple[float, float], ratio: tuple[float, float]) -> Box:
    """A box of a random share of the area in *scale* and a random width/height in *ratio* (Szegedy et al. 2015).

    torchvision's ``RandomResizedCrop``: the aspect is uniform on a logarithmic scale; after ten boxes that do not fit,
    the largest central one within *ratio*.
    """
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(TRIES):
        area = width * height * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            upper, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
            return left, upper, left + w, upper + h
    aspect = width / height
    w, h = width, height
    if aspect < ratio[0]:
        h = round(w / ratio[0])
    elif aspect > ratio[1]:
        w = round(h * ratio[1])
    left, upper = (width - w) // 2, (height - h) // 2
    return left, upper, left + w, upper + h

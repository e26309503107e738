"""Area down-sampling: every new pixel is the mean of the area it covers, exact and equal on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prunecheck.data.types import Images
from prunecheck.errors import DataError

CHUNK = 1024
"""Images shrunk at once: the float copies stay small beside the data set."""


def shrink(images: Images, size: int) -> Images:
    """``[N, C, H, H]`` to ``[N, C, size, size]``, halves rounded up. Raises DataError where *size* is over H."""
    side = images.shape[2]
    if size > side:
        raise DataError(f"size={size} is over the {side} pixels of the images; they are only ever made smaller.")
    if size == side:
        return images
    smaller = np.empty((*images.shape[:2], size, size), dtype=np.uint8)
    overlap = _overlap(side, size)
    for start in range(0, len(images), CHUNK):
        smaller[start : start + CHUNK] = _shrink_chunk(images[start : start + CHUNK], overlap)
    return smaller


def _shrink_chunk(images: Images, overlap: NDArray[np.float64]) -> Images:
    # all numbers are whole and far below 2**53, so the sums are exact in whatever order they are added
    sums = overlap @ (images @ overlap.T)
    area = images.shape[2] ** 2
    rounded: Images = ((2 * sums + area) // (2 * area)).astype(np.uint8)
    return rounded


def _overlap(side: int, size: int) -> NDArray[np.float64]:
    """``[size, side]``: how much of an old pixel lies in a new one, in units of 1/size old pixels; rows sum to side."""
    old = np.arange(side) * size
    new = np.arange(size)[:, None] * side
    length = np.minimum(old + size, new + side) - np.maximum(old, new)
    overlap: NDArray[np.float64] = np.maximum(length, 0).astype(np.float64)
    return overlap

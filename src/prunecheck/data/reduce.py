"""Smaller data sets, equal on every machine: class-balanced subsets and area down-sampling."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prunecheck.data.types import Images, Labels
from prunecheck.errors import DataError
from prunecheck.text import printable


def balanced(targets: Labels, n: int, num_classes: int, what: str) -> Labels:
    """Sorted positions of *n* images, equally many per class; the first ``n % num_classes`` classes have one more.

    Within a class, images come in the order of a hash of their position: unrelated to how the files were sorted, and
    independent of any random generator. Raises DataError, which names *what*, where a class has too few.
    """
    chosen = []
    for label in range(num_classes):
        wanted = n // num_classes + (label < n % num_classes)
        members = np.flatnonzero(targets == label)
        if len(members) < wanted:
            raise DataError(
                f"{what}={n} takes {wanted} images of class {label}, which has {len(members)}: "
                f"at most {smallest_class(targets, num_classes) * num_classes} are balanced."
            )
        chosen.append(members[scattered(len(members))[:wanted]])
    return np.sort(np.concatenate(chosen))


def smallest_class(targets: Labels, num_classes: int) -> int:
    """Number of images of the rarest class."""
    return int(np.bincount(targets, minlength=num_classes).min())


def held_out(targets: Labels, what: str, names: Sequence[str] = ()) -> tuple[Labels, Labels]:
    """Sorted positions for training and for test: of each class a fixed fifth, at least one image, is for test.

    Raises DataError, which begins with *what*, for a class with a single image.
    """
    train, test = [], []
    for label in np.unique(targets):
        members = np.flatnonzero(targets == label)
        n_test = max(1, len(members) // TEST_EVERY)
        if len(members) <= n_test:
            name = repr(printable(names[label])) if names else label
            raise DataError(f"{what}: class {name} has {len(members)} images: too few to split.")
        order = scattered(len(members))
        test.append(members[order[:n_test]])
        train.append(members[order[n_test:]])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def scattered(n: int) -> Labels:
    """The numbers 0..n-1 in a fixed order that looks random."""
    order = sorted(range(n), key=lambda i: hashlib.sha256(str(i).encode()).digest())
    return np.array(order, dtype=np.int64)


TEST_EVERY = 5
"""without a test set of its own, one image in five of each class is for test"""

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
    # all numbers are whole and far below 2**53, so the sums are exact in every order
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

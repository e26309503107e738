"""Class-balanced subsets that never change: the same images on every machine, the smaller inside the larger."""

from __future__ import annotations

import hashlib

import numpy as np

from prunecheck.data.types import Labels
from prunecheck.errors import DataError


def balanced(targets: Labels, n: int, num_classes: int, what: str) -> Labels:
    """Sorted positions of *n* images, equally many a class; the first ``n % num_classes`` classes give one more.

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


def scattered(n: int) -> Labels:
    """The numbers 0..n-1 in a fixed order that looks random."""
    order = sorted(range(n), key=lambda i: hashlib.sha256(str(i).encode()).digest())
    return np.array(order, dtype=np.int64)

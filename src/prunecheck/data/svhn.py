"""SVHN, the street view house numbers (Netzer et al. 2011), format 2: the two official MATLAB files.

``X`` is uint8 ``[32, 32, 3, n]``, ``y`` is ``[n, 1]`` with 1..10, where 10 stands for the digit 0. The extra training
images are left alone, as in the literature on small networks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prunecheck.data.catalogue import entry
from prunecheck.data.places import missing, roots
from prunecheck.data.source import Source, Split, in_memory
from prunecheck.data.spec import DataSpec
from prunecheck.data.svhn_mat import arrays
from prunecheck.errors import DataError

FOLDERS = ("svhn", "SVHN", ".")
FILES = ("train_32x32.mat", "test_32x32.mat")
SIDE = 32
MOST_BYTES = 2**31
"""the extra images, which nobody should take for the training images, are 1.6 GB"""
DIGITS = tuple("0123456789")


def files(spec: DataSpec) -> dict[str, Path]:
    """The two files. Raises DataError where they are not both in one folder."""
    for root in roots(spec):
        for folder in FOLDERS:
            found = {name: root / folder / name for name in FILES}
            if all(path.is_file() for path in found.values()):
                return found
    raise missing(spec, [f"{FOLDERS[0]}/{FILES[0]}", *FILES])


def read(spec: DataSpec) -> Source:
    """All images and labels. Raises DataError for torn files and for another number of images than published."""
    known = entry(spec.name)
    assert known.n_train is not None
    assert known.n_test is not None
    paths = files(spec)
    return Source(
        train=_split(paths[FILES[0]], known.n_train),
        test=_split(paths[FILES[1]], known.n_test),
        class_names=DIGITS,
    )


def _split(path: Path, n: int) -> Split:
    content = arrays(path, MOST_BYTES)
    pixels, labels = content.get("X"), content.get("y")
    if pixels is None or labels is None:
        raise DataError(f"{path} holds no arrays X and y: it is not a file of SVHN's format 2 (cropped digits).")
    if pixels.dtype != np.uint8 or pixels.shape != (SIDE, SIDE, 3, n) or labels.size != n:
        raise DataError(
            f"{path} holds {pixels.dtype} images {list(pixels.shape)} and {labels.size} labels, not uint8 "
            f"{[SIDE, SIDE, 3, n]} and {n}: torn or cut. Download it again; train_size and test_size make it smaller."
        )
    if labels.dtype.kind not in "ui" or labels.min() < 1 or labels.max() > 10:
        raise DataError(f"{path}: the labels y are whole numbers from 1 to 10, where 10 is the digit 0.")
    return in_memory(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)), labels.ravel().astype(np.int64) % 10)

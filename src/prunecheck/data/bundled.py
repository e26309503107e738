"""Two data sets in the package: handwritten digits (8x8) and 5,000 images of MNIST.

Sources and licences: ``resources/data/README.md``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
from pathlib import Path

import numpy as np

from prunecheck.data.catalogue import DataSpec, entry
from prunecheck.data.reduce import balanced
from prunecheck.data.types import Source, in_memory
from prunecheck.errors import DataError
from prunecheck.resources import data_file

FILES = {
    "digits": ("digits.csv.gz", "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"),
    "mnist5k": ("mnist_5k.csv.gz", "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"),
}
"""Data set -> (file, its SHA-256). Each line: the pixels row by row, then the label."""

DIGITS_BRIGHTEST = 16


def files(spec: DataSpec) -> dict[str, Path]:
    """The file of the data set. Raises DataError if the installation lacks it."""
    name, _ = FILES[spec.name]
    return {name: data_file(name)}


def read(spec: DataSpec) -> Source:
    """All images; class-balanced ones are for training, the others for test. The split depends on ``test_size`` alone.

    Raises DataError if the file was changed.
    """
    known = entry(spec.name)
    assert known.size is not None
    assert known.num_classes is not None
    (path,) = files(spec).values()
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != FILES[spec.name][1]:
        raise DataError(f"data {spec.name!r}: {path} was changed or is incomplete. Reinstall prunecheck.")
    table = np.loadtxt(io.BytesIO(gzip.decompress(content)), delimiter=",", dtype=np.uint8)
    inputs, targets = table[:, :-1].reshape(-1, 1, known.size, known.size), table[:, -1].astype(np.int64)
    if spec.name == "digits":
        inputs = np.rint(inputs * (255 / DIGITS_BRIGHTEST)).astype(np.uint8)
    train = balanced(targets, known.parts(spec)[0], known.num_classes, "train_size")
    test = np.setdiff1d(np.arange(len(targets)), train)
    return Source(
        train=in_memory(inputs[train], targets[train]),
        test=in_memory(inputs[test], targets[test]),
        class_names=tuple("0123456789"),
    )

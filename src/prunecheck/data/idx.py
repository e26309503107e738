"""MNIST (LeCun et al. 1998) and Fashion-MNIST (Xiao et al. 2017): four idx files, gzipped or not.

An idx file is two zero bytes, 08 for uint8, the number of dimensions, each dimension as a big-endian 32-bit number,
and then the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from prunecheck.data.catalogue import DataSpec, entry
from prunecheck.data.files import missing, roots
from prunecheck.data.types import Images, Source, Split, in_memory
from prunecheck.errors import DataError

FOLDERS = {
    "mnist": ("MNIST/raw", "MNIST", "mnist"),
    "fashion_mnist": ("FashionMNIST/raw", "FashionMNIST", "fashion_mnist"),
}
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SIDE = 28

DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def files(spec: DataSpec) -> dict[str, Path]:
    """The four files. Raises DataError where they are not all in one folder."""
    folders = FOLDERS[spec.name]
    for root in roots(spec):
        # both data sets use the same file names, so only a root given on purpose may hold them directly
        direct = (".", "raw") if spec.root is not None else ()
        for folder in (*folders, *direct):
            found = {name: _plain_or_gzipped(root / folder / name) for name in FILES}
            present = {name: path for name, path in found.items() if path is not None}
            if len(present) == len(FILES):
                return present
    raise missing(spec, [f"{folders[0]}/{FILES[0]}.gz", *folders[1:]])


def read(spec: DataSpec) -> Source:
    """All images and labels. Raises DataError for torn files and for another number of images than published."""
    known = entry(spec.name)
    assert known.n_train is not None
    assert known.n_test is not None
    paths = files(spec)
    return Source(
        train=_split(paths[FILES[0]], paths[FILES[1]], known.n_train),
        test=_split(paths[FILES[2]], paths[FILES[3]], known.n_test),
        class_names=DIGITS if spec.name == "mnist" else CLOTHES,
    )


def _plain_or_gzipped(path: Path) -> Path | None:
    zipped = path.with_name(f"{path.name}.gz")
    return path if path.is_file() else zipped if zipped.is_file() else None


def _split(images: Path, labels: Path, n: int) -> Split:
    inputs = _values(images, (n, SIDE, SIDE)).reshape(n, 1, SIDE, SIDE)
    return in_memory(inputs, _values(labels, (n,)).astype(np.int64))


def _values(path: Path, shape: tuple[int, ...]) -> Images:
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    size = math.prod(shape)
    try:
        with _open(path) as stream:
            start = stream.read(len(header))
            content = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read, or is torn: {error}.") from error
    if start[:4] != header[:4]:
        raise DataError(f"{path} is not an idx file of {len(shape)} dimensions (it starts with {start[:4].hex()}).")
    if start != header or len(content) != size:
        raise DataError(f"{path} does not hold {' x '.join(map(str, shape))} values: torn or cut. Download it again.")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")

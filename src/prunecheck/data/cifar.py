"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): the official files, binary or python edition, or parquet.

Official files may lie unpacked or in the official tar.gz. In both editions a picture is 3072 bytes: red, green, blue,
each row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from prunecheck.data.batch_reader import array_of, read_batch
from prunecheck.data.catalogue import DataSpec, entry
from prunecheck.data.cifar_names import CLASS_NAMES
from prunecheck.data.files import missing, read_members, roots
from prunecheck.data.parquet import read_split
from prunecheck.data.types import Images, Labels, Source, Split, in_memory
from prunecheck.errors import DataError

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Edition:
    """One official edition. ``label``: byte of the record (binary) or key of the batch (python) that is the class."""

    kind: Literal["binary", "python"]
    folder: str
    archive: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    label: int | str
    label_bytes: int = 1


EDITIONS: dict[str, tuple[Edition, ...]] = {
    "cifar10": (
        Edition(
            "binary",
            "cifar-10-batches-bin",
            "cifar-10-binary.tar.gz",
            train=tuple(f"data_batch_{n}.bin" for n in range(1, 6)),
            test=("test_batch.bin",),
            label=0,
        ),
        Edition(
            "python",
            "cifar-10-batches-py",
            "cifar-10-python.tar.gz",
            train=tuple(f"data_batch_{n}" for n in range(1, 6)),
            test=("test_batch",),
            label="labels",
        ),
    ),
    "cifar100": (
        Edition(
            "binary",
            "cifar-100-binary",
            "cifar-100-binary.tar.gz",
            train=("train.bin",),
            test=("test.bin",),
            label=1,
            label_bytes=2,
        ),
        Edition(
            "python",
            "cifar-100-python",
            "cifar-100-python.tar.gz",
            train=("train",),
            test=("test",),
            label="fine_labels",
        ),
    ),
}

PARQUET_FOLDERS = (".", "plain_text", "data", "cifar10", "cifar100")
LABEL_COLUMNS = {"cifar10": ("label",), "cifar100": ("fine_label", "label")}


@dataclass(frozen=True)
class Found:
    """The official *edition* in the folder or archive *place*, or (edition None) the parquet files in it."""

    edition: Edition | None
    place: Path


def files(spec: DataSpec) -> dict[str, Path]:
    """The batches, the archive, or the parquet files. Raises DataError where nothing is found."""
    found = _find(spec)
    if found.edition is None:
        paths = [*_parquet(found.place, "train"), *_parquet(found.place, "test")]
    elif found.place.is_file():
        paths = [found.place]
    else:
        paths = [found.place / name for name in (*found.edition.train, *found.edition.test)]
        for path in paths:
            if not path.is_file():
                raise DataError(f"data {spec.name!r}: {path} is missing. Unpack {found.edition.archive} again.")
    return {path.name: path for path in paths}


def read(spec: DataSpec) -> Source:
    """All images and labels. Raises DataError for torn files and for another number of images than published."""
    found = _find(spec)
    if found.edition is None:
        columns = LABEL_COLUMNS[spec.name]
        train = read_split(_parquet(found.place, "train"), columns)
        test = read_split(_parquet(found.place, "test"), columns)
    else:
        edition = found.edition
        members = read_members(found.place, [*edition.train, *edition.test])
        train = _official(edition, edition.train, members, found.place)
        test = _official(edition, edition.test, members, found.place)
    known = entry(spec.name)
    for split, targets, published in (("train", train.targets, known.n_train), ("test", test.targets, known.n_test)):
        if len(targets) != published:
            raise DataError(
                f"data {spec.name!r}: {found.place} holds {len(targets)} {split} images, not {published}: torn or "
                "cut. Download it again; train_size and test_size make it smaller."
            )
    return Source(train, test, CLASS_NAMES[spec.name])


def _find(spec: DataSpec) -> Found:
    editions = EDITIONS[spec.name]
    for root in roots(spec):
        for edition in editions:
            for base in (root, root / spec.name):
                for place in (base / edition.folder, base / edition.archive, base):
                    if _holds(place, edition):
                        return Found(edition, place)
        for base in (root, root / spec.name):
            for folder in PARQUET_FOLDERS:
                if _parquet(base / folder, "train") and _parquet(base / folder, "test"):
                    return Found(None, base / folder)
    expected = [edition.folder for edition in editions] + [edition.archive for edition in editions]
    raise missing(spec, [*expected, f"{spec.name}/train-*.parquet"])


def _holds(place: Path, edition: Edition) -> bool:
    if place.is_dir():
        return place.name == edition.folder or (place / edition.train[0]).is_file()
    return place.name == edition.archive and place.is_file()


def _parquet(folder: Path, split: str) -> list[Path]:
    return sorted(folder.glob(f"{split}*.parquet"))


def _official(edition: Edition, names: Sequence[str], members: Mapping[str, bytes], place: Path) -> Split:
    decode = _binary_batch if edition.kind == "binary" else _python_batch
    batches = [decode(edition, members[name], f"{place}: {name}") for name in names]
    inputs = np.concatenate([images for images, _ in batches])
    return in_memory(inputs, np.concatenate([labels for _, labels in batches]))


def _binary_batch(edition: Edition, content: bytes, where: str) -> tuple[Images, Labels]:
    record = edition.label_bytes + PIXELS
    if not content or len(content) % record:
        raise DataError(f"{where} is torn: {len(content)} bytes are no multiple of {record}. Download it again.")
    table = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    images = table[:, edition.label_bytes :].reshape(-1, 3, 32, 32)
    return images, table[:, int(edition.label)].astype(np.int64)


def _python_batch(edition: Edition, content: bytes, where: str) -> tuple[Images, Labels]:
    batch = read_batch(content, where)
    pixels = array_of(batch.get("data"), where)
    labels = batch.get(str(edition.label))
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{where} has no list of whole numbers {edition.label!r}.")
    if pixels.shape != (len(labels), PIXELS):
        raise DataError(f"{where}: {len(labels)} labels, pixels {list(pixels.shape)}; it should be [n, {PIXELS}].")
    return pixels.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64)

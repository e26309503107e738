"""What data sets there are, as plain values; nothing is read here."""

from __future__ import annotations

from dataclasses import dataclass

from prunecheck.errors import DataError
from prunecheck.text import unknown


@dataclass(frozen=True)
class DataEntry:
    """One data set. ``size``: side in pixels. ``mean`` and ``std`` a channel, as fractions of 1; None: from train.

    Numbers are the published ones; None where they depend on what lies in the folder. ``reader`` is a module with
    ``files(spec)``, ``read(spec)`` and, where numbers are None, ``shape(spec)``.
    """

    name: str
    summary: str
    reader: str
    num_classes: int | None = None
    channels: int = 3
    size: int | None = None
    n_train: int | None = None
    n_test: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


_ENTRIES = (
    DataEntry(
        "digits",
        "handwritten digits, 8x8 grey, part of the package: nothing to download",
        "prunecheck.data.bundled",
        num_classes=10,
        channels=1,
        size=8,
        n_train=1000,
        n_test=797,
    ),
    DataEntry(
        "mnist5k",
        "5,000 images of MNIST, 28x28 grey, part of the package: nothing to download",
        "prunecheck.data.bundled",
        num_classes=10,
        channels=1,
        size=28,
        n_train=4000,
        n_test=1000,
    ),
    DataEntry(
        "cifar10",
        "CIFAR-10, 32x32 colour, 10 classes: official files, their archive, or parquet",
        "prunecheck.data.cifar",
        num_classes=10,
        size=32,
        n_train=50_000,
        n_test=10_000,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),
    ),
    DataEntry(
        "cifar100",
        "CIFAR-100, 32x32 colour, 100 classes: official files, their archive, or parquet",
        "prunecheck.data.cifar",
        num_classes=100,
        size=32,
        n_train=50_000,
        n_test=10_000,
        mean=(0.5071, 0.4867, 0.4408),
        std=(0.2675, 0.2565, 0.2761),
    ),
    DataEntry(
        "mnist",
        "MNIST, 28x28 grey, 10 classes: the four idx files, gzipped or not",
        "prunecheck.data.idx",
        num_classes=10,
        channels=1,
        size=28,
        n_train=60_000,
        n_test=10_000,
        mean=(0.1307,),
        std=(0.3081,),
    ),
    DataEntry(
        "fashion_mnist",
        "Fashion-MNIST, 28x28 grey, 10 classes: the four idx files, gzipped or not",
        "prunecheck.data.idx",
        num_classes=10,
        channels=1,
        size=28,
        n_train=60_000,
        n_test=10_000,
        mean=(0.2860,),
        std=(0.3530,),
    ),
    DataEntry(
        "svhn",
        "SVHN, 32x32 colour house numbers, 10 classes: the two official .mat files of the cropped digits",
        "prunecheck.data.svhn",
        num_classes=10,
        size=32,
        n_train=73_257,
        n_test=26_032,
        mean=(0.4377, 0.4438, 0.4728),
        std=(0.1980, 0.2010, 0.1970),
    ),
    DataEntry(
        "tiny_imagenet",
        "Tiny-ImageNet, 64x64 colour, 200 classes: the official folder or zip; tested on its val images",
        "prunecheck.data.tiny_imagenet",
        num_classes=200,
        size=64,
        mean=(0.4802, 0.4481, 0.3975),
        std=(0.2770, 0.2691, 0.2821),
    ),
    DataEntry(
        "folder",
        "any folder of images: train/CLASS/*.png and test/ or val/, or CLASS/*.png; root says where",
        "prunecheck.data.folder",
    ),
)

DATASETS: dict[str, DataEntry] = {entry.name: entry for entry in _ENTRIES}
"""Name -> entry, in the order they are listed."""


def names() -> tuple[str, ...]:
    """The names of the data sets."""
    return tuple(DATASETS)


def entry(name: str) -> DataEntry:
    """The entry of *name*. Raises DataError with the nearest right name."""
    if name not in DATASETS:
        raise DataError(unknown("data set", name, DATASETS))
    return DATASETS[name]

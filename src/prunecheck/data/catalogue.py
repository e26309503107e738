"""The list of data sets, as plain values; nothing is read here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prunecheck.errors import DataError
from prunecheck.text import unknown


@dataclass(frozen=True)
class DataSpec:
    """A data set by name, optionally reduced. Raises DataError for sizes that are not positive integers.

    ``root``: the folder (or archive) that holds the files; None looks in $PRUNECHECK_DATA, then in ``./data``.
    ``size``: side in pixels after area down-sampling. ``train_size``, ``test_size``: that many images, drawn
    class by class in a fixed order, so that a smaller subset lies inside every larger one. The data sets of the package
    are split by the package: a ``test_size`` above their usual one takes images from training. ``image``, ``label``:
    the columns of a parquet table, if several are possible. ``stream``: decode images for each batch instead of loading
    all of them. ``center_crop``: share of the shorter side kept in evaluation, in (0, 1], where images are streamed.
    """

    name: str
    root: str | None = None
    size: int | None = None
    train_size: int | None = None
    test_size: int | None = None
    image: str | None = None
    label: str | None = None
    stream: bool = False
    center_crop: float | None = None

    def __post_init__(self) -> None:
        known = DATASETS.get(self.name)
        if self.stream and known is not None and not known.streams:
            able = ", ".join(name for name, entry in DATASETS.items() if entry.streams)
            raise DataError(f"data {self.name!r} is loaded into memory; stream = true is for {able}.")
        if self.center_crop is not None and not self.is_streamed:
            raise DataError(f"data {self.name!r}: center_crop is for images that are streamed. Set stream = true.")
        if self.center_crop is not None and not 0 < self.center_crop <= 1:
            raise DataError(f"data {self.name!r}: center_crop = {self.center_crop:g} is no fraction in (0, 1].")
        if self.name != "parquet" and (self.image is not None or self.label is not None):
            raise DataError(f"data {self.name!r}: image and label name columns; only data 'parquet' has them.")
        for field in ("size", "train_size", "test_size"):
            value = getattr(self, field)
            if value is not None and (type(value) is not int or value < 1):
                raise DataError(f"data {self.name!r}: {field} is a positive whole number, not {value!r}.")

    @property
    def is_streamed(self) -> bool:
        """Whether images stay on the disk and are decoded for each batch."""
        return self.stream or (self.name in DATASETS and DATASETS[self.name].streams == "always")


@dataclass(frozen=True)
class DataShape:
    """The shape of a loaded data set: images ``[n, channels, size, size]`` and labels 0..num_classes-1."""

    num_classes: int
    channels: int
    size: int
    n_train: int
    n_test: int


@dataclass(frozen=True)
class DataEntry:
    """One data set. ``size``: side in pixels. ``mean`` and ``std`` per channel, as fractions of 1; None: from train.

    Numbers are the published ones; None where they depend on what lies in the folder. ``official``: what lies there if
    the data set is complete, to plan with while it is not there. ``reader`` is a module with
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
    official: DataShape | None = None
    streams: Literal["", "on request", "always"] = ""
    """whether images may stay on the disk"""
    center_crop: float = 1.0
    """share of the shorter side that streamed images keep in evaluation, where the spec says nothing"""
    own_split: bool = False
    """the package divides the images into training and test, so that more of them can be for test"""

    def parts(self, spec: DataSpec) -> tuple[int, int]:
        """Images for training and for test, before ``train_size`` and ``test_size`` choose among them.

        Only where both numbers are known. At least one image of each class is left for training.
        """
        assert self.n_train is not None
        assert self.n_test is not None
        more = max(0, (spec.test_size or 0) - self.n_test) if self.own_split else 0
        more = min(more, self.n_train - (self.num_classes or 1))
        return self.n_train - more, self.n_test + more


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
        own_split=True,
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
        "tiny_imagenet",
        "Tiny-ImageNet, 64x64 colour, 200 classes: the official folder or zip; tested on its val images",
        "prunecheck.data.tiny_imagenet",
        num_classes=200,
        size=64,
        mean=(0.4802, 0.4481, 0.3975),
        std=(0.2770, 0.2691, 0.2821),
        official=DataShape(200, 3, 64, 100_000, 10_000),
    ),
    DataEntry(
        "folder",
        "any folder of images: train/CLASS/*.png and test/ or val/, or CLASS/*.png; root says where",
        "prunecheck.data.folder",
        streams="on request",
    ),
    DataEntry(
        "parquet",
        "any images in parquet files as Hugging Face lays them out; root says where",
        "prunecheck.data.parquet",
        streams="on request",
    ),
    DataEntry(
        "webdataset",
        "any images in tar shards as WebDataset lays them out, streamed; root says where",
        "prunecheck.data.webdataset",
        streams="always",
    ),
    DataEntry(
        "imagenet",
        "ImageNet (ILSVRC 2012), 1000 classes, streamed at 224x224: folders, tar shards or parquet files",
        "prunecheck.data.imagenet",
        size=224,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        official=DataShape(1000, 3, 224, 1_281_167, 50_000),
        streams="always",
        center_crop=0.875,
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

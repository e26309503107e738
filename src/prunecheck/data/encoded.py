"""``StreamedData``: a data set whose images stay encoded on the disk and are decoded for each batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np

from prunecheck.data.catalogue import DataShape, DataSpec
from prunecheck.data.types import Labels, check_every_class, check_targets
from prunecheck.errors import DataError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""of all streamed data: computing its own would decode every image once"""

BLOCKS_AT_ONCE = 16
"""blocks whose images an epoch mixes, where images are read in blocks"""


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Labels ``[N]``, and ``read(position)``: a name for messages and the encoded bytes, from any thread.

    ``blocks``: the block ``[N]`` that each image lies in, where only whole blocks can be read fast; else None.
    """

    targets: Labels
    read: Callable[[int], tuple[str, bytes]]
    blocks: Labels | None = None

    def part(self, positions: Labels) -> EncodedImages:
        """The images at *positions*."""
        blocks = None if self.blocks is None else self.blocks[positions]
        return EncodedImages(self.targets[positions], lambda i: self.read(int(positions[i])), blocks)


@dataclass(frozen=True, eq=False)
class StreamedSource:
    """Train and test of a data set on disk, as a reader finds them."""

    train: EncodedImages
    test: EncodedImages
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()


class StreamReader(Protocol):
    """What the module behind a data set offers whose images are streamed. All raise DataError."""

    files: Callable[[DataSpec], Mapping[str, Path]]
    shape: Callable[[DataSpec], DataShape]
    stream: Callable[[DataSpec], StreamedSource]
    contents: Callable[[DataSpec], Sequence[tuple[str, str]]]
    """(name, hash of the content) of every part: what is not broken, and what the fingerprint is made of"""


@dataclass(frozen=True, eq=False)
class StreamedData:
    """Images of ``size`` pixels a side in 3 channels, decoded when they are asked for.

    ``center_crop``: the share of the shorter side that is kept of an image that is not cropped at random, in (0, 1].
    Other fields as in ``ImageData``. Raises DataError for labels that are no classes.
    """

    train: EncodedImages
    test: EncodedImages
    num_classes: int
    size: int
    center_crop: float
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    channels = 3

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise DataError(f"a data set has at least 2 classes, this one has {self.num_classes}.")
        for split, part in (("train", self.train), ("test", self.test)):
            if not len(part.targets):
                raise DataError(f"{split} is empty.")
            check_targets(split, part.targets, self.num_classes)
        check_every_class(self.train.targets, self.num_classes)

    @property
    def train_targets(self) -> Labels:
        return self.train.targets

    @property
    def test_targets(self) -> Labels:
        return self.test.targets


def decoder() -> str:
    """What decodes and resizes images: versions of it may give other pixels."""
    return f"pillow {version('pillow')}"


def in_blocks(order: Labels, blocks: Labels, places: Labels, at_once: int) -> Labels:
    """*order*, rearranged so that no more than *at_once* blocks are read at a time.

    ``blocks``: the block of every image; ``places``: the place of every block in the order of an epoch. Within each
    group of blocks the images stay in the order they have in *order*.
    """
    return order[np.argsort(places[blocks[order]] // at_once, kind="stable")]

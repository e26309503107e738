"""``ImageData``: a data set in memory, validated when it is created."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prunecheck.errors import DataError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images ``[N, C, H, H]`` uint8, contiguous, and labels ``[N]`` int64 in 0..num_classes-1, for train and test.

    ``mean`` and ``std``: one number per channel, as fractions of 1 (pixel / 255). ``class_names``: one per class, or
    none. ``notes``: sentences for the reader of a report, such as images that train and test share.
    Raises DataError for anything else, naming the split: an empty one, one class only, a class absent from train.
    """

    train_inputs: Images
    train_targets: Labels
    test_inputs: Images
    test_targets: Labels
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise DataError(f"a data set has at least 2 classes, this one has {self.num_classes}.")
        _check_split("train", self.train_inputs, self.train_targets, self.num_classes)
        _check_split("test", self.test_inputs, self.test_targets, self.num_classes)
        _check_same_shape(self.train_inputs, self.test_inputs)
        check_every_class(self.train_targets, self.num_classes)
        self._check_statistics()

    @property
    def channels(self) -> int:
        return int(self.train_inputs.shape[1])

    @property
    def size(self) -> int:
        """Side in pixels."""
        return int(self.train_inputs.shape[-1])

    def _check_statistics(self) -> None:
        channels = self.train_inputs.shape[1]
        if len(self.mean) != channels or len(self.std) != channels:
            raise DataError(f"mean and std have one number per channel ({channels}): {self.mean}, {self.std}.")
        if not np.isfinite(self.mean).all() or not np.isfinite(self.std).all() or min(self.std) <= 0:
            raise DataError(f"mean and std are finite and std is positive: {self.mean}, {self.std}.")
        if self.class_names and len(self.class_names) != self.num_classes:
            raise DataError(f"{len(self.class_names)} class names for {self.num_classes} classes.")


def _check_split(split: str, inputs: Images, targets: Labels, num_classes: int) -> None:
    if inputs.dtype != np.uint8 or inputs.ndim != 4 or inputs.shape[2] != inputs.shape[3]:
        raise DataError(
            f"{split} images are uint8 [N, C, H, H], not {inputs.dtype} {list(inputs.shape)}. "
            "Keep pixels at 0..255; size= makes images square."
        )
    if not inputs.flags.c_contiguous:
        raise DataError(f"{split} images are not contiguous. Pass numpy.ascontiguousarray(images).")
    if targets.dtype != np.int64 or targets.shape != (len(inputs),):
        raise DataError(
            f"{split} labels are int64 [{len(inputs)}], one per image, not {targets.dtype} {list(targets.shape)}."
        )
    if inputs.size == 0:
        raise DataError(f"{split} is empty: {list(inputs.shape)}.")
    check_targets(split, targets, num_classes)


def check_targets(split: str, targets: Labels, num_classes: int) -> None:
    outside = np.flatnonzero((targets < 0) | (targets >= num_classes))
    if len(outside):
        first = outside[0]
        raise DataError(
            f"{len(outside)} {split} labels are outside 0..{num_classes - 1}; "
            f"the first is {targets[first]}, of image {first}."
        )


def _check_same_shape(train: Images, test: Images) -> None:
    if train.shape[1:] != test.shape[1:]:
        raise DataError(f"train images are {list(train.shape[1:])}, test images {list(test.shape[1:])}.")


def check_every_class(targets: Labels, num_classes: int) -> None:
    counts = np.bincount(targets, minlength=num_classes)
    if np.count_nonzero(counts) == 1:
        raise DataError(f"every train image has the same label, {targets[0]}: there is nothing to learn.")
    absent = np.flatnonzero(counts == 0)
    if len(absent):
        listed = ", ".join(map(str, absent[:10]))
        raise DataError(f"{len(absent)} of {num_classes} classes have no train image: {listed}.")


def shared_images(train: Images, test: Images) -> int:
    """The number of test images that are also in train, pixel for pixel."""
    known = {_digest(image) for image in train}
    return sum(_digest(image) in known for image in test)


def _digest(image: Images) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


@dataclass(frozen=True, eq=False)
class Split:
    """Labels ``[N]``, and a function from positions ``[n]`` to pixels ``[n, C, H, W]``: a subset decodes no more."""

    targets: Labels
    images: Callable[[Labels], Images]


@dataclass(frozen=True, eq=False)
class Source:
    """Train and test of a data set on disk. ``notes``: sentences on what was left out, see ``ImageData``."""

    train: Split
    test: Split
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def in_memory(inputs: Images, targets: Labels) -> Split:
    """A split whose pixels are in memory."""
    return Split(targets, lambda positions: inputs[positions])

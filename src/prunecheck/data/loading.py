"""From a spec to tensors: read, choose, shrink, check."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from prunecheck.data.catalogue import DataShape, DataSpec, entry
from prunecheck.data.encoded import EncodedImages, StreamedData, StreamReader
from prunecheck.data.reduce import balanced, shrink
from prunecheck.data.types import ImageData, Images, Labels, Source, Split, shared_images
from prunecheck.errors import DataError

READERS_VERSION = 1
"""Raised whenever a reader comes to give other pixels, labels or subsets for the same files."""

WHOLE_CONTENT_LIMIT = 2 * 2**30
"""Bytes in all above which only names and sizes of the files are hashed."""

BLOCK = 2**20


class Reader(Protocol):
    """What the module behind a data set offers. All raise DataError."""

    files: Callable[[DataSpec], Mapping[str, Path]]
    """every file the content depends on, under a name that does not depend on the machine"""
    read: Callable[[DataSpec], Source]
    shape: Callable[[DataSpec], DataShape]
    """only where the catalogue cannot know: what lies there, in full size"""


def reader_of(spec: DataSpec) -> Reader:
    """The module that reads the data set. Raises DataError for an unknown name."""
    return cast(Reader, importlib.import_module(entry(spec.name).reader))


def load(spec: DataSpec) -> ImageData:
    """The whole data set in memory, the same to the last pixel every time. Raises DataError, see ``ImageData``."""
    if spec.is_streamed:
        raise DataError(f"data {spec.name!r} is streamed, not loaded into memory. Call open_stream().")
    known = entry(spec.name)
    shape = describe(spec)
    source = reader_of(spec).read(spec)
    train_inputs, train_targets = _take(source.train, spec.train_size, "train_size", shape)
    test_inputs, test_targets = _take(source.test, spec.test_size, "test_size", shape)
    mean, std = known.mean, known.std
    if mean is None or std is None:
        mean, std = channel_statistics(train_inputs)
    return ImageData(
        train_inputs=train_inputs,
        train_targets=train_targets,
        test_inputs=test_inputs,
        test_targets=test_targets,
        num_classes=shape.num_classes,
        mean=mean,
        std=std,
        class_names=source.class_names,
        notes=(*source.notes, *_remarks(train_inputs, test_inputs)),
    )


def open_stream(spec: DataSpec) -> StreamedData:
    """The data set with its images on the disk. Raises DataError, see ``StreamedData``."""
    known, shape = entry(spec.name), describe(spec)
    source = cast(StreamReader, reader_of(spec)).stream(spec)
    share = known.center_crop if spec.center_crop is None else spec.center_crop
    statistics = {} if known.mean is None or known.std is None else {"mean": known.mean, "std": known.std}
    return StreamedData(
        _taken(source.train, spec.train_size, "train_size", shape),
        _taken(source.test, spec.test_size, "test_size", shape),
        shape.num_classes,
        shape.size,
        share,
        class_names=source.class_names,
        notes=source.notes,
        **statistics,
    )


@lru_cache(maxsize=1)
def load_once(spec: DataSpec, expected: str | None = None) -> ImageData | StreamedData:
    """``load`` or ``open_stream``, and the same object again for the same arguments; *expected* is the fingerprint, so
    that files which change are loaded anew. Raises DataError where the files do not have it."""
    images = open_stream(spec) if spec.is_streamed else load(spec)
    if expected is not None and fingerprint(spec) != expected:
        raise DataError(f"data {spec.name!r}: its files changed after the study was planned. Run the study again.")
    return images


def describe(spec: DataSpec) -> DataShape:
    """The shape ``load`` will give, from the catalogue or a listing. Raises DataError for sizes that cannot be had."""
    return _reduced(spec, _published(spec) or reader_of(spec).shape(spec))


def describe_absent(spec: DataSpec, full: DataShape | None = None) -> DataShape | None:
    """What ``describe`` would give if the files were there: from *full*, the data set at full size, or from the
    published numbers; None where neither is known. Raises DataError for sizes that cannot be had."""
    full = full or _published(spec) or entry(spec.name).official
    return None if full is None else _reduced(spec, full)


def _published(spec: DataSpec) -> DataShape | None:
    known = entry(spec.name)
    if known.num_classes and known.size and known.n_train and known.n_test:
        return DataShape(known.num_classes, known.channels, known.size, *known.parts(spec))
    return None


def _reduced(spec: DataSpec, full: DataShape) -> DataShape:
    if spec.size is not None and spec.size > full.size and not spec.is_streamed:
        raise DataError(
            f"data {spec.name!r}: size={spec.size} is over the {full.size} pixels of its images; "
            "they are only ever made smaller."
        )
    _check_part(spec, "train_size", spec.train_size, full.n_train, full.num_classes)
    _check_part(spec, "test_size", spec.test_size, full.n_test, 1)
    return DataShape(
        num_classes=full.num_classes,
        channels=full.channels,
        size=spec.size or full.size,
        n_train=spec.train_size or full.n_train,
        n_test=spec.test_size or full.n_test,
    )


def check(spec: DataSpec) -> None:
    """Fast preflight: the name is known, the files are there, the sizes can be had. Raises DataError saying where."""
    if not spec.is_streamed:  # where the files are looked at for the shape
        reader_of(spec).files(spec)
    describe(spec)


def channel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of ``[N, C, H, W]``, as fractions of 1; a constant channel has 1."""
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = np.bincount(images[:, channel].ravel(), minlength=256)
        values = np.arange(256) / 255
        mean = float(counts @ values / counts.sum())
        deviation = float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))
        means.append(mean)
        deviations.append(deviation or 1.0)
    return tuple(means), tuple(deviations)


def _remarks(train: Images, test: Images) -> Iterator[str]:
    """Sentences on what is odd about the images."""
    shared = shared_images(train, test)
    if shared:
        yield f"{shared} of {len(test)} test images are in train too, pixel for pixel."
    if (train == train[0]).all():
        yield "All training images are equal: there is nothing to learn from them."
    else:
        constant = [str(channel) for channel in range(train.shape[1]) if np.ptp(train[:, channel]) == 0]
        if constant:
            yield f"All pixels of channel {', '.join(constant)} are equal in the training images."


def _take(split: Split, n: int | None, what: str, shape: DataShape) -> tuple[Images, Labels]:
    every = np.arange(len(split.targets), dtype=np.int64)
    positions = every if n is None else balanced(split.targets, n, shape.num_classes, what)
    images = shrink(split.images(positions), shape.size)
    return np.ascontiguousarray(images), split.targets[positions]


def _taken(part: EncodedImages, n: int | None, what: str, shape: DataShape) -> EncodedImages:
    return part if n is None else part.part(balanced(part.targets, n, shape.num_classes, what))


def _check_part(spec: DataSpec, field: str, wanted: int | None, there: int, least: int) -> None:
    if wanted is not None and not least <= wanted <= there:
        raise DataError(f"data {spec.name!r}: {field}={wanted} is not in {least}..{there}.")


def fingerprint(spec: DataSpec) -> str:
    """SHA-256 in hex over the spec and the files behind it; where they lie does not matter, their relative names do.

    Files of over 2 GiB in all are told apart by relative name and size alone: rename one if you change its pixels.
    Streamed ones are told apart by their content at any size, which is read once and remembered (``scan``).
    Raises DataError where the files are missing or cannot be read.
    """
    files = {} if spec.is_streamed else reader_of(spec).files(spec)
    describe(spec)
    columns = (spec.image, spec.label) if spec.image or spec.label else ()
    asked = (READERS_VERSION, spec.name, spec.size, spec.train_size, spec.test_size, *columns)
    digest = hashlib.sha256(repr(asked).encode())
    try:
        for piece in _stream_pieces(spec) if spec.is_streamed else _pieces(files):
            digest.update(piece)
    except OSError as error:
        raise DataError(f"data {spec.name!r} cannot be read: {error}.") from error
    return digest.hexdigest()


def _stream_pieces(spec: DataSpec) -> Iterator[bytes]:
    yield b"streamed"
    for part in sorted(cast(StreamReader, reader_of(spec)).contents(spec)):
        yield repr(part).encode()


def _pieces(files: Mapping[str, Path]) -> Iterator[bytes]:
    sizes = {name: path.stat().st_size for name, path in files.items()}
    contents = sum(sizes.values()) <= WHOLE_CONTENT_LIMIT
    for name in sorted(files):
        yield repr((name, sizes[name])).encode()
        if contents:
            with files[name].open("rb") as stream:
                yield from iter(lambda: stream.read(BLOCK), b"")

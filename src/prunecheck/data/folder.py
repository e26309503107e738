"""Any folder of images, one folder a class, always read as colour.

Either ``root/train/CLASS/*.png`` with ``root/test/CLASS`` or ``root/val/CLASS`` (test is taken where both are there),
or ``root/CLASS/*.png``, of which a fixed fifth of each class becomes the test set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from prunecheck.data.catalogue import DataShape, DataSpec
from prunecheck.data.images import decode_all, side_of
from prunecheck.data.reduce import scattered
from prunecheck.data.types import Images, Labels, Source, Split
from prunecheck.errors import DataError
from prunecheck.text import printable

SUFFIXES = {".png", ".jpg", ".jpeg"}
TEST_FOLDERS = ("test", "val")
TEST_EVERY = 5
"""Without a test folder, one image in five is for test."""


@dataclass(frozen=True)
class Listing:
    """Paths relative to ``root``, sorted by class and name, with their labels."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]


def files(spec: DataSpec) -> dict[str, Path]:
    """Every image. Raises DataError where the folder does not look as described above."""
    listing = _list(spec)
    return {name: listing.root / name for name, _ in (*listing.train, *listing.test)}


def shape(spec: DataSpec) -> DataShape:
    """Numbers from the listing, the size from the spec or the first image. Raises DataError."""
    listing = _list(spec)
    return DataShape(
        num_classes=len(listing.classes),
        channels=3,
        size=spec.size or _side_of_first(listing),
        n_train=len(listing.train),
        n_test=len(listing.test),
    )


def read(spec: DataSpec) -> Source:
    """Images of one size: the size of the spec, or the one they all have. Decoded when asked for. Raises DataError."""
    listing = _list(spec)
    return Source(
        train=_split(listing.root, listing.train, spec.size),
        test=_split(listing.root, listing.test, spec.size),
        class_names=listing.classes,
    )


def _list(spec: DataSpec) -> Listing:
    if spec.root is None:
        raise DataError("data 'folder' takes a root: the folder with train/CLASS/*.png, or with CLASS/*.png.")
    root = Path(spec.root).expanduser()
    if not root.is_dir():
        raise DataError(f"data 'folder': root {root} is not a folder.")
    if (root / "train").is_dir():
        return _list_split(root)
    return _list_whole(root)


def _list_split(root: Path) -> Listing:
    train = _classes_of(root, "train")
    for name in TEST_FOLDERS:
        test = _classes_of(root, name)
        if test:
            break
    else:
        raise DataError(f"data 'folder': {root} has train/ but no test/CLASS or val/CLASS with images.")
    strangers = sorted(set(test) - set(train))
    if strangers:
        raise DataError(f"data 'folder': class {printable(strangers[0])!r} of {root / name} is not in train/.")
    classes = tuple(train)
    return Listing(root, classes, _labelled(train, classes), _labelled(test, classes))


def _list_whole(root: Path) -> Listing:
    every = _classes_of(root, "")
    if not every:
        raise DataError(f"data 'folder': {root} has no CLASS/*.png or *.jpg; it is root/CLASS or root/train/CLASS.")
    train, test = {}, {}
    for name, images in every.items():
        n_test = max(1, len(images) // TEST_EVERY)
        chosen = set(scattered(len(images))[:n_test].tolist())
        if len(images) <= n_test:
            raise DataError(f"data 'folder': class {printable(name)!r} has {len(images)} images: too few to split.")
        test[name] = [image for i, image in enumerate(images) if i in chosen]
        train[name] = [image for i, image in enumerate(images) if i not in chosen]
    classes = tuple(every)
    return Listing(root, classes, _labelled(train, classes), _labelled(test, classes))


def _classes_of(root: Path, folder: str) -> dict[str, list[str]]:
    """Class -> its images relative to root, all sorted; no class where the folder is missing or has no subfolder."""
    base = root / folder
    if not base.is_dir():
        return {}
    found: dict[str, list[str]] = {}
    for path in sorted(base.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            images = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
            if not images:
                raise DataError(f"data 'folder': {path} is a class without a png or jpg.")
            found[path.name] = [image.relative_to(root).as_posix() for image in images]
    return found


def _labelled(images: Mapping[str, Sequence[str]], classes: Sequence[str]) -> tuple[tuple[str, int], ...]:
    return tuple((name, label) for label, cls in enumerate(classes) for name in images.get(cls, ()))


def _side_of_first(listing: Listing) -> int:
    name = listing.train[0][0]
    width, height = side_of(name, (listing.root / name).read_bytes())
    if width != height:
        raise DataError(f"data 'folder': {name} has {width}x{height} pixels, not a square. Give a size.")
    return width


def _split(root: Path, images: Sequence[tuple[str, int]], size: int | None) -> Split:
    names = [name for name, _ in images]
    targets = np.array([label for _, label in images], dtype=np.int64)
    return Split(targets, partial(_decode, root, names, size))


def _decode(root: Path, names: Sequence[str], size: int | None, positions: Labels) -> Images:
    chosen = [names[position] for position in positions]
    return decode_all(chosen, lambda name: (root / name).read_bytes(), fit=size)

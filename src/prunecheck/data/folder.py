"""Any folder of images, one folder per class, always read as colour.

Either ``root/train/CLASS/*.png`` with ``root/test/CLASS`` or ``root/val/CLASS`` (test is taken where both are there),
or ``root/CLASS/*.png``, of which a fixed fifth of each class becomes the test set. Images of kinds that are not read
are refused; other files that are left out are counted in a note, but for hidden files, which file managers write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from prunecheck.data.catalogue import DataShape, DataSpec
from prunecheck.data.images import OTHER_SUFFIXES, SUFFIXES, decode_all, side_of
from prunecheck.data.reduce import held_out
from prunecheck.data.types import Images, Labels, Source, Split
from prunecheck.errors import DataError, DataMissing
from prunecheck.text import printable

TEST_FOLDERS = ("test", "val")
SYSTEM = {"Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Listing:
    """Paths relative to ``root``, sorted by class and name, with their labels; ``left``: files that are not read."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]
    left: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        if not self.left:
            return ()
        listed = ", ".join(printable(name) for name in self.left[:3])
        more = ", …" if len(self.left) > 3 else ""
        return (f"{len(self.left)} files or folders in {printable(str(self.root))} are not read: {listed}{more}.",)


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
        notes=listing.notes(),
    )


def _list(spec: DataSpec) -> Listing:
    if spec.root is None:
        raise DataError("data 'folder' takes a root: the folder with train/CLASS/*.png, or with CLASS/*.png.")
    root = Path(spec.root).expanduser()
    if not root.is_dir():
        raise DataMissing(f"data 'folder': root {root} is not a folder.")
    if (root / "train").is_dir():
        return _list_split(root)
    return _list_whole(root)


def _list_split(root: Path) -> Listing:
    train, left = _classes_of(root, "train")
    if not train:
        raise DataError(f"data 'folder': {root / 'train'} has no CLASS/*.png.")
    for name in TEST_FOLDERS:
        test, left_of_test = _classes_of(root, name)
        if test:
            break
    else:
        raise DataError(f"data 'folder': {root} has train/ but no test/CLASS or val/CLASS with images.")
    unknown = sorted(set(test) - set(train))
    if unknown:
        raise DataError(f"data 'folder': class {printable(unknown[0])!r} of {root / name} is not in train/.")
    beside = [path.name for path in _visible(root) if path.name not in ("train", name)]
    classes = tuple(train)
    return Listing(root, classes, _labelled(train, classes), _labelled(test, classes), (*beside, *left, *left_of_test))


def _list_whole(root: Path) -> Listing:
    every, left = _classes_of(root, "")
    if not every:
        raise DataError(f"data 'folder': {root} has no CLASS/*.png or *.jpg; it is root/CLASS or root/train/CLASS.")
    classes = tuple(every)
    images = _labelled(every, classes)
    train, test = held_out(np.array([label for _, label in images], dtype=np.int64), f"data 'folder': {root}", classes)
    return Listing(root, classes, tuple(images[i] for i in train), tuple(images[i] for i in test), left)


def _classes_of(root: Path, folder: str) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """Class -> its images, and the files that are left out, all relative to root and sorted."""
    base = root / folder
    found: dict[str, list[str]] = {}
    left: list[Path] = []
    for path in _visible(base) if base.is_dir() else ():
        if not path.is_dir():
            left.append(path)
            continue
        inside = list(_visible(path))
        images = [p for p in inside if p.suffix.lower() in SUFFIXES and p.is_file()]
        others = [p for p in inside if p.suffix.lower() in OTHER_SUFFIXES]
        if others:
            read = ", ".join(suffix.removeprefix(".") for suffix in sorted(SUFFIXES))
            raise DataError(
                f"data 'folder': {len(others)} of {len(inside)} files in {path} are images of a kind that is not read, "
                f"e.g. {printable(others[0].name)}. Convert them to one of {read}, or remove them."
            )
        if not images:
            raise DataError(f"data 'folder': {path} is a class without a png or jpg.")
        found[path.name] = [image.relative_to(root).as_posix() for image in images]
        left += [p for p in inside if p not in set(images)]
    return found, tuple(path.relative_to(root).as_posix() for path in left)


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name not in SYSTEM)
    except OSError as error:
        raise DataError(f"data 'folder': {folder} cannot be read: {error}.") from error


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

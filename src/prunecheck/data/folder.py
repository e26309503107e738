"""Any folder of images, one folder per class, always read as colour.

Either ``root/train/CLASS/*.png`` with ``root/test/CLASS`` or ``root/val/CLASS`` (test is taken where both are there),
or ``root/CLASS/*.png``, of which a fixed fifth of each class becomes the test set. Images of kinds that are not read
are refused; other files that are left out are counted in a note, but for hidden files, which file managers write.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from prunecheck.data.catalogue import DataShape, DataSpec
from prunecheck.data.encoded import EncodedImages, StreamedSource
from prunecheck.data.images import OTHER_SUFFIXES, SUFFIXES, decode_all, side_of, verify_encoded
from prunecheck.data.reduce import held_out
from prunecheck.data.scan import RECENT_NS, BrokenImages, Found, look_at_all, remembered
from prunecheck.data.types import Images, Labels, Source, Split
from prunecheck.errors import DataError, DataMissing
from prunecheck.text import printable, printable_path

TEST_FOLDERS = ("test", "val")
READERS = 8
"""threads that read a folder: most of the time they wait for the disk"""
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


def stream(spec: DataSpec) -> StreamedSource:
    """As ``read``; images are decoded for each batch."""
    listing = _list(spec)
    train, test = (_encoded(listing.root, images) for images in (listing.train, listing.test))
    return StreamedSource(train, test, listing.classes, listing.notes())


def contents(spec: DataSpec) -> list[tuple[str, str]]:
    """(folder, hash of the names and contents in it) of every folder of images, which are read once. Raises DataError
    that names images that are broken."""
    listing = _list(spec)
    folders: dict[str, list[str]] = {}
    for name, _ in (*listing.train, *listing.test):
        above, _, last = name.rpartition("/")
        folders.setdefault(above, []).append(last)
    looks = [partial(_look, listing.root, folder, sorted(names)) for folder, names in folders.items()]
    found = look_at_all(f"data 'folder': {listing.root}", looks)
    return [(folder, one["content"]) for folder, one in zip(folders, found, strict=True)]


def _look(root: Path, folder: str, names: Sequence[str]) -> Found:
    """What is in one folder of images."""
    wanted, path = set(names), root / folder
    try:
        with os.scandir(path) as entries:
            states = [(e.name, e.stat()) for e in entries if e.name in wanted]
    except OSError as error:
        raise DataError(f"data 'folder': {path} cannot be read: {error}.") from error
    digest = hashlib.sha256()
    for name, state in sorted(states):
        digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode(errors="surrogateescape"))
    newest = max(state.st_mtime_ns for _, state in states)
    return remembered(path, digest.hexdigest(), newest, lambda: _found_in(path, names))


def _found_in(path: Path, names: Sequence[str]) -> Found:
    digest, broken = hashlib.sha256(), []
    with ThreadPoolExecutor(READERS) as pool:
        for name, (size, content, reason) in zip(names, pool.map(partial(_verified, path), names), strict=True):
            digest.update(f"{name}\0{size}\0{content}\0".encode(errors="surrogateescape"))
            broken += [reason] if reason else []
    if broken:
        raise BrokenImages(broken)
    return {"content": digest.hexdigest()}


def _verified(path: Path, name: str) -> tuple[int, str, str]:
    """Size and hash of an image, and why it cannot be read, if so."""
    try:
        content = (path / name).read_bytes()
        verify_encoded(str(path / name), content)
    except OSError as error:
        return 0, "", f"image {printable_path(path / name)} cannot be read: {error}."
    except DataError as error:
        return 0, "", str(error)
    return len(content), hashlib.sha256(content).hexdigest(), ""


def _encoded(root: Path, images: Sequence[tuple[str, int]]) -> EncodedImages:
    folder, names = str(root), [name for name, _ in images]

    def read(position: int) -> tuple[str, bytes]:
        path = f"{folder}/{names[position]}"
        try:
            with open(path, "rb") as file:  # noqa: PTH123  (a Path for every image of every batch)
                return path, file.read()
        except OSError as error:
            raise DataError(f"image {printable_path(path)} cannot be read: {error}.") from error

    return EncodedImages(np.array([label for _, label in images], dtype=np.int64), read)


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
    beside = [entry.name for entry in _visible(root) if entry.name not in ("train", name)]
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
    above = f"{folder}/" if folder else ""
    found: dict[str, list[str]] = {}
    left: list[str] = []
    for entry in _visible(base) if base.is_dir() else ():
        if not entry.is_dir():
            left.append(above + entry.name)
            continue
        images, others, rest = _inside(entry.path)
        if others:
            read = ", ".join(suffix.removeprefix(".") for suffix in sorted(SUFFIXES))
            raise DataError(
                f"data 'folder': {len(others)} of {len(images) + len(rest)} files in {entry.path} are images of a kind "
                f"that is not read, e.g. {printable(others[0])}. Convert them to one of {read}, or remove them."
            )
        if not images:
            raise DataError(f"data 'folder': {entry.path} is a class without a png or jpg.")
        where = f"{above}{entry.name}/"
        found[entry.name] = [where + name for name in images]
        left += [where + name for name in rest]
    return found, tuple(left)


Inside = tuple[list[str], list[str], list[str]]
"""names in a folder, sorted: images, images of kinds that are not read, all that are not read"""

_listed: dict[str, tuple[int, Inside]] = {}
"""folder -> its modification time and what is inside: a study lists its data several times"""


def _inside(folder: str) -> Inside:
    changed, now = os.stat(folder).st_mtime_ns, time.time_ns()  # noqa: PTH116
    if folder in _listed and _listed[folder][0] == changed:
        return _listed[folder][1]
    images, others, rest = [], [], []
    for entry in _visible(Path(folder)):
        # a Path for each of a million names would take seconds
        suffix = entry.name[entry.name.rfind(".") :].lower()
        if suffix in SUFFIXES and entry.is_file():
            images.append(entry.name)
            continue
        rest.append(entry.name)
        if suffix in OTHER_SUFFIXES:
            others.append(entry.name)
    if changed < now - RECENT_NS:
        _listed[folder] = changed, (images, others, rest)
    return images, others, rest


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """Sorted by name."""
    try:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in SYSTEM]
    except OSError as error:
        raise DataError(f"data 'folder': {folder} cannot be read: {error}.") from error
    return sorted(seen, key=lambda entry: entry.name)


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

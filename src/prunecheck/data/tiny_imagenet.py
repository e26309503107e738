"""Tiny-ImageNet (Stanford CS231n): the official folder, or the official zip read in place.

The official test images have no labels, so the validation images are the test set, as is usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from prunecheck.data.catalogue import DataShape, DataSpec, entry
from prunecheck.data.files import Tree, missing, open_tree, roots
from prunecheck.data.images import decode_all
from prunecheck.data.types import Images, Labels, Source, Split
from prunecheck.errors import DataError
from prunecheck.text import printable

TOP = "tiny-imagenet-200"
CLASSES = "wnids.txt"
WORDS = "words.txt"
ANNOTATIONS = "val/val_annotations.txt"


def files(spec: DataSpec) -> dict[str, Path]:
    """The zip, or every file of the folder. Raises DataError where neither is found."""
    place = _find(spec)
    if place.is_file():
        return {place.name: place}
    with open_tree(place, TOP) as tree:
        return {name: place / name for name in _relevant(tree)}


def shape(spec: DataSpec) -> DataShape:
    """The shape by the listing; official Tiny-ImageNet has 100,000 and 10,000 images."""
    with open_tree(_find(spec), TOP) as tree:
        classes = _classes(tree)
        train, _ = _train(tree, classes)
        test, _ = _test(tree, classes)
    size = entry(spec.name).size
    assert size is not None
    return DataShape(len(classes), 3, size, len(train), len(test))


def read(spec: DataSpec) -> Source:
    """Images sorted by class, then by name; pixels are decoded when asked for. Raises DataError."""
    place = _find(spec)
    with open_tree(place, TOP) as tree:
        classes = _classes(tree)
        train_names, train_targets = _train(tree, classes)
        test_names, test_targets = _test(tree, classes)
        words = _words(tree)
    return Source(
        train=Split(train_targets, partial(_decode, place, train_names)),
        test=Split(test_targets, partial(_decode, place, test_names)),
        class_names=tuple(words.get(name, name) for name in classes),
    )


def _find(spec: DataSpec) -> Path:
    for root in roots(spec):
        places = [root, root / TOP, *sorted(root.glob(f"{TOP}*.zip"))]
        for place in places:
            if (place / CLASSES).is_file() or (place.suffix == ".zip" and place.is_file()):
                return place
    raise missing(spec, [TOP, f"{TOP}.zip"])


def _relevant(tree: Tree) -> list[str]:
    pictures = [name for name in tree.names if name.startswith(("train/", "val/"))]
    return [*pictures, *(name for name in (CLASSES, WORDS) if name in tree.names)]


def _classes(tree: Tree) -> list[str]:
    """Class identifiers, sorted: label k is the k-th of them."""
    if CLASSES not in tree.names:
        raise DataError(f"Tiny-ImageNet: {CLASSES} is missing under {TOP}: not the official layout.")
    return sorted(set(_lines(tree, CLASSES)))


def _train(tree: Tree, classes: Sequence[str]) -> tuple[list[str], Labels]:
    """Paths like ``train/n01443537/images/n01443537_0.JPEG`` and their labels."""
    label_of = {name: label for label, name in enumerate(classes)}
    names, labels = [], []
    for path in tree.names:
        parts = path.split("/")
        if parts[0] == "train" and len(parts) == 4 and path.lower().endswith((".jpeg", ".jpg", ".png")):
            if parts[1] not in label_of:
                raise DataError(f"Tiny-ImageNet: class {printable(parts[1])!r} of train is not in {CLASSES}.")
            names.append(path)
            labels.append(label_of[parts[1]])
    return names, np.array(labels, dtype=np.int64)


def _test(tree: Tree, classes: Sequence[str]) -> tuple[list[str], Labels]:
    """The validation images and their labels, sorted by class and name; each line is ``file, class, box``."""
    if ANNOTATIONS not in tree.names:
        raise DataError(f"Tiny-ImageNet: {ANNOTATIONS} is missing: not the official layout.")
    label_of = {name: label for label, name in enumerate(classes)}
    pairs = []
    for line in _lines(tree, ANNOTATIONS):
        name, _, rest = line.partition("\t")
        label = label_of.get(rest.partition("\t")[0])
        if label is None:
            raise DataError(f"Tiny-ImageNet: {ANNOTATIONS} has a line without a known class: {printable(line)!r}.")
        pairs.append((label, f"val/images/{name}"))
    pairs.sort()
    present = set(tree.names)
    for _, path in pairs:
        if path not in present:
            raise DataError(f"Tiny-ImageNet: {printable(path)} is missing, {ANNOTATIONS} lists it.")
    return [path for _, path in pairs], np.array([label for label, _ in pairs], dtype=np.int64)


def _words(tree: Tree) -> dict[str, str]:
    """Class identifier -> first English name; empty where the file is missing."""
    if WORDS not in tree.names:
        return {}
    pairs = (line.partition("\t") for line in _lines(tree, WORDS))
    return {name: words.split(",")[0] for name, _, words in pairs}


def _lines(tree: Tree, name: str) -> list[str]:
    text = tree.read(name).decode("utf-8", errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _decode(place: Path, names: Sequence[str], positions: Labels) -> Images:
    with open_tree(place, TOP) as tree:
        return decode_all([names[position] for position in positions], tree.read)

"""Data sets with one defect each: the change to a folder, and what the message must contain."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.makers import idx, images, labels, png, write_files, write_mnist

FOLDER = 'data = { name = "folder", root = "pictures", size = 8 }'
AS_THEY_ARE = 'data = { name = "folder", root = "pictures" }'
MNIST = 'data = { name = "mnist", root = "mnist" }'


@dataclass(frozen=True)
class BadData:
    name: str
    spoil: Callable[[Path], object]
    says: tuple[str, ...]
    lines: str = FOLDER


def pictures(folder: Path, classes: int = 2, each: int = 20) -> Path:
    """A valid folder of pictures: ``train/0/0.png`` and so on, and a test folder."""
    root = folder / "pictures"
    for split, seed in (("train", 0), ("test", 1)):
        pixels = images(classes * each, side=8, seed=seed)
        members = {f"{i % classes}/{i // classes}.png": png(image) for i, image in enumerate(pixels)}
        write_files(root / split, members)
    return root


def _claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header states that size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    crc = struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + crc + b"\0\0\0\0IEND\xaeB`\x82"


def _sixteen_bits() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(stream, "png")
    return stream.getvalue()


def _replace(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (pictures(folder) / name).write_bytes(content)


def _cut(name: str) -> Callable[[Path], object]:
    def cut(folder: Path) -> None:
        path = pictures(folder) / name
        path.write_bytes(path.read_bytes()[:-40])

    return cut


def _mnist(change: Callable[[Path], object]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        write_mnist(folder / "mnist", 40, 20, zipped=False)
        change(folder / "mnist")

    return spoil


def _without_test(folder: Path) -> None:
    root = pictures(folder)
    (root / "test").rename(root / "elsewhere")


def _strange_class(folder: Path) -> None:
    root = pictures(folder)
    (root / "test" / "1").rename(root / "test" / "cats")


def _empty_class(folder: Path) -> None:
    (pictures(folder) / "train" / "2").mkdir()


def _flat(folder: Path) -> None:
    write_files(folder / "pictures", {f"{i}.png": png(image) for i, image in enumerate(images(4, side=8))})


def _single_images(folder: Path) -> None:
    write_files(folder / "pictures", {f"{i}/a.png": png(image) for i, image in enumerate(images(4, side=8))})


BAD_DATA = [
    BadData("no folder", lambda _: None, ("pictures", "is not a folder")),
    BadData("no root", lambda _: None, ("takes a root",), 'data = "folder"'),
    BadData("pictures without classes", _flat, ("root/CLASS",)),
    BadData("one picture a class", _single_images, ("too few to split",)),
    BadData("one class", lambda folder: pictures(folder, classes=1), ("at least 2 classes",)),
    BadData("no test folder", _without_test, ("no test/CLASS or val/CLASS",)),
    BadData("a class of the test set only", _strange_class, ("'cats'", "is not in train/")),
    BadData("a class without pictures", _empty_class, ("2 is a class without a png or jpg",)),
    BadData("a torn picture", _cut("train/1/7.png"), ("1/7.png", "cannot be read")),
    BadData("a torn test picture", _cut("test/0/3.png"), ("0/3.png", "cannot be read")),
    BadData("an empty picture", _replace("train/0/2.png", b""), ("0/2.png", "cannot be read")),
    BadData("a web page for a picture", _replace("train/0/2.png", b"<html>404</html>"), ("0/2.png", "cannot be read")),
    BadData("a small file that claims a gigapixel", _replace("train/0/2.png", _claims(40_000, 40_000)), ("0/2.png",)),
    BadData("16 bits a pixel", _replace("train/0/2.png", _sixteen_bits()), ("0/2.png", "more than 8 bits")),
    BadData(
        "pictures of two sizes",
        _replace("train/1/19.png", png(images(1, side=9)[0])),
        ("9x9 pixels", "Give a size"),
        AS_THEY_ARE,
    ),
    BadData(
        "pictures that are no squares",
        _replace("train/0/0.png", png(images(1, side=9)[0][:, :8])),
        ("0/0.png", "not a square", "Give a size"),
        AS_THEY_ARE,
    ),
    BadData(
        "more than there are",
        pictures,
        ("train_size=41", "2..40"),
        'data = { name = "folder", root = "pictures", size = 8, train_size = 41 }',
    ),
    BadData(
        "too few of a class to score on",
        lambda folder: pictures(folder, each=3),
        ("scoring needs 4 samples of every class", "has 3", "Lower scoring.samples_per_class"),
        FOLDER + "\nscoring = { samples_per_class = 4 }",
    ),
    BadData(
        "a missing file",
        _mnist(lambda root: (root / "t10k-labels-idx1-ubyte").unlink()),
        ("mnist", "is not there", "Set root"),
        MNIST,
    ),
    BadData(
        "a torn file",
        _mnist(lambda root: (root / "train-images-idx3-ubyte").write_bytes(idx(images(40, 1, 28)[:, 0])[:-1])),
        ("train-images-idx3-ubyte", "torn or cut"),
        MNIST,
    ),
    BadData(
        "one file in another's place",
        _mnist(lambda root: (root / "train-images-idx3-ubyte").write_bytes(idx(labels(40).astype(np.uint8)))),
        ("train-images-idx3-ubyte", "is not an idx file of 3 dimensions"),
        MNIST,
    ),
    BadData(
        "labels that are no classes",
        _mnist(lambda root: (root / "train-labels-idx1-ubyte").write_bytes(idx(labels(40, 40).astype(np.uint8)))),
        ("30 train labels are outside 0..9", "the first is 10, of image 10"),
        MNIST,
    ),
    BadData(
        "one label for all",
        _mnist(lambda root: (root / "train-labels-idx1-ubyte").write_bytes(idx(np.full(40, 3, np.uint8)))),
        ("every train image has the same label, 3",),
        MNIST,
    ),
    BadData(
        "a class that is never trained on",
        _mnist(lambda root: (root / "train-labels-idx1-ubyte").write_bytes(idx(labels(40, 9).astype(np.uint8)))),
        ("1 of 10 classes have no train image: 9",),
        MNIST,
    ),
]

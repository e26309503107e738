"""Small data sets in the formats people have, made from random pixels."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from prunecheck.data import DATASETS, ImageData

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


def images(n: int, channels: int = 3, side: int = 32, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (n, channels, side, side), dtype=np.uint8)


def labels(n: int, num_classes: int = 10) -> Labels:
    return np.arange(n, dtype=np.int64) % num_classes


def cut(monkeypatch: pytest.MonkeyPatch, name: str, n_train: int, n_test: int) -> None:
    """Let the catalogue expect a small edition of a published data set."""
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], n_train=n_train, n_test=n_test))


def bundle(**changed: object) -> ImageData:
    """A valid ``ImageData`` of 2 classes, with fields replaced."""
    fields: dict[str, object] = {
        "train_inputs": images(6, side=4),
        "train_targets": labels(6, 2),
        "test_inputs": images(4, side=4, seed=1),
        "test_targets": labels(4, 2),
        "num_classes": 2,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.2, 0.2, 0.2),
    }
    return ImageData(**(fields | changed))  # type: ignore[arg-type]


def png(pixels: Pixels) -> bytes:
    """One image ``[C, H, W]`` as PNG, which loses nothing."""
    stream = io.BytesIO()
    array = pixels.transpose(1, 2, 0)
    Image.fromarray(array if array.shape[2] > 1 else array[:, :, 0]).save(stream, "png")
    return stream.getvalue()


def binary_batch(pixels: Pixels, targets: Labels, coarse: bool = False) -> bytes:
    """CIFAR's binary record: (coarse label,) label, 3072 pixels."""
    columns = [targets[:, None].astype(np.uint8), pixels.reshape(len(pixels), -1)]
    if coarse:
        columns.insert(0, np.full((len(pixels), 1), 7, dtype=np.uint8))
    return np.concatenate(columns, axis=1).tobytes()


def short_text(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text


def python_batch(pixels: Pixels, targets: Labels, key: bytes = b"labels", fortran: bool = False) -> bytes:
    """CIFAR's python batch as Python 2 pickled it: texts are byte strings, the array is a call with a state."""
    table = pixels.reshape(len(pixels), -1)
    content = (table.T if fortran else table).tobytes()
    numbers = b"".join(b"K" + bytes([label]) for label in targets)
    dtype = b"cnumpy\ndtype\nq\x0a" + short_text(b"u1") + b"K\x00K\x01\x87Rq\x0b"
    dtype += b"(K\x03" + short_text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x06cnumpy\nndarray\nq\x07K\x00\x85" + short_text(b"b") + b"\x87Rq\x09"
    )
    shape = b"M" + struct.pack("<H", table.shape[0]) + b"M" + struct.pack("<H", table.shape[1]) + b"\x86"
    state = b"(K\x01" + shape + dtype + (b"\x88" if fortran else b"\x89")
    state += b"T" + struct.pack("<I", len(content)) + content + b"tb"
    items = short_text(b"batch_label") + b"q\x02" + short_text(b"training batch 1 of 5") + b"q\x03"
    items += short_text(key) + b"q\x04]q\x05(" + numbers + b"e" + short_text(b"data") + array + state
    return b"\x80\x02}q\x01(" + items + b"u."


def idx(values: Pixels) -> bytes:
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    return header + values.tobytes()


def write_mnist(folder: Path, n_train: int, n_test: int, zipped: bool = True) -> tuple[Pixels, Pixels]:
    """The four files of MNIST; returns the train and test pixels."""
    folder.mkdir(parents=True)
    parts = {}
    for prefix, n, seed in (("train", n_train, 0), ("t10k", n_test, 1)):
        parts[prefix] = images(n, 1, 28, seed)
        contents = {"images-idx3": idx(parts[prefix][:, 0]), "labels-idx1": idx(labels(n).astype(np.uint8))}
        for name, content in contents.items():
            path = folder / f"{prefix}-{name}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content) if zipped else content)
    return parts["train"], parts["t10k"]


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_parquet(path: Path, pixels: Pixels, targets: Labels, image: str = "img", label: str = "label") -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"bytes": png(p), "path": f"{i}.png"} for i, p in enumerate(pixels)]
    pq.write_table(pa.table({image: rows, label: pa.array(targets)}), path)


TINY_CLASSES = ("n02", "n01", "n03")


def tiny_members(per_class: int = 3, n_test: int = 3) -> dict[str, bytes]:
    """Tiny-ImageNet's official layout, three classes, 64x64; ``wnids.txt`` is not sorted, as the real one."""
    members = {
        "wnids.txt": "\n".join(TINY_CLASSES).encode(),
        "words.txt": b"n01\tgoldfish, Carassius auratus\nn02\ttench\n",
    }
    pixels = images(len(TINY_CLASSES) * per_class + n_test, side=64)
    position = 0
    for name in TINY_CLASSES:
        members[f"train/{name}/{name}_boxes.txt"] = b""
        for k in range(per_class):
            members[f"train/{name}/images/{name}_{k}.JPEG"] = png(pixels[position])
            position += 1
    lines = []
    for k in range(n_test):
        members[f"val/images/val_{k}.JPEG"] = png(pixels[position])
        lines.append(f"val_{k}.JPEG\t{TINY_CLASSES[k % 3]}\t0\t32\t44\t62")
        position += 1
    members["val/val_annotations.txt"] = "\n".join(lines).encode()
    return members


def write_files(root: Path, members: dict[str, bytes]) -> None:
    for name, content in members.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_zip(path: Path, members: dict[str, bytes], top: str = "tiny-imagenet-200/") -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(top + name, content)

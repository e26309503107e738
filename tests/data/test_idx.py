"""MNIST's idx files: found, read, refused."""

from __future__ import annotations

import gzip
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from prunecheck.data import DataSpec, check, load
from prunecheck.errors import DataError
from tests.data.makers import cut, idx, images, labels, write_mnist

zipped = partial(gzip.compress, mtime=0)  # a test has one name, whenever it is collected


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNECHECK_DATA", raising=False)
    for name in ("mnist", "fashion_mnist"):
        cut(monkeypatch, name, 40, 20)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("name", "folder"),
    [("mnist", "MNIST/raw"), ("mnist", "."), ("mnist", "raw"), ("fashion_mnist", "FashionMNIST/raw")],
)
def test_torchvision_layout_and_plain_folders(tmp_path: Path, name: str, folder: str, zipped: bool) -> None:
    train, test = write_mnist(tmp_path / "root" / folder, 40, 20, zipped)
    spec = DataSpec(name, root=str(tmp_path / "root"))
    check(spec)
    data = load(spec)
    assert np.array_equal(data.train_inputs, train)
    assert np.array_equal(data.test_inputs, test)
    assert data.train_targets.tolist() == labels(40).tolist()
    assert len(data.mean) == 1
    assert data.class_names[9] == ("9" if name == "mnist" else "Ankle boot")


def test_mnist_and_fashion_mnist_are_not_confused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have the same file names: files directly in the shared data folder belong to neither."""
    write_mnist(tmp_path / "shared", 40, 20)
    monkeypatch.setenv("PRUNECHECK_DATA", str(tmp_path / "shared"))
    with pytest.raises(DataError, match="'mnist' is not there"):
        check(DataSpec("mnist"))
    write_mnist(tmp_path / "shared" / "MNIST" / "raw", 40, 20)
    check(DataSpec("mnist"))
    with pytest.raises(DataError, match="'fashion_mnist' is not there"):
        check(DataSpec("fashion_mnist"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b", "cannot be read, or is torn"),
        (zipped(idx(images(40, 1, 28)[:, 0]))[:-50], "cannot be read, or is torn"),
        (zipped(b""), "not an idx file of 3 dimensions"),
        (
            zipped(b"\x00\x00\x0d\x03" + bytes(12)),
            r"not an idx file of 3 dimensions \(it starts with 00000d03\)",
        ),
        (zipped(idx(labels(40).astype(np.uint8))), "not an idx file of 3 dimensions"),
        (zipped(idx(images(39, 1, 28)[:, 0])), "does not hold 40 x 28 x 28 values"),
        (zipped(idx(images(40, 1, 28)[:, 0])[:-1]), "does not hold 40 x 28 x 28 values"),
        (zipped(idx(images(40, 1, 28)[:, 0]) + b"x"), "does not hold 40 x 28 x 28 values"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    write_mnist(tmp_path / "root", 40, 20)
    (tmp_path / "root" / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=f"train-images-idx3-ubyte.gz .*{message}|{message}"):
        load(DataSpec("mnist", root=str(tmp_path / "root")))


def test_a_missing_file_means_the_data_is_not_there(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw", 40, 20)
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"expected .*MNIST/raw/train-images-idx3-ubyte\.gz"):
        check(DataSpec("mnist", root=str(tmp_path)))

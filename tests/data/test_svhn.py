"""SVHN's MATLAB files: found, read, refused."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from prunecheck.data import DataSpec, check, fingerprint, load
from prunecheck.data.svhn_mat import arrays
from prunecheck.errors import DataError
from tests.data.makers import Pixels, cut, images, labels

TRAIN, TEST = "train_32x32.mat", "test_32x32.mat"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNECHECK_DATA", raising=False)
    cut(monkeypatch, "svhn", 40, 20)


def fields(n: int, seed: int = 0) -> dict[str, Any]:
    """As published: images last, the digit 0 called 10."""
    digits = labels(n)
    pixels = images(n, seed=seed).transpose(2, 3, 1, 0)
    return {"X": pixels, "y": np.where(digits == 0, 10, digits).astype(np.uint8)[:, None]}


def write(folder: Path, **changed: Any) -> tuple[Pixels, Pixels]:
    folder.mkdir(parents=True)
    savemat(folder / TRAIN, {**fields(40), **changed}, do_compression=True)
    savemat(folder / TEST, fields(20, 1))
    return images(40), images(20, seed=1)


@pytest.mark.parametrize("folder", ["svhn", "SVHN", "."])
def test_the_official_files_are_read(tmp_path: Path, folder: str) -> None:
    train, test = write(tmp_path / "root" / folder)
    spec = DataSpec("svhn", root=str(tmp_path / "root"))
    check(spec)
    data = load(spec)
    assert np.array_equal(data.train_inputs, train)
    assert np.array_equal(data.test_inputs, test)
    assert data.train_targets.tolist() == labels(40).tolist(), "10 is the digit 0"
    assert data.class_names[0] == "0"
    assert data.mean == (0.4377, 0.4438, 0.4728)
    assert len(fingerprint(spec)) == 64


def test_a_missing_file_means_the_data_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "svhn")
    (tmp_path / "svhn" / TEST).unlink()
    with pytest.raises(DataError, match=r"'svhn' is not there: expected .*svhn/train_32x32\.mat"):
        check(DataSpec("svhn", root=str(tmp_path)))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"X": images(39).transpose(2, 3, 1, 0)}, r"images \[32, 32, 3, 39\] and 40 labels"),
        ({"X": fields(40)["X"].astype(np.float64)}, "holds float64 images"),
        ({"X": images(40)}, r"images \[40, 3, 32, 32\]"),
        ({"y": np.arange(40)[:, None] % 10}, "from 1 to 10"),
        ({"y": np.full((40, 1), 1.5)}, "from 1 to 10"),
        ({"y": np.full((40, 1), "one", dtype=object)}, "holds no arrays X and y"),
        ({"X": {"a": 1}}, "holds no arrays X and y"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    write(tmp_path / "svhn", **changed)
    with pytest.raises(DataError, match=f"{TRAIN}.*({says})"):
        load(DataSpec("svhn", root=str(tmp_path)))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:0],
        lambda content: b"not MATLAB at all" * 20 + content[:0],
        lambda content: content[:200],
        lambda content: content[: len(content) // 2],
        lambda content: content[:300] + bytes(50) + content[350:],
        lambda content: b"\x89HDF\r\n\x1a\n" + content,
    ],
    ids=["empty", "text", "head only", "half", "hole", "version 7.3"],
)
def test_a_damaged_file_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write(tmp_path / "svhn")
    path = tmp_path / "svhn" / TRAIN
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=f"{TRAIN} (cannot be read as a MATLAB 5 file|holds)"):
        load(DataSpec("svhn", root=str(tmp_path)))


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_a_file_with_wrong_bytes_is_read_or_refused_and_nothing_else(
    tmp_path: Path, seed: int, compressed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(monkeypatch, "svhn", 10, 10)
    (tmp_path / "svhn").mkdir()
    for name in (TRAIN, TEST):
        savemat(tmp_path / "svhn" / name, fields(10), do_compression=compressed)
    rng, path = random.Random(seed), tmp_path / "svhn" / TRAIN
    content = bytearray(path.read_bytes())
    for _ in range(20):
        spoilt = bytearray(content)
        spoilt[rng.randrange(116, 300)] = rng.randrange(256)
        path.write_bytes(spoilt)
        with contextlib.suppress(DataError):
            load(DataSpec("svhn", root=str(tmp_path)))


def test_the_arrays_are_those_that_scipy_reads(tmp_path: Path) -> None:
    path = tmp_path / "some.mat"
    numbers = {kind: (np.arange(24).reshape(2, 3, 4) - 3).astype(kind) for kind in ("i1", "i2", "i4", "i8", "f4", "f8")}
    others = {"short": np.uint8([[1, 2]]), "text": "abc", "cell": np.array([[1, "a"]], dtype=object), "z": np.array(1j)}
    for compressed in (True, False):
        savemat(path, {f"a_{kind}": value for kind, value in numbers.items()} | others, do_compression=compressed)
        found, theirs = arrays(path, 10_000), loadmat(path)
        assert set(found) >= {*(f"a_{kind}" for kind in numbers), "short"}
        assert {"text", "cell", "z"}.isdisjoint(found)
        for name, array in found.items():
            assert array.shape == theirs[name].shape
            assert np.array_equal(array, theirs[name])


def test_a_variable_that_unfolds_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mat"
    savemat(path, {"X": np.zeros((1000, 1000), dtype=np.uint8)}, do_compression=True)
    with pytest.raises(DataError, match="more than 5000 bytes"):
        arrays(path, 5000)

"""Tiny-ImageNet: the official layout, in a folder and in a zip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prunecheck.data import DataShape, DataSpec, check, describe, fingerprint, load
from prunecheck.errors import DataError
from tests.data.makers import images, tiny_members, write_files, write_zip
from tests.real_data import REAL_DATA, needs_real_data

PIXELS = images(12, side=64)


@pytest.fixture(autouse=True)
def _nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNECHECK_DATA", raising=False)


def place(root: Path, kind: str) -> str:
    if kind == "zip":
        write_zip(root / "tiny-imagenet-200.zip", tiny_members())
        return str(root)
    if kind == "zip itself":
        write_zip(root / "other.zip", tiny_members())
        return str(root / "other.zip")
    write_files(root / "tiny-imagenet-200", tiny_members())
    return str(root if kind == "folder" else root / "tiny-imagenet-200")


@pytest.mark.parametrize("kind", ["zip", "zip itself", "folder", "folder itself"])
def test_labels_follow_the_sorted_classes(tmp_path: Path, kind: str) -> None:
    spec = DataSpec("tiny_imagenet", root=place(tmp_path, kind))
    check(spec)
    assert describe(spec) == DataShape(num_classes=3, channels=3, size=64, n_train=9, n_test=3)
    data = load(spec)
    assert data.class_names == ("goldfish", "tench", "n03")
    assert data.train_targets.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    # the maker writes the classes in the order n02, n01, n03
    assert np.array_equal(data.train_inputs, PIXELS[[3, 4, 5, 0, 1, 2, 6, 7, 8]])
    assert np.array_equal(data.test_inputs, PIXELS[[10, 9, 11]])
    assert data.test_targets.tolist() == [0, 1, 2]
    assert data.mean == (0.4802, 0.4481, 0.3975)


def test_folder_and_zip_are_described_and_subset_alike(tmp_path: Path) -> None:
    for kind in ("folder", "zip"):
        (tmp_path / kind).mkdir()
        spec = DataSpec("tiny_imagenet", root=place(tmp_path / kind, kind), size=32, train_size=3, test_size=3)
        assert describe(spec) == DataShape(num_classes=3, channels=3, size=32, n_train=3, n_test=3)
        assert load(spec).train_targets.tolist() == [0, 1, 2]
        assert len(fingerprint(spec)) == 64


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"val/val_annotations.txt": None}, "val/val_annotations.txt is missing"),
        ({"val/val_annotations.txt": b"val_0.JPEG\tn99\t0"}, r"line without a known class: 'val_0\.JPEG"),
        ({"val/val_annotations.txt": b"val_0.JPEG"}, "line without a known class"),
        ({"val/val_annotations.txt": b"../../x\tn01\t0"}, r"val/images/\.\./\.\./x is missing"),
        ({"val/images/val_1.JPEG": None}, r"val/images/val_1\.JPEG is missing"),
        ({"wnids.txt": b"n01\nn02"}, "class 'n03' of train is not in wnids.txt"),
        ({"wnids.txt": b"n01\nn02\nn03\nn04"}, "1 of 4 classes have no train image: 3"),
        ({"train/n01/images/n01_0.JPEG": b"torn"}, r"image train/n01/images/n01_0\.JPEG cannot be read"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_file_is_named(tmp_path: Path, changed: dict[str, bytes | None], message: str, zipped: bool) -> None:
    members = {k: v for k, v in (tiny_members() | changed).items() if v is not None}
    if zipped:
        write_zip(tmp_path / "tiny-imagenet-200.zip", members)
    else:
        write_files(tmp_path / "tiny-imagenet-200", members)
    with pytest.raises(DataError, match=message):
        load(DataSpec("tiny_imagenet", root=str(tmp_path)))


def test_a_torn_zip_and_a_zip_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "tiny-imagenet-200.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="is not a zip archive, or torn"):
        check(DataSpec("tiny_imagenet", root=str(tmp_path)))
    write_zip(tmp_path / "tiny-imagenet-200.zip", {"readme": b""})
    with pytest.raises(DataError, match=r"wnids\.txt is missing"):
        check(DataSpec("tiny_imagenet", root=str(tmp_path)))


def test_missing_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected .*tiny-imagenet-200 \(or tiny-imagenet-200\.zip\)"):
        check(DataSpec("tiny_imagenet", root=str(tmp_path)))


@needs_real_data("tiny-imagenet-200*.zip")
def test_the_real_tiny_imagenet() -> None:
    spec = DataSpec("tiny_imagenet", root=str(REAL_DATA), size=32, train_size=400, test_size=200)
    data = load(spec)
    assert data.num_classes == 200
    assert data.train_inputs.shape == (400, 3, 32, 32)
    assert np.bincount(data.test_targets).tolist() == [1] * 200
    assert data.class_names[0] == "goldfish"
    measured = data.train_inputs.mean(axis=(0, 2, 3)) / 255
    assert np.abs(measured - np.array(data.mean)).max() < 0.04

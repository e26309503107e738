"""Any folder of images: both layouts, the fixed split, and everything that can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prunecheck.data import DataShape, DataSpec, check, describe, fingerprint, load
from prunecheck.errors import DataError
from tests.data.makers import images, png, write_files


def spec(root: Path, **changed: int) -> DataSpec:
    return DataSpec("folder", root=str(root), **changed)


def write_classes(root: Path, n: int = 10, side: int = 6, seed: int = 0) -> dict[str, bytes]:
    pixels = images(2 * n, side=side, seed=seed)
    members = {f"{cls}/{i:02}.png": png(pixels[i + n * k]) for k, cls in enumerate(("cat", "dog")) for i in range(n)}
    write_files(root, members)
    return members


@pytest.mark.parametrize("test_folder", ["test", "val"])
def test_train_and_test_folders(tmp_path: Path, test_folder: str) -> None:
    write_classes(tmp_path / "train", n=3)
    write_classes(tmp_path / test_folder, n=2, seed=1)
    check(spec(tmp_path))
    assert describe(spec(tmp_path)) == DataShape(num_classes=2, channels=3, size=6, n_train=6, n_test=4)
    data = load(spec(tmp_path))
    assert np.array_equal(data.train_inputs, images(6, side=6))
    assert np.array_equal(data.test_inputs, images(4, side=6, seed=1))
    assert data.train_targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.class_names == ("cat", "dog")
    values = data.train_inputs.transpose(1, 0, 2, 3).reshape(3, -1) / 255
    assert data.mean == pytest.approx(values.mean(axis=1))
    assert data.std == pytest.approx(values.std(axis=1))


def test_test_is_taken_where_val_is_there_too(tmp_path: Path) -> None:
    for folder, n in (("train", 3), ("val", 2), ("test", 1)):
        write_classes(tmp_path / folder, n=n)
    assert describe(spec(tmp_path)).n_test == 2
    left, shared = load(spec(tmp_path)).notes
    assert left.startswith("1 files or folders in ")
    assert left.endswith(" are not read: val.")
    assert shared == "2 of 2 test images are in train too, pixel for pixel."


def test_an_unlabelled_test_folder_leaves_val(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", n=3)
    write_classes(tmp_path / "val", n=2)
    write_files(tmp_path / "test", {"0001.png": b""})
    assert describe(spec(tmp_path)).n_test == 4


def test_one_folder_per_class_is_split_by_a_fixed_fifth(tmp_path: Path) -> None:
    write_classes(tmp_path, n=10)
    write_files(tmp_path, {"cat/notes.txt": b"", ".hidden/x.txt": b"", "README": b""})
    data = load(spec(tmp_path))
    assert np.bincount(data.train_targets).tolist() == [8, 8]
    assert np.bincount(data.test_targets).tolist() == [2, 2]
    (note,) = data.notes
    assert note == f"2 files or folders in {tmp_path} are not read: README, cat/notes.txt."
    both = {image.tobytes() for image in (*data.train_inputs, *data.test_inputs)}
    assert both == {image.tobytes() for image in images(20, side=6)}
    assert np.array_equal(load(spec(tmp_path)).test_inputs, data.test_inputs)


def test_jpg_in_capitals_counts(tmp_path: Path) -> None:
    members = write_classes(tmp_path, n=4)
    write_files(tmp_path, {"cat/99.JPEG": members["cat/00.png"]})
    assert describe(spec(tmp_path)).n_train == 7


def test_mixed_sizes_take_a_size(tmp_path: Path) -> None:
    write_classes(tmp_path, n=5)
    write_files(tmp_path, {"dog/99.png": png(images(1, side=9)[0, :, :, :7])})
    check(spec(tmp_path))
    with pytest.raises(DataError, match=r"dog/99\.png has 7x9 pixels, the first one 6x6\. Give a size"):
        load(spec(tmp_path))
    assert load(spec(tmp_path, size=4)).train_inputs.shape[1:] == (3, 4, 4)
    assert describe(spec(tmp_path, size=12)).size == 12


def test_images_that_are_not_square_take_a_size(tmp_path: Path) -> None:
    pixels = images(6, side=8)[:, :, :5]
    write_files(tmp_path, {f"{c}/{i}.png": png(pixels[i]) for c in "ab" for i in range(6)})
    with pytest.raises(
        DataError, match=r"a/0\.png has 8x5 pixels, not a square|a/\d\.png has 8x5 pixels, not a square"
    ):
        check(spec(tmp_path))
    assert load(spec(tmp_path, size=5)).train_inputs.shape[1:] == (3, 5, 5)


def test_constant_images_have_a_usable_deviation(tmp_path: Path) -> None:
    black = png(np.zeros((3, 4, 4), dtype=np.uint8))
    write_files(tmp_path, {f"{c}/{i}.png": black for c in "ab" for i in range(3)})
    data = load(spec(tmp_path))
    assert data.std == (1.0, 1.0, 1.0)
    assert data.notes == (
        "2 of 2 test images are in train too, pixel for pixel.",
        "All training images are equal: there is nothing to learn from them.",
    )


def test_a_constant_channel_is_noted(tmp_path: Path) -> None:
    pixels = images(12, side=4)
    pixels[:, 1] = 7
    write_files(tmp_path, {f"{c}/{i}.png": png(pixels[i + 6 * k]) for k, c in enumerate("ab") for i in range(6)})
    assert load(spec(tmp_path)).notes == ("All pixels of channel 1 are equal in the training images.",)


@pytest.mark.parametrize("name", ["cat/99.tif", "cat/99.GIF", "dog/deep.heic"])
def test_images_of_kinds_that_are_not_read_are_refused(tmp_path: Path, name: str) -> None:
    write_classes(tmp_path)
    write_files(tmp_path, {name: b"x"})
    with pytest.raises(DataError, match=rf"1 of 11 files in .* of a kind that is not read, e\.g\. {name[4:]}"):
        check(spec(tmp_path))


def test_bmp_and_webp_are_read_beside_png(tmp_path: Path) -> None:
    write_classes(tmp_path, n=5)
    for kind in ("bmp", "webp"):
        pixels = images(1, side=6, seed=len(kind))[0].transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / "cat" / f"9.{kind}", lossless=True)
    (tmp_path / "cat" / "9.webp").rename(tmp_path / "cat" / "9.jpg")
    data = load(spec(tmp_path))
    assert len(data.train_inputs) + len(data.test_inputs) == 12
    both = {image.tobytes() for image in (*data.train_inputs, *data.test_inputs)}
    assert {images(1, side=6, seed=seed)[0].tobytes() for seed in (3, 4)} <= both


def test_files_of_macos_and_nested_folders(tmp_path: Path) -> None:
    members = write_classes(tmp_path, n=5)
    write_files(tmp_path, {"cat/._00.png": b"\0\5\x16\7", ".DS_Store": b"", "cat/Thumbs.db": b""})
    assert load(spec(tmp_path)).notes == ()
    write_files(tmp_path, {"cat/more/00.png": members["cat/00.png"]})
    assert load(spec(tmp_path)).notes == (f"1 files or folders in {tmp_path} are not read: cat/more.",)


def damaged(root: Path, kind: str) -> None:
    root.mkdir()
    if kind == "empty":
        return
    if kind == "no test":
        write_classes(root / "train")
        return
    if kind == "test only":
        write_classes(root / "train")
        write_files(root / "test", {"cow/0.png": b""})
        return
    write_classes(root)
    extra = {
        "corrupt": {"cat/00.png": b"torn"},
        "empty class": {"eel/notes.txt": b""},
        "too few": {"eel/0.png": b""},
    }
    write_files(root, extra[kind])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", r"has no CLASS/\*\.png or \*\.jpg"),
        ("no test", "no test/CLASS or val/CLASS"),
        ("test only", r"class 'cow' of .*test is not in train"),
        ("corrupt", r"cat/00\.png cannot be read"),
        ("empty class", "eel is a class without a png or jpg"),
        ("too few", "class 'eel' has 1 images: too few"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, kind: str, message: str) -> None:
    damaged(tmp_path / "root", kind)
    with pytest.raises(DataError, match=message):
        load(spec(tmp_path / "root", size=6))


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {f"cat/{i}.png": png(images(1, side=4, seed=i)[0]) for i in range(5)})
    with pytest.raises(DataError, match="at least 2 classes"):
        load(spec(tmp_path))


def test_root_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="takes a root"):
        check(DataSpec("folder"))
    with pytest.raises(DataError, match="absent is not a folder"):
        check(spec(tmp_path / "absent"))


def test_fingerprint_follows_content_and_names_not_the_place(tmp_path: Path) -> None:
    write_classes(tmp_path / "a")
    write_classes(tmp_path / "b")
    first = fingerprint(spec(tmp_path / "a"))
    assert fingerprint(spec(tmp_path / "b")) == first
    (tmp_path / "b" / "cat" / "00.png").rename(tmp_path / "b" / "cat" / "0.png")
    assert fingerprint(spec(tmp_path / "b")) != first
    content = (tmp_path / "a" / "cat" / "00.png").read_bytes()
    (tmp_path / "a" / "cat" / "00.png").write_bytes(content[:-1] + b"x")
    assert fingerprint(spec(tmp_path / "a")) != first

"""Image tables in parquet: layouts, columns, labels, damage."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prunecheck.data import DataShape, DataSpec, check, describe, fingerprint, load
from prunecheck.data.parquet import Table
from prunecheck.errors import DataError
from tests.data.makers import images, labels, png, write_parquet
from tests.real_data import REAL_DATA, needs_real_data

IMAGE = {"bytes": b"x", "path": "a"}


def spec(root: Path, **changed: Any) -> DataSpec:
    return DataSpec("parquet", root=str(root), **changed)


def write_table(path: Path, columns: dict[str, Any], features: dict[str, Any] | None = None) -> Path:
    table = pa.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def rows(n: int, seed: int = 0, side: int = 6) -> list[dict[str, Any]]:
    return [{"bytes": png(pixels), "path": None} for pixels in images(n, side=side, seed=seed)]


LAYOUTS = {
    "data/train-00000-of-00001.parquet": "data/test-00000-of-00001.parquet",
    "train-0.parquet": "validation-0.parquet",
    "my_train.parquet": "my_eval.parquet",
    "plain_text/train/0000.parquet": "plain_text/test/0000.parquet",
    "training/part.parquet": "dev/part.parquet",
}


@pytest.mark.parametrize(("train", "test"), LAYOUTS.items())
def test_splits_are_found_by_file_and_folder_names(tmp_path: Path, train: str, test: str) -> None:
    write_parquet(tmp_path / train, images(6, side=6), labels(6, 2))
    write_parquet(tmp_path / test, images(4, side=6, seed=1), labels(4, 2))
    check(spec(tmp_path))
    assert describe(spec(tmp_path)) == DataShape(num_classes=2, channels=3, size=6, n_train=6, n_test=4)
    data = load(spec(tmp_path))
    assert np.array_equal(data.train_inputs, images(6, side=6))
    assert np.array_equal(data.test_inputs, images(4, side=6, seed=1))
    assert data.train_targets.tolist() == labels(6, 2).tolist()
    assert data.notes == ()


def test_files_of_a_split_are_read_in_order_and_subsets_are_decoded_alone(tmp_path: Path) -> None:
    pixels, targets = images(200, side=6), labels(200)
    write_parquet(tmp_path / "train-0.parquet", pixels[:90], targets[:90])
    write_parquet(tmp_path / "train-1.parquet", pixels[90:], targets[90:])
    split = Table([tmp_path / "train-0.parquet", tmp_path / "train-1.parquet"]).split("img", "label")
    assert split.targets.tolist() == targets.tolist()
    wanted = np.array([150, 0, 89, 90, 199])
    assert np.array_equal(split.images(wanted), pixels[wanted])


def test_a_single_file_is_split_by_a_fixed_fifth_of_each_class(tmp_path: Path) -> None:
    write_parquet(tmp_path / "all.parquet", images(20, side=6), labels(20, 2))
    data = load(spec(tmp_path / "all.parquet"))
    assert np.bincount(data.train_targets).tolist() == [8, 8]
    assert np.bincount(data.test_targets).tolist() == [2, 2]
    assert np.array_equal(data.test_inputs, load(spec(tmp_path)).test_inputs)
    both = {image.tobytes() for image in (*data.train_inputs, *data.test_inputs)}
    assert both == {image.tobytes() for image in images(20, side=6)}


def test_class_names_and_columns_come_from_the_metadata(tmp_path: Path) -> None:
    features = {"picture": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": ["cat", "dog", "eel"]}}
    for name in ("train", "test"):
        columns = {"id": list(range(6)), "thumb": [b"x"] * 6, "picture": rows(6), "kind": list(labels(6, 3))}
        write_table(tmp_path / f"{name}.parquet", columns, features)
    data = load(spec(tmp_path))
    assert data.class_names == ("cat", "dog", "eel")
    assert data.num_classes == 3


def test_columns_may_be_named_and_count_for_the_fingerprint(tmp_path: Path) -> None:
    columns = {"a": rows(6), "b": rows(6, seed=3), "fine": [0, 1, 2, 0, 1, 2], "coarse": [0, 1, 1, 0, 1, 1]}
    for name in ("train", "test"):
        write_table(tmp_path / f"{name}.parquet", columns)
    with pytest.raises(DataError, match=r"train\.parquet has 2 columns of images .*: a, b\. Name one: image = "):
        check(spec(tmp_path, label="fine"))
    with pytest.raises(DataError, match=r"has 2 columns of whole-number labels: fine, coarse\. Name one: label = "):
        check(spec(tmp_path, image="b"))
    coarse = load(spec(tmp_path, image="b", label="coarse"))
    assert coarse.num_classes == 2
    assert np.array_equal(coarse.train_inputs, images(6, side=6, seed=3))
    prints = {fingerprint(spec(tmp_path, image="b", label=label)) for label in ("fine", "coarse")}
    assert len(prints) == 2
    with pytest.raises(DataError, match=r"has no label column 'course'; it has a, b, fine, coarse"):
        check(spec(tmp_path, image="b", label="course"))


def test_plain_integer_columns_prefer_the_one_called_label(tmp_path: Path) -> None:
    for name in ("train", "test"):
        columns = {"id": [7, 8, 9, 10], "image": [row["bytes"] for row in rows(4)], "label": [0, 1, 0, 1]}
        write_table(tmp_path / f"{name}.parquet", columns)
    assert load(spec(tmp_path)).train_targets.tolist() == [0, 1, 0, 1]


def test_column_options_belong_to_parquet_only() -> None:
    with pytest.raises(DataError, match="only data 'parquet' has them"):
        DataSpec("digits", label="fine")


def test_files_that_are_not_used_are_in_the_notes(tmp_path: Path) -> None:
    for name, seed in (("train", 0), ("test", 1), ("validation", 2), ("extra", 3)):
        write_parquet(tmp_path / f"{name}.parquet", images(4, side=6, seed=seed), labels(4, 2))
    (note,) = load(spec(tmp_path)).notes
    assert note == "2 parquet files are not used, e.g. extra.parquet."


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no .parquet file below"),
        (("train.parquet",), "is named for test or validation; the first is train.parquet"),
        (("test.parquet",), "is named for train"),
        (("train_test.parquet", "test.parquet"), "train_test.parquet is named for test and train"),
        (("fine/train.parquet", "coarse/train.parquet", "test.parquet"), "several folders of .*: coarse, fine"),
    ],
)
def test_other_layouts_are_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    for name in names:
        write_parquet(tmp_path / name, images(2, side=6), labels(2, 2))
    with pytest.raises(DataError, match=message):
        check(spec(tmp_path))


def test_an_unlabelled_test_set_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", images(4, side=6), labels(4, 2))
    write_parquet(tmp_path / "test.parquet", images(4, side=6), labels(4, 1) - 1)
    with pytest.raises(DataError, match=r"test\.parquet are all -1: an unlabelled test set"):
        check(spec(tmp_path))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"picture": [1], "label": [0]}, "has no column of images .* it has picture, label"),
        ({"img": [IMAGE], "class": ["a"]}, "has no column of whole-number labels"),
        ({"img": [IMAGE], "label": ["cat"]}, "the labels in 'label' are string, not whole numbers"),
        ({"img": [IMAGE], "label": [0.0]}, "the labels in 'label' are double, not whole numbers"),
        ({"img": [IMAGE] * 2, "label": [0, None]}, "1 rows have no 'label'"),
        ({"img": [IMAGE] * 2, "label": [0, 10**9]}, "row 1 of 'label' is 1000000000, not a class number"),
        ({"img": [{"bytes": None, "path": "a.png"}] * 2, "label": [0, 1]}, "row 0 names an image file and holds no"),
        ({"img": [{"bytes": None, "path": None}] * 2, "label": [0, 1]}, "row 0 holds no image bytes in 'img'"),
        ({"img": [None, b""], "label": [0, 1]}, "row 0 holds no image bytes in 'img'"),
        ({"img": [b"broken", b"x"], "label": [0, 1]}, "cannot be read: it is none of .*it starts with 62726f6b"),
    ],
)
def test_a_table_of_another_kind_is_refused(tmp_path: Path, table: dict[str, list[object]], message: str) -> None:
    for name in ("train", "test"):
        write_table(tmp_path / f"{name}.parquet", table)
    with pytest.raises(DataError, match=message) as caught:
        load(spec(tmp_path, size=4))
    assert "train" in str(caught.value) or "row" in str(caught.value)


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([0]), pa.array([1])], names=["label", "label"])
    pq.write_table(table, tmp_path / "train.parquet")
    pq.write_table(table, tmp_path / "test.parquet")
    with pytest.raises(DataError, match=r"train\.parquet has the column 'label' twice"):
        check(spec(tmp_path))


def test_files_with_other_columns_or_classes_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train-0.parquet", images(2), labels(2))
    write_parquet(tmp_path / "train-1.parquet", images(2), labels(2), label="class")
    with pytest.raises(DataError, match=r"train-1\.parquet has other columns than train-0\.parquet"):
        Table([tmp_path / "train-0.parquet", tmp_path / "train-1.parquet"])
    for name, classes in (("train", ["a", "b"]), ("test", ["b", "a"])):
        features = {"label": {"_type": "ClassLabel", "names": classes}}
        write_table(tmp_path / "x" / f"{name}.parquet", {"img": rows(4), "label": [0, 1, 0, 1]}, features)
    with pytest.raises(DataError, match="name other classes"):
        check(spec(tmp_path / "x"))


@pytest.mark.parametrize("text", ["{", "[" * 10**5, '{"info": 3}', '{"info": {"features": {"label": {"names": 3}}}}'])
def test_damaged_metadata_is_refused(tmp_path: Path, text: str) -> None:
    table = pa.table({"img": rows(4), "label": [0, 1, 0, 1]}).replace_schema_metadata({"huggingface": text})
    for name in ("train", "test"):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match=r"metadata cannot be read|are not a list of texts"):
        check(spec(tmp_path))


@pytest.mark.parametrize("keep", [0, 3, 100, -10, -1])
def test_a_torn_file_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "train.parquet"
    write_parquet(path, images(2), labels(2))
    write_parquet(tmp_path / "test.parquet", images(2), labels(2))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"train\.parquet is not a parquet file, or torn"):
        load(spec(tmp_path))


def test_a_large_image_repeated_in_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = png(np.zeros((3, 64, 64), dtype=np.uint8))
    for name in ("train", "test"):
        write_table(tmp_path / f"{name}.parquet", {"img": [image] * 1000, "label": [0, 1] * 500})
    monkeypatch.setattr("os.sysconf", lambda _name: 1000)
    with pytest.raises(DataError, match=r"1000 images of 64x64 pixels take .* GiB; this machine has .* smaller size"):
        load(spec(tmp_path))


def test_a_missing_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "train.parquet", images(2), labels(2))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r"prunecheck\[parquet\]"):
        check(spec(tmp_path / "train.parquet"))


@needs_real_data("cifar10/*.parquet")
def test_the_real_cifar10_reads_alike_as_parquet_and_as_cifar10() -> None:
    general = spec(REAL_DATA / "cifar10", size=16, train_size=50, test_size=50)
    assert describe(general) == DataShape(10, 3, 16, 50, 50)
    data, known = load(general), load(DataSpec("cifar10", str(REAL_DATA), size=16, train_size=50, test_size=50))
    assert data.class_names == known.class_names
    assert data.train_targets.tolist() == known.train_targets.tolist()
    assert np.abs(data.train_inputs.astype(int) - known.train_inputs).max() <= 1, "both average areas"
    assert data.notes == ()

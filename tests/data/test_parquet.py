"""Image tables in parquet: columns, labels, damage."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prunecheck.data.parquet import read_split
from prunecheck.errors import DataError
from tests.data.makers import images, labels, png, write_parquet


@pytest.mark.parametrize(("image", "label"), [("img", "label"), ("image", "fine_label")])
def test_rows_of_all_files_in_order(tmp_path: Path, image: str, label: str) -> None:
    pixels, targets = images(7), labels(7)
    paths = [tmp_path / "train-0.parquet", tmp_path / "train-1.parquet"]
    write_parquet(paths[0], pixels[:4], targets[:4], image, label)
    write_parquet(paths[1], pixels[4:], targets[4:], image, label)
    split = read_split(paths, ["fine_label", "label"])
    assert split.targets.tolist() == targets.tolist()
    assert split.targets.dtype == np.int64
    assert np.array_equal(split.images(np.array([5, 0])), pixels[[5, 0]])


def test_only_the_images_asked_for_are_decoded(tmp_path: Path) -> None:
    rows = [{"bytes": png(images(1)[0]), "path": "a"}, {"bytes": b"broken", "path": "b"}]
    pq.write_table(pa.table({"img": rows, "label": [0, 1]}), tmp_path / "t.parquet")
    split = read_split([tmp_path / "t.parquet"], ["label"])
    assert split.images(np.array([0])).shape == (1, 3, 32, 32)
    with pytest.raises(DataError, match=r"image t\.parquet row 1 cannot be read"):
        split.images(np.array([0, 1]))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"picture": [1], "label": [0]}, "has no column 'img' or 'image'; it has picture, label"),
        ({"img": [{"bytes": b"x", "path": "a"}], "class": [0]}, "has no column 'label'"),
        ({"img": [{"bytes": b"x", "path": "a"}], "label": ["cat"]}, "not whole numbers"),
        ({"img": [{"bytes": b"x", "path": "a"}] * 2, "label": [0, None]}, "1 rows have no 'label'"),
        ({"img": [{"bytes": None, "path": "a"}], "label": [0]}, "row 0 holds no image bytes"),
        ({"img": ["text"], "label": [0]}, "row 0 holds no image bytes"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, table: dict[str, list[object]], message: str) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(table), path)
    with pytest.raises(DataError, match=message):
        read_split([path], ["label"])


def test_a_torn_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_parquet(path, images(2), labels(2))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"t\.parquet is not a parquet file, or torn"):
        read_split([path], ["label"])


def test_a_missing_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r"prunecheck\[parquet\]"):
        read_split([tmp_path / "t.parquet"], ["label"])

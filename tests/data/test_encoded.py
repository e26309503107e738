"""Streamed data sets: the same images from folders, tar shards and parquet files, and their fingerprint."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prunecheck.data import DATASETS, DataSpec, StreamedData, describe, describe_absent, fingerprint, load, open_stream
from prunecheck.data.encoded import in_blocks
from prunecheck.errors import DataError, DataMissing
from tests.data.streams import CLASSES, WRITERS, pictures, write_folder, write_parquet, write_shards


def contents(data: StreamedData) -> list[tuple[int, bytes]]:
    parts = (data.train, data.test)
    return [(int(part.targets[i]), part.read(i)[1]) for part in parts for i in range(len(part.targets))]


@pytest.mark.parametrize("kind", WRITERS)
def test_every_layout_gives_the_same_images_and_labels(tmp_path: Path, kind: str) -> None:
    spec = WRITERS[kind](tmp_path)
    data = open_stream(spec)
    expected = [(label, content) for _, label, content in (*pictures(6, 0), *pictures(3, 1000))]
    assert contents(data) == expected
    assert (data.num_classes, data.channels, data.size, data.center_crop) == (3, 3, 8, 1.0)
    assert describe(spec).n_train == 18


def test_images_can_be_read_in_any_order(tmp_path: Path) -> None:
    for kind, write in WRITERS.items():
        part = open_stream(write(tmp_path / kind)).train
        order = np.random.default_rng(0).permutation(18)
        expected = [content for _, _, content in pictures(6, 0)]
        assert [part.read(int(i))[1] for i in order] == [expected[i] for i in order]


def test_subsets_are_those_of_data_in_memory(tmp_path: Path) -> None:
    spec = replace(write_folder(tmp_path), train_size=7, test_size=4)
    data, loaded = open_stream(spec), load(replace(spec, stream=False))
    assert data.train_targets.tolist() == loaded.train_targets.tolist()
    assert data.test_targets.tolist() == loaded.test_targets.tolist()


def test_streamed_data_are_not_loaded_into_memory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is streamed, not loaded into memory"):
        load(write_folder(tmp_path))


def test_fingerprint_depends_on_contents_and_not_on_place_or_time(tmp_path: Path) -> None:
    for kind, write in WRITERS.items():
        here, there = write(tmp_path / kind / "a"), write(tmp_path / kind / "b")
        before = fingerprint(here)
        assert fingerprint(there) == before
        assert fingerprint(replace(here, size=9)) != before
        assert fingerprint(write(tmp_path / kind / "c", n=5)) != before


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"name": "cifar10", "stream": True}, "is loaded into memory; stream = true is for folder, parquet"),
        ({"name": "folder", "center_crop": 0.9}, "center_crop is for images that are streamed"),
        ({"name": "folder", "stream": True, "center_crop": 1.5}, r"no fraction in \(0, 1\]"),
    ],
)
def test_impossible_specs_are_refused(field: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        DataSpec(**field)  # type: ignore[arg-type]


@pytest.mark.parametrize(("place", "write"), [("imagenet", write_folder), (".", write_shards), ("data", write_parquet)])
def test_imagenet_is_found_as_folders_shards_and_parquet(tmp_path: Path, place: str, write: object) -> None:
    write(tmp_path / place)  # type: ignore[operator]
    spec = DataSpec("imagenet", root=str(tmp_path))
    data = open_stream(spec)
    assert (data.size, data.center_crop, data.mean) == (224, 0.875, DATASETS["imagenet"].mean)
    assert Counter(data.train_targets.tolist()) == dict.fromkeys(range(len(CLASSES)), 6)
    assert describe(replace(spec, size=32)).size == 32
    assert fingerprint(spec) == fingerprint(spec)


def test_imagenet_can_be_planned_without_the_files(tmp_path: Path) -> None:
    spec = DataSpec("imagenet", root=str(tmp_path), size=224)
    with pytest.raises(DataMissing, match="n01440764"):
        describe(spec)
    shape = describe_absent(spec)
    assert shape is not None
    assert (shape.num_classes, shape.n_train, shape.n_test) == (1000, 1_281_167, 50_000)


def test_unsorted_validation_images_of_imagenet_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    for path in list((tmp_path / "val").rglob("*.png")):
        path.rename(tmp_path / "val" / f"{path.parent.name}{path.name}")
    for folder in list((tmp_path / "val").iterdir()):
        if folder.is_dir():
            folder.rmdir()
    with pytest.raises(DataError, match="Sort the validation images into val/CLASS"):
        open_stream(DataSpec("imagenet", root=str(tmp_path)))


def test_few_blocks_are_mixed_at_a_time() -> None:
    rng = np.random.default_rng(1)
    blocks = np.repeat(np.arange(10), 7)
    order, places = rng.permutation(70), rng.permutation(10)
    arranged = in_blocks(order, blocks, places, 3)
    assert sorted(arranged.tolist()) == list(range(70))
    windows = [arranged[start : start + 21] for start in range(0, 70, 21)]
    for number, window in enumerate(windows):
        assert set(blocks[window].tolist()) == set(np.flatnonzero(places // 3 == number).tolist())
        # within a window, as drawn
        assert window.tolist() == [i for i in order.tolist() if i in set(window.tolist())]

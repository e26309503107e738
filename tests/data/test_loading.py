"""From spec to tensors: subsets, sizes, descriptions that tell the truth."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prunecheck.data import (
    DATASETS,
    DataShape,
    DataSpec,
    bundled,
    check,
    describe,
    fingerprint,
    load,
    loading,
    names,
)
from prunecheck.data.loading import channel_statistics
from prunecheck.errors import DataError
from tests.data.makers import images, png, write_files


@pytest.mark.parametrize(
    "spec",
    [
        DataSpec("digits"),
        DataSpec("digits", size=4, train_size=30, test_size=20),
        DataSpec("mnist5k", size=14, train_size=101),
    ],
)
def test_the_description_is_what_is_loaded(spec: DataSpec) -> None:
    data = load(spec)
    assert describe(spec) == DataShape(
        data.num_classes,
        data.train_inputs.shape[1],
        data.train_inputs.shape[2],
        len(data.train_inputs),
        len(data.test_inputs),
    )


def test_loading_twice_gives_the_same_tensors() -> None:
    spec = DataSpec("digits", size=5, train_size=50)
    first, second = load(spec), load(spec)
    assert np.array_equal(first.train_inputs, second.train_inputs)
    assert np.array_equal(first.train_targets, second.train_targets)
    assert (first.mean, first.std) == (second.mean, second.std)


def test_a_small_training_set_is_part_of_a_larger_one_and_test_stays() -> None:
    small, large = load(DataSpec("digits", train_size=50)), load(DataSpec("digits", train_size=500))
    inside = {image.tobytes() for image in large.train_inputs}
    assert all(image.tobytes() in inside for image in small.train_inputs)
    assert np.array_equal(small.test_inputs, large.test_inputs)


def test_the_fixed_sets_are_described_without_their_files() -> None:
    assert describe(DataSpec("cifar100", root="/nowhere")) == DataShape(100, 3, 32, 50_000, 10_000)
    assert describe(DataSpec("mnist", root="/nowhere", size=14)).size == 14


@pytest.mark.parametrize("look", [load, describe, check])
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (DataSpec("cifar-10"), r"'cifar-10' is not a data set\. Did you mean 'cifar10'\?"),
        (DataSpec("digits", size=9), "size=9 is over the 8 pixels"),
        (DataSpec("digits", train_size=1001), r"train_size=1001 is not in 10\.\.1000"),
        (DataSpec("digits", train_size=9), r"train_size=9 is not in 10\.\.1000"),
        (DataSpec("digits", test_size=798), r"test_size=798 is not in 1\.\.797"),
    ],
)
def test_an_impossible_request_is_refused_before_anything_is_read(
    look: Callable[[DataSpec], object], spec: DataSpec, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        look(spec)


def test_an_unbalanced_subset_is_refused() -> None:
    with pytest.raises(DataError, match=r"test_size=790 takes 79 images of class .* are balanced"):
        load(DataSpec("digits", test_size=790))


def test_channel_statistics_are_the_plain_ones() -> None:
    pixels = images(20, 2, 5)
    mean, std = channel_statistics(pixels)
    values = pixels.transpose(1, 0, 2, 3).reshape(2, -1) / 255
    assert mean == pytest.approx(values.mean(axis=1))
    assert std == pytest.approx(values.std(axis=1))


def test_listing_does_not_import_torch() -> None:
    program = (
        "import sys; from prunecheck import data; data.names(); [data.describe(data.DataSpec(n)) for n in ('digits', "
        "'cifar10')]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_data_set_has_a_one_line_summary() -> None:
    assert names() == tuple(DATASETS)
    assert all(entry.summary and "\n" not in entry.summary for entry in DATASETS.values())
    assert all(entry.name == name for name, entry in DATASETS.items())


def test_everything_that_changes_the_tensors_changes_it() -> None:
    specs = [
        DataSpec("digits"),
        DataSpec("mnist5k"),
        DataSpec("digits", size=8),
        DataSpec("digits", size=4),
        DataSpec("digits", train_size=100),
        DataSpec("digits", test_size=100),
    ]
    prints = [fingerprint(spec) for spec in specs]
    assert len(set(prints)) == len(specs)
    assert prints == [fingerprint(spec) for spec in specs]
    assert all(len(p) == 64 for p in prints)


def test_a_new_version_of_the_readers_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(DataSpec("digits"))
    monkeypatch.setattr(loading, "READERS_VERSION", 2)
    assert fingerprint(DataSpec("digits")) != before


def test_over_the_limit_names_and_sizes_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {f"{c}/{i}.png": png(images(1, side=4)[0]) for c in "ab" for i in range(3)})
    spec = DataSpec("folder", root=str(tmp_path))
    monkeypatch.setattr(loading, "WHOLE_CONTENT_LIMIT", 10)
    before = fingerprint(spec)
    path = tmp_path / "b" / "1.png"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    assert fingerprint(spec) == before
    path.write_bytes(content + b"x")
    assert fingerprint(spec) != before


def test_missing_files_and_impossible_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        fingerprint(DataSpec("cifar10", root=str(tmp_path)))
    with pytest.raises(DataError, match="size=9 is over"):
        fingerprint(DataSpec("digits", size=9))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "files", lambda _spec: {"gone": tmp_path / "gone"})
    with pytest.raises(DataError, match=r"data 'digits' cannot be read: .*gone"):
        fingerprint(DataSpec("digits"))

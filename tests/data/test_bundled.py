"""The two data sets that come with the package."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prunecheck.data import DataSpec, bundled, check, describe, fingerprint, load
from prunecheck.errors import DataError


def content_hash(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize(
    ("name", "train", "test", "golden"),
    [
        ("digits", (1000, 1, 8, 8), (797, 1, 8, 8), "8aef402ae604a55d"),
        ("mnist5k", (4000, 1, 28, 28), (1000, 1, 28, 28), "a7953fec3ba89f88"),
    ],
)
def test_shape_balance_and_content(name: str, train: tuple[int, ...], test: tuple[int, ...], golden: str) -> None:
    data = load(DataSpec(name))
    assert (data.train_inputs.shape, data.test_inputs.shape) == (train, test)
    assert np.bincount(data.train_targets).tolist() == [train[0] // 10] * 10
    assert np.bincount(data.test_targets).min() >= 70
    assert data.train_inputs.max() == 255
    assert data.train_inputs.flags.c_contiguous
    assert data.notes == ()
    assert content_hash(data.train_inputs, data.train_targets, data.test_inputs, data.test_targets) == golden


def test_larger_test_set_takes_images_from_training() -> None:
    data = load(DataSpec("mnist5k", test_size=2500))
    assert describe(DataSpec("mnist5k", test_size=2500)).n_train == len(data.train_targets) == 2500
    assert np.bincount(data.train_targets).tolist() == np.bincount(data.test_targets).tolist() == [250] * 10
    usual = load(DataSpec("mnist5k"))
    images = {image.tobytes() for image in data.train_inputs}
    assert not images & {image.tobytes() for image in data.test_inputs}
    assert images <= {image.tobytes() for image in usual.train_inputs}
    with pytest.raises(DataError, match=r"test_size=4991 is not in 1\.\.4990"):
        check(DataSpec("mnist5k", test_size=4991))
    with pytest.raises(DataError, match=r"train_size=2501 is not in 10\.\.2500"):
        check(DataSpec("mnist5k", test_size=2500, train_size=2501))


def test_statistics_are_those_of_the_training_images() -> None:
    data = load(DataSpec("digits", train_size=100))
    assert data.mean == pytest.approx([data.train_inputs.mean() / 255])
    assert data.std == pytest.approx([data.train_inputs.std() / 255])


def test_reading_bundled_data_imports_neither_torch_nor_pillow() -> None:
    program = (
        "import sys; from prunecheck.data import DataSpec, load; load(DataSpec('digits')); load(DataSpec('mnist5k')); "
        "print({'torch', 'PIL', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_a_changed_file_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (original,) = bundled.files(DataSpec(name)).values()
    torn = tmp_path / original.name
    torn.write_bytes(original.read_bytes()[:-100])
    monkeypatch.setattr(bundled, "files", lambda _spec: {torn.name: torn})
    with pytest.raises(DataError, match=f"{torn.name} was changed or is incomplete"):
        load(DataSpec(name))


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("prunecheck.resources.FOLDER", tmp_path)
    with pytest.raises(DataError, match=r"digits\.csv\.gz is missing from the installation"):
        check(DataSpec("digits"))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (DataSpec("digits"), "694edd6a5b539d7a22456b5a0c3cd16f50c77748474918abc433a321c2f484dc"),
        (DataSpec("mnist5k"), "e12ad1c869da878ca5643bc6bbf2ea9e6a089332db1dfc552413a2e889903c2e"),
        (DataSpec("mnist5k", size=14), "3da6efc1a65908b26ddd78f7e39c2a2eb76680410bf1235c1281c93d8da907a8"),
    ],
)
def test_fingerprints_of_bundled_data_are_fixed(spec: DataSpec, expected: str) -> None:
    """Results are stored under these: a change makes every stored result of the data set unreachable."""
    assert fingerprint(spec) == expected

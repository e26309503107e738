"""CIFAR in all its editions gives the same tensors; damage is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prunecheck.data import DataSpec, check, fingerprint, load
from prunecheck.errors import DataError
from tests.data.makers import (
    binary_batch,
    cut,
    images,
    labels,
    python_batch,
    write_files,
    write_parquet,
    write_tar,
)
from tests.real_data import REAL_DATA, needs_real_data

TRAIN, TEST = images(50), images(20, seed=1)
TRAIN_LABELS, TEST_LABELS = labels(50), labels(20)
HUNDRED = images(100), labels(100, 100)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNECHECK_DATA", raising=False)


@pytest.fixture
def cut10(monkeypatch: pytest.MonkeyPatch) -> None:
    cut(monkeypatch, "cifar10", 50, 20)


@pytest.fixture
def cut100(monkeypatch: pytest.MonkeyPatch) -> None:
    cut(monkeypatch, "cifar100", 100, 20)


def binary10() -> dict[str, bytes]:
    batches = {
        f"data_batch_{n + 1}.bin": binary_batch(TRAIN[10 * n : 10 * n + 10], TRAIN_LABELS[10 * n : 10 * n + 10])
        for n in range(5)
    }
    return batches | {"test_batch.bin": binary_batch(TEST, TEST_LABELS), "batches.meta.txt": b"airplane\n"}


def python10() -> dict[str, bytes]:
    batches = {
        f"data_batch_{n + 1}": python_batch(TRAIN[10 * n : 10 * n + 10], TRAIN_LABELS[10 * n : 10 * n + 10])
        for n in range(5)
    }
    return batches | {"test_batch": python_batch(TEST, TEST_LABELS)}


def below(folder: str, members: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in members.items()}


def write_edition(root: Path, edition: str) -> None:
    root.mkdir(exist_ok=True)
    if edition == "binary folder":
        write_files(root / "cifar-10-batches-bin", binary10())
    elif edition == "binary files":
        write_files(root, binary10())
    elif edition == "binary tar":
        write_tar(root / "cifar-10-binary.tar.gz", below("cifar-10-batches-bin", binary10()))
    elif edition == "python folder":
        write_files(root / "cifar-10-batches-py", python10())
    elif edition == "python tar":
        write_tar(root / "cifar-10-python.tar.gz", below("cifar-10-batches-py", python10()))
    else:
        folder = root / edition.removeprefix("parquet ")
        write_parquet(folder / "train-00000-of-00002.parquet", TRAIN[:30], TRAIN_LABELS[:30])
        write_parquet(folder / "train-00001-of-00002.parquet", TRAIN[30:], TRAIN_LABELS[30:])
        write_parquet(folder / "test-00000-of-00001.parquet", TEST, TEST_LABELS)


EDITIONS = [
    *("binary folder", "binary files", "binary tar", "python folder", "python tar"),
    *("parquet .", "parquet plain_text", "parquet cifar10", "parquet cifar10/plain_text"),
]


@pytest.mark.usefixtures("cut10")
@pytest.mark.parametrize("edition", EDITIONS)
def test_every_edition_gives_the_same_tensors(tmp_path: Path, edition: str) -> None:
    write_edition(tmp_path, edition)
    spec = DataSpec("cifar10", root=str(tmp_path))
    check(spec)
    data = load(spec)
    assert np.array_equal(data.train_inputs, TRAIN)
    assert np.array_equal(data.test_inputs, TEST)
    assert data.train_targets.tolist() == TRAIN_LABELS.tolist()
    assert data.test_targets.tolist() == TEST_LABELS.tolist()
    assert data.mean == (0.4914, 0.4822, 0.4465)
    assert data.std == (0.2023, 0.1994, 0.2010)
    assert data.class_names[3] == "cat"


@pytest.mark.usefixtures("cut10")
@pytest.mark.parametrize("archive", ["cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"])
def test_root_may_be_the_archive_itself(tmp_path: Path, archive: str) -> None:
    write_edition(tmp_path, "binary tar")
    write_edition(tmp_path, "python tar")
    spec = DataSpec("cifar10", root=str(tmp_path / archive))
    assert np.array_equal(load(spec).test_inputs, TEST)


@pytest.mark.usefixtures("cut100")
@pytest.mark.parametrize("edition", ["binary", "python", "parquet"])
def test_cifar100_reads_the_fine_labels(tmp_path: Path, edition: str) -> None:
    if edition == "binary":
        files = {"train.bin": binary_batch(*HUNDRED, coarse=True), "test.bin": binary_batch(TEST, TEST_LABELS, True)}
        write_files(tmp_path / "cifar-100-binary", files)
    elif edition == "python":
        files = {"train": python_batch(*HUNDRED, key=b"fine_labels")}
        files["test"] = python_batch(TEST, TEST_LABELS, key=b"fine_labels")
        write_tar(tmp_path / "cifar-100-python.tar.gz", below("cifar-100-python", files))
    else:
        write_parquet(tmp_path / "cifar100" / "train-0.parquet", *HUNDRED, label="fine_label")
        write_parquet(tmp_path / "cifar100" / "test-0.parquet", TEST, TEST_LABELS, label="fine_label")
    data = load(DataSpec("cifar100", root=str(tmp_path)))
    assert np.array_equal(data.train_inputs, HUNDRED[0])
    assert data.train_targets.tolist() == list(range(100))
    assert data.test_targets.tolist() == TEST_LABELS.tolist()
    assert len(set(data.class_names)) == 100
    assert (data.class_names[0], data.class_names[99]) == ("apple", "worm")


def broken(root: Path, folder: str, name: str, content: bytes | None) -> None:
    """Write one edition with the file *name* replaced, or without it."""
    members = (binary10() if folder.endswith("bin") else python10()) | {name: content or b""}
    if content is None:
        del members[name]
    write_files(root / folder, members)


BIN, PY = "cifar-10-batches-bin", "cifar-10-batches-py"
THIRD, SECOND = binary10()["data_batch_3.bin"], python10()["data_batch_2"]


@pytest.mark.usefixtures("cut10")
@pytest.mark.parametrize(
    ("folder", "name", "content", "message"),
    [
        (BIN, "data_batch_3.bin", THIRD[:-1], "data_batch_3.bin is torn: 30729 bytes are no multiple of 3073"),
        (BIN, "data_batch_3.bin", b"", "data_batch_3.bin is torn: 0 bytes"),
        (BIN, "data_batch_3.bin", THIRD[:3073], "holds 41 train images, not 50"),
        (BIN, "test_batch.bin", binary_batch(TEST, TEST_LABELS + 5), "10 test labels are outside"),
        (BIN, "data_batch_1.bin", None, "has no 'data_batch_1.bin'"),
        (PY, "data_batch_2", None, "has no 'data_batch_2'"),
        (PY, "data_batch_2", SECOND[:-500], "data_batch_2 is not a CIFAR batch, or torn"),
        (PY, "data_batch_2", python_batch(TEST, TEST_LABELS, key=b"coarse"), "no list of labels 'labels'"),
        (PY, "data_batch_2", python_batch(TEST, TEST_LABELS[:9]), r"9 labels, pixels \[20, 3072\]"),
        (PY, "data_batch_2", b"cos\nsystem\n(U\x02lstR.", "refused, nothing of it was run"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, folder: str, name: str, content: bytes | None, message: str) -> None:
    broken(tmp_path, folder, name, content)
    with pytest.raises(DataError, match=message):
        load(DataSpec("cifar10", root=str(tmp_path)))


@pytest.mark.usefixtures("cut10")
def test_the_preflight_names_a_missing_batch(tmp_path: Path) -> None:
    broken(tmp_path, "cifar-10-batches-py", "data_batch_1", None)
    with pytest.raises(DataError, match=r"data_batch_1 is missing\. Unpack cifar-10-python\.tar\.gz again"):
        check(DataSpec("cifar10", root=str(tmp_path)))


def test_the_preflight_says_where_it_looked_and_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-python").mkdir()
    with pytest.raises(DataError) as caught:
        check(DataSpec("cifar10", root=str(tmp_path)))
    message = str(caught.value)
    assert str(tmp_path / "cifar-10-batches-bin") in message
    assert "PRUNECHECK_DATA" in message
    assert "There is 'cifar-10-batches-python'" in message
    assert len(message.splitlines()) == 3


@pytest.mark.usefixtures("cut10")
def test_editions_have_different_fingerprints(tmp_path: Path) -> None:
    seen = set()
    for edition in ("binary folder", "python folder", "python tar", "parquet ."):
        write_edition(tmp_path / edition, edition)
        seen.add(fingerprint(DataSpec("cifar10", root=str(tmp_path / edition))))
    assert len(seen) == 4


@needs_real_data("cifar10/*.parquet")
def test_the_real_cifar10() -> None:
    spec = DataSpec("cifar10", root=str(REAL_DATA), size=16, train_size=200, test_size=10_000)
    data = load(spec)
    assert data.train_inputs.shape == (200, 3, 16, 16)
    assert data.test_inputs.shape == (10_000, 3, 16, 16)
    assert np.bincount(data.test_targets).tolist() == [1000] * 10
    assert np.bincount(data.train_targets).tolist() == [20] * 10
    again = load(spec)
    assert np.array_equal(data.train_inputs, again.train_inputs)
    measured = data.test_inputs.mean(axis=(0, 2, 3)) / 255
    assert np.abs(measured - np.array(data.mean)).max() < 0.01
    assert data.notes == ()

"""Pickled CIFAR batches: read as data, never run."""

from __future__ import annotations

import contextlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecheck.data.cifar import Record, byte_table, unpickled
from prunecheck.errors import DataError
from tests.data.makers import images, labels, python_batch, short_text


@pytest.mark.parametrize("fortran", [False, True])
def test_a_batch_as_python_2_wrote_it(fortran: bool) -> None:
    pixels, targets = images(4), labels(4)
    batch = unpickled(python_batch(pixels, targets, fortran=fortran), "data_batch_1")
    assert batch["batch_label"] == "training batch 1 of 5"
    assert batch["labels"] == targets.tolist()
    assert np.array_equal(byte_table(batch["data"], "data_batch_1"), pixels.reshape(4, -1))


def test_the_batches_of_these_tests_are_readable_by_numpy() -> None:
    pixels = images(2)
    batch = pickle.loads(python_batch(pixels, labels(2)), encoding="latin1")
    assert np.array_equal(batch["data"], pixels.reshape(2, -1))


class Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_calls_something_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps({"data": Harm(tmp_path / "harm")}, protocol=protocol)
    with pytest.raises(DataError, match="refused, nothing of it was run"):
        unpickled(content, "data_batch_1")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(U\x07echo hitR.",
        b"cbuiltins\neval\n.",
        b"cnumpy\nload\n.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"(ios\nsystem\n.",
        b"(cos\nsystem\nU\x02lso.",
        b"\x80\x02cnumpy\nndarray\n)\x81.",
        b"\x82\x01.",
        b"U\x01aQ.",
        b"Vos\n\x8c\x06system\x93.",
    ],
)
def test_other_names_and_instructions_are_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"batch .*(refused, nothing of it was run|or torn)"):
        unpickled(content, "batch")


def test_allowed_names_with_odd_arguments_give_records_only() -> None:
    inner = b"cnumpy\nndarray\n(K\x01K\x02tR"
    batch = unpickled(b"}(" + short_text(b"data") + inner + b"u.", "batch")
    assert isinstance(batch["data"], Record)
    assert batch["data"].arguments == (1, 2)
    with pytest.raises(DataError, match="not a table of bytes"):
        byte_table(batch["data"], "batch")


@pytest.mark.parametrize("keep", [0, 1, 10, 60, 300, -2, -1])
def test_a_torn_batch_is_refused(keep: int) -> None:
    with pytest.raises(DataError, match="is not a CIFAR batch, or torn"):
        unpickled(python_batch(images(2), labels(2))[:keep], "data_batch_1")


@pytest.mark.parametrize(
    "content", [b"\x80\x02Nr\xff\xff\xff\x7f.", b"Np2000000000\n.", b"\x80\x05\x96" + b"\xff" * 7 + b"\0."]
)
def test_a_small_pickle_that_asks_for_much_memory_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="is not a CIFAR batch, or torn"):
        unpickled(content, "data_batch_1")


def test_a_pickle_cannot_change_the_record_class() -> None:
    evil = b"\x80\x02cnumpy\nndarray\n}" + short_text(b"state") + b"K\x01sb."
    with pytest.raises(DataError, match="is not a CIFAR batch"):
        unpickled(evil, "data_batch_1")
    assert not hasattr(Record, "state")


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_batch_written_again_by_python_3_is_read(protocol: int) -> None:
    pixels = images(2).reshape(2, -1)
    batch = unpickled(pickle.dumps({"data": pixels, "labels": [0, 1]}, protocol=protocol), "data_batch_1")
    assert np.array_equal(byte_table(batch["data"], "data_batch_1"), pixels)


@pytest.mark.parametrize(
    "content", [b"]q\x01.", b"K\x01.", b"u.", b"K\x01K\x02.", b"(K\x01u.", b"h\x05.", b"K\x01b.", b"K\x01s."]
)
def test_a_pickle_that_is_no_dictionary_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="is not a CIFAR batch, or torn"):
        unpickled(b"\x80\x02" + content, "data_batch_1")


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_a_mutated_batch_is_read_or_refused(position: int, noise: bytes) -> None:
    content = python_batch(images(1), labels(1))
    with contextlib.suppress(DataError):
        batch = unpickled(content[:position] + noise + content[position + len(noise) :], "batch")
        byte_table(batch.get("data"), "batch")


@pytest.mark.parametrize(
    ("old", "new"),
    [(short_text(b"u1"), short_text(b"f4")), (b"M\x02\x00M\x00\x0c\x86", b"M\x03\x00M\x00\x0c\x86")],
)
def test_pixels_of_another_kind_or_number_are_refused(old: bytes, new: bytes) -> None:
    content = python_batch(images(2), labels(2))
    assert content.count(old) == 1
    batch = unpickled(content.replace(old, new), "data_batch_1")
    with pytest.raises(DataError, match="not a table of bytes, or torn"):
        byte_table(batch["data"], "data_batch_1")


@pytest.mark.parametrize("value", [None, 7, [1, 2], "text"])
def test_a_value_that_is_no_array_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="not a table of bytes"):
        byte_table(value, "data_batch_1")

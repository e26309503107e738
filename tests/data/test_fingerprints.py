"""Fingerprints: equal for equal tensors, different for anything that changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecheck.data import DataSpec, bundled, fingerprint, fingerprints
from prunecheck.errors import DataError
from tests.data.makers import images, png, write_files


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
    monkeypatch.setattr(fingerprints, "READERS_VERSION", 2)
    assert fingerprint(DataSpec("digits")) != before


def test_over_the_limit_names_and_sizes_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {f"{c}/{i}.png": png(images(1, side=4)[0]) for c in "ab" for i in range(3)})
    spec = DataSpec("folder", root=str(tmp_path))
    monkeypatch.setattr(fingerprints, "WHOLE_CONTENT_LIMIT", 10)
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

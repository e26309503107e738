"""What is found in data on the disk is remembered for as long as nothing changes; broken images are named at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prunecheck.data import DataSpec, fingerprint, open_stream, scan
from prunecheck.data.scan import remembered
from prunecheck.errors import DataError
from tests.data.streams import WRITERS, make_old, picture, write_folder, write_shards, write_tar


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(scan, "cache_folder", lambda: folder)
    return folder


@pytest.mark.parametrize("kind", WRITERS)
def test_unchanged_files_are_read_once(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = WRITERS[kind](tmp_path / "data")
    make_old(tmp_path / "data")
    before = fingerprint(spec)
    module = __import__(f"prunecheck.data.{kind}", fromlist=["_"])
    monkeypatch.setattr(module, "_found_in", lambda *_: pytest.fail("it was read again"))
    assert fingerprint(spec) == before


def test_a_changed_image_is_noticed_by_its_time(tmp_path: Path) -> None:
    spec = write_folder(tmp_path / "data")
    make_old(tmp_path / "data")
    before = fingerprint(spec)
    path = tmp_path / "data/train/dog/03.png"
    content = picture(77, 9, 9)
    path.write_bytes(content)
    os.utime(path, ns=(10**18 + 5, 10**18 + 5))
    assert fingerprint(spec) != before


def test_nothing_is_remembered_of_files_changed_a_moment_ago(tmp_path: Path, cache: Path) -> None:
    fingerprint(write_folder(tmp_path / "data"))
    assert not cache.exists()


def test_a_damaged_memory_is_as_good_as_none(tmp_path: Path, cache: Path) -> None:
    spec = write_shards(tmp_path / "data")
    make_old(tmp_path / "data")
    before = fingerprint(spec)
    for entry, damage in zip(
        sorted(cache.iterdir()), (b"", b"[]", b"{", b"null", b'{"state": 1}', b"\xff"), strict=True
    ):
        entry.write_bytes(damage)
    assert fingerprint(spec) == before


def test_without_a_writable_cache_everything_works(tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file where the folder would be")
    assert remembered(tmp_path, "state", 0, lambda: {"content": "x"}) == {"content": "x"}


def test_all_broken_images_of_a_folder_are_named_before_training(tmp_path: Path) -> None:
    spec = write_folder(tmp_path / "data")
    cut = tmp_path / "data/train/cat/02.png"
    cut.write_bytes(cut.read_bytes()[:-90])
    (tmp_path / "data/val/emu/00.png").write_text("no image")
    with pytest.raises(DataError) as caught:
        fingerprint(spec)
    message = str(caught.value)
    assert "2 images cannot be read" in message
    assert "train/cat/02.png" in message
    assert "val/emu/00.png" in message


def test_torn_jpeg_is_found_by_its_missing_end(tmp_path: Path) -> None:
    spec = write_folder(tmp_path / "data")
    (tmp_path / "data/train/cat/extra.jpg").write_bytes(picture(1, 40, 40, "jpeg")[:-30])
    with pytest.raises(DataError, match=r"extra.jpg cannot be read: OSError: image file is truncated"):
        fingerprint(spec)


def test_broken_image_of_a_shard_is_named(tmp_path: Path) -> None:
    spec = write_shards(tmp_path / "data")
    write_tar(tmp_path / "data/mini-train-0001.tar", [("good", 0, picture(1, 9, 9)), ("bad", 1, b"nothing")])
    with pytest.raises(DataError, match=r"bad.png in .*mini-train-0001.tar cannot be read"):
        fingerprint(spec)


def test_broken_row_of_a_parquet_file_is_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    spec = WRITERS["parquet"](tmp_path / "data")
    rows = {"image": [picture(1, 9, 9), b"nothing"], "label": [0, 1]}
    pq.write_table(pa.table(rows), tmp_path / "data/validation-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"validation-00000-of-00001.parquet: row 1 cannot be read"):
        fingerprint(spec)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "holds no image"),
        ([("a", -4, picture(0, 9, 9))], "holds no class number"),
        ([("a", 0, picture(0, 9, 9)), ("a", 1, picture(0, 9, 9))], "holds two images 'a'"),
    ],
)
def test_shards_that_are_wrong(tmp_path: Path, samples: list[tuple[str, int, bytes]], message: str) -> None:
    spec = write_shards(tmp_path)
    write_tar(tmp_path / "mini-train-0000.tar", samples)
    with pytest.raises(DataError, match=message):
        open_stream(spec)


def test_image_without_a_label_is_named(tmp_path: Path) -> None:
    import io
    import tarfile

    spec = write_shards(tmp_path)
    with tarfile.open(tmp_path / "mini-train-0000.tar", "w") as archive:
        member = tarfile.TarInfo("lonely.png")
        member.size = len(content := picture(0, 9, 9))
        archive.addfile(member, io.BytesIO(content))
    with pytest.raises(DataError, match=r"lonely.png has no label: no lonely.cls"):
        open_stream(spec)


def test_compressed_archive_is_refused(tmp_path: Path) -> None:
    spec = write_shards(tmp_path)
    (tmp_path / "mini-train-0000.tar").write_bytes(b"\x1f\x8b" + bytes(600))
    with pytest.raises(DataError, match="no uncompressed tar archive"):
        open_stream(spec)


def test_shards_need_a_size(tmp_path: Path) -> None:
    write_shards(tmp_path)
    with pytest.raises(DataError, match="takes a size"):
        fingerprint(DataSpec("webdataset", root=str(tmp_path)))

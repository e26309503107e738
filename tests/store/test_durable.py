from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from disk_probe import break_operation, log_operations
from store_study import names_in

from prunecheck.errors import StoreError
from prunecheck.store import durable

BIG = bytes(range(256)) * 10_000  # more than two blocks


# --- files


@pytest.mark.parametrize("data", [b"", b"abc", BIG])
def test_write_file(data: bytes, place: Path) -> None:
    durable.write_file(place / "file", b"old")
    durable.write_file(place / "file", data)
    assert (place / "file").read_bytes() == data
    assert names_in(place) == ["file"]
    assert stat.S_IMODE((place / "file").stat().st_mode) & 0o133 == 0


def test_write_file_is_synced_before_and_after_the_rename(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_operations(monkeypatch)
    durable.write_file(place / "file", b"abc")
    assert [operation for operation, _ in log] == ["open", "write", "fsync", "rename", "open", "fsync"]
    assert log[4] == ("open", place.name)


def test_temporary_file_is_in_the_given_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "tmp").mkdir()
    seen = []
    real = os.rename
    monkeypatch.setattr(os, "rename", lambda old, new: (seen.append(old), real(old, new)))
    durable.write_file(place / "a", b"", temp_in=place / "tmp")
    durable.write_file(place / "b", b"")
    assert [path.parent for path in seen] == [place / "tmp", place]
    assert all(path.name.startswith(".") and path.suffix == ".tmp" for path in seen)


def test_short_writes_are_finished(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
    durable.write_file(place / "file", b"0123456789abcdef")
    assert (place / "file").read_bytes() == b"0123456789abcdef"


def test_write_chunks(place: Path) -> None:
    durable.write_chunks(place / "file", iter([b"ab", b"", b"c"]))
    assert (place / "file").read_bytes() == b"abc"


def test_failed_write_keeps_the_old_file(place: Path) -> None:
    def source() -> Any:
        yield b"new"
        raise KeyboardInterrupt

    durable.write_file(place / "file", b"old")
    with pytest.raises(KeyboardInterrupt):
        durable.write_chunks(place / "file", source())
    assert (place / "file").read_bytes() == b"old"
    assert names_in(place) == ["file"]


def test_writing_replaces_a_link_and_not_its_target(place: Path) -> None:
    (place / "target").write_bytes(b"mine")
    (place / "link").symlink_to(place / "target")
    durable.write_file(place / "link", b"new")
    assert (place / "target").read_bytes() == b"mine"
    assert not (place / "link").is_symlink()


def test_read_file(place: Path) -> None:
    (place / "file").write_bytes(BIG)
    assert durable.read_file(place / "file", limit=len(BIG)) == BIG
    assert durable.read_file(place / "file", limit=len(BIG) - 1) is None
    assert durable.read_file(place / "absent", limit=9) is None
    assert durable.read_file(place / "file" / "below", limit=9) is None


def test_hash_file(place: Path) -> None:
    (place / "file").write_bytes(BIG)
    assert durable.hash_file(place / "file") == (len(BIG), hashlib.sha256(BIG).hexdigest())
    assert durable.hash_file(place / "absent") is None


def test_only_plain_files_are_read(place: Path) -> None:
    (place / "file").write_bytes(b"abc")
    (place / "link").symlink_to("file")
    (place / "folder").mkdir()
    os.mkfifo(place / "pipe")
    for name in ("link", "folder", "pipe"):
        assert durable.read_file(place / name, limit=9) is None
        assert durable.hash_file(place / name) is None


def test_read_error_differs_from_absent_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "file").write_bytes(b"abc")
    break_operation(monkeypatch, "open", errno.EACCES)
    with pytest.raises(StoreError, match="Permission denied"):
        durable.read_file(place / "file", limit=9)


# --- lines


def test_append_line(place: Path) -> None:
    durable.append_line(place / "lines", b"one")
    durable.append_line(place / "lines", b"two")
    assert (place / "lines").read_bytes() == b"one\ntwo\n"


def test_append_after_an_incomplete_line(place: Path) -> None:
    (place / "lines").write_bytes(b"one\ntw")
    durable.append_line(place / "lines", b"three")
    assert (place / "lines").read_bytes() == b"one\ntw\nthree\n"


def test_append_line_is_one_write(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_operations(monkeypatch)
    durable.append_line(place / "lines", b"one")
    assert log == [("open", "lines"), ("write", None)]


def test_append_line_follows_no_link(place: Path) -> None:
    (place / "target").write_bytes(b"")
    (place / "lines").symlink_to("target")
    with pytest.raises(StoreError):
        durable.append_line(place / "lines", b"one")
    assert (place / "target").read_bytes() == b""


# --- folders


def test_commit_folder(place: Path) -> None:
    assert durable.commit_folder(place / "scratch", place / "final", [("a", b"1"), ("b", b"2")]) is True
    assert {p.name: p.read_bytes() for p in (place / "final").iterdir()} == {"a": b"1", "b": b"2"}
    assert names_in(place) == ["final"]


def test_commit_folder_syncs_all_before_the_rename(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "in").mkdir()
    log = log_operations(monkeypatch)
    durable.commit_folder(place / "scratch", place / "in" / "final", [("a", b"1"), ("b", b"2")])
    write = [("write", None), ("fsync", None)]
    assert log == [
        ("mkdir", "scratch"), ("open", "a"), *write, ("open", "b"), *write,
        ("open", "scratch"), ("fsync", None), ("rename", "scratch"), ("open", "in"), ("fsync", None),
    ]  # fmt: skip


def test_second_commit_is_discarded_and_the_first_is_durable(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable.commit_folder(place / "one", place / "final", [("a", b"1")])
    log = log_operations(monkeypatch)
    assert durable.commit_folder(place / "two", place / "final", [("a", b"2")]) is False
    assert (place / "final" / "a").read_bytes() == b"1"
    assert names_in(place) == ["final"]
    assert log[-2:] == [("open", place.name), ("fsync", None)]


def test_lost_reply_to_rename_is_success(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_operation(monkeypatch, "rename", errno.ENOENT, after=True)
    durable.commit_folder(place / "scratch", place / "final", [("a", b"1")])
    assert (place / "final" / "a").read_bytes() == b"1"


@pytest.mark.parametrize("operation", ["mkdir", "open", "write", "fsync", "rename"])
def test_a_failed_commit_leaves_nothing(operation: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_operation(monkeypatch, operation, errno.ENOSPC)
    with pytest.raises(StoreError, match=r"^The disk is full\. Free some space; the same command resumes"):
        durable.commit_folder(place / "scratch", place / "final", [("a", b"1")])
    assert names_in(place) == []


def test_commit_onto_a_file_fails(place: Path) -> None:
    (place / "final").write_bytes(b"mine")
    with pytest.raises(StoreError):
        durable.commit_folder(place / "scratch", place / "final", [("a", b"1")])
    assert names_in(place) == ["final"]


def test_ensure_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_operations(monkeypatch)
    durable.ensure_folder(place / "a" / "b")
    assert (place / "a" / "b").is_dir()
    sync = ("fsync", None)
    assert log == [("mkdir", "a"), ("open", place.name), sync, ("mkdir", "b"), ("open", "a"), sync]
    log.clear()
    durable.ensure_folder(place / "a" / "b")
    assert log == [("open", "a"), sync]


@pytest.mark.parametrize("what", ["link", "file", "dangling"])
def test_ensure_folder_refuses_links_and_files(what: str, place: Path) -> None:
    (place / "file").write_bytes(b"")
    (place / "link").symlink_to(place)
    (place / "dangling").symlink_to(place / "nowhere")
    with pytest.raises(StoreError, match=f"{what} must be a plain folder, not a link or a file\\.$"):
        durable.ensure_folder(place / what)
    assert not (place / "nowhere").exists()


def test_ensure_folder_below_an_unlistable_parent(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_operation(monkeypatch, "open", errno.EACCES)
    durable.ensure_folder(place / "a")
    assert (place / "a").is_dir()


def test_sync_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_operations(monkeypatch)
    durable.sync_folder(place)
    assert log == [("open", place.name), ("fsync", None)]
    with pytest.raises(StoreError):
        durable.sync_folder(place / "absent")


def test_move(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("from", "to"):
        (place / name).mkdir()
    (place / "from" / "a").write_bytes(b"1")
    log = log_operations(monkeypatch)
    assert durable.move(place / "from" / "a", place / "to" / "b") is True
    assert (place / "to" / "b").read_bytes() == b"1"
    assert [entry for entry in log if entry[0] == "open"] == [("open", "to"), ("open", "from")]
    assert durable.move(place / "from" / "a", place / "to" / "c") is False


def test_remove(place: Path) -> None:
    (place / "tree" / "deep").mkdir(parents=True)
    (place / "tree" / "deep" / "file").write_bytes(b"1")
    (place / "outside").mkdir()
    (place / "outside" / "mine").write_bytes(b"1")
    (place / "tree" / "link").symlink_to(place / "outside")
    durable.remove(place / "tree")
    durable.remove(place / "tree")
    assert names_in(place) == ["outside"]
    assert names_in(place / "outside") == ["mine"]


def test_discard_ignores_errors_of_remove(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "file").write_bytes(b"1")
    break_operation(monkeypatch, "unlink", errno.EIO)
    durable.discard(place / "file")
    with pytest.raises(StoreError, match="The disk reports an I/O error"):
        durable.remove(place / "file")


def test_folder_names(place: Path) -> None:
    for name in ("b", "a"):
        (place / name).mkdir()
    (place / "link").symlink_to("a")
    assert durable.folder_names(place) == ["a", "b", "link"]
    assert durable.folder_names(place / "absent") == []
    assert durable.folder_names(place / "link") == []


def test_folder_names_of_a_folder_that_goes_away(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "is_folder", lambda _path: True)
    assert durable.folder_names(place / "gone") == []


def test_is_folder(place: Path) -> None:
    (place / "file").write_bytes(b"")
    (place / "link").symlink_to(place)
    assert durable.is_folder(place)
    assert not any(durable.is_folder(place / name) for name in ("file", "link", "absent"))


def test_free_bytes(place: Path) -> None:
    usage = os.statvfs(place)
    assert 0 < durable.free_bytes(place / "not" / "yet") <= usage.f_frsize * usage.f_blocks
    assert isinstance(durable.free_bytes(place), int)

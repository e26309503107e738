"""What the disk refuses ends in one sentence; and what faults and the crash model rely on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from disk_probe import break_operation, log_operations

from prunecheck.errors import StoreError
from prunecheck.store import durable, faults


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "The disk is full. Free some space;"),
        (errno.EDQUOT, "Your disk quota is used up. Free some space;"),
        (errno.EFBIG, "A file would exceed the size limit. Raise it (ulimit -f);"),
        (errno.EROFS, "The disk is read-only. Make it writable or choose another store;"),
        (errno.EACCES, "Permission denied. Make the folder writable or choose another store;"),
        (errno.EPERM, "Permission denied. Make the folder writable or choose another store;"),
        (errno.EIO, "The disk reports an I/O error. Check it or choose another store;"),
        (
            errno.EMFILE,
            "Too many files are open in this process. If a plug-in or model of yours opens files, close them there; "
            "else raise the limit (ulimit -n);",
        ),
    ],
)
def test_every_error_says_what_to_do(code: int, words: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_operation(monkeypatch, "write", code)
    with pytest.raises(StoreError) as caught:
        durable.write_file(place / "file", b"abc")
    reason = os.strerror(code)
    assert str(caught.value) == f"{words} the same command resumes where it stopped. ({place / 'file'}: {reason})"
    assert caught.value.exit_code == 74


def test_error_without_errno_is_reported(place: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"^Reading or writing failed \(OSError\)\. Check the path;"),
        durable.plainly(place),
    ):
        raise OSError


def test_control_characters_in_a_path_are_not_printed(place: Path) -> None:
    with pytest.raises(StoreError) as caught:
        durable.append_line(place / "\x1b[31m" / "x", b"")
    assert "\x1b" not in str(caught.value)


def test_every_function_names_the_path_that_failed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place / "victim"
    path.write_bytes(b"1")
    monkeypatch.setattr(faults, "armed", faults.Fault(1, "eio", once=False))
    calls: list[Callable[[], object]] = [
        lambda: durable.write_file(path, b""),
        lambda: durable.commit_folder(place / "scratch", path, []),
        lambda: durable.append_line(path, b""),
        lambda: durable.ensure_folder(path),
        lambda: durable.sync_folder(path),
        lambda: durable.move(path, place / "target"),
        lambda: durable.remove(path),
        lambda: durable.read_file(path, limit=9),
        lambda: durable.hash_file(path),
        lambda: durable.lock(path),
    ]
    for call in calls:
        with pytest.raises(StoreError, match=f"\\({path}: Input/output error\\)$"):
            call()


def test_a_folder_that_may_not_be_listed_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(_path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(StoreError, match=f"\\({place}: Permission denied\\)$"):
        durable.folder_names(place)


def test_fault_operation_names_equal_disk_operations(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "tree").mkdir()
    (place / "tree" / "file").write_bytes(b"1")
    log = log_operations(monkeypatch)
    durable.move(place / "tree", place / "moved")
    durable.read_file(place / "moved" / "file", limit=9)
    durable.remove(place / "moved")
    handle = durable.lock(place / "lock")
    assert handle is not None
    durable.unlock(handle)
    sync = ["open", "fsync"]
    assert [op for op, _ in log] == ["rename", *sync, *sync, "open", "read", "read", "unlink", "rmdir", "open"]


def test_armed_fault_uses_the_requested_mode(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "armed", faults.Fault(2, "torn", once=True))
    with pytest.raises(StoreError):
        durable.append_line(place / "lines", b"1234567")
    assert (place / "lines").read_bytes() == b"1234"


def test_a_torn_line_of_a_single_byte(place: Path) -> None:
    (place / "lines").write_bytes(b"{")
    durable.append_line(place / "lines", b"one")
    assert (place / "lines").read_bytes() == b"{\none\n"


def test_long_path_is_shortened_in_errors() -> None:
    assert len(durable.shown(Path("x" * 500))) == 240
    assert durable.shown(Path("x" * 150)) == "x" * 150

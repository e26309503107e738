from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest
from store_study import in_child, names_in

from prunecheck.errors import StoreError
from prunecheck.store import durable


def test_lock_keeps_others_out_until_unlocked(place: Path) -> None:
    handle = durable.lock(place / "lock")
    assert handle is not None
    assert durable.lock(place / "lock", wait=False) is None
    assert durable.lock(place / "lock", wait=False, shared=True) is None
    durable.unlock(handle)
    again = durable.lock(place / "lock", wait=False)
    assert again is not None
    durable.unlock(again, remove_too=place / "lock")
    assert names_in(place) == []


def test_shared_locks_go_together(place: Path) -> None:
    one = durable.lock(place / "lock", shared=True)
    two = durable.lock(place / "lock", shared=True, wait=False)
    assert one is not None
    assert two is not None
    assert durable.lock(place / "lock", wait=False) is None
    durable.unlock(one)
    durable.unlock(two)


def test_unlock_also_frees_a_handle_inherited_by_a_child(place: Path) -> None:
    handle = durable.lock(place / "lock")
    assert handle is not None
    copy = os.dup(handle)
    durable.unlock(handle)
    again = durable.lock(place / "lock", wait=False)
    assert again is not None
    durable.unlock(again)
    os.close(copy)


@pytest.mark.parametrize("replaced", [True, False])
def test_lock_on_a_removed_file_is_taken_again(replaced: bool, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, turns = fcntl.flock, []

    def flock(handle: int, mode: int) -> None:
        if not turns:
            (place / "lock").unlink()
            if replaced:
                (place / "lock").write_bytes(b"")
        turns.append(mode)
        real(handle, mode)

    monkeypatch.setattr(fcntl, "flock", flock)
    handle = durable.lock(place / "lock")
    assert handle is not None
    assert len(turns) == 2
    assert os.fstat(handle).st_ino == (place / "lock").stat().st_ino
    durable.unlock(handle)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused(code: int, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_handle: int, _mode: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StoreError, match=r"^This file system has no locks \(NFS\?\)\. Choose a store on a local disk;"):
        durable.lock(place / "lock")


def test_death_frees_a_lock(place: Path) -> None:
    assert in_child(lambda: durable.lock(place / "lock") and None) == 0
    handle = durable.lock(place / "lock", wait=False)
    assert handle is not None
    durable.unlock(handle)


def test_lock_follows_no_link(place: Path) -> None:
    (place / "lock").symlink_to(place / "target")
    with pytest.raises(StoreError):
        durable.lock(place / "lock")
    assert not (place / "target").exists()

"""A store that several users share: permissions by the umask, group-writable in a folder made for sharing."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from prunecheck.errors import StoreError
from prunecheck.store import Store, Timings

KEYS = ["a" * 64, "b" * 64, "c" * 64]
FILES = {"result.json": b"{}"}
GROUP, ALICE, BOB = 54321, 54322, 54323


@pytest.fixture(params=[0o022, 0o002, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(store: Store) -> set[int]:
    return {stat.S_IMODE(path.lstat().st_mode) for path in store.root.rglob("*") if path.is_file()}


def use(store: Store, key: str) -> None:
    store.commit(key, FILES)
    store.save_partial(KEYS[2], b"half")
    Timings(store).record("train", 1.0, key)
    with store.claim(key):
        pass


def test_files_follow_the_umask(umask: int, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    use(store, KEYS[0])
    assert modes(store) == {0o666 & ~umask}


def test_files_in_a_setgid_folder_are_group_writable_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o2770)
    store = Store.open(tmp_path / "shared" / "store")
    use(store, KEYS[0])
    assert modes(store) == {(0o666 & ~umask) | 0o060}
    folders = [store.root, *(path for path in store.root.rglob("*") if path.is_dir())]
    wanted = stat.S_IRWXG | stat.S_ISGID
    assert all(path.stat().st_mode & wanted == wanted for path in folders)


def test_a_world_writable_folder_such_as_tmp_is_not_taken_for_a_shared_one(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    before = os.umask(0o022)
    try:
        store = Store.open(tmp_path / "tmp" / "store")
        use(store, KEYS[0])
    finally:
        os.umask(before)
    assert modes(store) == {0o644}
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o755


def as_user(user: int, umask: int, work: Callable[[], None]) -> int:
    """*work* in a child process of *user* in GROUP: 0, or 1 for a StoreError."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setgroups([])
            os.setgid(GROUP)
            os.setuid(user)
            os.umask(umask)
            work()
            code = 0
        except StoreError:
            code = 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming other users needs root")
def test_two_users_of_a_group_share_a_store() -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        os.chown(folder, ALICE, GROUP)
        folder.chmod(0o2770)
        store = folder / "store"
        assert as_user(ALICE, 0o022, lambda: use(Store.open(store), KEYS[0])) == 0
        assert as_user(BOB, 0o022, lambda: use(Store.open(store), KEYS[1])) == 0

        def clean() -> None:
            mine = Store.open(store)
            mine.drop(KEYS[1])
            mine.clear_partial(KEYS[2])
            mine.reject(KEYS[0], "a test")
            assert not mine.has(KEYS[0])

        assert as_user(ALICE, 0o022, clean) == 0
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming other users needs root")
def test_a_store_of_another_user_is_readable_and_writing_is_refused() -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        os.chown(folder, ALICE, GROUP)
        folder.chmod(0o755)
        store = folder / "store"
        assert as_user(ALICE, 0o022, lambda: use(Store.open(store), KEYS[0])) == 0

        def read() -> None:
            assert Store.open(store).read(KEYS[0], "result.json") == b"{}"

        assert as_user(BOB, 0o022, read) == 0
        assert as_user(BOB, 0o022, lambda: Store.open(store).commit(KEYS[1], FILES)) == 1
        assert as_user(BOB, 0o022, lambda: Store.open(store).drop(KEYS[0])) == 1
    finally:
        shutil.rmtree(folder)


def test_a_lock_file_that_may_only_be_read_can_still_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(tmp_path / "store")
    use(store, KEYS[0])
    real = os.open

    def unwritable(path: str | Path, flags: int, *args: int) -> int:
        if Path(path).name == "lock" and flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *args)

    monkeypatch.setattr(os, "open", unwritable)
    store.commit(KEYS[1], FILES)
    assert store.has(KEYS[1])


def test_a_child_forked_while_a_claim_is_held_does_not_keep_it(tmp_path: Path) -> None:
    """As a plug-in's helper process does; the process that took the claim may be killed before that ends."""
    store = Store.open(tmp_path / "store")
    ready, done = os.pipe(), os.pipe()
    owner = os.fork()
    if owner == 0:
        with store.claim(KEYS[0]):
            helper = os.fork()
            if helper == 0:
                os.write(ready[1], str(os.getpid()).encode())
                os.read(done[0], 1)
                os._exit(0)
            os.waitpid(helper, 0)
        os._exit(0)
    os.read(ready[0], 20)
    assert store.try_claim(KEYS[0]) is None
    os.kill(owner, 9)
    os.waitpid(owner, 0)
    claim = store.try_claim(KEYS[0])
    os.write(done[1], b"x")
    for handle in (*ready, *done):
        os.close(handle)
    assert claim is not None
    claim.release()


def test_releasing_a_claim_in_a_forked_child_frees_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    with store.claim(KEYS[0]) as claim:
        child = os.fork()
        if child == 0:
            claim.release()
            os._exit(0)
        os.waitpid(child, 0)
        assert store.try_claim(KEYS[0]) is None


def test_a_copy_made_while_artefacts_are_committed_is_sound(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    use(store, KEYS[0])
    child = os.fork()
    if child == 0:
        for number in range(10_000):
            Store.open(tmp_path / "store").commit(f"{number:064x}", {"a": os.urandom(50_000), "b": b"x"})
        os._exit(0)
    try:
        for copy in (tmp_path / "one", tmp_path / "two"):
            while len(list(store.keys())) < 20:
                time.sleep(0.01)
            with suppress(shutil.Error):  # a temporary file was gone before it was copied
                shutil.copytree(store.root, copy, symlinks=True)
            copied = Store.open(copy)
            keys = list(copied.keys())
            assert len(keys) >= 20
            assert [key for key in keys if copied.fault_of(key) is not None] == []
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_store_that_is_moved_while_it_is_open_is_refused_and_works_at_its_new_place(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    store.commit(KEYS[0], FILES)
    (tmp_path / "store").rename(tmp_path / "moved")
    with pytest.raises(StoreError) as caught:
        store.commit(KEYS[1], FILES)
    assert len(str(caught.value).splitlines()) == 1
    moved = Store.open(tmp_path / "moved")
    assert moved.read(KEYS[0], "result.json") == b"{}"
    moved.commit(KEYS[1], FILES)
    assert set(moved.keys()) == set(KEYS[:2])

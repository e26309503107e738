"""Claims on file systems without working locks: found out at the start, held by one process, given up by dead ones."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.store.store_study import in_child

from prunecheck.errors import StoreError
from prunecheck.store import Store, durable, leases

KEY = "a" * 64
HEAD = """
import sys
from pathlib import Path
from prunecheck.store import Store
store = Store.open(Path(sys.argv[1]))
"""
NO_LOCKS = "int flock(int handle, int operation) { return 0; }"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store.open(tmp_path / "store")
    found.use_leases()
    return found


@pytest.fixture(scope="session")
def without_locks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process in which flock does nothing and reports success, as on some network file systems."""
    if shutil.which("cc") is None or sys.platform != "linux":
        pytest.skip("needs a C compiler and LD_PRELOAD")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(NO_LOCKS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "shim.so", "shim.c"], cwd=folder, check=True)
    return dict(os.environ) | {"LD_PRELOAD": str(folder / "shim.so")}


def python(code: str, folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, "-c", HEAD + code, str(folder)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_working_locks_are_recognised(tmp_path: Path) -> None:
    assert Store.open(tmp_path / "store").why_no_locks() == ""
    assert not Store.open(tmp_path / "store").has_leases


def test_locks_are_tested_while_another_process_empties_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs that start at the same moment: one removed the file by which the other tested the locks."""
    root, real, rename = tmp_path / "store", leases._try_locks, os.rename

    def swept(path: Path, other_process: bool) -> str:
        Store.open(root).sweep()
        return real(path, other_process)

    def rename_swept(old: Path, new: Path) -> None:
        Store.open(root).sweep()
        rename(old, new)

    monkeypatch.setattr(leases, "_try_locks", swept)
    assert Store.open(root).why_no_locks() == ""
    with Store.open(root).probe_file("token") as path:
        Store.open(root).sweep()
        assert path.read_text() == "token"
    monkeypatch.setattr(os, "rename", rename_swept)
    Store.open(root).use_leases()
    assert Store.open(root).has_leases


def test_a_sweep_that_began_before_leases_were_used_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, real = Store.open(tmp_path / "store"), durable.folder_names
    store.commit(KEY, {"a": b"1"})

    def listed(path: Path) -> list[str]:
        if path.name == "tmp":
            Store.open(store.root).use_leases()
            (path / "in use").touch()
        return real(path)

    monkeypatch.setattr(durable, "folder_names", listed)
    store.sweep()
    assert (store.root / "tmp" / "in use").exists()


def test_an_error_of_the_disk_while_locks_are_tested_is_a_store_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_handle: int, _mode: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StoreError, match="I/O error"):
        Store.open(tmp_path / "store").why_no_locks()


def test_locks_that_do_nothing_are_recognised(tmp_path: Path, without_locks: dict[str, str]) -> None:
    reason = python("print(store.why_no_locks())", tmp_path / "store", without_locks)
    assert reason == "a lock that is held can be taken again"


def test_the_second_process_of_the_probe_finds_locks_of_one_process_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "probe"
    path.touch()
    assert leases._try_locks(path, other_process=True) == ""
    real, own = fcntl.flock, os.getpid()
    monkeypatch.setattr(fcntl, "flock", lambda *words: real(*words) if os.getpid() == own else None)
    assert leases._try_locks(path, other_process=True) == "another process can take a lock that is held"


def test_refused_locks_are_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_handle: int, _mode: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert Store.open(tmp_path / "store").why_no_locks() == "locks are refused: No locks available"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("server:/x /P rw,relatime - nfs server:/x rw,vers=3,local_lock=all", "mounted with local_lock=all, so that"),
        ("server:/x /P rw - nfs4 server:/x rw,vers=4.2,local_lock=none", ""),
        ("mds:/x /P rw - lustre mds:/x rw,localflock", "mounted with localflock, so that"),
        ("you@host: /P rw - fuse.sshfs you@host: rw,user_id=0", "file system fuse.sshfs, whose locks"),
        ("x /P rw - beegfs beegfs_nodev rw", "file system beegfs, whose locks"),
    ],
)
def test_mounts_whose_locks_stay_on_one_machine_are_recognised(
    tmp_path: Path, line: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    _, point, rest = line.split(" ", 2)
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / {point.replace('/P', str(tmp_path))} {rest}\n")
    real = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path: real(mounts if str(path) == "/proc/self/mountinfo" else path))
    assert leases.why_no_locks(tmp_path).startswith(reason)
    assert bool(leases.why_no_locks(tmp_path)) == bool(reason)


def test_a_lease_keeps_other_processes_out_until_it_is_released(store: Store) -> None:
    with store.claim(KEY):
        assert store.try_claim(KEY) is None
        assert store.is_claimed(KEY)
        assert in_child(lambda: assert_free(store, False)) == 0
        holder = store.holders()[KEY]
        assert holder.process == os.getpid()
    assert not store.is_claimed(KEY)
    assert in_child(lambda: assert_free(store, True)) == 0


def assert_free(store: Store, free: bool) -> None:
    claim = store.try_claim(KEY)
    assert (claim is not None) == free


def test_the_lease_of_a_dead_process_of_this_machine_is_free_at_once(store: Store) -> None:
    assert in_child(lambda: os._exit(0 if store.try_claim(KEY) else 1)) == 0
    assert (store.root / "claims" / KEY).exists()
    assert not store.is_claimed(KEY)
    with store.claim(KEY):
        pass


def test_the_lease_of_another_machine_is_free_once_it_was_not_renewed(store: Store) -> None:
    path = store.root / "claims" / KEY
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("77 elsewhere 0123")
    assert store.try_claim(KEY) is None
    past = time.time() - leases.EXPIRE_SECONDS - 1
    os.utime(path, (past, past))
    claim = store.try_claim(KEY)
    assert claim is not None
    claim.release()


def test_a_lease_is_renewed_while_it_is_held(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(leases, "_renewer", None)
    path = store.root / "claims" / KEY
    with store.claim(KEY):
        os.utime(path, (1.0, 1.0))
        while path.stat().st_mtime == 1.0:
            time.sleep(0.01)


def test_a_lease_that_was_taken_over_is_renewed_and_released_by_its_new_holder_only(tmp_path: Path) -> None:
    path = tmp_path / KEY
    path.write_text("78 elsewhere 4567")  # taken over, while this process was suspended
    os.utime(path, (1.0, 1.0))
    lease = leases.Lease(path, b"77 here 0123")
    lease.renew()
    assert path.stat().st_mtime == 1.0
    lease.release()
    assert path.read_text() == "78 elsewhere 4567"


def test_a_lease_that_another_process_just_took_over_is_given_back(store: Store) -> None:
    path = store.root / "claims" / KEY
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("78 elsewhere new")
    leases._take_away(path, b"77 elsewhere old", store.root / "tmp")
    assert path.read_text() == "78 elsewhere new"


def test_only_old_temporary_files_are_removed_without_locks(store: Store) -> None:
    """Another machine may be writing the new ones."""
    store.commit(KEY, {"a": b""})
    new, old = store.root / "tmp" / "new", store.root / "tmp" / "old"
    for folder in (new, old):
        folder.mkdir()
        (folder / "file").touch()
    os.utime(old, (1.0, 1.0))
    store.sweep()
    assert new.exists()
    assert not old.exists()


def test_processes_without_locks_compute_every_step_once(store: Store, without_locks: dict[str, str]) -> None:
    """Four processes claim fifty keys in one order; a claim that protected nothing would let two compute one key."""
    code = """
import os, time
for number in range(50):
    key = f"{number:064x}"
    while not store.has(key):
        claim = store.try_claim(key)
        if claim is None:
            break
        with claim:
            if not store.has(key):
                with open(store.root.parent / "log", "a") as log:
                    log.write(key + "\\n")
                time.sleep(0.005)
                store.commit(key, {"result.json": b"{}"})
"""
    command = [sys.executable, "-c", HEAD + code, str(store.root)]
    runs = [subprocess.Popen(command, env=without_locks) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    computed = (store.root.parent / "log").read_text().split()
    assert sorted(computed) == sorted(set(computed))
    assert set(store.keys()) == set(computed) == {f"{number:064x}" for number in range(50)}

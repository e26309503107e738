"""Claims where file locks do not work across processes or machines: a file that its holder renews while it lives.

A lease is created exclusively, which file servers do atomically (NFS since version 3), and counts as given up when it
was not renewed for EXPIRE_SECONDS. Where two processes hold a lease at once after all (one was suspended for longer),
both compute the same bytes, and the store keeps the first: only time is lost.
"""

from __future__ import annotations

import errno
import os
import platform
import threading
import uuid
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from prunecheck.errors import StoreError
from prunecheck.store import durable

RENEW_SECONDS = 15.0
EXPIRE_SECONDS = 90.0
_LIMIT = 1000
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_LOCAL_DISKS = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay", "apfs", "ramfs", "bcachefs"}
_ONE_MACHINE_LOCKS = {"beegfs", "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "9p"}
"""file systems whose locks, by default, other machines do not see"""
_ONE_MACHINE_OPTIONS = {"nolock", "local_lock=flock", "local_lock=all", "localflock", "noflock", "localflocks", "nobrl"}


@dataclass(frozen=True)
class Lease:
    """A lease that this process holds; renewed by a thread until ``release``."""

    path: Path
    token: bytes
    process: int = field(default_factory=os.getpid)

    def renew(self) -> None:
        """Does nothing if another process has taken the lease over."""
        # An error now (a server that restarts) may be gone the next time.
        with suppress(OSError, StoreError):
            if durable.read_file(self.path, _LIMIT) == self.token:
                os.utime(self.path)

    def release(self) -> None:
        """Does nothing in a forked child, which holds none, and if another process has taken the lease over."""
        if self.process == os.getpid():
            _renewed.pop(self.path, None)
            with suppress(StoreError):
                if durable.read_file(self.path, _LIMIT) == self.token:
                    durable.discard(self.path)


_renewed: dict[Path, Lease] = {}
_renewer: threading.Thread | None = None
_waker = threading.Condition()


def take(path: Path, temp_in: Path) -> Lease | None:
    """The lease *path*; None if a living process holds it. *temp_in*: a folder for temporary files, on the same file
    system. Raises StoreError if the disk fails."""
    lease = Lease(path, f"{os.getpid()} {platform.node()} {uuid.uuid4().hex}".encode())
    while not durable.create_file(path, lease.token):
        found = _found(path)
        if found is not None and not _is_given_up(*found, temp_in):
            return None
        if found is not None:
            _take_away(path, found[0], temp_in)
    _renewed[path] = lease
    _start_renewer()
    return lease


def age(path: Path, temp_in: Path) -> float | None:
    """Seconds since *path* was written, by the clock of the file system, since clocks of machines differ; None if there
    is no such file or folder."""
    try:
        written = path.lstat().st_mtime
    except FileNotFoundError:
        return None
    return _now(temp_in) - written


def holder_of(path: Path, temp_in: Path) -> tuple[int, str, float] | None:
    """Process, host and the time of the last renewal; None if no living process holds the lease *path*."""
    found = _found(path)
    if found is None or _is_given_up(*found, temp_in):
        return None
    process, host, _ = _parts(found[0])
    return process, host, found[1]


def why_no_locks(folder: Path) -> str:
    """Why file locks in *folder* do not keep other processes out, in a few words; "" if they do, as far as can be seen
    from this machine. *folder* is not one that other processes empty, as they do with tmp/. Raises StoreError if the
    disk fails."""
    kind, options = _file_system(folder)
    if kind in _ONE_MACHINE_LOCKS:
        return f"file system {kind}, whose locks other machines may not see"
    if wrong := sorted(_ONE_MACHINE_OPTIONS & options):
        return f"mounted with {wrong[0]}, so that other machines do not see locks"
    path = folder / f".{uuid.uuid4().hex}.tmp"
    durable.write_file(path, b"")
    try:
        with durable.plainly(path):
            return _try_locks(path, other_process=bool(kind) and kind not in _LOCAL_DISKS)
    finally:
        durable.discard(path)


def _try_locks(path: Path, other_process: bool) -> str:
    one, two = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    exclusive = durable.fcntl.LOCK_EX | durable.fcntl.LOCK_NB
    try:
        durable.fcntl.flock(one, exclusive)
        try:
            durable.fcntl.flock(two, exclusive)
        except BlockingIOError:
            pass
        else:
            return "a lock that is held can be taken again"
        if other_process and hasattr(os, "fork"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the child makes three system calls and ends
                child = os.fork()
            if child == 0:
                _end_by_lock(path)
            if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
                return "another process can take a lock that is held"
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return f"locks are refused: {error.strerror}"
    finally:
        os.close(one)
        os.close(two)
    return ""


def _end_by_lock(path: Path) -> NoReturn:
    """End this process with 0 if another holds the lock of *path*, else with 1."""
    code = 1
    try:
        durable.fcntl.flock(os.open(path, os.O_RDWR), durable.fcntl.LOCK_EX | durable.fcntl.LOCK_NB)
    except BlockingIOError:
        code = 0
    finally:
        os._exit(code)


def _file_system(folder: Path) -> tuple[str, set[str]]:
    """Type and mount options of the file system of *folder*, on Linux; elsewhere "" and none."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return "", set()
    best, real = ("", "", set[str]()), os.path.realpath(folder)
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) < 6 or len(rest) < 3:
            continue
        point = fields[4].encode().decode("unicode_escape")  # a space is \040 there
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        # of two mounts on one folder the later one is visible
        if inside and len(point) >= len(best[0]):
            best = point, rest[0], {*fields[5].split(","), *rest[2].split(",")}
    return best[1], best[2]


def _found(path: Path) -> tuple[bytes, float] | None:
    """Content and time of *path*. It is opened, because NFS answers from its cache otherwise."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(handle, _LIMIT), os.fstat(handle).st_mtime
    finally:
        os.close(handle)


def _parts(token: bytes) -> tuple[int, str, str]:
    process, _, rest = token.decode(errors="replace").partition(" ")
    host, _, random = rest.rpartition(" ")
    return int(process) if process.isascii() and process.isdigit() else 0, host, random


def _is_given_up(token: bytes, renewed: float, temp_in: Path) -> bool:
    process, host, _ = _parts(token)
    if host == platform.node() and process:
        # A container that is started again gets the same name and the same numbers of processes.
        if process == os.getpid():
            return all(lease.token != token for lease in _renewed.values())
        if not _is_alive(process):
            return True
    return _now(temp_in) - renewed > EXPIRE_SECONDS


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _now(temp_in: Path) -> float:
    path = temp_in / f".{uuid.uuid4().hex}.tmp"
    with durable.plainly(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            os.write(handle, b"x")
            return os.fstat(handle).st_mtime
        finally:
            os.close(handle)
            durable.discard(path)


def _take_away(path: Path, token: bytes, temp_in: Path) -> None:
    """Remove the lease *path* if it still is the given-up one. Only one of several processes can rename it."""
    aside = temp_in / uuid.uuid4().hex
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{durable.shown(path)} cannot be removed: {error.strerror}.") from error
    if durable.read_file(aside, _LIMIT) != token:
        # Another process took it over in between: back with it, unless a third has made one.
        with suppress(OSError):
            os.link(aside, path)
    durable.discard(aside)


def _start_renewer() -> None:
    global _renewer
    # In a forked child the thread of its parent is not alive.
    if _renewer is None or not _renewer.is_alive():
        _renewer = threading.Thread(target=_renew, name="prunecheck leases", daemon=True)
        _renewer.start()


def _renew() -> None:
    while True:
        with _waker:
            _waker.wait(RENEW_SECONDS)
        for lease in list(_renewed.values()):
            lease.renew()


def _forget() -> None:
    _renewed.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

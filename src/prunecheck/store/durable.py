"""All files are written here: atomically, and so that they survive a power cut.

A file or folder is built under a temporary name, fsynced, renamed to its final name, and the folder that holds the
name is fsynced. Without the fsyncs a rename can reach the disk before the bytes it names (Pillai et al., OSDI 2014).
Symbolic links are never followed. Failures raise StoreError with one sentence on the remedy.

Files and folders get the permissions the user's umask allows. In a folder that is group-writable and has the setgid
bit (``chmod g+ws``), the usual mark of a folder that a group shares, they are made writable for the group as well,
whatever the umask; otherwise the first member to write would lock the others out.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from prunecheck.errors import StoreError
from prunecheck.store import faults
from prunecheck.text import printable_path

fcntl: Any = import_module("fcntl") if find_spec("fcntl") else None
"""the module for file locks, which the kernel frees when their holder dies; None on Windows"""
_BLOCK = 1 << 20
# Windows has only the last of these; a store is refused there, but results are written
_NOFOLLOW, _DIRECTORY, _NONBLOCK, _BINARY = (
    getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_BINARY")
)
_NOT_A_PLAIN_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR)
_REMEDIES = {
    errno.ENOSPC: "The disk is full. Free some space;",
    errno.EDQUOT: "Your disk quota is used up. Free some space;",
    errno.EMFILE: (
        "Too many files are open in this process. If a plug-in or model of yours opens files, close them there; else "
        "raise the limit (ulimit -n);"
    ),
    errno.EFBIG: "A file would exceed the size limit. Raise it (ulimit -f);",
    errno.EROFS: "The disk is read-only. Make it writable or choose another store;",
    errno.EACCES: "Permission denied. Make the folder writable or choose another store;",
    errno.EPERM: "Permission denied. Make the folder writable or choose another store;",
    errno.EIO: "The disk reports an I/O error. Check it or choose another store;",
    errno.ENOLCK: "This file system has no locks (NFS?). Choose a store on a local disk;",
    errno.EOPNOTSUPP: "This file system has no locks (NFS?). Choose a store on a local disk;",
}


def write_file(path: Path, data: bytes, temp_in: Path | None = None) -> None:
    """Replace *path* by *data* atomically. The temporary file is in *temp_in*, by default beside *path*."""
    write_chunks(path, (data,), temp_in)


def write_chunks(path: Path, chunks: Iterable[bytes], temp_in: Path | None = None) -> None:
    """As ``write_file``, for content larger than memory."""
    # A random name, because several processes may write the same file at once.
    temp = (temp_in or path.parent) / f".{uuid.uuid4().hex}.tmp"
    with plainly(path):
        try:
            _create(temp, chunks)
            _act("rename", os.rename, temp, path)
        # BaseException: Ctrl-C must not leave the temporary file behind either.
        except BaseException:
            discard(temp)
            raise
        _sync_folder(path.parent)


def create_file(path: Path, data: bytes) -> bool:
    """Create the small file *path* with *data*; False if it exists. Not fsynced: for what ends with the process."""
    with plainly(path):
        try:
            handle = _act("open", os.open, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o666)
        except FileExistsError:
            return False
        try:
            _share(handle, path.parent)
            _act("write", os.write, handle, data)
        finally:
            os.close(handle)
    return True


def commit_folder(scratch: Path, final: Path, files: Iterable[tuple[str, bytes]]) -> bool:
    """Create the folder *final* with *files* atomically. False: it exists already, and ours is discarded.

    *files* are written in the given order: the manifest comes last. *scratch* (absent, on
    the same file system) is where the folder is built. Either way *final* is durable on return.
    """
    with plainly(final):
        try:
            _mkdir(scratch)
            for name, data in files:
                _create(scratch / name, (data,))
            _sync_folder(scratch)
            won = _rename_folder(scratch, final)
        except BaseException:
            discard(scratch)
            raise
        # Losing is no error: two processes that compute the same key make the same artefact.
        if not won:
            discard(scratch)
        # In the other case too: the process that won may have been killed before it did this.
        _sync_folder(final.parent)
    return won


def append_line(path: Path, line: bytes) -> None:
    """Add *line* to *path* in a single write. Not fsynced: for records that may be lost, never for results."""
    with plainly(path):
        handle = _act("open", os.open, path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _NOFOLLOW, 0o666)
        try:
            _share(handle, path.parent)
            size = os.fstat(handle).st_size
            # A line that a killed process left incomplete must not be joined with this one.
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            _act("write", os.write, handle, (b"\n" if torn else b"") + line + b"\n")
        finally:
            os.close(handle)


def ensure_folder(path: Path) -> None:
    """Create *path* and its missing parents, durably. Raises StoreError where it is a link or a file."""
    if not path.parent.exists():
        ensure_folder(path.parent)
    with plainly(path):
        # Another process may create it at the same moment.
        with suppress(FileExistsError):
            _mkdir(path)
        if not _is_folder(path):
            raise StoreError(f"{shown(path)} must be a plain folder, not a link or a file.")
        # Also if it exists: the process that made it may have been killed before this.
        _sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in the folder *path* survive a power cut."""
    with plainly(path):
        _sync_folder(path)


def move(source: Path, target: Path) -> bool:
    """Rename *source* to *target* (absent, same file system), durably. False if *source* no longer exists."""
    with plainly(source):
        try:
            _act("rename", os.rename, source, target)
        except FileNotFoundError:
            return False
        # The new name is made durable before the old one is given up.
        _sync_folder(target.parent)
        _sync_folder(source.parent)
    return True


def remove(path: Path) -> None:
    """Remove a file or a whole folder; links are removed, not followed. An absent path is no error."""
    with plainly(path):
        _remove(path)


def discard(path: Path) -> None:
    """As ``remove``, but without errors: for temporary files, after another error."""
    with suppress(OSError):
        _remove(path)


def read_file(path: Path, limit: int) -> bytes | None:
    """The bytes of *path*; None if there is no plain file of at most *limit* bytes."""
    with _opened(path) as handle:
        if handle is None or os.fstat(handle).st_size > limit:
            return None
        return b"".join(_blocks(handle))


def hash_file(path: Path) -> tuple[int, str] | None:
    """Size in bytes and SHA-256 (hex) of *path*; None if there is no plain file. Reads in blocks."""
    with _opened(path) as handle:
        if handle is None:
            return None
        size, digest = 0, hashlib.sha256()
        for block in _blocks(handle):
            size += len(block)
            digest.update(block)
        return size, digest.hexdigest()


def is_folder(path: Path) -> bool:
    """True for a real folder, False for a link to one. Raises StoreError without permission to look."""
    with plainly(path):
        return _is_folder(path)


def folder_names(path: Path) -> list[str]:
    """The sorted names in the folder *path*; none if it is absent or a link."""
    if not is_folder(path):
        return []
    with plainly(path), suppress(FileNotFoundError), os.scandir(path) as entries:
        return sorted(entry.name for entry in entries)
    return []


def real_path(path: Path) -> Path:
    """*path*, absolute, its ``~`` and links followed. Raises StoreError for an invalid path."""
    try:
        with plainly(path):
            real = Path(path).expanduser().resolve()
            real.exists()
            return real
    except (RuntimeError, ValueError) as error:  # a circle of links, an unknown ~user, a zero byte
        raise StoreError(f"{shown(path)} is not a usable path: {error}.") from error


def free_bytes(path: Path) -> int:
    """Free space, in bytes, on the disk where *path* is or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def lock(path: Path, *, shared: bool = False, wait: bool = True) -> int | None:
    """Lock the file *path* (created if absent); the kernel frees the lock when the process dies.

    Returns a handle for ``unlock``; None where *wait* is false and another holder lives.
    """
    mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    with plainly(path):
        while True:
            handle = _open_lock(path)
            _held.add(handle)  # before it is locked: another thread may fork while this one waits
            try:
                fcntl.flock(handle, mode)
                if _is_still_named(handle, path):
                    return handle
            except BlockingIOError:
                _close_lock(handle)
                return None
            except BaseException:
                _close_lock(handle)
                raise
            # The last holder removed the file between our open and our lock, so this lock protects nothing.
            _close_lock(handle)


def _close_lock(handle: int) -> None:
    _held.discard(handle)
    os.close(handle)


def unlock(handle: int, remove_too: Path | None = None) -> None:
    """Free a lock; *remove_too* is its file, if it is no longer needed. Does nothing in a forked child, which holds
    none."""
    if handle not in _held:
        return
    _held.remove(handle)
    # Before the lock is freed: afterwards another process might hold a lock on this file.
    if remove_too is not None:
        discard(remove_too)
    # Not only closed: a child forked by a C library may hold a copy of the handle.
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


@contextmanager
def plainly(path: Path) -> Iterator[None]:
    """Turn an OSError into a StoreError with one sentence on what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        remedy = _REMEDIES.get(error.errno or 0, f"Reading or writing failed ({reason}). Check the path;")
        message = f"{remedy} the same command resumes where it stopped. ({shown(path)}: {reason})"
        raise StoreError(message) from error


def shown(path: Path) -> str:
    """*path*, printable."""
    return printable_path(path)


def _act(operation: str, call: Callable[..., Any], *args: Any) -> Any:
    """All system calls on the disk, in one place where tests can count, break or record them."""
    if faults.armed is not None:
        faults.armed.strike(operation, call, *args)
    return call(*args)


def _create(path: Path, chunks: Iterable[bytes]) -> None:
    handle = _act("open", os.open, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _BINARY, 0o666)
    try:
        _share(handle, path.parent)
        for chunk in chunks:
            rest = memoryview(chunk)
            # A single write may take only some of the bytes.
            while rest:
                rest = rest[_act("write", os.write, handle, rest) :]
        _act("fsync", os.fsync, handle)
    finally:
        os.close(handle)


def _mkdir(path: Path) -> None:
    _act("mkdir", os.mkdir, path)
    if _is_shared(path.parent):
        with suppress(OSError):
            path.chmod(path.lstat().st_mode | stat.S_IRWXG | stat.S_ISGID)


def _share(handle: int, folder: Path) -> None:
    """Make an open file of ours writable for the group that shares *folder*."""
    with suppress(OSError):
        found = os.fstat(handle)
        # Only the owner of a file may change its permissions.
        if hasattr(os, "fchmod") and _is_shared(folder) and found.st_uid == os.geteuid():
            os.fchmod(handle, found.st_mode | stat.S_IRGRP | stat.S_IWGRP)


def _is_shared(folder: Path) -> bool:
    mode = folder.stat().st_mode
    return bool(mode & stat.S_ISGID) and bool(mode & stat.S_IWGRP)


def _open_lock(path: Path) -> int:
    """A handle on the lock file *path*, created if absent. One that another user made may be readable only, which is
    enough to lock it."""
    try:
        handle: int = _act("open", os.open, path, os.O_RDWR | os.O_CREAT | _NOFOLLOW, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY | _NOFOLLOW)
    _share(handle, path.parent)
    return handle


_held: set[int] = set()
"""handles of the locks this process holds"""


def _forget_locks() -> None:
    """In a forked child: close its copies of the locks, which would outlive the process that took them."""
    for handle in _held:
        with suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


def _sync_folder(path: Path) -> None:
    try:
        handle = _act("open", os.open, path, os.O_RDONLY | _DIRECTORY)
    except PermissionError:
        return  # a parent such as /scratch that may be entered but not listed cannot be synced
    try:
        _act("fsync", os.fsync, handle)
    finally:
        os.close(handle)


def _rename_folder(scratch: Path, final: Path) -> bool:
    try:
        _act("rename", os.rename, scratch, final)
    except OSError:
        # Another process was first (ENOTEMPTY), or the file server did it and lost the reply (ENOENT).
        if not _is_folder(final):
            raise
        return False
    return True


def _remove(path: Path) -> None:
    try:
        if _is_folder(path):
            for child in list(path.iterdir()):
                _remove(child)
            _act("rmdir", os.rmdir, path)
        else:
            _act("unlink", os.unlink, path)
    # Another process may be removing the same folder.
    except FileNotFoundError:
        return


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """A handle on the plain file *path*, or None. O_NONBLOCK: a pipe put in its place must not hang us."""
    with plainly(path):
        try:
            handle = _act("open", os.open, path, os.O_RDONLY | _NOFOLLOW | _NONBLOCK | _BINARY)
        except OSError as error:
            if error.errno not in _NOT_A_PLAIN_FILE:
                raise
            handle = None
        try:
            # Tested on the open handle: a file could be exchanged between a test of its name and the opening.
            yield handle if handle is not None and stat.S_ISREG(os.fstat(handle).st_mode) else None
        finally:
            if handle is not None:
                os.close(handle)


def _blocks(handle: int) -> Iterator[bytes]:
    while block := _act("read", os.read, handle, _BLOCK):
        yield block


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_still_named(handle: int, path: Path) -> bool:
    try:
        named = os.lstat(path)
    except FileNotFoundError:
        return False
    held = os.fstat(handle)
    return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)

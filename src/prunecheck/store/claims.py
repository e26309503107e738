"""A note in a locked file on the process that holds the claim, for display only: no code depends on it."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prunecheck.store import durable


@dataclass(frozen=True)
class Holder:
    """A living process that holds a claim, ``since`` a Unix time. ``process`` and ``host`` are None without a note."""

    process: int | None
    host: str | None
    since: float


def sign(handle: int) -> None:
    """Write this process and host into a file that it has locked. Errors such as a full disk are ignored."""
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {platform.node()}".encode(), 0)


def holder(path: Path) -> Holder | None:
    """The holder of the claim *path*; None if no living process holds it, or if the file may not be read."""
    with suppress(OSError):
        # Neither a link nor a pipe in its place may mislead or block a reader.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not _is_locked(handle):
                return None
            process, _, host = os.read(handle, 300).decode(errors="replace").partition(" ")
            number = int(process) if process.isascii() and process.isdigit() else None
            return Holder(number, host or None, os.fstat(handle).st_mtime)
        finally:
            os.close(handle)
    return None


def _is_locked(handle: int) -> bool:
    """A shared lock, so that two readers do not see each other; a process that claims meanwhile waits for it."""
    try:
        durable.fcntl.flock(handle, durable.fcntl.LOCK_SH | durable.fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    durable.fcntl.flock(handle, durable.fcntl.LOCK_UN)
    return False

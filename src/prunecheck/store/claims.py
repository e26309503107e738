"""Who holds a claim, for people to read: a note in the locked file. Nothing waits for it or relies on it."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prunecheck.store.flock import fcntl


@dataclass(frozen=True)
class Holder:
    """A living holder of a claim. ``process`` and ``host``: None where the note is missing; ``since``: Unix time."""

    process: int | None
    host: str | None
    since: float


def sign(handle: int) -> None:
    """Note in a file that this process has locked who it is. A full disk is no reason to fail."""
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {platform.node()}".encode(), 0)


def holder(path: Path) -> Holder | None:
    """Who holds the claim *path*; None where nobody alive does, or where it may not be looked at."""
    with suppress(OSError):
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
    """Asked with a shared lock, so that two who look do not see each other; who claims in that moment waits for it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(handle, fcntl.LOCK_UN)
    return False

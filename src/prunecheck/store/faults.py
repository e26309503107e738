"""Fault injection: tests can break the disk at every single operation (SQLite's method).

``PRUNECHECK_FAULT=N:MODE[:once]`` breaks the N-th I/O operation of the process, and all later ones unless ``once``
is given. Modes: ``kill`` (SIGKILL), ``enospc``, ``eio``, ``torn`` (half of a write is stored, then EIO).
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prunecheck.errors import StudyError

VARIABLE = "PRUNECHECK_FAULT"
MODES = ("kill", "enospc", "eio", "torn")


@dataclass
class Fault:
    """Breaks operation number ``at`` (from 1); ``count`` says how many operations have passed so far."""

    at: int
    mode: str
    once: bool
    count: int = 0

    def strike(self, operation: str, call: Callable[..., Any], *args: Any) -> None:
        """Count one operation and break it if it is the chosen one. Raises OSError, or does not return."""
        self.count += 1
        if self.count < self.at or (self.once and self.count > self.at):
            return
        if self.mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == "torn" and operation == "write":
            handle, data = args
            call(handle, data[: len(data) // 2])
        code = errno.ENOSPC if self.mode == "enospc" else errno.EIO
        raise OSError(code, os.strerror(code))


def parse(text: str | None) -> Fault | None:
    """The fault that *text* (the value of the variable) asks for. Raises StudyError if it is not ``N:MODE[:once]``."""
    if not text:
        return None
    at, _, rest = text.partition(":")
    mode, _, once = rest.partition(":")
    if not (at.isascii() and at.isdigit()) or mode not in MODES or once not in ("", "once"):
        raise StudyError(f"{VARIABLE}={text!r}: write N:{'|'.join(MODES)}[:once], for example 3:eio:once.")
    return Fault(int(at), mode, bool(once))


armed: Fault | None = parse(os.environ.get(VARIABLE))

"""SIGTERM and Ctrl-C: both are raised where the process is, once, so that a training can write its checkpoint."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from prunecheck.errors import Interrupted

_interrupts = 0
"""how often Ctrl-C was pressed within ``second_sigint_kills``"""

MESSAGE = "Stopped by SIGTERM. Finished steps are kept: run the same command again to continue."


def terminated(_number: int, _frame: FrameType | None) -> None:
    """A handler of SIGTERM: raises Interrupted, once. A scheduler that signals a whole process group, and the parent
    that passes the signal on, must not disturb a worker that is writing its checkpoint."""
    signal.signal(signal.SIGTERM, _ignored)
    raise Interrupted(MESSAGE)


def _ignored(_number: int, _frame: FrameType | None) -> None:
    return


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    """A handler of SIGINT: raises KeyboardInterrupt, once. A second one ends the process at once, even where a plug-in
    caught the first or computes in C."""
    global _interrupts
    _interrupts += 1
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def reraise() -> None:
    """Raises Interrupted or KeyboardInterrupt again where a plug-in (a bare ``except:``) caught it."""
    if signal.getsignal(signal.SIGTERM) is _ignored:
        raise Interrupted(MESSAGE)
    if _interrupts:
        raise KeyboardInterrupt


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Within the block SIGTERM raises Interrupted, unless the caller has a handler of its own."""
    in_charge = threading.current_thread() is threading.main_thread()
    if not in_charge or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def second_sigint_kills() -> Iterator[None]:
    """Within the block the first Ctrl-C raises KeyboardInterrupt and the second ends the process, unless the caller has
    a handler of its own."""
    global _interrupts
    in_charge = threading.current_thread() is threading.main_thread()
    if not in_charge or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupted)
    try:
        yield
    finally:
        _interrupts = 0
        signal.signal(signal.SIGINT, signal.default_int_handler)

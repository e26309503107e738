"""Being told to stop, and telling worker processes: a training puts down what it has, and everybody is gone in time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from prunecheck.errors import Interrupted

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

GRACE_SECONDS = 20.0
"""how long workers are waited for: schedulers follow SIGTERM by SIGKILL after 30 seconds (Slurm's KillWait, Kubernetes'
terminationGracePeriodSeconds)"""
AGAIN_SECONDS = 0.5
MESSAGE = "Stopped by SIGTERM. All that was finished is kept: run the same command again to go on."


def terminated(_number: int, _frame: FrameType | None) -> None:
    """A handler of SIGTERM: raises Interrupted, once. A scheduler that stops a whole process group and the parent that
    passes the signal on must not disturb a worker that is writing its checkpoint."""
    signal.signal(signal.SIGTERM, _already_told)
    raise Interrupted(MESSAGE)


def _already_told(_number: int, _frame: FrameType | None) -> None:
    return


def heed() -> None:
    """Raises Interrupted again where somebody (a bare ``except:`` in a plug-in) swallowed it."""
    if signal.getsignal(signal.SIGTERM) is _already_told:
        raise Interrupted(MESSAGE)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Within the block SIGTERM raises Interrupted, unless the caller has a handler of his own."""
    in_charge = threading.current_thread() is threading.main_thread()
    if not in_charge or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end(processes: Collection[BaseProcess]) -> None:
    """Send SIGTERM to *processes* until they are gone; SIGKILL after ``GRACE_SECONDS``, or at a second Ctrl-C.

    It is sent again and again: one that is writing its checkpoint takes no notice, and afterwards waits for more work.
    """
    from multiprocessing.connection import wait  # not at the top: the desk imports this file

    left = list(processes)
    deadline = time.monotonic() + GRACE_SECONDS
    try:
        while left and time.monotonic() < deadline:
            for process in left:
                process.terminate()
            gone = wait([process.sentinel for process in left], timeout=AGAIN_SECONDS)
            left = [process for process in left if process.sentinel not in gone]
    finally:
        for process in left:
            process.kill()

"""SIGTERM and Ctrl-C, which are raised once where the process is, so that a training can write its checkpoint; and the
end of a process in which plug-ins ran."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from prunecheck.errors import Interrupted

_interrupts = 0
"""how often Ctrl-C was pressed within ``sigint_raises_once``"""

MESSAGE = "Stopped by SIGTERM. Finished steps are kept: run the same command again to continue."


def terminated(_number: int, _frame: FrameType | None) -> None:
    """A handler of SIGTERM: raises Interrupted, once. A scheduler that signals a whole process group, and the parent
    that passes the signal on, must not disturb a worker that is writing its checkpoint."""
    # A function of its own instead of SIG_IGN, so that reraise() recognises that the signal has come.
    signal.signal(signal.SIGTERM, _ignored)
    raise Interrupted(MESSAGE)


def _ignored(_number: int, _frame: FrameType | None) -> None:
    return


def _raise_then_end(_number: int, _frame: FrameType | None) -> None:
    """A handler of SIGINT: raises KeyboardInterrupt, once. A second one ends the process at once, even where a plug-in
    caught the first or computes in C."""
    global _interrupts
    _interrupts += 1
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _raise_then_count(_number: int, _frame: FrameType | None) -> None:
    """A handler of SIGINT: raises KeyboardInterrupt, once, and counts the others."""
    global _interrupts
    _interrupts += 1
    if _interrupts == 1:
        raise KeyboardInterrupt


def interrupted_again() -> bool:
    """Whether Ctrl-C was pressed more than once."""
    return _interrupts > 1


def reraise() -> None:
    """Raises Interrupted or KeyboardInterrupt again where a plug-in (a bare ``except:``) caught it."""
    if signal.getsignal(signal.SIGTERM) is _ignored:
        raise Interrupted(MESSAGE)
    if _interrupts:
        raise KeyboardInterrupt


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Within the block SIGTERM raises Interrupted, unless the caller has a handler of its own."""
    # Python allows signal handlers in the main thread only; a caller's own handler stays in charge.
    in_charge = threading.current_thread() is threading.main_thread()
    if not in_charge or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    try:
        signal.signal(signal.SIGTERM, terminated)
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def sigint_raises_once(second_ends_process: bool) -> Iterator[None]:
    """Within the block the first Ctrl-C raises KeyboardInterrupt. The second ends the process, or only makes
    :func:`interrupted_again` true: an exception at any line could end the code that ends worker processes before it
    has begun. Does nothing if the caller has a handler of its own."""
    global _interrupts
    in_charge = threading.current_thread() is threading.main_thread()
    if not in_charge or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    try:
        signal.signal(signal.SIGINT, _raise_then_end if second_ends_process else _raise_then_count)
        yield
    finally:
        _interrupts = 0
        signal.signal(signal.SIGINT, signal.default_int_handler)


def end_process(code: int) -> NoReturn:
    """End this process now, with what plug-ins left behind: the interpreter would wait for their threads and children,
    for ever where one of them never ends. A child would also keep stdout and stderr open for whatever reads them."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    for child in _child_processes():
        with suppress(OSError):
            os.kill(child, signal.SIGKILL)
    _remove_semaphores()
    os._exit(code)


def _remove_semaphores() -> None:
    """multiprocessing's locks (of a plug-in, of tqdm) have names in the system, which only the interpreter's end
    removes; its resource tracker would warn of each."""
    if "multiprocessing.synchronize" not in sys.modules:
        return
    from multiprocessing import synchronize, util

    for finalizer in list(util._finalizer_registry.values()):  # type: ignore[attr-defined]
        if finalizer._callback is synchronize.SemLock._cleanup:  # type: ignore[attr-defined]
            with suppress(OSError):
                finalizer()


def has_leftovers() -> bool:
    """Whether the interpreter would wait for threads or children at its end."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    return any(not thread.daemon for thread in others) or bool(_child_processes())


def _child_processes() -> list[int]:
    """Process numbers of the children of this process on Linux, but for those that multiprocessing keeps for itself and
    that end with it; elsewhere none are known."""
    if sys.platform != "linux":
        return []
    from multiprocessing import forkserver, resource_tracker  # takes time, and only runs need it

    found: list[int] = []
    for children in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError, ValueError):
            found += map(int, children.read_text().split())
    own = {forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid}  # type: ignore[attr-defined]
    return [number for number in found if number not in own]

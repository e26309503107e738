"""Starting a child process, and how it ended in words."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOST = 255
"""exit status of a process whose fork server was killed: it may still be at work"""


def death_in_words(code: int | None) -> str:
    """How a process ended whose exit status is *code*, negative for a signal. Where memory is exhausted, the kernel
    sends SIGKILL."""
    if code is None or code == LOST or code == -signal.SIGKILL:
        return "killed, or out of memory"
    if code < 0:
        return f"crashed: {signal.Signals(-code).name}"
    return f"it exited with status {code}"


@contextmanager
def as_child() -> Iterator[None]:
    """A process started within the block has one thread, whatever library asks, and does not run the caller's script
    again (a script that calls ``prunecheck.run`` needs no ``if __name__ == "__main__"``)."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    # Libraries read these while they are loaded, which in a fork server is before any code of the worker runs.
    os.environ.update(dict.fromkeys(names, "1"))
    # multiprocessing tells the child what to import as __main__ by these two names
    main = sys.modules["__main__"].__dict__
    hidden: dict[str, object] = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    # multiprocessing reads this attribute without testing whether it exists.
    main["__spec__"] = None
    try:
        yield
    finally:
        main.pop("__spec__")
        main.update(hidden)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

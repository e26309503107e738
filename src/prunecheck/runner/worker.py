"""What a worker process does: one step at a time, with one torch thread, so that the number of workers changes no
bit."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunecheck.pruning import load_file
from prunecheck.runner.signals import sigterm_interrupts
from prunecheck.store import Store, Timings
from prunecheck.study.step import Step


@dataclass(frozen=True)
class Bench:
    """Everything a worker needs to know beside its steps."""

    store: Path
    data_root: str | None
    plugins: tuple[Path, ...]
    folder: Path = Path()
    """the study's: where a network's own file may be"""


_context: Any = None
_at_work = threading.Lock()


def settle(bench: Bench) -> None:
    """Prepare this process: one thread, the user's plug-ins, the store."""
    global _context
    import torch

    from prunecheck.steps import Context

    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("warn")  # its twin use_deterministic_algorithms imports a compiler: seconds
    # nothing reads fresh memory, and filling it costs 5 to 9 % of a step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    for plugin in bench.plugins:
        load_file(plugin)
    _context = Context(Store.open(bench.store), bench.data_root, bench.folder)


def settle_pool(bench: Bench) -> None:
    """As a member of a pool: the terminal's Ctrl-C is for the parent alone, and without it there is nothing to do."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settle(bench)


def _end_with_parent() -> None:
    """A pool's worker waits for more work for ever, also from a parent that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only a worker process has a parent"
    parent.join()
    with _at_work:  # what it has begun is finished and kept
        os._exit(0)


def do(fields: Mapping[str, Any]) -> float:
    """Perform a step unless its artefact exists (somebody else may have made it) and return the seconds it took.

    A worker that is told to stop in the middle of a step raises Interrupted; between two steps it just ends.
    """
    from prunecheck.steps import perform

    assert _context is not None, "settle() comes first"
    step = Step(**fields)
    store: Store = _context.store
    begun = time.monotonic()
    with _at_work, sigterm_interrupts(), store.claim(step.key):
        if store.has(step.key):
            return 0.0
        begun = time.monotonic()
        perform(step, _context)
    seconds = time.monotonic() - begun
    Timings(store).record(step.cost_class, seconds / max(step.cost_units, 1.0), step.key)
    return seconds


def most_memory() -> int:
    """The most bytes this process has held at once; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    from resource import RUSAGE_SELF, getrusage

    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

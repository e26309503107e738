"""A study in miniature: a chain of steps, each computed from the one before, with partial states on the way.

What a run of it must promise is what prunecheck promises: whatever was acknowledged stays, a rerun does the rest, and
the bytes in the end are those of a run that nothing disturbed.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from prunecheck.errors import StoreError
from prunecheck.store import Damaged, Store, gc, verify


def key_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def content(upstream: bytes, step: int) -> dict[str, bytes]:
    seed = hashlib.sha256(upstream + bytes([step])).digest()
    return {"result.bin": seed * 40, "facts.json": b'{"step": %d}' % step}


def run_study(root: Path, steps: int, acknowledge: Callable[[str], None] = lambda _key: None) -> bytes:
    """Run what is missing; returns the last step's result. Calls *acknowledge* after each commit."""
    store, upstream = Store.open(root), b"start"
    for step in range(steps):
        upstream = _run_step(store, step, upstream, acknowledge)
    return upstream


def _run_step(store: Store, step: int, upstream: bytes, acknowledge: Callable[[str], None]) -> bytes:
    key = key_of(f"step {step}")
    with store.claim(key):
        try:
            return store.read(key, "result.bin")
        except Damaged:
            pass
        if store.load_partial(key) is None:
            store.save_partial(key, b"half way through %d" % step)
        files = content(upstream, step)
        store.commit(key, files)
        acknowledge(key)
        return files["result.bin"]


def objects(root: Path) -> dict[str, bytes]:
    """Every file under objects/ and partial/."""
    found = [p for part in ("objects", "partial") for p in (root / part).rglob("*") if p.is_file()]
    return {str(p.relative_to(root)): p.read_bytes() for p in found}


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_recovers(root: Path, steps: int, acknowledged: set[str], expected: dict[str, bytes]) -> None:
    """After any fault: nothing damaged, nothing acknowledged is lost, and a rerun ends with the expected bytes."""
    store = Store.open(root)
    assert verify(store).ok
    assert not store.missing(acknowledged)
    again: list[str] = []
    run_study(root, steps, again.append)
    assert not acknowledged & set(again), "a committed step ran again"
    gc(store, keep=lambda _key: True, dry_run=False)  # the partial state of a step killed right after its commit
    assert objects(root) == expected
    assert names_in(root / "tmp") == []
    assert names_in(root / "quarantine") == []


def in_child(work: Callable[[], None]) -> int:
    """Fork, run *work* in the child; its exit status, negative for a signal. 74 if it ended with a StoreError."""
    return wait_for(start_child(work))


def start_child(work: Callable[[], None]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests may have left threads (torch)
        pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        work()
        code = 0
    except StoreError:
        code = 74
    finally:
        sys.stdout.flush()
        os._exit(code)


def wait_for(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


KILLED = -signal.SIGKILL

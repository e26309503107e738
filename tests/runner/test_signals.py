"""SIGTERM raises Interrupted once, a plug-in cannot swallow it for good, and workers end in time."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prunecheck.errors import Interrupted
from prunecheck.runner import processes
from prunecheck.runner.engine import execute
from prunecheck.runner.signals import reraise, sigterm_interrupts
from prunecheck.runner.worker import WorkerConfig
from prunecheck.steps.perform import STEPS
from prunecheck.study import Step


@pytest.fixture(autouse=True)
def _the_usual_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def test_it_is_raised_once_and_undone() -> None:
    with sigterm_interrupts():
        reraise()
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            reraise()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    reraise()


def test_a_handler_of_the_callers_own_stays() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    with sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_only_the_main_thread_may_handle_signals() -> None:
    done: list[bool] = []

    def elsewhere() -> None:
        with sigterm_interrupts():
            done.append(True)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert done == [True]


@pytest.mark.parametrize("swallowed", [Exception, BaseException])
def test_a_plug_in_cannot_swallow_it(
    swallowed: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def stubborn(step: Step, _: object) -> dict[str, bytes]:
        try:
            signal.raise_signal(signal.SIGTERM)
        except swallowed:
            done.append(step.title)
        return {"result.json": b""}

    monkeypatch.setitem(STEPS, "compare", stubborn)
    steps = [Step("compare", {"n": n}, title=f"{n}") for n in range(3)]
    with pytest.raises(Interrupted):
        execute({step.key: step for step in steps}, WorkerConfig(tmp_path / "store", None, ()), 1, lambda _: 1.0)
    assert len(done) == (swallowed is BaseException)


def never_ends(ready: str, deaf: bool) -> None:
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(ready).touch()
    time.sleep(500)


def test_who_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "AGAIN_SECONDS", 0.05)
    context = multiprocessing.get_context("fork" if hasattr(signal, "SIGKILL") else "spawn")
    deaf, good = (context.Process(target=never_ends, args=(str(tmp_path / f"{d}"), d)) for d in (True, False))
    for process, name in ((deaf, "True"), (good, "False")):
        process.start()
        while not (tmp_path / name).exists():
            time.sleep(0.01)
    processes.end([good], 60)
    processes.end([deaf], 0.3)
    for process in (deaf, good):
        process.join()
    assert (deaf.exitcode, good.exitcode) == (-signal.SIGKILL, -signal.SIGTERM)

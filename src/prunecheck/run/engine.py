"""Drive steps through workers: inputs first, long chains first, failures contained."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from prunecheck.core.errors import Interrupted, PrunecheckError, StoreError
from prunecheck.core.words import printable
from prunecheck.run import stopping
from prunecheck.run.worker import Bench, do, settle, settle_pool
from prunecheck.store import Damaged, Store
from prunecheck.study.step import Step

Take = Callable[[], Step | None]


@dataclass(frozen=True)
class Failure:
    step: Step
    reason: str
    damaged: bool = False
    """an input was damaged; it was set aside, so that it can be made again"""


@dataclass
class Outcome:
    """What became of the steps that were needed."""

    done: list[Step] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0


Watcher = Callable[[Step, float], None]
"""told of every step that was finished, and the seconds it took"""


def unwatched(_step: Step, _seconds: float) -> None:
    """Nobody wants to know."""


def needed(steps: Mapping[str, Step], targets: set[str], store: Store) -> dict[str, Step]:
    """The steps that must run so that every target exists: nothing upstream of what is already there."""
    wanted: set[str] = set()
    todo = list(targets)
    while todo:
        absent = store.missing([key for key in todo if key not in wanted])
        wanted |= absent
        todo = [parent for key in absent for parent in steps[key].inputs.values()]
    return {key: step for key, step in steps.items() if key in wanted}


def execute(
    steps: Mapping[str, Step],
    bench: Bench,
    workers: int,
    seconds: Callable[[Step], float],
    watch: Watcher = unwatched,
) -> Outcome:
    """Run *steps* (inputs that are not among them must be in the store) on *workers* processes, or in this one.

    A step that fails takes only what depends on it along. Where a worker dies, the steps under way are tried once
    more, one at a time: only the step that also kills a worker of its own is given up. KeyboardInterrupt and
    Interrupted pass through once running steps were told to stop: trainings put down what they have, and everything
    committed stays.
    """
    with stopping.sigterm_interrupts():
        return _execute(_Queue(steps, seconds), bench, workers, watch)


def _execute(queue: _Queue, bench: Bench, workers: int, watch: Watcher) -> Outcome:
    outcome = Outcome()
    if workers <= 1:
        with _one_thread():
            settle(bench)
            while (step := queue.take()) is not None:
                try:
                    _finish(queue, outcome, step, do(step.to_dict()), watch)
                except (Exception, SystemExit) as error:
                    _fail(queue, outcome, step, error)
                stopping.heed()
        return outcome
    while queue.open:
        for suspect in _run_pool(queue.take, queue, outcome, bench, workers, watch):
            if _run_pool(_only(suspect), queue, outcome, bench, 1, watch):
                queue.drop(suspect)
                outcome.failures.append(Failure(suspect, "its worker process died twice (killed, or out of memory)"))
    return outcome


def _only(step: Step) -> Take:
    """Offers *step* once, and then nothing."""
    left = [step]
    return lambda: left.pop() if left else None


def _run_pool(take: Take, queue: _Queue, outcome: Outcome, bench: Bench, workers: int, watch: Watcher) -> list[Step]:
    """Feed a pool until nothing is left or it breaks; returns the steps that were running when it broke."""
    running: dict[Future[float], Step] = {}
    with _quiet_children():
        pool = ProcessPoolExecutor(workers, mp_context=_processes(), initializer=settle_pool, initargs=(bench,))
        try:
            while True:
                while len(running) < workers and (step := take()) is not None:
                    try:
                        running[pool.submit(do, step.to_dict())] = step
                    except BrokenProcessPool:
                        return [*running.values(), step]
                if not running:
                    return []
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    step = running[future]
                    error = future.exception()
                    if isinstance(error, BrokenProcessPool):
                        return list(running.values())
                    del running[future]
                    if error is None:
                        _finish(queue, outcome, step, future.result(), watch)
                    else:
                        _fail(queue, outcome, step, error)
        except BaseException:
            _stop(pool)
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _finish(queue: _Queue, outcome: Outcome, step: Step, seconds: float, watch: Watcher) -> None:
    queue.done(step)
    outcome.done.append(step)
    outcome.seconds += seconds
    watch(step, seconds)


def _fail(queue: _Queue, outcome: Outcome, step: Step, error: BaseException) -> None:
    """A full or broken disk and a request to stop end the run; anything else only this step and what needs it."""
    damaged = isinstance(error, Damaged)
    if isinstance(error, Interrupted) or (isinstance(error, StoreError) and not damaged):
        raise error
    reason = (
        str(error) if isinstance(error, PrunecheckError) else f"{type(error).__name__}: {printable(str(error), 200)}"
    )
    queue.drop(step)
    outcome.failures.append(Failure(step, reason, damaged))


class _Queue:
    """Ready steps, the longest remaining chain first."""

    def __init__(self, steps: Mapping[str, Step], seconds: Callable[[Step], float]) -> None:
        self._steps = dict(steps)
        self._waiting = {k: {p for p in s.inputs.values() if p in steps} for k, s in steps.items()}
        self._children: dict[str, list[str]] = {key: [] for key in steps}
        for key, parents in self._waiting.items():
            for parent in parents:
                self._children[parent].append(key)
        self._length: dict[str, float] = {}
        for key in reversed(list(steps)):
            below = max((self._length[child] for child in self._children[key]), default=0.0)
            self._length[key] = seconds(steps[key]) + below
        self._ready = {key for key, parents in self._waiting.items() if not parents}
        self._open = set(steps)

    @property
    def open(self) -> bool:
        """Whether there are steps neither done nor given up."""
        return bool(self._open)

    def take(self) -> Step | None:
        if not self._ready:
            return None
        key = max(self._ready, key=lambda k: (self._length[k], k))
        self._ready.remove(key)
        return self._steps[key]

    def done(self, step: Step) -> None:
        self._open.discard(step.key)
        for child in self._children[step.key]:
            self._waiting[child].discard(step.key)
            if not self._waiting[child]:
                self._ready.add(child)

    def drop(self, step: Step) -> None:
        """Give up a step and all that needs it."""
        doomed = {step.key}
        todo = [step.key]
        while todo:
            for child in self._children[todo.pop()]:
                if child not in doomed:
                    doomed.add(child)
                    todo.append(child)
        self._open -= doomed
        self._ready -= doomed


def _processes() -> multiprocessing.context.BaseContext:
    """Fork from a server that imported torch once and never ran an operation; spawn where there is no such thing.

    The first optimiser a process makes imports ``torch._dynamo``, which takes longer than torch itself: once, here.
    The server, and all it forks, never see Ctrl-C: it is for this process alone.
    """
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["prunecheck.stages", "prunecheck.methods", "torch._dynamo"])
    resource_tracker.ensure_running()  # it lets Ctrl-C through again once it is there, so it comes first
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers, and then the fork server: it may not have got round to starting some of them."""
    workers = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    try:
        stopping.end(workers)
    finally:
        if sys.platform != "win32":
            from multiprocessing import forkserver

            server = getattr(forkserver._forkserver, "_forkserver_pid", None)
            if server is not None:
                with suppress(ProcessLookupError):
                    os.kill(server, signal.SIGTERM)


@contextmanager
def _quiet_children() -> Iterator[None]:
    """Children start with one thread each, whatever library asks, and do not run the caller's script again (a script
    that calls ``prunecheck.run`` needs no ``if __name__ == "__main__"``)."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    main = sys.modules["__main__"].__dict__
    hidden: dict[str, object] = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _one_thread() -> Iterator[None]:
    """In this process too a step runs on one thread; afterwards the caller has his threads back."""
    import torch

    threads = torch.get_num_threads()
    strict = torch.get_deterministic_debug_mode()
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(strict)
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]

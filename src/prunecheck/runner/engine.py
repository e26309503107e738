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

from prunecheck.errors import Interrupted, PrunecheckError, StoreError
from prunecheck.runner import signals
from prunecheck.runner.queue import Queue
from prunecheck.runner.worker import Bench, do, most_memory, settle, settle_pool
from prunecheck.store import Damaged, Store
from prunecheck.study.step import Step
from prunecheck.text import printable

Take = Callable[[], Step | None]
"""the step a worker does next; None if none is ready"""


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
    memory: int = 0
    """bytes: the most that any process of the run has held"""

    def then(self, later: Outcome) -> Outcome:
        """Both together; what failed first was tried again with all the others."""
        seconds, memory = self.seconds + later.seconds, max(self.memory, later.memory)
        return Outcome(self.done + later.done, later.failures, seconds, memory)


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
    with signals.sigterm_interrupts():
        return _execute(Queue(steps, seconds), bench, workers, watch)


def _execute(queue: Queue, bench: Bench, workers: int, watch: Watcher) -> Outcome:
    outcome = Outcome()
    if workers <= 1:
        with _one_thread():
            settle(bench)
            while (step := queue.take()) is not None:
                try:
                    seconds = do(step.to_dict())
                except (Exception, SystemExit) as error:
                    _fail(queue, outcome, step, error)
                else:
                    _finish(queue, outcome, step, _Work(seconds, most_memory()), watch)
                signals.heed()
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


@dataclass(frozen=True)
class _Work:
    """``seconds`` the step took. ``memory``: the most bytes the process has held so far."""

    seconds: float
    memory: int


def _work(step: dict[str, object]) -> _Work:
    """In a worker: do a step."""
    return _Work(do(step), most_memory())


def _run_pool(take: Take, queue: Queue, outcome: Outcome, bench: Bench, workers: int, watch: Watcher) -> list[Step]:
    """Feed a pool until nothing is left or it breaks; returns the steps that were running when it broke."""
    running: dict[Future[_Work], Step] = {}
    with _quiet_children():
        pool = ProcessPoolExecutor(workers, mp_context=_processes(), initializer=settle_pool, initargs=(bench,))
        try:
            while True:
                while len(running) < workers and (step := take()) is not None:
                    try:
                        running[pool.submit(_work, step.to_dict())] = step
                    except BrokenProcessPool:
                        return [*running.values(), step]
                if not running:
                    return []
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    error = future.exception()
                    if isinstance(error, BrokenProcessPool):
                        return list(running.values())
                    step = running.pop(future)
                    if error is not None:
                        _fail(queue, outcome, step, error)
                    else:
                        _finish(queue, outcome, step, future.result(), watch)
        except BaseException:
            _stop(pool)
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _finish(queue: Queue, outcome: Outcome, step: Step, work: _Work, watch: Watcher) -> None:
    queue.done(step)
    outcome.done.append(step)
    outcome.seconds += work.seconds
    outcome.memory = max(outcome.memory, work.memory)
    watch(step, work.seconds)


def _fail(queue: Queue, outcome: Outcome, step: Step, error: BaseException) -> None:
    """A full or broken disk and a request to stop end the run; anything else only this step and what needs it."""
    damaged = isinstance(error, Damaged)
    if isinstance(error, Interrupted) or (isinstance(error, StoreError) and not damaged):
        raise error
    reason = (
        str(error) if isinstance(error, PrunecheckError) else f"{type(error).__name__}: {printable(str(error), 200)}"
    )
    queue.drop(step)
    outcome.failures.append(Failure(step, reason, damaged))


def _processes() -> multiprocessing.context.BaseContext:
    """Fork from a server that imported torch once and never ran an operation; spawn where there is no such thing.

    The first optimiser a process makes imports ``torch._dynamo``, which takes longer than torch itself: once, here.
    The server, and all it forks, never see Ctrl-C: it is for this process alone.
    """
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["prunecheck.steps", "prunecheck.pruning.methods", "torch._dynamo"])
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
        signals.end(workers)
    finally:
        if sys.platform != "win32":
            from multiprocessing import forkserver

            server = getattr(forkserver._forkserver, "_forkserver_pid", None)
            if server is not None:
                with suppress(ProcessLookupError, ChildProcessError):
                    os.kill(server, signal.SIGKILL)
                    # gone, but not forgotten: multiprocessing starts another only once it has seen this one's end
                    os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)


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

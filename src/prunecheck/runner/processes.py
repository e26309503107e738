"""Worker processes. Undocumented parts of multiprocessing are used here and in signals.py only.

Each worker has its own pipe and shares no lock with the others, so that killing one at any moment disturbs
none of them. (A ProcessPoolExecutor ends all its workers with the first, and waits for ever for one that holds the lock
of the common queue; on Python 3.12 and 3.13 it also waits for ever for its own thread.)
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing import ProcessError
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from prunecheck.errors import StepError, StoreError
from prunecheck.runner import signals
from prunecheck.runner.child_process import LOST, as_child, death_in_words
from prunecheck.runner.executors import Resources, most_together
from prunecheck.runner.worker import Answer, WorkerConfig, serve
from prunecheck.study.step import Step
from prunecheck.text import printable_path

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

GRACE_SECONDS = 20.0
"""how long workers are waited for after SIGTERM: schedulers follow theirs by SIGKILL after 30 seconds (Slurm's
KillWait, Kubernetes' terminationGracePeriodSeconds)"""
AGAIN_SECONDS = 0.5
LEAVE_SECONDS = 5.0
"""how long a worker without a step may take to end"""
STARTS = 3
"""how often in a row a worker may die while it is starting"""


class Worker:
    """One process. ``steps``: those it has not answered yet, in order; ``gpus``: the CUDA devices it uses; ``ready``:
    whether it has reported that it can run steps."""

    def __init__(self, config: WorkerConfig) -> None:
        context = _context()
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=serve, args=(config, theirs))  # type: ignore[attr-defined]
        self._theirs = theirs
        self.gpus = config.gpus
        self.steps: list[Step] = []
        self.ready = False

    def start(self) -> None:
        try:
            self.process.start()
        finally:
            # As long as this process holds a copy of the other end, the death of the worker would not end the pipe.
            self._theirs.close()

    def give(self, steps: Sequence[Step]) -> None:
        self.steps = list(steps)
        with suppress(OSError):  # it is dead, which Workers.wait() will find
            self.connection.send_bytes(json.dumps([step.to_dict() for step in steps]).encode())

    def read(self) -> Answer | None:
        """The answer it has sent; None if it is dead."""
        try:
            return Answer(**json.loads(self.connection.recv_bytes())) if self.connection.poll() else None
        # A worker that is killed while it answers leaves an incomplete message.
        except (EOFError, OSError, ValueError, TypeError):
            return None

    def bury(self) -> None:
        """End a process that is no longer needed, with all its children."""
        self.connection.close()
        if self.process.exitcode is None:
            self.process.kill()
        elif self.process.exitcode == LOST and sys.platform != "win32":
            with suppress(OSError):
                os.kill(self.process.pid or 0, signal.SIGKILL)


class Workers:
    """Up to *most* processes, started when there are steps for them. Use as a context manager: they end with it."""

    second_sigint_ends_process = False

    def __init__(self, config: WorkerConfig, most: int) -> None:
        self._config, self._most = config, most
        self._all: list[Worker] = []
        self._failed_starts = 0

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        started = [worker for worker in self._all if worker.process.pid is not None]
        for worker in self._all:
            worker.connection.close()  # a worker without a step ends when it reads on, and another after its step
        try:
            # Steps are still running only after an error or an interruption; SIGTERM lets trainings write a checkpoint.
            if kind is not None:
                end([worker.process for worker in started if worker.steps])
        finally:
            end([worker.process for worker in started], LEAVE_SECONDS, number=None)

    @property
    def steps(self) -> list[Step]:
        """The steps under way."""
        return [step for worker in self._all for step in worker.steps]

    @property
    def has_room(self) -> bool:
        return sum(bool(worker.steps) for worker in self._all) < self._most

    @property
    def most_together(self) -> int:
        return most_together(self._config)

    def submit(self, step: Step, resources: Resources) -> None:
        """Let a worker without a step do *step*. Raises StoreError if no process can be started."""
        self.submit_together([step], resources)

    def submit_together(self, steps: Sequence[Step], _resources: Resources) -> None:
        idle = next((worker for worker in self._all if not worker.steps), None)
        (idle or self._start()).give(steps)

    def _config_of_next(self) -> WorkerConfig:
        """Of a worker that is to start: on the GPUs that the fewest others use."""
        if not self._config.gpus:
            return self._config
        used = Counter(gpu for worker in self._all for gpu in worker.gpus)
        free = sorted(self._config.gpus, key=lambda gpu: used[gpu])
        return replace(self._config, gpus=tuple(free[: self._config.processes]))

    def _start(self) -> Worker:
        for _ in range(STARTS):
            worker = None
            try:
                with as_child():
                    worker = Worker(self._config_of_next())
                    self._all.append(worker)  # before it starts: Ctrl-C in between must not leave a process behind
                    worker.start()
            except (OSError, EOFError, ProcessError) as error:
                reason = error  # the fork server was killed, perhaps; multiprocessing starts another
                if worker is not None:
                    self._all.remove(worker)
                    worker.connection.close()
                time.sleep(AGAIN_SECONDS)
            else:
                return worker
        raise StoreError(f"no worker process can be started ({type(reason).__name__}: {reason}). Try --workers 1.")

    def wait(self, seconds: float | None) -> Iterator[tuple[Step, Answer]]:
        """Wait until something happens, at most *seconds*; yields each step that ended. Raises StepError if workers
        cannot start."""
        handles: dict[Any, Worker] = {worker.process.sentinel: worker for worker in self._all}
        handles |= {worker.connection: worker for worker in self._all}
        # Once for each worker, even where both its pipe and its end are reported.
        for worker in dict.fromkeys(handles[handle] for handle in wait(list(handles), seconds)):
            yield from self._ended(worker)

    def _ended(self, worker: Worker) -> Iterator[tuple[Step, Answer]]:
        answer = worker.read()  # a worker may have answered before it died
        if answer is None:
            self._all.remove(worker)
            # The pipe ends a moment before the process does, whose exit status tells a crash from a kill.
            worker.process.join(AGAIN_SECONDS)
            worker.bury()
            # A worker that dies in a step says nothing about whether others can start, so it is not counted.
            self._failed_starts += not worker.ready
            if self._failed_starts == STARTS:
                raise self._cannot_start("the process ends while it starts")
        # The first answer reports whether the process could be set up, plug-ins included; it belongs to no step.
        elif not worker.ready:
            if answer.ended != "done":
                raise self._cannot_start(answer.reason)
            worker.ready, self._failed_starts = True, 0
            return
        if answer is None:
            ended, worker.steps = worker.steps, []
            for step in ended:
                yield step, Answer("died", death_in_words(worker.process.exitcode))
        elif worker.steps:
            yield worker.steps.pop(0), answer

    def _cannot_start(self, reason: str) -> StepError:
        files = ", ".join(printable_path(path) for path in self._config.plugins)
        return StepError(f"worker processes cannot start{f' with {files}' if files else ''}: {reason}")


def end(
    processes: Collection[BaseProcess], seconds: float = GRACE_SECONDS, number: int | None = signal.SIGTERM
) -> None:
    """Send a signal to *processes* until they are gone; SIGKILL after *seconds*, or at a second Ctrl-C.

    It is sent again and again: a worker that is writing its checkpoint takes no notice, and afterwards waits for steps.
    """
    left = list(processes)
    deadline = time.monotonic() + seconds
    try:
        while left and time.monotonic() < deadline and not signals.interrupted_again():
            for process in left if number is not None else ():
                process.terminate()
            gone = wait([process.sentinel for process in left], timeout=AGAIN_SECONDS)
            left = [process for process in left if process.sentinel not in gone]
    finally:
        for process in left:
            process.kill()
        for process in processes:
            process.join(AGAIN_SECONDS)


def _context() -> BaseContext:
    """Fork from a server that imported torch once and never ran an operation; spawn where there is no such thing.

    The server, and all it forks, never see Ctrl-C: only this process handles it.
    """
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker  # POSIX only

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["prunecheck.runner.worker", "prunecheck.steps", "prunecheck.pruning.methods"])
    resource_tracker.ensure_running()  # it unblocks Ctrl-C once it is there, so it comes first
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context

"""Runs steps in this process or in worker processes: inputs first, long chains first, failures contained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from prunecheck.errors import Interrupted, StoreError
from prunecheck.runner import signals
from prunecheck.runner.processes import Workers
from prunecheck.runner.queue import Queue
from prunecheck.runner.worker import Answer, WorkerConfig, do, initialise
from prunecheck.store import Store
from prunecheck.study.step import Step

DIED_TWICE = "its worker process died twice (killed, or out of memory)"


@dataclass(frozen=True)
class Failure:
    """``damaged``: an input was damaged; it was moved to quarantine and can be computed again."""

    step: Step
    reason: str
    damaged: bool = False


@dataclass
class Outcome:
    """The outcome of the steps that were needed. ``seconds``: of all steps together; ``memory``: the most bytes that
    any process of the run has held."""

    done: list[Step] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0

    def then(self, later: Outcome) -> Outcome:
        """Both outcomes as one; failures of the first were tried again in the second."""
        seconds, memory = self.seconds + later.seconds, max(self.memory, later.memory)
        return Outcome(self.done + later.done, later.failures, seconds, memory)


Watcher = Callable[[Step, float], None]
"""callback(step, seconds) after each completed step"""


def unwatched(_step: Step, _seconds: float) -> None:
    """No-op callback."""


def needed(steps: Mapping[str, Step], targets: set[str], store: Store) -> dict[str, Step]:
    """The steps that must run so that every target exists: nothing upstream of existing artefacts."""
    wanted: set[str] = set()
    todo = list(targets)
    while todo:
        absent = store.missing([key for key in todo if key not in wanted])
        wanted |= absent
        todo = [parent for key in absent for parent in steps[key].inputs.values()]
    return {key: step for key, step in steps.items() if key in wanted}


def execute(
    steps: Mapping[str, Step],
    config: WorkerConfig,
    workers: int,
    seconds: Callable[[Step], float],
    watch: Watcher = unwatched,
) -> Outcome:
    """Run *steps* (inputs that are not among them must be in the store) in *workers* processes, or in this one.
    ``seconds(step)`` estimates how long a step takes.

    A failed step is given up with all that depend on it; the others continue. If a worker dies, its step is tried once
    more with no other beside it. Raises StoreError where the disk fails, StepError where workers cannot start.
    KeyboardInterrupt and Interrupted are raised again after the running steps were stopped: trainings write a
    checkpoint, and everything committed stays.
    """
    run = _Run(Queue(steps, seconds), watch)
    with signals.sigterm_interrupts():
        if workers <= 1:
            _in_this_process(run, config)
        else:
            _in_workers(run, config, workers)
    return run.outcome


@dataclass
class _Run:
    queue: Queue
    watch: Watcher
    outcome: Outcome = field(default_factory=Outcome)

    def record(self, step: Step, answer: Answer) -> None:
        """A full or broken disk and a request to stop end the run; anything else only *step* and what depends on it."""
        outcome = self.outcome
        outcome.memory = max(outcome.memory, answer.memory)
        if answer.ended == "interrupted":
            raise Interrupted(answer.reason)
        if answer.ended == "store":
            raise StoreError(answer.reason)
        if answer.ended == "done":
            self.queue.done(step)
            outcome.done.append(step)
            outcome.seconds += answer.seconds
            self.watch(step, answer.seconds)
        else:
            self.queue.drop(step)
            outcome.failures.append(Failure(step, answer.reason, answer.ended == "damaged"))


def _in_this_process(run: _Run, config: WorkerConfig) -> None:
    with _settings_restored(), signals.sigint_raises_once(second_ends_process=True):
        initialise(config)
        while (step := run.queue.take()) is not None:
            answer = do(step)
            # The step may have swallowed the interruption: a bare ``except`` in a plug-in catches it.
            signals.reraise()
            run.record(step, answer)


def _in_workers(run: _Run, config: WorkerConfig, most: int) -> None:
    died: set[str] = set()
    again: list[Step] = []
    with signals.sigint_raises_once(second_ends_process=False), Workers(config, most) as workers:
        while True:
            while (step := _next(run.queue, workers, again, died)) is not None:
                workers.give(step)
            if not workers.steps:
                return
            for step, answer in workers.wait():
                if answer is not None:
                    run.record(step, answer)
                elif step.key in died:
                    run.record(step, Answer("failed", DIED_TWICE))
                else:
                    died.add(step.key)
                    again.append(step)


def _next(queue: Queue, workers: Workers, again: list[Step], died: set[str]) -> Step | None:
    """The step to start now. One whose worker died runs alone: all memory is its own then, and another that would be
    under way might be the one that kills."""
    if again or any(step.key in died for step in workers.steps):
        return again.pop() if again and not workers.steps else None
    return queue.take() if workers.has_room else None


@contextmanager
def _settings_restored() -> Iterator[None]:
    """In this process too a step runs on one thread; afterwards the caller's settings are restored."""
    import torch  # the command line imports this file, and torch takes seconds

    threads = torch.get_num_threads()
    strict = torch.get_deterministic_debug_mode()
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(strict)
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]

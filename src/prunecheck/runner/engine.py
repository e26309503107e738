"""Runs steps by an executor: inputs first, long chains first, failures contained, work shared with other runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from prunecheck.errors import Interrupted, StoreError
from prunecheck.runner import signals
from prunecheck.runner.equal_trainings import EqualTrainings
from prunecheck.runner.executors import InThisProcess, StepExecutor, TakesGroups, resources_of
from prunecheck.runner.processes import Workers
from prunecheck.runner.queue import Queue
from prunecheck.runner.worker import Answer, WorkerConfig
from prunecheck.store import Store
from prunecheck.study.step import Step

DIED_TWICE = "its worker process died twice"
MOST_LOSSES = 5
"""how often a step is tried again whose machine was lost"""
POLL_SECONDS = 0.1, 2.0
"""shortest and longest time between two looks at steps that another run is computing"""


@dataclass(frozen=True)
class Failure:
    """``damaged``: an input was damaged; it was moved to quarantine and can be computed again."""

    step: Step
    reason: str
    damaged: bool = False


@dataclass
class Outcome:
    """The outcome of the steps that were needed. ``seconds``: of all steps together; ``memory``: the most bytes that
    any process of the run has held. ``copied``: trainings that another one's files were taken for, since it had the
    same mask; they are not among those ``done``."""

    done: list[Step] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0
    copied: list[Step] = field(default_factory=list)

    def then(self, later: Outcome) -> Outcome:
        """Both outcomes as one; failures of the first were tried again in the second."""
        seconds, memory = self.seconds + later.seconds, max(self.memory, later.memory)
        return Outcome(self.done + later.done, later.failures, seconds, memory, self.copied + later.copied)


Watcher = Callable[[Step, float], None]
"""callback(step, seconds) after each completed step"""


def unwatched(_step: Step, _seconds: float) -> None:
    """No-op callback."""


def unreported(_steps: Sequence[Step]) -> None:
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
    executor: StepExecutor | None = None,
    equal: EqualTrainings | None = None,
    running: Callable[[Sequence[Step]], None] = unreported,
) -> Outcome:
    """Run *steps* (inputs that are not among them must be in the store) by *executor*; where there is none, in
    *workers* processes, or in this one. ``seconds(step)`` estimates how long a step takes.

    A failed step is given up with all that depend on it; the others continue. If a worker dies or has too little
    memory, its step is tried once more with no other beside it; if a machine is lost, on another. A step that another
    run on the same store computes is left to it. ``equal``: a training equal to one of these is not repeated.
    ``running`` is called with the steps under way whenever some have started or ended, at last with none. Raises
    StoreError where the disk fails, StepError where workers cannot start. KeyboardInterrupt and Interrupted are raised
    again after the running steps were stopped: trainings write a checkpoint, and everything committed stays.
    """
    run = _Run(Queue(steps, seconds), Store.open(config.store), watch, equal, running)
    if executor is None:
        executor = InThisProcess(config) if workers <= 1 else Workers(config, workers)
    with signals.sigterm_interrupts():
        _run_all(run, executor)
    return run.outcome


@dataclass
class _Run:
    queue: Queue
    store: Store
    watch: Watcher
    equal: EqualTrainings | None = None
    running: Callable[[Sequence[Step]], None] = unreported
    outcome: Outcome = field(default_factory=Outcome)
    died: set[str] = field(default_factory=set)
    """steps during which a worker died or had too little memory"""
    again: list[Step] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    """how often a step's machine was lost"""
    elsewhere: dict[str, Step] = field(default_factory=dict)
    """steps that another run on the same store is computing"""
    started: set[str] = field(default_factory=set)
    """steps that were submitted and are neither done nor given up"""
    parked: dict[str, list[Step]] = field(default_factory=dict)
    """key of a started training -> trainings equal to it"""
    pause: float = POLL_SECONDS[0]
    looked: float = 0.0

    def next(self, executor: StepExecutor) -> Step | None:
        """The step to start now. One whose worker died runs alone: all memory is its own then, and another that would
        be under way might be the one that kills."""
        if self.elsewhere:
            self._look_elsewhere()
        if self.again or any(step.key in self.died for step in executor.steps):
            return self.again.pop() if self.again and not executor.steps else None
        return self.queue.take() if executor.has_room else None

    def group(self, step: Step, executor: StepExecutor) -> list[Step]:
        """*step* and others that are trained beside it. A step whose worker died has nothing beside it."""
        if not isinstance(executor, TakesGroups) or executor.most_together == 1 or step.key in self.died:
            return [step]
        others = self.queue.take_like(step, executor.most_together - 1)
        return [step, *(other for other in others if other.key in self.started or self.starts(other))]

    @property
    def patience(self) -> float | None:
        """Seconds until the steps of other runs are looked at; None if there are none."""
        return max(0.0, self.looked + self.pause - time.monotonic()) if self.elsewhere else None

    def _look_elsewhere(self) -> None:
        """Take note of steps that another run has finished or given up since."""
        if self.patience:
            return
        absent = self.store.missing(self.elsewhere)
        for key, step in list(self.elsewhere.items()):
            if key not in absent:
                self._forget(step)
                self.record(step, Answer("done"))
            elif not self.store.is_claimed(key):
                self._forget(step)
                self.queue.put_back(step)
        self.looked = time.monotonic()
        self.pause = min(self.pause * 1.5, POLL_SECONDS[1])

    def _forget(self, step: Step) -> None:
        del self.elsewhere[step.key]
        self.pause = POLL_SECONDS[0]

    def starts(self, step: Step) -> bool:
        """Whether *step* has to be computed; else it has the files of an equal training, or waits for them."""
        original = self.equal.original(step, self.started) if self.equal is not None else None
        if original is not None and original in self.started:
            self.parked.setdefault(original, []).append(step)
            return False
        if self.equal is not None and original is not None and self.equal.copy(original, step):
            self.queue.done(step)
            self.outcome.copied.append(step)
            self.watch(step, 0.0)
            return False
        self.started.add(step.key)
        return True

    def _unpark(self, step: Step) -> None:
        self.started.discard(step.key)
        for waiting in self.parked.pop(step.key, ()):
            self.queue.put_back(waiting)

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
            self._unpark(step)
            outcome.done.append(step)
            outcome.seconds += answer.seconds
            self.watch(step, answer.seconds)
        elif not self._tried_again(step, answer):
            self.queue.drop(step)
            self._unpark(step)
            reason = f"{DIED_TWICE} ({answer.reason})" if answer.ended == "died" else answer.reason
            outcome.failures.append(Failure(step, reason, answer.ended == "damaged"))

    def _tried_again(self, step: Step, answer: Answer) -> bool:
        """Whether *step*, which did not finish, will run later."""
        if answer.ended == "busy":
            if not self.elsewhere:
                self.looked = time.monotonic()
            self.elsewhere[step.key] = step
            return True
        if answer.ended == "lost" and self.lost[step.key] < MOST_LOSSES:
            self.lost[step.key] += 1
            self.queue.put_back(step)
            return True
        if answer.ended in ("died", "memory") and step.key not in self.died:
            self.died.add(step.key)
            self.again.append(step)
            return True
        return False


def _run_all(run: _Run, executor: StepExecutor) -> None:
    with signals.sigint_raises_once(second_ends_process=executor.second_sigint_ends_process), executor:
        while True:
            while (step := run.next(executor)) is not None:
                if step.key not in run.started and not run.starts(step):
                    continue
                group = run.group(step, executor)
                if len(group) > 1 and isinstance(executor, TakesGroups):
                    executor.submit_together(group, resources_of(step))
                else:
                    executor.submit(step, resources_of(step))
            run.running(executor.steps)
            if executor.steps:
                for step, answer in executor.wait(run.patience):
                    run.record(step, answer)
            elif run.elsewhere:
                time.sleep(run.patience or 0.0)
            else:
                return

"""The contract between the engine and the place where steps run, and the simplest executor: this process.

The engine decides which step is next; an executor runs it. Worker processes are in ``processes``, a Ray cluster in
``ray_cluster``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, runtime_checkable

from prunecheck.runner import signals
from prunecheck.runner.worker import Answer, WorkerConfig, do, do_together, initialise, release
from prunecheck.study.step import Step

GIVEN_TOGETHER = 8
"""how many trainings a GPU's process is given at a time; how many of them it trains at once, it finds out"""


@dataclass(frozen=True)
class Resources:
    """What one step needs. ``gpus`` may be a share of one GPU; ``memory`` in bytes, 0 where it is unknown."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0


def resources_of(step: Step) -> Resources:
    """A core for each process, since each runs on one thread, and a whole GPU where the step computes on one."""
    processes = float(step.params.get("processes", 1))
    return Resources(processes, processes if str(step.params.get("device", "cpu")).startswith("cuda") else 0.0)


class StepExecutor(Protocol):
    """Runs steps whose inputs are in the store. Use as a context manager: leaving it with an exception stops the steps
    that are under way, so that trainings write a checkpoint.

    Only the description of a step and its answer, in plain text, pass between the engine and the step's process;
    artefacts go through the store.
    """

    second_sigint_ends_process: bool
    """whether a second Ctrl-C ends this process, because a step may be computing in it"""

    @property
    def steps(self) -> list[Step]:
        """The steps under way."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether another step can be submitted now."""
        ...

    def submit(self, step: Step, resources: Resources) -> None:
        """Start *step*, at once or when its resources are free. Raises StoreError where nothing can be started."""
        ...

    def wait(self, seconds: float | None) -> Iterator[tuple[Step, Answer]]:
        """Wait until something happens, at most *seconds*; yields each step that ended. Raises StepError where
        processes cannot be set up."""
        ...

    def __enter__(self) -> StepExecutor: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class TakesGroups(Protocol):
    """An executor that trains several tickets of one kind at a time, on a GPU."""

    @property
    def most_together(self) -> int:
        """How many it takes at a time; 1 for none but one."""
        ...

    def submit_together(self, steps: Sequence[Step], resources: Resources) -> None:
        """As ``submit``, for trainings of one kind."""
        ...


def most_together(config: WorkerConfig) -> int:
    """How many trainings of one kind a process is given at a time."""
    return (config.tickets_per_gpu or GIVEN_TOGETHER) if config.gpus and config.processes == 1 else 1


class LastingExecutor(StepExecutor, Protocol):
    """One whose processes last from one batch of steps to the next."""

    def close(self) -> None:
        """End the processes."""
        ...


Engine = Callable[[WorkerConfig, Callable[[str], None]], LastingExecutor]
"""engine(config, note) makes the executor of a run; ``note`` prints a remark"""


class InThisProcess:
    """Runs one step at a time, on a GPU several trainings, in ``wait``."""

    second_sigint_ends_process = True

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._steps: list[Step] = []
        self._settings = ExitStack()

    def __enter__(self) -> InThisProcess:
        with self._settings as settings:
            settings.enter_context(_settings_restored())
            initialise(self._config)
            self._settings = settings.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        release()
        self._settings.close()

    @property
    def steps(self) -> list[Step]:
        return self._steps

    @property
    def has_room(self) -> bool:
        return not self._steps

    @property
    def most_together(self) -> int:
        return most_together(self._config)

    def submit(self, step: Step, resources: Resources) -> None:
        self.submit_together([step], resources)

    def submit_together(self, steps: Sequence[Step], _resources: Resources) -> None:
        self._steps = list(steps)

    def wait(self, _seconds: float | None) -> Iterator[tuple[Step, Answer]]:
        steps, self._steps = self._steps, []
        if steps:
            answers = do_together(steps) if len(steps) > 1 else [do(steps[0])]
            # The step may have swallowed the interruption: a bare ``except`` in a plug-in catches it.
            signals.reraise()
            yield from zip(steps, answers, strict=True)


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

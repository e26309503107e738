"""Progress on stderr: a bar with the time left on a terminal, a line now and then elsewhere, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from prunecheck.core.words import printable
from prunecheck.run.estimate import spoken
from prunecheck.study.step import Step

LINE_EVERY_SECONDS = 15.0


@dataclass
class Progress:
    """``console=None`` is silent."""

    console: Console | None = None

    def note(self, text: str) -> None:
        """One remark, on lines of its own."""
        if self.console is not None:
            self.console.print(printable(text, 400), highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def phase(
        self, steps: Iterable[Step], seconds: Callable[[Step], float], workers: int
    ) -> Iterator[Callable[[Step, float], None]]:
        """Watch one batch of steps; yields what to call when a step is done."""
        todo = list(steps)
        clock = _Clock(sum(seconds(step) for step in todo), workers)
        if not todo or self.console is None:
            yield lambda _step, _seconds: None
        elif self.console.is_terminal:
            with _bar(self.console) as bar:
                task = bar.add_task("", total=len(todo), left=clock.left())
                yield lambda step, _: bar.update(
                    task, advance=1, description=printable(step.title, 60), left=clock.tick(seconds(step))
                )
        else:
            yield _Lines(self.console, len(todo), clock, seconds)


def _bar(console: Console) -> Bar:
    return Bar(
        BarColumn(30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("[dim]{task.description}", markup=True),
        console=console,
        transient=True,
    )


class _Clock:
    """Time left: the estimate, corrected by how the finished steps compared with theirs."""

    def __init__(self, expected: float, workers: int) -> None:
        self._expected, self._workers = expected, max(1, workers)
        self._finished = 0.0
        self._begun = time.monotonic()

    def tick(self, expected: float) -> str:
        self._finished += expected
        return self.left()

    def left(self) -> str:
        remaining = max(0.0, self._expected - self._finished)
        elapsed = time.monotonic() - self._begun
        sure = self._finished > 0.05 * self._expected and elapsed > 2
        pace = elapsed / self._finished if sure else 1 / self._workers
        return f"about {spoken(remaining * pace)} left"


class _Lines:
    """Without a terminal: one line at most every 15 seconds, and one at the end."""

    def __init__(self, console: Console, total: int, clock: _Clock, seconds: Callable[[Step], float]) -> None:
        self._console, self._total, self._clock, self._seconds = console, total, clock, seconds
        self._done, self._last = 0, time.monotonic()

    def __call__(self, step: Step, _: float) -> None:
        self._done += 1
        left = self._clock.tick(self._seconds(step))
        now = time.monotonic()
        if self._done == self._total or now - self._last > LINE_EVERY_SECONDS:
            self._last = now
            tail = "done" if self._done == self._total else left
            self._console.print(f"{self._done}/{self._total} steps, {tail}", highlight=False)

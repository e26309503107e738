"""Progress on stderr: a bar with the time left on a terminal, a line now and then elsewhere, or nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task
from rich.progress import Progress as Bar
from rich.text import Text

from prunecheck.study.step import KINDS, Step
from prunecheck.text import duration, printable

LINE_EVERY_SECONDS = 15.0
BAR_WIDTH = 10
"""so that bar, count and time left fit into 40 columns"""


@dataclass
class Progress:
    """``console=None`` is silent."""

    console: Console | None = None
    _tally: Tally | None = field(default=None, repr=False, compare=False)

    @property
    def shown(self) -> bool:
        """Whether anything is shown at all."""
        return self.console is not None

    def note(self, text: str) -> None:
        """One remark, on a separate line."""
        if self.console is not None:
            self.console.print(printable(text, 400), highlight=False, markup=False, soft_wrap=True)

    def running(self, steps: Iterable[Step]) -> None:
        """*steps* are under way now; the bar on a terminal names them."""
        if self._tally is not None:
            self._tally.running = [printable(step.title, 100) for step in steps]

    @contextmanager
    def phase(
        self, steps: Iterable[Step], seconds: Callable[[Step], float], workers: int
    ) -> Iterator[Callable[[Step, float], None]]:
        """Show one batch of steps; yields the callback for a finished step."""
        todo = list(steps)
        self._tally = tally = Tally(todo, seconds, workers)
        if not todo or self.console is None:
            yield lambda _step, _seconds: None
        elif self.console.is_terminal and not self.console.is_dumb_terminal:
            with _KindsBar(tally, self.console) as bar:
                task = bar.add_task("", total=len(todo))

                def tick(step: Step, _: float) -> None:
                    tally.add(step)
                    bar.update(task, completed=tally.finished, total=tally.total)

                yield tick
        else:
            yield _Lines(self.console, tally)


@dataclass
class Tally:
    """The number of steps of each kind that are done, and an estimate of the time left."""

    steps: list[Step]
    seconds: Callable[[Step], float]
    workers: int
    done: Counter[str] = field(default_factory=Counter)
    running: list[str] = field(default_factory=list)
    """titles of the steps under way"""
    begun: float = field(default_factory=lambda: time.monotonic())

    def __post_init__(self) -> None:
        self._wanted = Counter(str(step.kind) for step in self.steps)
        self._keys = {step.key for step in self.steps}
        self._expected = sum(map(self.seconds, self.steps))
        self._worth = 0.0
        self._latest = self.begun

    def add(self, step: Step) -> None:
        """*step* is done. An unplanned one (a damaged artefact computed again) is counted from now on."""
        if step.key not in self._keys:
            self._wanted[step.kind] += 1
            self._expected += self.seconds(step)
        self._keys.discard(step.key)
        self.done[step.kind] += 1
        self._worth += self.seconds(step)
        self._latest = time.monotonic()

    @property
    def finished(self) -> int:
        return self.done.total()

    @property
    def total(self) -> int:
        return self._wanted.total()

    @property
    def left(self) -> str:
        """The estimate, corrected by how the finished steps compared with theirs; it runs down between two steps, not
        before the first, when workers are still starting."""
        remaining = max(0.0, self._expected - self._worth)
        elapsed = self._latest - self.begun
        sure = self._worth > 0.05 * self._expected and elapsed > 2
        pace = elapsed / self._worth if sure else 1 / max(1, self.workers)
        since = time.monotonic() - self._latest if self.finished else 0.0
        left = remaining * pace - since
        if left < 1 and since > 1 and self.finished < self.total:
            return "longer than estimated"
        return f"about {duration(left, whole_seconds=True)} left"

    @property
    def kinds(self) -> list[str]:
        """``["trainings 3/9", "masks 4/6"]``, what takes long first."""
        return [f"{name} {self.done[kind]}/{self._wanted[kind]}" for kind, name in KINDS.items() if self._wanted[kind]]


class _Left(ProgressColumn):
    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def render(self, _: Task) -> Text:
        return Text(self._tally.left, no_wrap=True, overflow="ellipsis")


class _KindsBar(Bar):
    """All steps on the first line, each kind on the second, those under way on the third, as far as the terminal is
    wide."""

    def __init__(self, tally: Tally, console: Console) -> None:
        self._tally, self._terminal = tally, console
        # Rich draws an unfinished bar in red, which reads as an error
        columns = BarColumn(BAR_WIDTH, complete_style="cyan"), MofNCompleteColumn(), _Left(tally)
        super().__init__(*columns, console=console, transient=True, refresh_per_second=4)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        width = self._terminal.width - 1
        yield Text(fitting(self._tally.kinds, width), style="dim", no_wrap=True, overflow="crop")
        if titles := list(self._tally.running):
            line = Text(named(titles, width), style="dim", no_wrap=True)
            line.truncate(width, overflow="ellipsis")
            yield line


def named(titles: Sequence[str], width: int) -> str:
    """``now: A, B and 2 more``: as many titles as fit into *width* columns, at least one."""
    for count in range(len(titles), 0, -1):
        more = f" and {len(titles) - count} more" if count < len(titles) else ""
        line = f"now: {', '.join(titles[:count])}{more}"
        if len(line) <= width:
            break
    return line


def fitting(parts: Iterable[str], width: int) -> str:
    """As many of *parts* as fit into *width* columns, dots between them."""
    line = ""
    for part in parts:
        longer = f"{line} · {part}" if line else part
        if len(longer) > width:
            break
        line = longer
    return line


class _Lines:
    """Without a terminal: one line at most every 15 seconds, and one at the end."""

    def __init__(self, console: Console, tally: Tally) -> None:
        self._console, self._tally = console, tally
        self._last = time.monotonic()

    def __call__(self, step: Step, _: float) -> None:
        self._tally.add(step)
        now = time.monotonic()
        is_last = self._tally.finished == self._tally.total
        if is_last or now - self._last > LINE_EVERY_SECONDS:
            self._last = now
            tail = "done" if is_last else f"{', '.join(self._tally.kinds)}, {self._tally.left}"
            self._console.print(
                f"{self._tally.finished}/{self._tally.total} steps, {tail}", highlight=False, soft_wrap=True
            )

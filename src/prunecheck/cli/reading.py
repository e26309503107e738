"""Progress while data are read before the first step: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prunecheck.cli.console import err
from prunecheck.text import printable

LINE_EVERY_SECONDS = 15.0


class ReadingProgress:
    """The first reading of every data set. Later ones in the same process find what the first remembered, and the bar
    of the steps may be on the terminal then."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    @contextmanager
    def __call__(self, what: str, parts: int) -> Iterator[Callable[[], None]]:
        if what in self._seen:
            yield lambda: None
            return
        self._seen.add(what)
        console, text = err(), f"reading {printable(what, 200)}"
        if not console.is_terminal or console.is_dumb_terminal:
            yield _Lines(lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True), text, parts)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.table import Column

        words = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
        # As the bar of the steps: rich draws an unfinished one in red
        columns = words, BarColumn(10, complete_style="cyan"), MofNCompleteColumn()
        with Progress(*columns, console=console, transient=True, refresh_per_second=4) as bar:
            task = bar.add_task(text, total=parts)
            yield lambda: bar.advance(task)


class _Lines:
    def __init__(self, show: Callable[[str], None], text: str, parts: int) -> None:
        self._show, self._text, self._parts, self._done = show, text, parts, 0
        self._last = time.monotonic()

    def __call__(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._last > LINE_EVERY_SECONDS:
            self._last = now
            self._show(f"{self._text}: {self._done} of {self._parts} folders or shards")

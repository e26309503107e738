"""Looking at a study again and again, until nothing more will come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prunecheck.cli.console import note
from prunecheck.errors import StudyError

if TYPE_CHECKING:
    from rich.console import Console

    from prunecheck.runner.results import Results
    from prunecheck.runner.status import Status
    from prunecheck.study import Study

EVERY_SECONDS = 2.0
SHARE = 0.1
"""at most this share of the time is spent on looking, so that a large study is not slowed down by who watches it"""


def asker(study: Study, store: Path | None, folder: Path | None) -> Callable[[], Status]:
    """What tells how far the study is; what it read once it does not read again."""
    from prunecheck import api
    from prunecheck.runner.report_data import StepResults
    from prunecheck.runner.status import study_status

    workspace = api.workspace_of(study, store, folder)
    facts, cores = StepResults(workspace.store), api.usable_cores()
    return lambda: study_status(study, workspace, cores, facts)


def until_over(ask: Callable[[], Status]) -> Iterator[Status]:
    """The status, every few seconds, up to and with the one after which nothing will come."""
    while True:
        begun = time.monotonic()
        status = ask()
        yield status
        if status.is_over:
            return
        time.sleep(max(EVERY_SECONDS, (time.monotonic() - begun) / SHARE))


def watch_status(ask: Callable[[], Status], console: Console, command: Callable[[Status], str]) -> Status:
    """Draw the status again and again on a terminal; elsewhere say one line whenever something has changed."""
    if console.is_terminal and not console.is_dumb_terminal:
        return _draw(ask, console, command)
    said: set[str] = set()
    for status in until_over(ask):
        for line in _lines(status):
            if line not in said:
                console.print(line, highlight=False, markup=False, soft_wrap=True)
                said.add(line)
    return status


def report_until_over(study: Study, store: Path | None, folder: Path | None, quiet: bool) -> Results:
    """Write the report whenever something was finished; returns the last one."""
    from prunecheck import api
    from prunecheck.runner.status import sentence
    from prunecheck.store import Damaged

    results, written = None, None
    for status in until_over(asker(study, store, folder)):
        now = (status.done, status.is_over)
        if now == written:
            continue
        try:
            results = api.report(study, store=store, folder=folder)
            said = f"{results.page} written: {sentence(status)}"
        except (StudyError, Damaged):
            if status.is_over:
                raise
            said = "" if written else f"nothing to show yet: {sentence(status)}"
        written = now
        if said and not quiet:
            note(said)
    assert results is not None
    return results


def _draw(ask: Callable[[], Status], console: Console, command: Callable[[Status], str]) -> Status:
    from rich.live import Live
    from rich.text import Text

    from prunecheck.runner.status import text

    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as screen:
        for status in until_over(ask):
            screen.update(Text(text(status, command(status)), no_wrap=True, overflow="ellipsis"), refresh=True)
    return status


def _lines(status: Status) -> list[str]:
    from prunecheck.runner.status import sentence
    from prunecheck.text import printable

    settled = [c for c in status.checks if c.verdict is not None]
    return [
        *(f"failed: {printable(reason, 200)}" for reason in status.failed),
        *(printable(f"{c.method} x {c.check}: {str(c.verdict).lower()}, {c.seeds} seeds", 200) for c in settled),
        printable(f"{status.study}: {sentence(status)}", 200),
    ]

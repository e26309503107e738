"""How far a study is."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prunecheck import api
from prunecheck.cli import console
from prunecheck.cli.options import DEFAULTS, Flag, Options, Out
from prunecheck.text import printable_line

if TYPE_CHECKING:
    from rich.console import Console

    from prunecheck.runner.status import Status
    from prunecheck.study import AnyStudy

EVERY_SECONDS = 2.0
SHARE = 0.1
"""largest share of the time spent on reading the status, so that watching a large study does not slow it down"""


def status(
    study: Path, *, watch: Flag = False, strict: Flag = False, out: Out = None, options: Options = DEFAULTS
) -> int:
    """Show how far a study is: steps done, running, failed and to do, the time left, and the verdicts so far.

    Reads the store and the results only, so it works at any time and from any other terminal. A verdict is shown once
    its interim analysis is complete; until then the check is open.

    Example: prunecheck status study.toml --watch

    Parameters
    ----------
    study
        The study file.
    watch
        Go on until the study is over: redraw on a terminal, one line per change elsewhere.
    strict
        Exit with 3 where steps failed and with 75 where the study is not finished.
    """
    from prunecheck.runner.status import text
    from prunecheck.study import load_study

    read = reader(load_study(study, options.set), options.store, out)

    def command(found: Status) -> str:
        return _next(found, study, out, options)

    if watch and not options.json:
        found = watch_status(read, console.out(), command)
    else:
        found = list(until_over(read))[-1] if watch else read()
        if options.json:
            console.print_json({**found.to_dict(), "next_command": command(found)})
        else:
            print(text(found, command(found)))
    return _code(found) if strict else 0


def reader(study: AnyStudy, store: Path | None, folder: Path | None) -> Callable[[], Status]:
    """A function that reads the status of *study*; results it has read once are not read again."""
    from prunecheck.runner.status import study_status
    from prunecheck.runner.step_results import StepResults

    workspace = api.workspace_of(study, store, folder)
    results, workers = StepResults(workspace.store), api.usual_workers(study)
    return lambda: study_status(study, workspace, workers, results)


def until_over(read: Callable[[], Status]) -> Iterator[Status]:
    """The status every few seconds, the last one when the study is over."""
    while True:
        begun = time.monotonic()
        status = read()
        yield status
        if status.is_over:
            return
        time.sleep(max(EVERY_SECONDS, (time.monotonic() - begun) / SHARE))


def watch_status(read: Callable[[], Status], screen: Console, command: Callable[[Status], str]) -> Status:
    """Redraw the status on a terminal; elsewhere print one line whenever it has changed."""
    from rich.live import Live
    from rich.text import Text

    from prunecheck.runner.status import sentence, text

    if screen.is_terminal and not screen.is_dumb_terminal:
        with Live(console=screen, auto_refresh=False, vertical_overflow="crop") as live:
            for status in until_over(read):
                live.update(Text(text(status, command(status)), no_wrap=True, overflow="ellipsis"), refresh=True)
        return status
    before = ""
    for status in until_over(read):
        line = printable_line(f"{status.study}: {sentence(status)}", 200)
        if line != before:
            screen.print(line, highlight=False, markup=False, soft_wrap=True)
        before = line
    return status


def _next(found: Status, study: Path, out: Path | None, options: Options) -> str:
    """The next command to type, with the options that lead to the same study, store and results."""
    if found.next == "read":
        return f"open {found.page}"
    words = ["prunecheck", {"wait": "status"}.get(found.next, found.next), str(study)]
    words += ["--watch"] if found.next == "wait" else []
    words += [word for change in options.set for word in ("--set", change)]
    words += ["--store", str(options.store)] if options.store else []
    words += ["--out", str(out)] if out else []
    return shlex.join(words)


def _code(found: Status) -> int:
    return {"finished": 0, "failed": 3}.get(found.state, 75)

"""Progress and the report page in IPython and Jupyter, by IPython's own display: no widgets are needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from rich.console import Console

from prunecheck.runner.progress import Progress, Tally
from prunecheck.study.step import Step
from prunecheck.text import printable

UPDATE_EVERY_SECONDS = 0.5


def ipython_shell() -> Any:
    """The running shell of IPython (terminal, Jupyter, Colab); None elsewhere. It does not import IPython."""
    module = sys.modules.get("IPython")
    return None if module is None else module.get_ipython()


def in_notebook() -> bool:
    """Whether cells are shown by a front end that draws HTML."""
    return getattr(ipython_shell(), "kernel", None) is not None


def show_page(page: str, text: str) -> None:
    """Show the HTML document *page* in a frame below the running cell; front ends without HTML show *text*."""
    # without a base of its own, a link to a section would load the notebook into the frame; it stands before the
    # page's policy, which allows no base
    inside = page.replace("<head>", '<head><base href="about:srcdoc">', 1)
    frame = (
        f'<iframe title="report" sandbox="allow-scripts allow-downloads allow-popups" srcdoc="{escape(inside)}" '
        'width="100%" height="700" style="border: 0"></iframe>'
    )
    _display({"text/html": frame, "text/plain": text})


def progress_for(console: Console | None) -> Progress:
    """Progress on *console*; without one, below the cell of a notebook, on stderr in IPython, silent elsewhere."""
    if console is None and in_notebook():
        return NotebookProgress()
    if console is None and ipython_shell() is not None:
        return Progress(Console(stderr=True, highlight=False))
    return Progress(console)


class NotebookProgress(Progress):
    """A bar below the cell. It is drawn anew when steps finish, and its last state stays in the notebook."""

    @property
    def shown(self) -> bool:
        return True

    def note(self, text: str) -> None:
        line = printable(text, 400)
        _display({"text/html": f"<p>{escape(line)}</p>", "text/plain": line})

    @contextmanager
    def phase(
        self, steps: Iterable[Step], seconds: Callable[[Step], float], workers: int
    ) -> Iterator[Callable[[Step, float], None]]:
        todo = list(steps)
        if not todo:
            yield lambda _step, _seconds: None
            return
        tally = Tally(todo, seconds, workers)
        handle = _display(_bar(tally, tally.left), display_id=True)
        drawn = time.monotonic()

        def tick(step: Step, _: float) -> None:
            nonlocal drawn
            tally.add(step)
            if time.monotonic() - drawn >= UPDATE_EVERY_SECONDS:
                drawn = time.monotonic()
                handle.update(_bar(tally, tally.left), raw=True)

        try:
            yield tick
        finally:
            # an interrupted run has no time left to state
            handle.update(_bar(tally, "done" if tally.finished == tally.total else "stopped"), raw=True)


def _bar(tally: Tally, state: str) -> dict[str, str]:
    text = f"{tally.finished}/{tally.total} steps · {' · '.join(tally.kinds)} · {state}"
    bar = f'<progress value="{tally.finished}" max="{tally.total}" aria-label="finished steps"></progress>'
    return {"text/html": f"<div>{bar} {escape(text)}</div>", "text/plain": text}


def _display(mime: dict[str, str], **options: Any) -> Any:
    # there is no IPython to import unless it is running already
    from IPython.display import display

    return display(mime, raw=True, **options)

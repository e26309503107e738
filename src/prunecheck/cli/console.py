"""Console output: results on stdout, messages on stderr; and the store that a command works on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from prunecheck.text import printable_line, printable_lines

if TYPE_CHECKING:
    from rich.console import Console

    from prunecheck.store import Store


def out() -> Console:
    return _console(sys.stdout)


def err() -> Console:
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    class Quiet(Console):
        """Continues silently when the pipe is closed; rich would exit with 1, which here means a failed method."""

        def on_broken_pipe(self) -> None:
            self.quiet = True
            discard_output(stream)

    return Quiet(file=stream, highlight=False)


def discard_output(stream: TextIO) -> None:
    """Send further output to the null device once the pipe is closed (the Python manual's note on SIGPIPE)."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def open_standard_streams() -> None:
    """Open the null device for each of stdin, stdout and stderr that the process was started without. Otherwise the
    next file opened would get that descriptor, and printed text would be written into it."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def show_cursor(stream: TextIO) -> None:
    """Show the cursor again after a progress bar was interrupted while it was being removed."""
    if stream.isatty():
        stream.write("\x1b[?25h")
        stream.flush()


def print_error(message: str, code: int) -> int:
    """Print *message* on stderr, if it can be written to; returns *code*."""
    try:
        print(f"prunecheck: {printable_lines(message)}", file=sys.stderr)
    except OSError:
        discard_output(sys.stderr)
    return code


def note(message: str) -> None:
    """Print *message* on stderr, on one line."""
    print(printable_line(message, 100_000), file=sys.stderr)


def print_json(document: Mapping[str, Any]) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))


def print_columns(rows: Sequence[Sequence[object]], right: frozenset[int] = frozenset()) -> None:
    """Plain aligned columns; those in *right* are flush right."""
    texts = [[printable_lines(value) for value in row] for row in rows]
    widths = [max((len(row[i]) for row in texts), default=0) for i in range(len(texts[0]) if texts else 0)]
    for row in texts:
        cells = [t.rjust(w) if i in right else t.ljust(w) for i, (t, w) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(cells).rstrip())


def open_store(folder: Path | None) -> Store:
    """The store in *folder*, or the default one."""
    from prunecheck.runner.workspace import default_store
    from prunecheck.store import Store

    return Store.open(folder or default_store())

"""How the desk speaks: one console for results, one for everything else."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def out() -> Console:
    return _console(sys.stdout)


def err() -> Console:
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    class Quiet(Console):
        """Goes on in silence when nobody reads on; rich would exit with 1, which here means a failed method."""

        def on_broken_pipe(self) -> None:
            self.quiet = True
            unplug(stream)

    return Quiet(file=stream, highlight=False)


def unplug(stream: TextIO) -> None:
    """Let what is still to be written to a broken pipe go nowhere (the Python manual's note on SIGPIPE)."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def plug_all() -> None:
    """Give a process that was started without stdin, stdout or stderr somewhere to write to. Otherwise the next file it
    opens would get that number, and what others print would go into it."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def show_cursor(stream: TextIO) -> None:
    """Undo what a bar that was interrupted while it was being tidied up leaves behind."""
    if stream.isatty():
        stream.write("\x1b[?25h")
        stream.flush()


def harmless(text: str) -> str:
    """*text* without control characters, which could move the cursor or colour what follows; lines are kept."""
    lines = text.splitlines()
    return "\n".join("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line) for line in lines)


def complain(message: str, code: int) -> int:
    """*message* on stderr, as far as that can be written; returns *code*."""
    try:
        print(f"prunecheck: {harmless(message)}", file=sys.stderr)
    except OSError:
        unplug(sys.stderr)
    return code


def note(message: str) -> None:
    """*message* on stderr, on one line."""
    print(harmless(" ".join(message.splitlines())), file=sys.stderr)


def print_json(document: Mapping[str, Any]) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))


def print_columns(rows: Sequence[Sequence[object]], right: frozenset[int] = frozenset()) -> None:
    """Plain aligned columns; those in *right* are flush right."""
    texts = [[harmless(str(value)) for value in row] for row in rows]
    widths = [max((len(row[i]) for row in texts), default=0) for i in range(len(texts[0]) if texts else 0)]
    for row in texts:
        cells = [t.rjust(w) if i in right else t.ljust(w) for i, (t, w) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(cells).rstrip())

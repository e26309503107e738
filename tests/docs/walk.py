"""Execute a page from top to bottom: write its files, run its Python and its commands, compare the output."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.docs.blocks import Block, blocks, commands

Cli = Callable[[list[str]], str]
"""runs one command and returns its stdout"""

SMALL = ("training.epochs=2", "seeds=1", "data.train_size=400", "data.test_size=100")
WALKS: dict[str, tuple[str, ...]] = {
    "tutorial.md": SMALL,
    "how-to/your-data.md": ("seeds=1", "training.epochs=2"),
    "how-to/large-data.md": ("seeds=1", "training.epochs=2"),
    "how-to/judge-a-table.md": (),
    "how-to/judge-evaluations.md": (),
    "how-to/compare-masks.md": (),
    "how-to/laptop-to-cluster.md": ("seeds=1",),
    "how-to/paper.md": ("seeds=1",),
    "use-a-mask.md": (),
    "why/random-tickets.md": (),
}
"""Pages that are executed from top to bottom, with the changes that make their studies small enough for a test."""
SLOW_WALKS: dict[str, tuple[str, ...]] = {"how-to/language-models.md": ("seeds=3", "data.tokens=300")}
"""Pages that train a model of their own."""

TIME = re.compile(r"\d[\d,.]*( (?:s|min|h|days))( \d+ (?:s|min))?")
NUMBER = re.compile(r"[+-]?\d[\d,.]*")


def walk(page: str, folder: Path, cli: Cli, changes: Sequence[str] = ()) -> None:
    """*changes* are made by ``--set`` to every ``prunecheck run``, and the output of such a command is not compared.

    The numbers of ``prunecheck verdict`` must be the same, since they follow from the table.

    A ```python or ```toml block that begins with ``# NAME.py`` or ``# NAME.toml`` becomes that file; other Python is
    run. A ```text block right behind a console block is what its first command shows: words must be the same, numbers
    need not (they are another machine's), and the page may end before the command does.
    """
    more = [word for change in changes for word in ("--set", change)]
    printed: str | None = None
    exact = False
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.kind in ("python", "toml") and block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.kind == "python":
            script = folder / "page.py"
            script.write_text(block.text, encoding="utf-8")
            names = runpy.run_path(str(script), names)
        elif block.kind == "console":
            printed = _run(block, cli, more)
            exact = any(words[0] == "verdict" for words in _words(block)[:1])
        elif block.kind == "text" and block.follows and printed is not None:
            compare(block.text, printed, exact=exact)


def _run(block: Block, cli: Cli, more: Sequence[str]) -> str | None:
    """The output of the first command of the block; None if the command was changed."""
    first: str | None = None
    for number, words in enumerate(_words(block)):
        changed = bool(more) and words[0] == "run" and "--masks-only" not in words
        printed = cli([*words, *(more if changed else ())])
        if number == 0 and not changed:
            first = printed
    return first


def _words(block: Block) -> list[list[str]]:
    return [shlex.split(line, comments=True)[1:] for line in commands(block.text)]


def compare(shown: str, printed: str, *, exact: bool = False) -> None:
    """Raises AssertionError at the first line that differs in more than the space between words and, unless *exact*,
    numbers and times."""
    words = _words_and_numbers if exact else _words_only
    found = printed.splitlines()
    for number, line in enumerate(shown.splitlines()):
        there = found[number] if number < len(found) else "(nothing)"
        assert words(line) == words(there), f"the page shows {line!r}, the command prints {there!r}"


def _words_and_numbers(line: str) -> str:
    return " ".join(line.split())


def _words_only(line: str) -> str:
    return _words_and_numbers(NUMBER.sub("#", TIME.sub("TIME", line)))

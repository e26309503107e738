"""The code blocks of a page: all of them in order, and its ```python ones as a program."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    """``kind``: all that stands after the opening fence. ``line``: where the fence is. ``follows``: whether only one
    blank line, and no prose, is between this block and the one before it."""

    kind: str
    text: str
    line: int
    follows: bool

    @property
    def file(self) -> str | None:
        """The name a first line such as ``# study.toml`` gives the block."""
        named = re.match(r"# ([\w-]+\.(?:py|toml))\b", self.text)
        return named[1] if named else None


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> Iterator[Block]:
    """Every fenced block. Raises ValueError for one without end."""
    opened, kind, lines, closed = 0, "", list[str](), -9
    for number, line in enumerate(text.splitlines(), 1):
        fence = line.strip()
        if opened and fence == "```":
            yield Block(kind, "\n".join(lines) + "\n" if lines else "", opened, opened - closed == 2)
            opened, closed, lines = 0, number, []
        elif not opened and fence.startswith("```"):
            opened, kind = number, fence.removeprefix("```")
        elif opened:
            lines.append(line)
    if opened:
        raise ValueError(f"the block that starts in line {opened} has no end")


def program(text: str) -> str:
    """The page as a program: its ```python blocks, every other line blank, so that line numbers stay those of the page.

    Blocks marked ```python no-run and those of other languages are left out. Raises ValueError for one without end.
    """
    lines: list[str] = []
    for block in blocks(text):
        if block.kind == "python":
            lines += [""] * (block.line - len(lines)) + block.text.splitlines()
    return "\n".join(lines) + "\n"


def commands(text: str) -> list[str]:
    """The ``prunecheck …`` lines of a console block, without prompt, ``uv run`` and comment; a \\ joins two lines."""
    lines = [line.removeprefix("$ ").strip() for line in text.replace("\\\n", " ").splitlines()]
    return [line.removeprefix("uv run ") for line in lines if re.match(r"(uv run )?prunecheck ", line)]


def run_page(page: Path, folder: Path) -> dict[str, Any]:
    """Run the blocks of *page* from a copy in *folder* (where tracebacks point into) and return their namespace."""
    script = folder / f"{page.stem.replace('-', '_')}_page.py"
    script.write_text(program(page.read_text(encoding="utf-8")), encoding="utf-8")
    return runpy.run_path(str(script))

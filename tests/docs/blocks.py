"""Run what the documentation shows: all ```python blocks of a page, in order, in one namespace."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any


def program(text: str) -> str:
    """The page as a program: its ```python blocks, every other line blank, so that line numbers stay those of the page.

    Blocks marked ```python no-run and those of other languages are left out. Raises ValueError for one without end.
    """
    lines, running, opened = [], False, 0
    for number, line in enumerate(text.splitlines(), 1):
        fence = line.strip()
        if opened and fence == "```":
            running, opened = False, 0
        elif not opened and fence.startswith("```"):
            running, opened = fence == "```python", number
        elif running:
            lines += [""] * (number - 1 - len(lines)) + [line]
    if opened:
        raise ValueError(f"the block that starts in line {opened} has no end")
    return "\n".join(lines) + "\n"


def run_page(page: Path, folder: Path) -> dict[str, Any]:
    """Run the blocks of *page* from a copy in *folder* (where tracebacks point into) and return their namespace."""
    script = folder / f"{page.stem}.py"
    script.write_text(program(page.read_text(encoding="utf-8")), encoding="utf-8")
    return runpy.run_path(str(script))

"""What the generated pages have in common: words that must be there, and tables of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).parents[1]


class Undocumented(Exception):
    """Something a user can name has no words in the documentation."""


def said(words: str | None, what: str) -> str:
    """*words* on one line, as Markdown. Raises Undocumented where *what* has none."""
    line = " ".join((words or "").split())
    if not line:
        raise Undocumented(f"{what} is not documented.")
    return line.replace("``", "`")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(value: object) -> str:
    """*value* as code; nothing for an empty one."""
    return f"`{value}`" if value not in ("", None) else ""


def sections(page: str) -> dict[str, str]:
    """``{name: text}`` of the parts of docs/*page* that are headed ### `name`."""
    parts = re.split(r"^### `([^`]+)`\n", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        name: re.split(r"^##", body, flags=re.MULTILINE)[0] for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }

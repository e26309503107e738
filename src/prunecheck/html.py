"""HTML for notebooks: text is always escaped; no styles, no scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from prunecheck.text import printable

MAX_ROWS = 60


def said(text: object, element: str = "p") -> str:
    """*text* as one element; control characters are replaced."""
    return f"<{element}>{escape(printable(str(text), 600))}</{element}>"


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; the first cell of a row names it. At most ``MAX_ROWS`` rows, then the number of the others."""
    every = list(rows)
    head = "".join(f'<th scope="col">{escape(printable(text))}</th>' for text in heads)
    body = "".join(f"<tr>{''.join(_cell(value, i) for i, value in enumerate(row))}</tr>" for row in every[:MAX_ROWS])
    rest = said(f"{len(every) - MAX_ROWS} more rows.") if len(every) > MAX_ROWS else ""
    return f"<table>{said(caption, 'caption')}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _cell(value: object, i: int) -> str:
    text = escape(printable(str(value)))
    return f'<th scope="row">{text}</th>' if i == 0 else f"<td>{text}</td>"

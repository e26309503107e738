"""How the desk speaks: one console for results, one for everything else."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def out() -> Console:
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, soft_wrap=False)


def err() -> Console:
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False)


def complain(message: str, code: int) -> int:
    """*message* on stderr, control characters made harmless; returns *code*."""
    safe = "\n".join(
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in part) for part in message.splitlines()
    )
    print(f"prunecheck: {safe}", file=sys.stderr)
    return code


def print_json(document: Mapping[str, Any]) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))


def print_columns(rows: Sequence[Sequence[object]], right: frozenset[int] = frozenset()) -> None:
    """Plain aligned columns; those in *right* are flush right."""
    texts = [[str(value) for value in row] for row in rows]
    widths = [max((len(row[i]) for row in texts), default=0) for i in range(len(texts[0]) if texts else 0)]
    for row in texts:
        cells = [t.rjust(w) if i in right else t.ljust(w) for i, (t, w) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(cells).rstrip())

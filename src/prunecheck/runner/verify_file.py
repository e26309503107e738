"""The last ``prunecheck verify`` of a study, beside its results, so that the report can tell of it."""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path

from prunecheck.store.durable import write_file

NAME = "verify.json"


def write_verification(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / NAME, text.encode())


def verified(folder: Path, steps: Container[str]) -> dict[str, str]:
    """What the report says of it: one line, or nothing where no step of this plan was computed again."""
    try:
        facts = json.loads((folder / NAME).read_text(encoding="utf-8"))
        again = sum(key in steps for key in facts["keys"])
        wrong = len(facts["different"]) + len(facts["failed"])
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    if not again:
        return {}
    outcome = f"{wrong} differ or failed" if wrong else "all equal, byte for byte"
    return {"computed again": f"{again} steps, drawn at random: {outcome}"}

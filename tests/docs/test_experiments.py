"""The page of experiments lists exactly the shipped studies."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from prunecheck.resources import study_names

PAGE = Path(__file__).parents[2] / "docs" / "experiments.md"


def spelled_out(pattern: str) -> set[str]:
    """``a-{b,c}`` -> ``a-b`` and ``a-c``."""
    parts = [part.split(",") for part in re.split(r"[{}]", pattern)]
    return {"".join(choice) for choice in itertools.product(*parts)}


def patterns(part: str) -> list[str]:
    """The names in the first column of the tables of *part*."""
    rows = [row.split("|")[1] for row in part.splitlines() if row.startswith("| `")]
    return [pattern for row in rows for pattern in re.findall(r"`([^`]+)`", row)]


def test_experiments_page_lists_every_shipped_study_with_its_time() -> None:
    text = PAGE.read_text(encoding="utf-8")
    asked, _, timed = (patterns(part) for part in text.partition("## How long"))
    exact = set().union(*(spelled_out(pattern) for pattern in asked + timed if "*" not in pattern))
    assert exact == set(study_names())
    globs = [re.compile(pattern.replace("*", "[a-z0-9-]+")) for pattern in timed]
    for name in set(study_names()) - {"demo", "template"}:
        assert any(glob.fullmatch(name) for glob in globs), f"{name} has no time"

"""The columns of results.csv and the environment variables: hand-written words, checked against the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from docs._reference.markdown import Undocumented, code, table

import prunecheck

WORDS = Path(__file__).with_name("files.toml")


def results_columns() -> str:
    """A row a column; that these are all of them is tested against a file that was written."""
    return _table("columns", ("column", "what it holds"))


def environment() -> str:
    """Every variable of ours, and others that are obeyed. Raises Undocumented for one of ours without words."""
    source = Path(prunecheck.__file__).parent
    ours = {name for file in source.rglob("*.py") for name in re.findall(r"PRUNECHECK_[A-Z]+", file.read_text("utf-8"))}
    missing = ours - written("environment").keys()
    if missing:
        raise Undocumented(f"environment variable {min(missing)} is not documented.")
    return _table("environment", ("variable", "what it does"))


def written(part: str) -> dict[str, str]:
    return dict(tomllib.loads(WORDS.read_text(encoding="utf-8"))[part])


def _table(part: str, head: tuple[str, str]) -> str:
    return table(head, ((code(name), words) for name, words in written(part).items()))

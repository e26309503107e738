"""Exit codes, from the sentence in ``prunecheck.errors`` and the classes under it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from docs._reference.markdown import Undocumented, said, table

import prunecheck.store  # noqa: F401 - defines kinds of errors of its own
from prunecheck import errors


def markdown() -> str:
    """Two tables: what a command can end with, and what Python raises in its place."""
    meanings = codes()
    classes = list(kinds(errors.PrunecheckError))
    for kind in classes:
        if kind.exit_code not in meanings:
            raise Undocumented(f"exit code {kind.exit_code} of {kind.__name__} is not documented.")
    first = table(("code", "meaning"), ((f"`{code}`", words) for code, words in meanings.items()))
    rows = ((f"`{kind.__name__}`", f"`{kind.exit_code}`", said(kind.__doc__, kind.__name__)) for kind in classes)
    return f"{first}\n\n## From Python\n\n{table(('raised', 'exit code', 'when'), rows)}"


def codes() -> dict[int, str]:
    """``{code: meaning}`` as ``prunecheck.errors`` words it: ``Exit codes: 0 fine · 1 …``."""
    text = " ".join((errors.__doc__ or "").partition("Exit codes:")[2].partition("\n\n")[0].rstrip(". \n").split())
    found = (re.fullmatch(r"(\d+) (.+)", part.strip()) for part in text.split("·"))
    return {int(match[1]): match[2] for match in found if match}


def kinds(error: type[errors.PrunecheckError]) -> Iterator[type[errors.PrunecheckError]]:
    """*error* and all of ours that are derived from it: plug-ins may derive others."""
    yield error
    for kind in error.__subclasses__():
        if kind.__module__.startswith("prunecheck."):
            yield from kinds(kind)

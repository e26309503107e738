"""Where data sets lie, and what to say when they do not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from prunecheck.data.spec import DataSpec
from prunecheck.errors import DataError
from prunecheck.text import nearest

ENVIRONMENT_VARIABLE = "PRUNECHECK_DATA"
DEFAULT_ROOT = "data"


def roots(spec: DataSpec) -> list[Path]:
    """The places to look in: the root of the spec alone, else $PRUNECHECK_DATA and then ``./data``."""
    if spec.root is not None:
        return [Path(spec.root).expanduser()]
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return [*([Path(named).expanduser()] if named else []), Path(DEFAULT_ROOT)]


def missing(spec: DataSpec, expected: Sequence[str]) -> DataError:
    """The error for a data set that is in none of its places; *expected* are names below the root, best first."""
    root = roots(spec)[0]
    where = f"{root / expected[0]}" + (f" (or {', '.join(expected[1:])})" if expected[1:] else "")
    return DataError(
        f"data {spec.name!r} is not there: expected {where}.\n"
        f"Set root, or the environment variable {ENVIRONMENT_VARIABLE}, to the folder that holds it."
        + _nearest_right_thing(root, expected)
    )


def _nearest_right_thing(root: Path, expected: Sequence[str]) -> str:
    if not root.exists():
        return f"\n{root} does not exist."
    if not root.is_dir():
        return f"\n{root} is a file."
    present = sorted(path.name for path in root.iterdir())
    for name in expected:
        guess = nearest(name.partition("/")[0], present)
        if guess is not None:
            return f"\nThere is {guess!r}: is that it?"
    return f"\n{root} holds {', '.join(present[:5]) or 'nothing'}{' …' if len(present) > 5 else ''}."

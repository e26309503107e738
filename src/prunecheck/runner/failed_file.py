"""Which steps failed when a study was last run, beside its results: the store only knows what is finished."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from prunecheck.runner.engine import Failure
from prunecheck.store.durable import discard, plainly, write_file
from prunecheck.study.step import Step

NAME = "failed.json"


def write_failed(folder: Path, failures: Iterable[Failure]) -> None:
    """Write down the failures of a run; without any, nothing is left there."""
    failed = {failure.step.key: f"{failure.step.title}: {failure.reason}" for failure in failures}
    if failed:
        with plainly(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / NAME, json.dumps(failed, indent=1).encode())
    else:
        discard(folder / NAME)


def read_failed(folder: Path) -> dict[str, str]:
    """Key -> title and reason; nothing where there is no such file, or nothing sound in it."""
    try:
        failed = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {str(key): str(reason) for key, reason in failed.items()} if isinstance(failed, dict) else {}


def blocked(steps: Mapping[str, Step], failed: Iterable[str]) -> frozenset[str]:
    """Those of *steps* (inputs first) that failed or need one that did."""
    doomed = set(failed)
    for key, step in steps.items():
        if not doomed.isdisjoint(step.inputs.values()):
            doomed.add(key)
    return frozenset(doomed)

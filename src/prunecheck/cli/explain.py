"""Why a step will run, or need not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prunecheck.core.errors import StudyError
from prunecheck.core.words import printable

if TYPE_CHECKING:
    from prunecheck.store import Store
    from prunecheck.study import Step


def explain(key: str, study: Path | None = None, *, store: Path | None = None) -> None:
    """Say in one sentence what a step is, whether it is in the store, and what will run with it if not.

    Example: prunecheck explain 7c1e study.toml

    Parameters
    ----------
    key
        The first digits of a step's key, as in the key column of results.csv.
    study
        The study file it belongs to; without one, only the store is looked at.
    store
        The store (default: $PRUNECHECK_HOME or the user's cache).
    """
    from prunecheck.cli.cache import opened

    found = opened(store)
    if study is None:
        print(_of_artefact(_one(key, found.keys(), "artefact in the store"), found))
        return
    from prunecheck.study import load_study, make_plan
    from prunecheck.study.plan import largest_seeds

    loaded = load_study(study)
    steps = make_plan(loaded).steps | make_plan(loaded, largest_seeds(loaded)).steps
    print(_of_step(steps[_one(key, steps, f"step of {printable(str(study))}")], steps, found))


def _one(digits: str, keys: object, kind: str) -> str:
    """The one key that begins with *digits*."""
    digits = digits.lower().removesuffix("…")
    matches = [key for key in keys if key.startswith(digits)] if digits else []  # type: ignore[attr-defined]
    if len(matches) == 1:
        return str(matches[0])
    if matches:
        raise StudyError(f"{printable(digits)} begins {len(matches)} keys. Give more digits.")
    raise StudyError(f"no {kind} has a key that begins with {printable(repr(digits))}.")


def _of_artefact(key: str, store: Store) -> str:
    from prunecheck.run.space import spoken_bytes

    files = ", ".join(f"{name} ({spoken_bytes(entry.size)})" for name, entry in store.entries(key).items())
    return f"{key[:16]} is in the store: {files}. Name a study to hear which of its steps it is."


def _of_step(step: Step, steps: Mapping[str, Step], store: Store) -> str:
    from prunecheck.run.engine import needed

    who = printable(f"{step.kind} {step.key[:16]} ({step.title})", 200)
    if store.has(step.key):
        return f"{who} is in the store and will not run again."
    absent = needed(steps, {step.key}, store).keys() - {step.key}
    direct = sorted(role for role, parent in step.inputs.items() if parent in absent)
    if not absent:
        inputs = f", its inputs ({', '.join(sorted(step.inputs))}) are there" if step.inputs else ""
        return f"{who} will run: it is not in the store{inputs}."
    plural = "inputs" if len(direct) > 1 else "input"
    return (
        f"{who} will run: it is not in the store; its {plural} {', '.join(direct)} will run too ({len(absent)} steps)."
    )

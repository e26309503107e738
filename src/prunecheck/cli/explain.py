"""Why a step will run, or need not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from prunecheck.errors import StudyError
from prunecheck.text import printable, printable_path

if TYPE_CHECKING:
    from prunecheck.store import Store


def explain(
    key: str,
    study: Path | None = None,
    *,
    set: Annotated[tuple[str, ...], Parameter(consume_multiple=False, negative="", show_default=False)] = (),
    store: Path | None = None,
    out: Path | None = None,
) -> None:
    """Say in a sentence or two what a step is, whether it is in the store, and if not, why it will run.

    What has changed is told by comparing with the plan of the study's last run.

    Example: prunecheck explain 7c1e study.toml

    Parameters
    ----------
    key
        The first digits of a step's key, as in the key column of results.csv.
    study
        The study file it belongs to; without one, only the store is looked at.
    set
        Override a field of the study, as for `prunecheck run`.
    store
        The store (default: $PRUNECHECK_HOME or the user's cache).
    out
        Where the study's results are (default: runs/NAME).
    """
    from prunecheck import api
    from prunecheck.cli.cache import opened

    if key.endswith(".toml"):
        raise StudyError(f"{printable(key)} is a study file; the key comes first: prunecheck explain KEY STUDY.")
    if study is None:
        found = opened(store)
        print(_of_artefact(_one(key, found.keys(), "artefact in the store"), found))
        return
    from prunecheck.runner.explain import why
    from prunecheck.study import load_study, make_plan
    from prunecheck.study.plan import largest_seeds

    loaded = load_study(study, set)
    steps = make_plan(loaded).steps | make_plan(loaded, largest_seeds(loaded)).steps
    one = steps[_one(key, steps, f"step of {printable_path(study)}")]
    print(why(one, steps, api.workspace_of(loaded, store, out)))


def _one(digits: str, keys: Iterable[str], kind: str) -> str:
    """The one key that begins with *digits*."""
    digits, known = digits.lower().removesuffix("…"), list(keys)
    matches = [key for key in known if key.startswith(digits)] if digits else []
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = ", ".join(key[: len(digits) + 4] for key in matches[:4])
        raise StudyError(f"{printable(digits)} begins {len(matches)} keys: {shown}, … Give more digits.")
    close = get_close_matches(digits, {key[: len(digits)] for key in known}, n=1, cutoff=0.8)
    tail = f" Did you mean {close[0]!r}?" if close else ""
    raise StudyError(f"no {kind} has a key that begins with {printable(repr(digits))}.{tail}")


def _of_artefact(key: str, store: Store) -> str:
    from prunecheck.text import byte_size

    files = ", ".join(f"{name} ({byte_size(entry.size)})" for name, entry in store.entries(key).items())
    return f"{key[:16]} is in the store: {files}. Name a study to hear which of its steps it is."

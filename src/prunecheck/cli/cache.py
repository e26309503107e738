"""The store of trained artefacts: what it holds, is it sound, what can go, and in and out of one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from prunecheck.cli.console import note, print_columns, print_json

if TYPE_CHECKING:
    from prunecheck.store import Store

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Where = Annotated[Path | None, Parameter(name="--store")]

app = App(name="cache", help="Look after the store of trained artefacts.", group_commands="Commands")


@app.command
def ls(*, store: Where = None, json: Flag = False) -> None:
    """Say where the store is, how much it holds and how much of it.

    Example: prunecheck cache ls

    Parameters
    ----------
    store
        The store (default: $PRUNECHECK_HOME or the user's cache).
    json
        Print one JSON document instead.
    """
    from prunecheck.store import sizes

    found = opened(store)
    held = sizes(found)
    groups = (
        ("artefacts", held.artefacts, held.artefact_bytes, "finished steps"),
        ("partial", held.partials, held.partial_bytes, "unfinished trainings, to go on from"),
        ("quarantine", held.quarantined, held.quarantined_bytes, "damaged artefacts, kept to be looked at"),
    )
    if json:
        counts = {name: {"count": count, "bytes": size} for name, count, size, _ in groups}
        print_json({"schema_version": 1, "store": str(found.root), **counts, "free_bytes": found.free_bytes()})
        return
    print(f"store: {shown(found)}")
    print_columns([(name, count, _human(size), what) for name, count, size, what in groups], frozenset({1, 2}))
    print(f"free on its disk: {_human(found.free_bytes())}")


@app.command
def verify(*, store: Where = None, json: Flag = False) -> int:
    """Hash every artefact again; the damaged ones are set aside, and made again by the next run. Exit 3 if any.

    Example: prunecheck cache verify

    Parameters
    ----------
    store
        The store (default: $PRUNECHECK_HOME or the user's cache).
    json
        Print one JSON document instead.
    """
    from prunecheck.store import verify as verified

    found = opened(store)
    report = verified(found)
    if json:
        facts = {"artefacts": report.artefacts, "bytes": report.size, "damaged": list(report.damaged)}
        print_json({"schema_version": 1, "ok": report.ok, **facts, "strangers": list(report.strangers)})
        return 0 if report.ok else 3
    outcome = "all sound" if report.ok else f"{len(report.damaged)} damaged, moved to quarantine"
    print(f"{report.artefacts} artefacts, {_human(report.size)}: {outcome}")
    for key in report.damaged:
        print(key)
    if report.strangers:
        note(f"not ours, left alone: {', '.join(report.strangers)}")
    return 0 if report.ok else 3


@app.command
def gc(
    studies: Annotated[tuple[Path, ...], Parameter(negative="")],
    /,
    *,
    yes: Flag = False,
    store: Where = None,
    json: Flag = False,
) -> None:
    """Remove what none of the named studies needs; without --yes only say how much that is.

    Kept is all that a named study can come to need, at its largest number of seeds too. A study that was run with
    --set or with another torch has other artefacts than its file says now: they count as not needed.

    Example: prunecheck cache gc study.toml other.toml --yes

    Parameters
    ----------
    studies
        Study files whose artefacts stay.
    yes
        Remove, in place of only saying what would go.
    store
        The store (default: $PRUNECHECK_HOME or the user's cache).
    json
        Print one JSON document instead.
    """
    from prunecheck.store import gc as collect

    found = opened(store)
    keep = _needed(studies)
    garbage = collect(found, keep)
    if yes and (garbage.artefacts or garbage.partials):
        garbage = collect(found, keep, dry_run=False)
    if json:
        facts = {"artefacts": list(garbage.artefacts), "partial": list(garbage.partials), "bytes": garbage.size}
        print_json({"schema_version": 1, "removed": yes, **facts})
        return
    what = (
        f"{len(garbage.artefacts)} artefacts and {len(garbage.partials)} unfinished trainings, {_human(garbage.size)}"
    )
    if yes:
        print(f"removed {what}")
    else:
        print(f"would remove {what}; to do so, add --yes")


@app.command
def export(study: Path, file: Path, *, store: Where = None) -> None:
    """Write all finished steps of a study to one tar file, e.g. to publish it or to go on elsewhere.

    Example: prunecheck cache export study.toml study.tar

    Parameters
    ----------
    study
        The study file.
    file
        The tar file to write.
    store
        The store (default: $PRUNECHECK_HOME or the user's cache).
    """
    from prunecheck.errors import StudyError
    from prunecheck.store import export as write

    found, wanted = opened(store), _needed((study,))
    keys = wanted - found.missing(wanted)
    if not keys:
        raise StudyError(f"nothing of {study} is in {shown(found)} yet: run it first.")
    write(found, keys, file)
    note(f"{file} written: {len(keys)} artefacts, {_human(file.stat().st_size)}")


@app.command(name="import")
def import_(file: Path, *, store: Where = None) -> None:
    """Take the artefacts of a file that `prunecheck cache export` wrote into the store. Every byte is checked.

    The check proves that nothing was damaged on the way, not that the sender computed what the names say:
    `prunecheck verify STUDY --rerun 5%` does.

    Example: prunecheck cache import study.tar

    Parameters
    ----------
    file
        The tar file.
    store
        The store (default: $PRUNECHECK_HOME or the user's cache).
    """
    from prunecheck.store import import_ as read

    new = read(opened(store), file)
    note(f"{len(new)} new artefacts taken from {file}")


def opened(store: Path | None) -> Store:
    """The named store, else the default one."""
    from prunecheck.runner.workspace import default_store
    from prunecheck.store import Store

    return Store.open(store or default_store())


def shown(store: Store) -> str:
    """Where a store is, harmless to print."""
    from prunecheck.text import printable_path

    return printable_path(store.root)


def _needed(studies: tuple[Path, ...]) -> set[str]:
    """The keys of all that the studies can come to need."""
    from prunecheck.study import load_study, make_plan
    from prunecheck.study.plan import largest_seeds

    keys: set[str] = set()
    for file in studies:
        study = load_study(file)
        keys |= make_plan(study).steps.keys() | make_plan(study, largest_seeds(study)).steps.keys()
    return keys


def _human(size: int) -> str:
    from prunecheck.text import byte_size

    return byte_size(size)

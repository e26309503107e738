"""The store of trained artefacts: size, verification, garbage collection, export and import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from prunecheck.cli.console import note, open_store, print_columns, print_json
from prunecheck.cli.options import Flag, Json, StorePath
from prunecheck.errors import StudyError
from prunecheck.text import byte_size, printable_path

app = App(name="cache", help="Inspect and maintain the store of trained artefacts.", group_commands="Commands")


@app.command
def ls(*, store: StorePath = None, json: Json = False) -> None:
    """Show where the store is and how much it holds.

    Example: prunecheck cache ls
    """
    from prunecheck.store import sizes

    found = open_store(store)
    held = sizes(found)
    groups = (
        ("artefacts", held.artefacts, held.artefact_bytes, "finished steps"),
        ("partial", held.partials, held.partial_bytes, "checkpoints of unfinished trainings"),
        ("quarantine", held.quarantined, held.quarantined_bytes, "damaged artefacts, kept for inspection"),
    )
    if json:
        counts = {name: {"count": count, "bytes": size} for name, count, size, _ in groups}
        print_json({"schema_version": 1, "store": str(found.root), **counts, "free_bytes": found.free_bytes()})
        return
    print(f"store: {printable_path(found.root)}")
    print_columns([(name, count, byte_size(size), what) for name, count, size, what in groups], frozenset({1, 2}))
    print(f"free on its disk: {byte_size(found.free_bytes())}")


@app.command
def verify(*, store: StorePath = None, json: Json = False) -> int:
    """Hash every artefact again. Damaged ones move to quarantine and are computed again by the next run; exit code 3.

    Example: prunecheck cache verify
    """
    from prunecheck.store import verify as verified

    found = open_store(store)
    report = verified(found)
    if json:
        facts = {"artefacts": report.artefacts, "bytes": report.size, "damaged": list(report.damaged)}
        print_json({"schema_version": 1, "ok": report.ok, **facts, "unrecognised": list(report.unrecognised)})
        return 0 if report.ok else 3
    outcome = "all intact" if report.ok else f"{len(report.damaged)} damaged, moved to quarantine"
    print(f"{report.artefacts} artefacts, {byte_size(report.size)}: {outcome}")
    for key in report.damaged:
        print(key)
    if report.unrecognised:
        note(f"unrecognised files, not changed: {', '.join(report.unrecognised)}")
    return 0 if report.ok else 3


@app.command
def gc(
    studies: Annotated[tuple[Path, ...], Parameter(negative="")],
    /,
    *,
    yes: Flag = False,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Remove artefacts that none of the named studies needs; without --yes only print how much that is.

    Whatever a named study can need up to its largest number of seeds is kept. A study that was run with --set or with
    another version of torch has other artefacts than its file describes now; those count as not needed.

    Example: prunecheck cache gc study.toml other.toml --yes

    Parameters
    ----------
    studies
        Study files whose artefacts stay.
    yes
        Remove them.
    """
    from prunecheck.store import gc as collect

    found = open_store(store)
    keep = _needed(studies)
    garbage = collect(found, keep)
    if yes and (garbage.artefacts or garbage.partials):
        garbage = collect(found, keep, dry_run=False)
    if json:
        facts = {"artefacts": list(garbage.artefacts), "partial": list(garbage.partials), "bytes": garbage.size}
        print_json({"schema_version": 1, "removed": yes, **facts})
        return
    unfinished = f"{len(garbage.partials)} unfinished trainings"
    what = f"{len(garbage.artefacts)} artefacts and {unfinished}, {byte_size(garbage.size)}"
    if yes:
        print(f"removed {what}")
    else:
        print(f"would remove {what}; to do so, add --yes")


@app.command
def export(study: Path, file: Path, *, store: StorePath = None) -> None:
    """Write all finished steps of a study to one tar file, e.g. to publish it or to continue on another machine.

    Example: prunecheck cache export study.toml study.tar

    Parameters
    ----------
    study
        The study file.
    file
        The tar file to write.
    """
    from prunecheck.store import export as write

    found, wanted = open_store(store), _needed((study,))
    keys = wanted - found.missing(wanted)
    if not keys:
        raise StudyError(f"no step of {study} is in {printable_path(found.root)} yet: run it first.")
    write(found, keys, file)
    note(f"{file} written: {len(keys)} artefacts, {byte_size(file.stat().st_size)}")


@app.command(name="import")
def import_(file: Path, *, store: StorePath = None) -> None:
    """Add the artefacts of a file written by `prunecheck cache export` to the store. Every byte is checked.

    The check finds damage in transit. To see whether the artefacts were computed as the study says, use
    `prunecheck verify STUDY --rerun 5%`.

    Example: prunecheck cache import study.tar

    Parameters
    ----------
    file
        The tar file.
    """
    from prunecheck.store import import_ as read

    new = read(open_store(store), file)
    note(f"{len(new)} new artefacts read from {file}")


def _needed(studies: tuple[Path, ...]) -> set[str]:
    """The keys of all steps that the studies can need, up to their largest number of seeds."""
    from prunecheck.study import largest_seeds, load_study, make_plan

    keys: set[str] = set()
    for file in studies:
        study = load_study(file)
        keys |= make_plan(study).steps.keys() | make_plan(study, largest_seeds(study)).steps.keys()
    return keys

"""Published verdicts: a data set to upload, a registry, and what changed between two results folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from prunecheck.cli.console import note, print_json
from prunecheck.cli.options import Json
from prunecheck.errors import StudyError

if TYPE_CHECKING:
    from prunecheck.statistics.recorded import JudgedAgain


def publish(
    results: Path,
    *,
    to: Path | None = None,
    study: Path | None = None,
    license_: Annotated[str | None, Parameter(name="--license")] = None,
    registry: Path | None = None,
) -> None:
    """Write a results folder as a data set for the Hugging Face Hub: card, rows, verdicts, page. Uploads nothing.

    With --registry its verdicts are added to a file that `prunecheck verify` judges again.

    Example: prunecheck publish runs/study --to dataset --study study.toml --license cc-by-4.0

    Parameters
    ----------
    results
        The folder that a run wrote, such as runs/study.
    to
        The new folder to write to. With --registry it may be left out: then the results folder is added as it is.
    study
        The study file, to be published with its results.
    license_
        The licence of the data set in the words of the Hub, such as cc-by-4.0.
    registry
        Add the verdicts to this registry file (JSON).
    """
    from prunecheck.reporting import publish as publishing

    if to is None and registry is None:
        raise StudyError("Name the folder to write to (--to dataset), a registry (--registry registry.json), or both.")
    if to is None and (study is not None or license_ is not None):
        raise StudyError("--study and --license belong to a data set. Name the folder to write it to: --to dataset.")
    if to is not None:
        found = publishing.publish(results, to, study=study, license=license_)
        print(f"{to}: {found.rows} rows and {len(found.verdict.checks)} verdicts, judged again: all equal")
    if registry is not None:
        found = publishing.register(registry, to or results)
        print(f"{registry}: {found.verdict.study} added, {len(found.verdict.checks)} verdicts from {found.rows} rows")
    if to is not None:
        note(f"To publish it: hf upload --repo-type dataset NAME {to}")


def diff(before: Path, after: Path, *, json: Json = False) -> int:
    """Compare the verdicts of two results folders; exit code 1 where a verdict changed or is missing.

    Example: prunecheck diff expected/verdicts.json runs/study

    Parameters
    ----------
    before
        The expected verdicts: a verdicts.json, or a folder with one.
    after
        The verdicts to compare with them. Verdicts that only these have are printed and change nothing.
    """
    from prunecheck.statistics.recorded import changes, read_verdicts, verdicts_of

    old, new = verdicts_of(read_verdicts(before)), verdicts_of(read_verdicts(after))
    found = changes(old, new)
    changed = [one for one in found if one.before is not None]
    if json:
        print_json({"schema_version": 1, "same": not changed, "changes": [one._asdict() for one in found]})
        return 1 if changed else 0
    for one in found:
        print(one.sentence)
    if not changed:
        print(f"all {len(old)} verdicts are the same")
    return 1 if changed else 0


def verify_published(path: Path, json: bool) -> int:
    """Judge the rows of a results folder, or of every folder in a registry, again; exit code 3 on any difference, and
    2 where a folder cannot be judged."""
    from prunecheck.reporting.publish import verify_registry
    from prunecheck.statistics.recorded import judge_again

    failures: list[str] = []
    found = [judge_again(path)] if path.is_dir() else verify_registry(path, failures.append)
    ok = not failures and not any(one.changes for one in found)
    code = 2 if failures else 0 if ok else 3
    if json:
        studies = [_document(one) for one in found]
        print_json({"schema_version": 1, "ok": ok, "studies": studies, "failures": failures})
        return code
    for one in found:
        outcome = f"{len(one.changes)} different" if one.changes else "all equal"
        print(f"{one.verdict.study}: {len(one.verdict.checks)} verdicts judged again from {one.rows} rows: {outcome}")
        for change in one.changes:
            note(f"different: {change.sentence}")
    for failure in failures:
        note(f"not judged: {failure}")
    return code


def _document(found: JudgedAgain) -> dict[str, object]:
    return {
        "study": found.verdict.study,
        "rows": found.rows,
        "verdicts": len(found.verdict.checks),
        "changes": [one._asdict() for one in found.changes],
    }

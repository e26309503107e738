"""Studies: demo, init, plan, run, report."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from prunecheck.cli.say import err, note, out, print_columns, print_json
from prunecheck.core.errors import StudyError

if TYPE_CHECKING:
    from prunecheck.run.study_results import Results
    from prunecheck.study import Study

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Workers = Annotated[int | None, Parameter(validator=Number(gte=1))]


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """What every study command takes."""

    set: Annotated[tuple[str, ...], Parameter(consume_multiple=False, negative="", show_default=False)] = ()
    """Override a field of the study, e.g. `--set training.epochs=5`; may be given several times."""
    store: Path | None = None
    """Where trained artefacts are kept and shared between studies (default: $PRUNECHECK_HOME or the user's cache)."""
    out: Path | None = None
    """Where results go (default: runs/NAME)."""
    json: Flag = False
    """Print one JSON document on stdout instead of tables."""
    junit: Path | None = None
    """Write the verdicts as JUnit XML to this file (run, report and demo)."""


DEFAULTS = Options()


def demo(*, workers: Workers = None, options: Options = DEFAULTS) -> int:
    """Run a small real study: digits, a small convolutional network, a few minutes on two cores.

    Parameters
    ----------
    workers
        Processes to train in (default: one per core).
    """
    return _run(_checked(_shipped("demo"), options), workers, options, strict=False)


def init(path: Path = Path("study.toml"), *, template: str = "template", force: Flag = False) -> None:
    """Write a study file to start from.

    Parameters
    ----------
    path
        Where to write it.
    template
        The study to copy, a name from `prunecheck list studies`.
    force
        Overwrite an existing file.
    """
    from prunecheck import studies
    from prunecheck.store.durable import write_file

    text = studies.text(template)

    if path.is_dir():
        raise StudyError(f"{path} is a folder. Name the file to write, e.g. {path / 'study.toml'}.")
    if path.exists() and not force:
        raise StudyError(f"{path} exists already. Choose another name or add --force.")
    write_file(path, text.encode())
    note(f"{path} written. Look at it, then: prunecheck plan {shlex.quote(str(path))}")


def plan(study: Path, *, options: Options = DEFAULTS) -> None:
    """Show what a study will train, what is shared, what is there already and how long it should take.

    Parameters
    ----------
    study
        The study file.
    """
    from prunecheck.cli.forecast import forecast

    facts = forecast(_checked(study, options), options.store)
    if options.json:
        print_json(facts.document)
    else:
        print_columns(facts.lines)


def run(
    study: Path,
    *,
    workers: Workers = None,
    strict: Flag = False,
    masks_only: Flag = False,
    options: Options = DEFAULTS,
) -> int:
    """Run a study: train what is missing, judge, write results.csv, verdicts.json and the report page.

    Run the same command again after any interruption; nothing finished is repeated.

    Parameters
    ----------
    study
        The study file.
    workers
        Processes to train in, one thread each (default: one per core). Changes no result.
    strict
        Exit with 1 when a method failed, with 4 when a verdict is open.
    masks_only
        Only the mask tier: how far each check moves the masks. No training.
    """
    checked = _checked(study, options)
    if masks_only:
        from prunecheck.cli.masks import masks_only_table

        masks_only_table(checked, options.store, workers, options.json)
        return 0
    return _run(checked, workers, options, strict)


def report(study: Path, *, options: Options = DEFAULTS) -> int:
    """Write the report of a study again from what is in the store; trains nothing.

    Parameters
    ----------
    study
        The study file.
    """
    from prunecheck import api

    return _show(api.report(_checked(study, options), store=options.store, folder=options.out), options, False)


def _checked(study_file: Path, options: Options) -> Study:
    """The study, and a word about the code that was loaded with it."""
    from prunecheck.study import load_study

    study = load_study(study_file, options.set)
    if study.plugins:
        note(f"plug-in files loaded: {', '.join(map(str, study.plugin_files))}")
    return study


def _run(study: Study, workers: int | None, options: Options, strict: bool) -> int:
    from prunecheck import api

    results = api.run(
        study,
        store=options.store,
        folder=options.out,
        workers=workers,
        console=err(),
        command=shlex.join(["prunecheck", *sys.argv[1:]]),
    )
    return _show(results, options, strict)


def _show(results: Results, options: Options, strict: bool) -> int:
    from prunecheck.report.terminal import print_verdict
    from prunecheck.store.durable import write_file
    from prunecheck.verdict import exit_code, junit

    if options.junit is not None:
        write_file(options.junit, junit(results.verdict).encode())
    if options.json:
        print_json(
            {
                **results.verdict.to_dict(),
                "page": str(results.page),
                "trainings_run": results.trained,
                "trainings_shared": results.shared,
            }
        )
    else:
        print_verdict(results.verdict, out())
        print()
        print(
            f"trainings: {results.plan.trainings} in all, {results.trained} run now, {results.shared} saved by sharing"
        )
        print(f"report:    {results.page}")
    return exit_code(results.verdict) if strict else 0


def _shipped(name: str) -> Path:
    """A study file that travels with the package."""
    with resources.as_file(resources.files("prunecheck.studies") / f"{name}.toml") as path:
        return path

"""Studies: demo, init, plan, run, report."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from prunecheck.cli import completers, console
from prunecheck.cli.console import err, note, print_columns, print_json
from prunecheck.errors import StudyError

if TYPE_CHECKING:
    from prunecheck.runner.results import Results
    from prunecheck.study import Study

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Workers = Annotated[int | None, Parameter(validator=Number(gte=1))]


Out = Annotated[Path | None, Parameter(help="Where results go (default: runs/NAME).")]
Quiet = Annotated[
    bool, Parameter(name=["--quiet", "-q"], negative="", show_default=False, help="No progress and no remarks.")
]
Template = Annotated[str, Parameter(completer=completers.templates)]
Junit = Annotated[Path | None, Parameter(help="Write the verdicts as JUnit XML to this file.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """What every study command takes."""

    set: Annotated[tuple[str, ...], Parameter(consume_multiple=False, negative="", show_default=False)] = ()
    """Override a field of the study, e.g. `--set training.epochs=5`; may be given several times."""
    store: Path | None = None
    """Where trained artefacts are kept and shared between studies (default: $PRUNECHECK_HOME or the user's cache)."""
    json: Flag = False
    """Print one JSON document on stdout instead of tables."""


DEFAULTS = Options()


def demo(
    *,
    workers: Workers = None,
    quiet: Quiet = False,
    out: Out = None,
    junit: Junit = None,
    options: Options = DEFAULTS,
) -> int:
    """Run a small real study: digits, a small convolutional network, a few minutes on two cores.

    Example: prunecheck demo --out runs/demo

    Parameters
    ----------
    workers
        Processes to train in (default: one per core).
    """
    results = _run(_checked(_shipped("demo"), options, quiet), workers, quiet, out, options)
    return _show(results, junit, options)


def init(path: Path = Path("study.toml"), *, template: Template = "template", force: Flag = False) -> None:
    """Write a study file to start from.

    Example: prunecheck init mine.toml --template sanity-initial-cpu

    Parameters
    ----------
    path
        Where to write it.
    template
        The study to copy, a name from `prunecheck list studies`.
    force
        Overwrite an existing file.
    """
    from prunecheck.resources import study_text
    from prunecheck.store.durable import write_file

    text = study_text(template)

    if path.is_dir():
        raise StudyError(f"{path} is a folder. Name the file to write, e.g. {path / 'study.toml'}.")
    if path.exists() and not force:
        raise StudyError(f"{path} exists already. Choose another name or add --force.")
    write_file(path, text.encode())
    note(f"{path} written. Look at it, then: prunecheck plan {shlex.quote(str(path))}")


def plan(study: Path, *, options: Options = DEFAULTS) -> None:
    """Show what a study will train, what is shared, what is there already and how long it should take.

    Example: prunecheck plan study.toml --set seeds=5

    Parameters
    ----------
    study
        The study file.
    """
    from prunecheck.cli.plan import forecast

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
    tracker: str | None = None,
    quiet: Quiet = False,
    out: Out = None,
    junit: Junit = None,
    options: Options = DEFAULTS,
) -> int:
    """Run a study: train what is missing, judge, write results.csv, verdicts.json and the report page.

    Run the same command again after any interruption; nothing finished is repeated. Progress goes to stderr, and in
    an adaptive study so does every verdict in the moment it is settled.

    Example: prunecheck run study.toml --workers 2 --set training.epochs=5

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
    tracker
        Send every finished training and the verdicts to tensorboard, wandb, mlflow or trackio.
    """
    checked = _checked(study, options, quiet)
    if masks_only:
        from prunecheck.cli.masks import masks_only_table

        masks_only_table(checked, options.store, workers, options.json, quiet)
        return 0
    return _show(_run(checked, workers, quiet, out, options, tracker), junit, options, strict)


def report(
    study: Path,
    *,
    watch: Flag = False,
    quiet: Quiet = False,
    out: Out = None,
    junit: Junit = None,
    options: Options = DEFAULTS,
) -> int:
    """Write the report of a study again from what is in the store; trains nothing.

    The page of a study that is not finished says so.

    Example: prunecheck report study.toml --watch

    Parameters
    ----------
    study
        The study file.
    watch
        Write it again whenever something was finished, until the study is (or Ctrl-C).
    """
    from prunecheck import api

    checked = _checked(study, options, quiet)
    if watch:
        from prunecheck.cli.polling import report_until_over

        return _show(report_until_over(checked, options.store, out, quiet), junit, options)
    return _show(api.report(checked, store=options.store, folder=out), junit, options)


def _checked(study_file: Path, options: Options, quiet: bool = False) -> Study:
    """The study, and a word about the code that was loaded with it."""
    from prunecheck.study import load_study

    study = load_study(study_file, options.set)
    if study.plugins and not quiet:
        note(f"plug-in files loaded: {', '.join(map(str, study.plugin_files))}")
    return study


def _run(
    study: Study,
    workers: int | None,
    quiet: bool,
    out: Path | None,
    options: Options,
    tracker: str | None = None,
) -> Results:
    from prunecheck import api
    from prunecheck.text import byte_size

    results = api.run(
        study,
        store=options.store,
        folder=out,
        workers=workers,
        console=None if quiet else err(),
        command=shlex.join(["prunecheck", *sys.argv[1:]]),
        tracker=tracker,
    )
    if results.memory and not quiet:
        note(f"memory: at most {byte_size(results.memory)} in one process")
    return results


def _show(results: Results, junit: Path | None, options: Options, strict: bool = False) -> int:
    from prunecheck.reporting.terminal import print_verdict
    from prunecheck.statistics import exit_code
    from prunecheck.statistics import junit as as_junit
    from prunecheck.store.durable import write_file

    if junit is not None:
        write_file(junit, as_junit(results.verdict).encode())
    if options.json:
        print_json(
            {
                **results.verdict.to_dict(),
                "page": str(results.page),
                "trainings_run": results.trained,
                "trainings_shared": results.shared,
                "memory_bytes": results.memory,
            }
        )
    else:
        print_verdict(results.verdict, console.out())
        print()
        print(
            f"trainings: {results.plan.trainings} in all, {results.trained} run now, {results.shared} saved by sharing"
        )
        print(f"report:    {results.page}")
    return exit_code(results.verdict) if strict else 0


def _shipped(name: str) -> Path:
    """A study file that travels with the package."""
    from prunecheck.resources import study_path

    return study_path(name)

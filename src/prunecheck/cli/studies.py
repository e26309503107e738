"""Commands on a study file: demo, init, run, report, verify."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from prunecheck import api
from prunecheck.cli import completers, console
from prunecheck.cli.console import err, note, open_store, print_json
from prunecheck.cli.options import DEFAULTS, EngineName, Flag, Junit, Options, Out, Quiet, Strict, Workers
from prunecheck.cli.plan import masks_only_table, read_study
from prunecheck.cli.publish import verify_published
from prunecheck.errors import StudyError
from prunecheck.resources import study_path, study_text
from prunecheck.text import byte_size

if TYPE_CHECKING:
    from prunecheck.runner.results import Results
    from prunecheck.study import AnyStudy

Template = Annotated[str, Parameter(completer=completers.templates)]


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
    """
    results = _run(read_study(study_path("demo"), options, quiet), workers, quiet, out, options)
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
    from prunecheck.store.durable import write_file

    text = study_text(template)

    if path.is_dir():
        raise StudyError(f"{path} is a folder. Name the file to write, e.g. {path / 'study.toml'}.")
    if path.exists() and not force:
        raise StudyError(f"{path} exists already. Choose another name or add --force.")
    write_file(path, text.encode())
    note(f"{path} written. Edit it, then: prunecheck plan {shlex.quote(str(path))}")


def run(
    study: Path,
    *,
    workers: Workers = None,
    strict: Strict = False,
    masks_only: Flag = False,
    tracker: str | None = None,
    engine: EngineName = "local",
    quiet: Quiet = False,
    out: Out = None,
    junit: Junit = None,
    options: Options = DEFAULTS,
) -> int:
    """Run a study: train what is missing, judge, write results.csv, verdicts.json and the report page.

    Run the same command again after any interruption; nothing finished is repeated. Progress goes to
    stderr; an adaptive study prints every verdict there as soon as it is decided.

    Example: prunecheck run study.toml --workers 2 --set training.epochs=5

    Parameters
    ----------
    study
        The study file.
    masks_only
        Train nothing: only show how far each check moves the masks.
    tracker
        Send every finished training and the verdicts to tensorboard, wandb, mlflow or trackio.
    """
    checked = read_study(study, options, quiet)
    if masks_only:
        masks_only_table(checked, options.store, workers, options.json, quiet)
        return 0
    return _show(_run(checked, workers, quiet, out, options, tracker, engine), junit, options, strict)


def report(
    study: Path,
    *,
    quiet: Quiet = False,
    out: Out = None,
    junit: Junit = None,
    options: Options = DEFAULTS,
) -> int:
    """Write the report of a study again from the results in the store. Trains nothing.

    The page of an unfinished study says that it is unfinished.

    Example: prunecheck report study.toml

    Parameters
    ----------
    study
        The study file.
    """
    checked = read_study(study, options, quiet)
    results = api.report(checked, store=options.store, folder=out)
    for line in results.notes:
        note(line)
    return _show(results, junit, options)


def verify(
    study: Path,
    *,
    rerun: str = "5%",
    seed: int = 0,
    workers: Workers = None,
    quiet: Quiet = False,
    out: Out = None,
    options: Options = DEFAULTS,
) -> int:
    """Compute a random share of a study's finished steps again and compare every byte; exit code 3 on any difference.

    `prunecheck report` then shows the outcome under provenance. `prunecheck cache verify` only hashes the stored files.
    Of a results folder, or a registry written by `prunecheck publish`, the rows are judged again instead.

    Example: prunecheck verify study.toml --rerun 10%

    Parameters
    ----------
    study
        The study file, a results folder, or a registry (.json).
    rerun
        Share of the finished steps: 5% or 0.05, at least one step.
    seed
        Seed of the random choice of steps.
    """
    if study.is_dir() or study.suffix == ".json":
        return verify_published(study, options.json)
    from prunecheck.runner.progress import Progress
    from prunecheck.runner.verify import parse_share
    from prunecheck.runner.verify import rerun as again
    from prunecheck.runner.workspace import Workspace

    share, checked = parse_share(rerun), read_study(study, options, quiet)
    progress = Progress(None if quiet else err())
    workspace = Workspace(open_store(options.store), out or Path("runs") / checked.name)
    found = again(checked, workspace, share, seed, workers or api.usual_workers(checked), progress)
    if options.json:
        print_json(found.to_dict())
    else:
        print(found.sentence)
        for title in found.different:
            note(f"different: {title}")
        for title, why in found.failed.items():
            note(f"failed: {title}: {why}")
    return 0 if found.ok else 3


def _run(
    study: AnyStudy,
    workers: int | None,
    quiet: bool,
    out: Path | None,
    options: Options,
    tracker: str | None = None,
    engine: EngineName = "local",
) -> Results:
    results = api.run(
        study,
        store=options.store,
        folder=out,
        workers=workers,
        console=None if quiet else err(),
        command=shlex.join(["prunecheck", *sys.argv[1:]]),
        tracker=tracker,
        engine=engine,
    )
    if results.memory and not quiet:
        note(f"memory: at most {byte_size(results.memory)} in one process")
    return results


def _show(results: Results, junit: Path | None, options: Options, strict: bool = False) -> int:
    from prunecheck.reporting.language import LanguageReport, terminal_lines
    from prunecheck.reporting.terminal import print_verdict
    from prunecheck.statistics import exit_code
    from prunecheck.statistics import junit as as_junit
    from prunecheck.store.durable import write_file

    if junit is not None:
        write_file(junit, as_junit(results.verdict).encode())
    if options.json and isinstance(results.data, LanguageReport):
        ran = {"prunings_run": sum(step.kind == "prune" for step in results.ran), "memory_bytes": results.memory}
        print_json({**results.verdict.to_dict(), "page": str(results.page), **ran})
    elif options.json:
        print_json(
            {
                **results.verdict.to_dict(),
                "page": str(results.page),
                "trainings_run": results.trained,
                "trainings_shared": results.shared,
                "trainings_copied": results.copied,
                "memory_bytes": results.memory,
            }
        )
    elif isinstance(results.data, LanguageReport):
        print("\n".join(terminal_lines(results.data)))
        print(
            f"\nprunings:  {results.data.prunings} in all, {sum(step.kind == 'prune' for step in results.ran)} run now"
        )
        print(f"report:    {results.page}")
    else:
        screen = console.out()
        # on a terminal both streams are on one screen; a file of stdout alone has every remark
        print_verdict(results.verdict, screen, results.data, given=results.given if screen.is_terminal else ())
        print()
        counted = f"{results.plan.trainings} in all, {results.trained} run now, {results.shared} saved by sharing"
        if results.copied:
            counted += f", {results.copied} taken from a method with the same mask"
        print(f"trainings: {counted}")
        print(f"report:    {results.page}")
    return exit_code(results.verdict) if strict else 0

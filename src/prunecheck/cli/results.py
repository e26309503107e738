"""Verdicts on a finished table of results, and the files for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from prunecheck import api
from prunecheck.cli import console
from prunecheck.cli.console import note, print_json
from prunecheck.cli.options import Flag, Json, Junit, Out, Set, StorePath, Strict


def verdict(
    results: Path,
    *,
    margin: float | None = None,
    out_dir: Annotated[Path | None, Parameter(name=["--out"])] = None,
    junit: Junit = None,
    strict: Strict = False,
    json: Json = False,
) -> int:
    """Judge a table of results from any code.

    The CSV file has the columns method, check, sparsity, seed, accuracy, n_test: one row per trained network, accuracy
    as a fraction; check `clean` marks the uncorrupted arm, method `dense` the unpruned network.

    Example: prunecheck verdict results.csv --margin 0.5 --strict

    Parameters
    ----------
    results
        The CSV file; other columns are ignored, rows may be in any order.
    margin
        The margin in points of accuracy; by default set by rule from the dense rows.
    out_dir
        Write the report page and verdicts.json into this folder.
    """
    from prunecheck.reporting import write
    from prunecheck.reporting.foreign import data_of_table
    from prunecheck.reporting.terminal import print_verdict
    from prunecheck.statistics import exit_code
    from prunecheck.statistics import junit as as_junit
    from prunecheck.statistics import verdict as judged
    from prunecheck.store.durable import write_file

    answer = judged(results, margin)
    if out_dir is not None:
        page = write(data_of_table(results, judged=answer), out_dir)
        note(f"report: {page}")
    if junit is not None:
        write_file(junit, as_junit(answer).encode())
    if json:
        print_json(answer.to_dict())
    else:
        print_verdict(answer, console.out())
    return exit_code(answer) if strict else 0


def paper(
    study: Path,
    *,
    to: Path,
    formats: str = "pdf",
    parquet: Flag = False,
    margin: float | None = None,
    set: Set = (),
    store: StorePath = None,
    out: Out = None,
) -> None:
    """Write figures, tables, the methods paragraph, references and numbers for a paper into one folder.

    Trains nothing: the study must have been run. A CSV file of results, as for `prunecheck verdict`, works too.

    Example: prunecheck paper study.toml --to paper --formats pdf,svg

    Parameters
    ----------
    study
        The study file, or a CSV file of results.
    to
        The folder to write to.
    formats
        File formats of the figures: svg, pdf, png, separated by commas.
    parquet
        Also write results.parquet (needs pyarrow).
    margin
        For a CSV file: the margin in points of accuracy; by default set by rule from the dense rows.
    """
    from prunecheck.reporting.export import require_pyarrow
    from prunecheck.reporting.paper import write_paper
    from prunecheck.reporting.print_figures import checked_formats

    wanted = checked_formats(one.strip() for one in formats.split(","))
    if parquet:
        require_pyarrow()
    if study.suffix.lower() == ".csv":
        from prunecheck.reporting.foreign import data_of_table

        data = data_of_table(study, margin)
    else:
        data = api.report(study, overrides=set, store=store, folder=out).data
    for path in write_paper(data, to, wanted, parquet=parquet):
        print(path)
    note("In LaTeX: \\input{verdicts}, \\input{accuracy}, \\input{methods}, with booktabs, natbib and references.bib.")

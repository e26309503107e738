"""What a paper needs of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from prunecheck.cli.console import note

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def paper(
    study: Path,
    *,
    to: Path,
    formats: str = "pdf",
    parquet: Flag = False,
    margin: float | None = None,
    set: Annotated[tuple[str, ...], Parameter(consume_multiple=False, negative="", show_default=False)] = (),
    store: Path | None = None,
    out: Path | None = None,
) -> None:
    """Write figures, tables, the methods paragraph, references and numbers for a paper into one folder.

    Nothing is trained: the study must have been run. A table of anybody's results (a .csv file, as for `prunecheck
    verdict`) does as well.

    Example: prunecheck paper study.toml --to paper --formats pdf,svg

    Parameters
    ----------
    study
        The study file, or a CSV file of results.
    to
        The folder to write to.
    formats
        What the figures are drawn as: svg, pdf, png, with commas between them.
    parquet
        Write results.parquet beside results.csv (needs pyarrow).
    margin
        For a CSV file: points of accuracy that matter; by rule from the dense rows when left out.
    set
        Override a field of the study, as it was when it was run.
    store
        Where the artefacts are kept (default: $PRUNECHECK_HOME or the user's cache).
    out
        Where the study's results are (default: runs/NAME).
    """
    from prunecheck.reporting.export import require_pyarrow
    from prunecheck.reporting.paper import write_paper
    from prunecheck.reporting.print_figures import checked_formats

    wanted = checked_formats(one.strip() for one in formats.split(","))
    if parquet:
        require_pyarrow()
    if study.suffix.lower() == ".csv":
        from prunecheck.reporting.foreign import evidence_of

        evidence = evidence_of(study, margin)
    else:
        from prunecheck import api

        evidence = api.report(study, overrides=set, store=store, folder=out).evidence
    for path in write_paper(evidence, to, wanted, parquet=parquet):
        print(path)
    note("In LaTeX: \\input{verdicts}, \\input{accuracy}, \\input{methods}, with booktabs, natbib and references.bib.")

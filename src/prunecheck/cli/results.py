"""Verdicts for anybody's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from prunecheck.cli.console import note, out, print_json

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def verdict(
    results: Path,
    *,
    margin: float | None = None,
    out_dir: Annotated[Path | None, Parameter(name=["--out"])] = None,
    junit: Path | None = None,
    strict: Flag = False,
    json: Flag = False,
) -> int:
    """Judge results that any code produced.

    The CSV file has the columns method, check, sparsity, seed, accuracy, n_test: one row a trained network, accuracy
    a fraction; `clean` in the check column is the untouched arm, `dense` in the method column the unpruned network.

    Example: prunecheck verdict results.csv --margin 0.5 --strict

    Parameters
    ----------
    results
        The CSV file; other columns are ignored, rows come in any order.
    margin
        Points of accuracy that matter; by rule from the dense rows when left out.
    out_dir
        Write the report page and verdicts.json into this folder.
    junit
        Write the verdicts as JUnit XML to this file.
    strict
        Exit with 1 when a method failed, with 4 when a verdict is open.
    json
        Print verdicts.json instead of the table.
    """
    from prunecheck.reporting import write
    from prunecheck.reporting.foreign import evidence_of
    from prunecheck.reporting.terminal import print_verdict
    from prunecheck.statistics import exit_code
    from prunecheck.statistics import junit as as_junit
    from prunecheck.statistics import verdict as judged
    from prunecheck.store.durable import write_file

    answer = judged(results, margin)
    if out_dir is not None:
        page = write(evidence_of(results, judged=answer), out_dir)
        note(f"report: {page}")
    if junit is not None:
        write_file(junit, as_junit(answer).encode())
    if json:
        print_json(answer.to_dict())
    else:
        print_verdict(answer, out())
    return exit_code(answer) if strict else 0

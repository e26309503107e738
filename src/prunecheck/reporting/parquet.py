"""The rows of a study as Parquet. Needs pyarrow (the extra ``parquet``), imported only here."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from prunecheck.errors import StudyError
from prunecheck.reporting.data import Row
from prunecheck.reporting.export import csv_columns, ranked
from prunecheck.reporting.text import clean
from prunecheck.reporting.views import raw_text


def require_pyarrow() -> None:
    """Raises StudyError, with the line that installs it, where pyarrow is missing."""
    if find_spec("pyarrow") is None:
        raise StudyError("results.parquet needs pyarrow, which is not installed: pip install 'prunecheck[parquet]'")


def results_parquet(rows: Sequence[Row]) -> bytes:
    """Rows and columns of results.csv, numbers as numbers; a column of mixed kinds becomes text.

    Raises StudyError where pyarrow is missing.
    """
    require_pyarrow()
    import pyarrow
    from pyarrow import parquet

    ordered = ranked(rows)
    columns = {column: _column([row.get(column) for row in ordered]) for column in csv_columns(rows)}
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


def _column(values: list[Any]) -> Any:
    import pyarrow

    plain = [clean(raw_text(value)) if isinstance(value, (str, list, tuple)) else value for value in values]
    try:
        return pyarrow.array(plain)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
        return pyarrow.array([None if value is None else raw_text(value) for value in plain])

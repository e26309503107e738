"""Rows of tables that are in memory already, whatever library made them; ``delimited`` is the same for files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from prunecheck.errors import StudyError
from prunecheck.text import printable


def records_of(source: Any) -> Iterable[Any]:
    """The rows of a DataFrame (polars, pyarrow or pandas, told by their methods), of columns by name, or of a list."""
    if hasattr(source, "collect_schema") and hasattr(source, "collect"):
        source = source.collect()  # a lazy frame of polars
    for method in ("to_dicts", "to_pylist"):
        if hasattr(source, method):
            return list(getattr(source, method)())
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        columns = [str(column) for column in source.columns]
        twice = next((column for column, count in Counter(columns).items() if count > 1), None)
        if twice is not None:
            raise StudyError(
                f"the DataFrame has two columns called {printable(twice)!r}: delete or rename one of them."
            )
        if any(name is not None for name in getattr(source.index, "names", ())):
            source = source.reset_index()
        return list(source.to_dict("records"))
    if isinstance(source, Mapping):
        columns_of = {key: list(cells) for key, cells in source.items() if not isinstance(cells, str)}
        if len({len(cells) for cells in columns_of.values()}) != 1 or len(columns_of) < len(source):
            raise StudyError("a dict of columns needs a list for every column, all of one length.")
        return [dict(zip(columns_of, row, strict=True)) for row in zip(*columns_of.values(), strict=True)]
    if not isinstance(source, Iterable) or isinstance(source, bytes):
        raise StudyError(f"results come as a path, a DataFrame or rows as dicts, not as {type(source).__name__}.")
    return source

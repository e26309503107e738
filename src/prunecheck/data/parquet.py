"""Image tables as Hugging Face publishes them: ``img`` or ``image`` is {bytes, path}, the label a whole number."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunecheck.data.images import decode_all
from prunecheck.data.types import Images, Labels, Split
from prunecheck.errors import DataError

IMAGE_COLUMNS = ("img", "image")


def read_split(paths: Sequence[Path], label_columns: Sequence[str]) -> Split:
    """The rows of all *paths*, in order; the label is in the first of *label_columns* there is.

    Raises DataError where pyarrow is not installed, a file is torn, or a column is missing or of another kind.
    """
    parquet = _pyarrow_parquet()
    labels: list[Labels] = []
    pixels: list[bytes] = []
    for path in paths:
        try:
            table = parquet.read_table(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is not a parquet file, or torn: {error}.") from error
        labels.append(_labels(table, path, label_columns))
        pixels += _image_bytes(table, path)
    return Split(np.concatenate(labels), lambda positions: _decode(pixels, positions, paths[0].name))


def _pyarrow_parquet() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DataError(f"parquet files need the extra prunecheck[parquet] ({error}).") from error


def _column(table: Any, path: Path, names: Sequence[str]) -> Any:
    for name in names:
        if name in table.column_names:
            column = table.column(name)
            if column.null_count:
                raise DataError(f"{path}: {column.null_count} rows have no {name!r}.")
            return column
    raise DataError(f"{path} has no column {' or '.join(map(repr, names))}; it has {', '.join(table.column_names)}.")


def _labels(table: Any, path: Path, names: Sequence[str]) -> Labels:
    labels: NDArray[Any] = _column(table, path, names).to_numpy()
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{path}: the labels are {labels.dtype}, not whole numbers.")
    return labels.astype(np.int64)


def _image_bytes(table: Any, path: Path) -> list[bytes]:
    rows = _column(table, path, IMAGE_COLUMNS).to_pylist()
    images = [row.get("bytes") if isinstance(row, dict) else None for row in rows]
    for position, content in enumerate(images):
        if not isinstance(content, bytes):
            raise DataError(f"{path}: row {position} holds no image bytes (the column is {{bytes, path}}).")
    return images  # type: ignore[return-value]


def _decode(pixels: Sequence[bytes], positions: Labels, table: str) -> Images:
    rows = {f"{table} row {position}": pixels[position] for position in positions}
    return decode_all(list(rows), rows.__getitem__)

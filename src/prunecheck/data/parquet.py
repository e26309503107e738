"""Any image classification data set as parquet, in the layout of Hugging Face data sets.

Which files are for training and for test: ``shards``. A table has a column of encoded images (bytes, or
a struct ``{bytes, path}``) and a column of class numbers; names of classes are read from the schema's ``huggingface``
metadata. Images are read as colour.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunecheck.data.catalogue import DataShape, DataSpec
from prunecheck.data.encoded import BLOCKS_AT_ONCE, EncodedImages, StreamedSource
from prunecheck.data.images import decode_all, side_of, verify_encoded
from prunecheck.data.reduce import held_out
from prunecheck.data.scan import BrokenImages, Found, look_at_all, remembered
from prunecheck.data.shards import Layout, layout, root_of
from prunecheck.data.types import Images, Labels, Source, Split
from prunecheck.errors import DataError
from prunecheck.text import printable

SUFFIX = ".parquet"
BATCH_ROWS = 64
"""rows decoded at once: a small file can repeat a large image in many rows"""
GROUPS_HELD = 2 * BLOCKS_AT_ONCE
"""row groups in memory: those that an epoch mixes, and the next of them"""
LARGEST_LABEL = 10**5


def files(spec: DataSpec) -> dict[str, Path]:
    """Every file that is read. Raises DataError where the layout is not the one described above."""
    found = layout(spec, SUFFIX)
    return {name: found.root / name for name in (*found.train, *found.test, *found.whole)}


def shape(spec: DataSpec) -> DataShape:
    """Numbers from the labels, the size from the spec or the first image. Raises DataError."""
    source = read(spec)
    first = source.train.targets[:1]
    if not len(first):
        raise DataError(f"data 'parquet': {root_of(spec, SUFFIX)} has no training image.")
    return DataShape(
        num_classes=len(source.class_names) or int(source.train.targets.max()) + 1,
        channels=3,
        size=spec.size or _side_of_first(spec),
        n_train=len(source.train.targets),
        n_test=len(source.test.targets),
    )


def read(spec: DataSpec) -> Source:
    """Labels now, images decoded when asked for. Raises DataError naming file and column."""
    found = layout(spec, SUFFIX)
    if found.whole:
        table = Table([found.root / name for name in found.whole])
        split = _split(table, spec)
        train, test = held_out(split.targets, "data 'parquet'")
        return Source(_part(split, train), _part(split, test), table.class_names(_label(table, spec)), found.notes)
    tables, classes = _tables_of(found, spec)
    train_split, test_split = (_split(table, spec) for table in tables)
    _check_labelled(test_split.targets, found)
    return Source(train_split, test_split, classes, found.notes)


def stream(spec: DataSpec) -> StreamedSource:
    """As ``read``; images are read a row group at a time when asked for."""
    found = layout(spec, SUFFIX)
    if found.whole:
        table = Table([found.root / name for name in found.whole])
        every = table.encoded(table.image_column(spec.image), _label(table, spec))
        train, test = held_out(every.targets, "data 'parquet'")
        return StreamedSource(every.part(train), every.part(test), table.class_names(_label(table, spec)), found.notes)
    tables, classes = _tables_of(found, spec)
    train_part, test_part = (table.encoded(table.image_column(spec.image), _label(table, spec)) for table in tables)
    _check_labelled(test_part.targets, found)
    return StreamedSource(train_part, test_part, classes, found.notes)


def contents(spec: DataSpec) -> list[tuple[str, str]]:
    """(name, hash of the content) of every file, read once. Raises DataError that names images that are broken."""
    found = files(spec)
    looks = [partial(_look, path, spec) for path in found.values()]
    return [(name, one["content"]) for name, one in zip(found, look_at_all("data 'parquet'", looks), strict=True)]


def _look(path: Path, spec: DataSpec) -> Found:
    state = path.stat()
    return remembered(
        path,
        f"{state.st_size} {state.st_mtime_ns} {spec.image}",
        state.st_mtime_ns,
        lambda: _found_in(path, spec),
    )


def _found_in(path: Path, spec: DataSpec) -> Found:
    table, broken = Table([path]), []
    rows = table.row_count
    encoded = table._rows(table.image_column(spec.image), np.arange(rows))
    for row, content in enumerate(encoded):
        try:
            verify_encoded(f"{path}: row {row}", content)
        except DataError as error:
            broken.append(str(error))
    if broken:
        raise BrokenImages(broken)
    with path.open("rb") as file:
        return {"content": hashlib.file_digest(file, "sha256").hexdigest()}


def _tables_of(found: Layout, spec: DataSpec) -> tuple[list[Table], tuple[str, ...]]:
    tables = [Table([found.root / name for name in names]) for names in (found.train, found.test)]
    classes = [table.class_names(_label(table, spec)) for table in tables]
    if classes[0] != classes[1]:
        raise DataError(f"data 'parquet': {found.train[0]} and {found.test[0]} name other classes.")
    return tables, classes[0]


def _check_labelled(targets: Labels, found: Layout) -> None:
    if len(targets) and targets.max() < 0:
        raise DataError(
            f"data 'parquet': the labels of {found.test[0]} are all {targets[0]}: an unlabelled test set. "
            "Give the root without it; validation files are then used."
        )


class Table:
    """Parquet files with equal columns, read as one table. Raises DataError for a file that is torn or differs."""

    def __init__(self, paths: Sequence[Path]) -> None:
        parquet = _pyarrow_parquet()
        self.paths = list(paths)
        self.files = [_guarded(path, partial(parquet.ParquetFile, path)) for path in paths]
        self.schema = _guarded(paths[0], lambda: self.files[0].schema_arrow)
        self.columns: list[str] = self.schema.names
        repeated = {name for name in self.columns if self.columns.count(name) > 1}
        if repeated:
            raise DataError(f"{paths[0]} has the column {printable(min(repeated))!r} twice.")
        for path, file in zip(paths, self.files, strict=True):
            if _guarded(path, lambda file=file: file.schema_arrow.names) != self.columns:
                raise DataError(f"{path} has other columns than {paths[0].name}.")

    def features(self) -> dict[str, Any]:
        """Column -> its Hugging Face feature; empty where the schema has none. Raises DataError if torn."""
        text = (self.schema.metadata or {}).get(b"huggingface")
        if text is None:
            return {}
        try:
            features = json.loads(text)["info"]["features"]
            return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"{self.paths[0]}: its 'huggingface' metadata cannot be read.") from error

    def image_column(self, name: str | None = None) -> str:
        """*name*, or the one column of images. Raises DataError where there are several or none."""
        if name is not None:
            return self._given("image", name)
        features = self.features()
        marked = [column for column in self.columns if features.get(column, {}).get("_type") == "Image"]
        typed = [field.name for field in self.schema if _is_image(field.type)]
        return self._only("image", marked or typed, "images (bytes, or a struct {bytes, path})")

    def label_column(self, name: str | None = None) -> str:
        """*name*, or the one ClassLabel, or ``label``, or the one column of integers. Raises DataError likewise."""
        if name is not None:
            return self._given("label", name)
        features = self.features()
        marked = [column for column in self.columns if features.get(column, {}).get("_type") == "ClassLabel"]
        typed = [field.name for field in self.schema if _is_integer(field.type)]
        if not marked and "label" in self.columns:
            return "label"
        return self._only("label", marked or typed, "whole-number labels")

    def class_names(self, label: str) -> tuple[str, ...]:
        """The names of the classes of column *label*; empty where the metadata has none."""
        names = self.features().get(label, {}).get("names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{self.paths[0]}: the class names of {printable(label)!r} are not a list of texts.")
        return tuple(names)

    def split(self, image: str, label: str) -> Split:
        """The rows of all files, in order."""
        targets = [self._labels(path, file, label) for path, file in zip(self.paths, self.files, strict=True)]
        return Split(np.concatenate(targets), partial(self._decode, image))

    @property
    def row_count(self) -> int:
        return sum(file.metadata.num_rows for file in self.files)

    def encoded(self, image: str, label: str) -> EncodedImages:
        """The rows of all files, in order; their blocks are the row groups."""
        targets = [self._labels(path, file, label) for path, file in zip(self.paths, self.files, strict=True)]
        groups = [
            (number, group, file.metadata.row_group(group).num_rows)
            for number, file in enumerate(self.files)
            for group in range(file.metadata.num_row_groups)
        ]
        rows = np.array([count for _, _, count in groups], dtype=np.int64)
        reader = RowGroups(self, image, groups, np.concatenate([[0], np.cumsum(rows)]))
        return EncodedImages(np.concatenate(targets), reader.read, np.repeat(np.arange(len(groups)), rows))

    def _given(self, kind: str, name: str) -> str:
        if name not in self.columns:
            raise DataError(f"{self.paths[0]} has no {kind} column {printable(name)!r}; it has {self._listed()}.")
        return name

    def _only(self, kind: str, candidates: Sequence[str], what: str) -> str:
        if len(candidates) == 1:
            return candidates[0]
        if not candidates:
            raise DataError(f"{self.paths[0]} has no column of {what}; it has {self._listed()}.")
        listed = ", ".join(printable(name) for name in candidates)
        raise DataError(f"{self.paths[0]} has {len(candidates)} columns of {what}: {listed}. Name one: {kind} = ….")

    def _listed(self) -> str:
        return ", ".join(printable(name) for name in self.columns[:10]) or "none"

    def _labels(self, path: Path, file: Any, name: str) -> Labels:
        if not _is_integer(self.schema.field(name).type):
            kind = self.schema.field(name).type
            raise DataError(f"{path}: the labels in {printable(name)!r} are {kind}, not whole numbers.")
        column = _guarded(path, lambda: file.read(columns=[name]).column(name))
        if column.null_count:
            raise DataError(f"{path}: {column.null_count} rows have no {printable(name)!r}.")
        labels: NDArray[Any] = column.to_numpy()
        outside = np.flatnonzero((labels < -1) | (labels > LARGEST_LABEL))
        if len(outside):
            where = f"{path}: row {outside[0]} of {printable(name)!r}"
            raise DataError(f"{where} is {labels[outside[0]]}, not a class number of 0..{LARGEST_LABEL}.")
        return labels.astype(np.int64)

    def _decode(self, image: str, positions: Labels, fit: int | None = None) -> Images:
        order = np.argsort(positions, kind="stable")
        rows = self._rows(image, positions[order])
        names = [f"{self.paths[0].parent.name}/ row {position}" for position in positions[order]]
        decoded = decode_all(names, lambda _name: next(rows), fit=fit)
        images = np.empty_like(decoded)
        images[order] = decoded
        return images

    def _rows(self, name: str, positions: Labels) -> Iterator[bytes]:
        """The encoded images at the sorted *positions*."""
        start, cursor = 0, 0
        for path, file in zip(self.paths, self.files, strict=True):
            batches = _guarded(path, partial(file.iter_batches, batch_size=BATCH_ROWS, columns=[name]))
            for batch in _each(path, batches):
                stop = start + batch.num_rows
                if cursor < len(positions) and positions[cursor] < stop:
                    column = batch.column(0)
                    while cursor < len(positions) and positions[cursor] < stop:
                        row = int(positions[cursor])
                        yield _content(column[row - start].as_py(), f"{path}: row {row}", name)
                        cursor += 1
                start = stop
                if cursor == len(positions):
                    return


class RowGroups:
    """Encoded images by their position in a table. Whole row groups are read, and the last few of them are held.

    ``groups``: (file, row group in it, rows); ``starts``: the position of the first row of every group, and the end.
    """

    def __init__(self, table: Table, image: str, groups: list[tuple[int, int, int]], starts: Labels) -> None:
        self._table, self._image, self._groups, self._starts = table, image, groups, starts
        # pyarrow reads a file from one thread at a time
        self._lock = threading.Lock()
        self._held: OrderedDict[int, Any] = OrderedDict()

    def read(self, position: int) -> tuple[str, bytes]:
        """The name of an image for messages, and its bytes."""
        group = int(np.searchsorted(self._starts, position, side="right")) - 1
        file, number, _ = self._groups[group]
        path, row = self._table.paths[file], position - int(self._starts[group])
        name = f"{path}: row group {number}, row {row}"
        with self._lock:
            column = self._held.get(group)
            if column is None:
                action = partial(self._table.files[file].read_row_group, number, columns=[self._image])
                column = self._held[group] = _guarded(path, action).column(0)
                while len(self._held) > GROUPS_HELD:
                    self._held.popitem(last=False)
            self._held.move_to_end(group)
            value = column[row].as_py()
        return name, _content(value, name, self._image)


def _split(table: Table, spec: DataSpec) -> Split:
    image, label = table.image_column(spec.image), _label(table, spec)
    split = table.split(image, label)
    return Split(split.targets, partial(table._decode, image, fit=spec.size))


def _label(table: Table, spec: DataSpec) -> str:
    return table.label_column(spec.label)


def _part(split: Split, rows: Labels) -> Split:
    return Split(split.targets[rows], lambda positions: split.images(rows[positions]))


def _side_of_first(spec: DataSpec) -> int:
    found = layout(spec, SUFFIX)
    table = Table([found.root / name for name in (found.train or found.whole)])
    name = table.image_column(spec.image)
    width, height = side_of(str(table.paths[0]), next(table._rows(name, np.zeros(1, dtype=np.int64))))
    if width != height:
        raise DataError(f"{table.paths[0]}: row 0 has {width}x{height} pixels, not a square. Give a size.")
    return width


def _content(value: Any, where: str, column: str) -> bytes:
    content = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(content, bytes):
        return content
    if isinstance(value, Mapping) and isinstance(value.get("path"), str):
        raise DataError(f"{where} names an image file and holds no bytes; images have to be inside the table.")
    raise DataError(f"{where} holds no image bytes in {printable(column)!r} (bytes, or a struct {{bytes, path}}).")


def _is_image(kind: Any) -> bool:
    types = importlib.import_module("pyarrow.types")
    if types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_integer(kind: Any) -> bool:
    return bool(importlib.import_module("pyarrow.types").is_integer(kind))


def _pyarrow_parquet() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DataError(f"parquet files need the extra prunecheck[parquet] ({error}).") from error


def _guarded(path: Path, action: Any) -> Any:
    try:
        return action()
    except Exception as error:
        # pyarrow raises OSError, ValueError, KeyError, NotImplementedError … for torn and hostile files
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} is not a parquet file, or torn: {printable(detail)}.") from error


def _each(path: Path, batches: Iterator[Any]) -> Iterator[Any]:
    end = object()
    while (batch := _guarded(path, lambda: next(batches, end))) is not end:
        yield batch

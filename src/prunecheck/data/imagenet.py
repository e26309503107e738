"""ImageNet (Russakovsky et al. 2015), ILSVRC 2012, in the layouts that it is found in.

Below the root, its folder ``imagenet`` or Kaggle's ``ILSVRC/Data/CLS-LOC``: ``train/n01440764/*.JPEG`` with
``val/n01440764/*.JPEG``; tar shards (``imagenet1k-train-0000.tar``); or parquet files as Hugging Face publishes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from prunecheck.data import folder, parquet, webdataset
from prunecheck.data.catalogue import DataShape, DataSpec, entry
from prunecheck.data.encoded import StreamedSource, StreamReader
from prunecheck.data.files import missing, roots
from prunecheck.errors import DataError

PLACES = (".", "imagenet", "ILSVRC/Data/CLS-LOC", "data")
SHARDS = (("webdataset", webdataset.SUFFIX), ("parquet", parquet.SUFFIX))


def files(spec: DataSpec) -> Mapping[str, Path]:
    """Every image, or every shard. Raises DataMissing where nothing is found."""
    return _reader(found := _found(spec)).files(found)


def shape(spec: DataSpec) -> DataShape:
    """Numbers by what lies there; official ImageNet has 1,281,167 and 50,000 images of 1,000 classes."""
    found = _found(spec)
    return _reader(found).shape(replace(found, size=spec.size or entry(spec.name).size))


def contents(spec: DataSpec) -> Sequence[tuple[str, str]]:
    """(name, hash of the content) of every folder or shard."""
    return _reader(found := _found(spec)).contents(found)


def stream(spec: DataSpec) -> StreamedSource:
    """Raises DataError for another layout than described above."""
    return _reader(found := _found(spec)).stream(found)


def _reader(found: DataSpec) -> StreamReader:
    return cast(StreamReader, {"folder": folder, "webdataset": webdataset, "parquet": parquet}[found.name])


def _found(spec: DataSpec) -> DataSpec:
    """The general data set that lies there."""
    for root in roots(spec):
        for place in (root / name for name in PLACES):
            kind = _kind_of(place)
            if kind is not None:
                return replace(spec, name=kind, root=str(place), stream=True)
    raise missing(spec, ["imagenet", "train/n01440764 with val/n01440764", "*train*.tar", "*train*.parquet"])


def _kind_of(place: Path) -> str | None:
    if (place / "train").is_dir() and any(path.is_dir() for path in (place / "train").iterdir()):
        if (place / "val").is_dir() and not any(path.is_dir() for path in (place / "val").iterdir()):
            raise DataError(
                f"data 'imagenet': {place / 'val'} has no folder for each class. Sort the validation images into "
                "val/CLASS, as for torchvision."
            )
        return "folder"
    for kind, suffix in SHARDS:
        if next((path for path in place.glob(f"*train*{suffix}")), None) is not None:
            return kind
    return None

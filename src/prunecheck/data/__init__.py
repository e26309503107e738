"""Data sets as image arrays, loaded by name, in a fixed order.

Numpy arrays in memory, without torch. Nothing is downloaded and nothing is cached on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck._lazy import lazily
from prunecheck.data.catalogue import DATASETS, DataEntry, DataShape, DataSpec, names

if TYPE_CHECKING:
    from prunecheck.data.loading import check, describe, describe_absent, fingerprint, load, load_once
    from prunecheck.data.types import ImageData

__all__ = [
    "DATASETS",
    "DataEntry",
    "DataShape",
    "DataSpec",
    "ImageData",
    "check",
    "describe",
    "describe_absent",
    "fingerprint",
    "load",
    "load_once",
    "names",
]

__getattr__ = lazily(
    __name__,
    {
        "prunecheck.data.types": ["ImageData"],
        "prunecheck.data.loading": ["check", "describe", "describe_absent", "fingerprint", "load", "load_once"],
    },
)

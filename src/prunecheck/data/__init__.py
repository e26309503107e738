"""Data sets: a name and a few numbers in, whole image tensors out, always the same ones.

Everything is a numpy array in memory; torch is not needed here. Nothing is downloaded and nothing is cached on disk.
"""

from __future__ import annotations

from prunecheck.data.bundle import ImageData
from prunecheck.data.catalogue import DATASETS, DataEntry, names
from prunecheck.data.fingerprints import fingerprint
from prunecheck.data.loading import check, describe, load
from prunecheck.data.spec import DataShape, DataSpec

__all__ = [
    "DATASETS",
    "DataEntry",
    "DataShape",
    "DataSpec",
    "ImageData",
    "check",
    "describe",
    "fingerprint",
    "load",
    "names",
]

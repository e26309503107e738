"""Data sets: a name and a few numbers in, whole image tensors out, always the same ones.

Everything is a numpy array in memory; torch is not needed here. Nothing is downloaded and nothing is cached on disk.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from prunecheck.data.catalogue import DATASETS, DataEntry, DataShape, DataSpec, names

if TYPE_CHECKING:
    from prunecheck.data.loading import check, describe, fingerprint, load
    from prunecheck.data.types import ImageData

_HOME = {
    "ImageData": "prunecheck.data.types",
    "fingerprint": "prunecheck.data.loading",
    **dict.fromkeys(("check", "describe", "load"), "prunecheck.data.loading"),
}

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


def __getattr__(name: str) -> Any:
    """Whoever only lists the data sets does not wait for numpy."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)

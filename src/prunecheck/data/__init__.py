"""Data sets by name, in a fixed order: numpy arrays in memory, or encoded images that stay on the disk. Without torch.

Nothing is downloaded. Of streamed data, the hashes of their files are remembered in the user's cache folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck._lazy import lazily
from prunecheck.data.catalogue import DATASETS, DataEntry, DataShape, DataSpec, names

if TYPE_CHECKING:
    from prunecheck.data.encoded import EncodedImages, StreamedData, decoder
    from prunecheck.data.loading import check, describe, describe_absent, fingerprint, load, load_once, open_stream
    from prunecheck.data.scan import watch_reading
    from prunecheck.data.types import ImageData

__all__ = [
    "DATASETS",
    "DataEntry",
    "DataShape",
    "DataSpec",
    "EncodedImages",
    "ImageData",
    "StreamedData",
    "check",
    "decoder",
    "describe",
    "describe_absent",
    "fingerprint",
    "load",
    "load_once",
    "names",
    "open_stream",
    "watch_reading",
]

__getattr__ = lazily(
    __name__,
    {
        "prunecheck.data.types": ["ImageData"],
        "prunecheck.data.encoded": ["EncodedImages", "StreamedData", "decoder"],
        "prunecheck.data.loading": [
            "check",
            "describe",
            "describe_absent",
            "fingerprint",
            "load",
            "load_once",
            "open_stream",
        ],
        "prunecheck.data.scan": ["watch_reading"],
    },
)

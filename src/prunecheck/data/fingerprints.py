"""The name of a content: equal fingerprints, equal tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from prunecheck.data.loading import describe, reader_of
from prunecheck.data.spec import DataSpec
from prunecheck.errors import DataError

READERS_VERSION = 1
"""Raised whenever a reader comes to give other pixels, labels or subsets for the same files."""

WHOLE_CONTENT_LIMIT = 2 * 2**30
"""Bytes in all above which only names and sizes of the files are hashed."""

BLOCK = 2**20


def fingerprint(spec: DataSpec) -> str:
    """SHA-256 in hex over the spec and the files behind it; where they lie does not matter, their relative names do.

    Files of over 2 GiB in all are told apart by relative name and size alone: rename one if you change its pixels.
    Raises DataError where the files are missing or cannot be read.
    """
    files = reader_of(spec).files(spec)
    describe(spec)
    asked = (READERS_VERSION, spec.name, spec.size, spec.train_size, spec.test_size)
    digest = hashlib.sha256(repr(asked).encode())
    try:
        for piece in _pieces(files):
            digest.update(piece)
    except OSError as error:
        raise DataError(f"data {spec.name!r} cannot be read: {error}.") from error
    return digest.hexdigest()


def _pieces(files: Mapping[str, Path]) -> Iterator[bytes]:
    sizes = {name: path.stat().st_size for name, path in files.items()}
    contents = sum(sizes.values()) <= WHOLE_CONTENT_LIMIT
    for name in sorted(files):
        yield repr((name, sizes[name])).encode()
        if contents:
            with files[name].open("rb") as stream:
                yield from iter(lambda: stream.read(BLOCK), b"")

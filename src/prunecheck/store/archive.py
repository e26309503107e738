"""Artefacts in and out of one tar file. Imported archives are untrusted: no member is ever extracted by name.

An archive is a plain ustar file: for each artefact ``<key>/manifest.json`` and then its files in the manifest's
order. Anything else (links, folders, extended headers, compression, other names) is refused.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from prunecheck.errors import StoreError
from prunecheck.store import durable, manifest
from prunecheck.store.manifest import Entry
from prunecheck.store.store import Store
from prunecheck.text import printable

_BLOCK = tarfile.BLOCKSIZE


def export(store: Store, keys: Iterable[str], path: Path) -> None:
    """Write the artefacts *keys*, verified, to the tar file *path* (replaced as a whole, or not at all).

    The same artefacts give the same bytes. Raises Missing or Damaged for an artefact that is absent or damaged.
    """
    durable.write_chunks(path, _tar(store, sorted(set(keys))))


def import_(store: Store, path: Path) -> tuple[str, ...]:
    """Commit the artefacts of the tar file *path*; returns the keys that were new.

    Each artefact is checked in full before it is committed. At the first wrong member StoreError names it; artefacts
    before it stay. The hashes prove that nothing was damaged in transit, not that the sender computed what the key
    says.
    """
    new = []
    with durable.plainly(path), path.open("rb") as file:
        for key, files in _artefacts(file, path):
            if not store.has(key):
                new.append(key)
            store.commit(key, files)
    return tuple(new)


def _tar(store: Store, keys: Iterable[str]) -> Iterator[bytes]:
    for key in keys:
        entries = store.entries(key)
        yield from _member(f"{key}/{manifest.NAME}", manifest.render(key, entries))
        for name in entries:
            yield from _member(f"{key}/{name}", store.read(key, name))
    yield bytes(2 * _BLOCK)


def _member(name: str, data: bytes) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    header.size = len(data)
    yield header.tobuf(tarfile.USTAR_FORMAT)
    yield data
    yield bytes(-len(data) % _BLOCK)


def _artefacts(file: BinaryIO, path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    members = _members(file, path)
    for name, data in members:
        key = name.partition("/")[0]
        entries = manifest.parse(key, data) if name == f"{key}/{manifest.NAME}" and manifest.is_key(key) else None
        if entries is None:
            raise _refusal(path, name, "a valid manifest must come first")
        files = {}
        for expected, entry in entries.items():
            found, content = next(members, ("the end", b""))
            if found != f"{key}/{expected}" or Entry.of(content) != entry:
                raise _refusal(path, found, f"it should be {expected} with the SHA-256 the manifest gives")
            files[expected] = content
        yield key, files


def _members(file: BinaryIO, path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents. Only plain files, and never more bytes than the archive itself has."""
    length = os.fstat(file.fileno()).st_size
    while True:
        block = file.read(_BLOCK)
        if block == bytes(_BLOCK):
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
        except tarfile.HeaderError as error:
            raise _refusal(path, "the next member", str(error)) from error
        if header.type != tarfile.REGTYPE or header.linkname:
            raise _refusal(path, header.name, "only plain files may be in it")
        padding = -header.size % _BLOCK
        if not 0 <= header.size + padding <= length - file.tell():
            raise _refusal(path, header.name, "it is cut short")
        yield header.name, file.read(header.size)
        file.seek(padding, os.SEEK_CUR)


def _refusal(path: Path, member: str, why: str) -> StoreError:
    return StoreError(f"{durable.shown(path)} is not an archive of a store: {printable(member)!r}: {why}.")

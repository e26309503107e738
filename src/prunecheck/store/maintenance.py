"""Store maintenance: verification, disk usage, garbage collection. Undamaged artefacts are never changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from prunecheck.errors import StoreError
from prunecheck.store import durable, manifest
from prunecheck.store.store import Store


@dataclass(frozen=True)
class Report:
    """The result of ``verify``. ``size``: bytes hashed; ``damaged``: keys, now in quarantine/."""

    artefacts: int
    size: int
    damaged: tuple[str, ...]
    unrecognised: tuple[str, ...]
    """paths under objects/ that are not artefacts, relative to the store; left unchanged"""

    @property
    def ok(self) -> bool:
        return not self.damaged


@dataclass(frozen=True)
class Garbage:
    """What ``gc`` removed, or would remove: keys of artefacts, keys of partial states, their total bytes."""

    artefacts: tuple[str, ...]
    partials: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Sizes:
    """How many, and how many bytes on the disk."""

    artefacts: int
    artefact_bytes: int
    partials: int
    partial_bytes: int
    quarantined: int
    quarantined_bytes: int


def verify(store: Store) -> Report:
    """Hash every file of every artefact again; move the damaged ones to quarantine/ (kept there, not deleted)."""
    size, intact, damaged = 0, 0, []
    for key in list(store.keys()):
        size += _bytes_of(store.folder(key))
        if store.quarantine(key):
            damaged.append(key)
        else:
            intact += 1
    return Report(intact + len(damaged), size, tuple(damaged), _unrecognised(store))


def gc(store: Store, keep: Callable[[str], bool] | Collection[str], dry_run: bool = True) -> Garbage:
    """Remove every artefact and partial state whose key *keep* does not name; by default only list them.

    Partial states of committed keys go too. quarantine/ is not changed. Raises StoreError while a step is running on
    the store, because what that step commits would not be in *keep*.
    """
    kept = keep if callable(keep) else frozenset(keep).__contains__
    artefacts = tuple(key for key in list(store.keys()) if not kept(key))
    partials = tuple(key for key in _partials(store) if not kept(key) or store.has(key))
    places = [store.folder(key) for key in artefacts] + [store.partial_path(key) for key in partials]
    garbage = Garbage(artefacts, partials, sum(map(_bytes_of, places)))
    if not dry_run:
        _refuse_while_claimed(store)
        for key in artefacts:
            store.drop(key)
        for key in partials:
            store.clear_partial(key)
        store.sweep()
    return garbage


def sizes(store: Store) -> Sizes:
    """The size of the store. Reads file sizes only, verifies nothing."""
    artefacts = list(store.keys())
    partials = _partials(store)
    quarantined = durable.folder_names(store.root / "quarantine")
    return Sizes(
        len(artefacts),
        sum(_bytes_of(store.folder(key)) for key in artefacts),
        len(partials),
        sum(_bytes_of(store.partial_path(key)) for key in partials),
        len(quarantined),
        sum(_bytes_of(store.root / "quarantine" / name) for name in quarantined),
    )


def _partials(store: Store) -> list[str]:
    return [name for name in durable.folder_names(store.root / "partial") if manifest.is_key(name)]


def _unrecognised(store: Store) -> tuple[str, ...]:
    known = set(store.keys())
    found = []
    for prefix in durable.folder_names(store.root / "objects"):
        folder = store.root / "objects" / prefix
        if not durable.is_folder(folder):
            found.append(f"objects/{prefix}")
        found += [f"objects/{prefix}/{name}" for name in durable.folder_names(folder) if name not in known]
    return tuple(found)


def _refuse_while_claimed(store: Store) -> None:
    for key in filter(manifest.is_key, durable.folder_names(store.root / "claims")):
        claim = store.try_claim(key)
        if claim is None:
            place = durable.shown(store.root)
            raise StoreError(f"a study is running on {place}. Wait until it is finished, then try again.")
        claim.release()


def _bytes_of(path: Path) -> int:
    """Bytes of the file *path*, or of the files in the folder *path*; links are not followed."""
    if durable.is_folder(path):
        return sum(_bytes_of(path / name) for name in durable.folder_names(path))
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0

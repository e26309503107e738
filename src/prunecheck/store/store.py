"""The store: artefacts by key. There is no other record of progress, no journal and no status file.

format.json  CACHEDIR.TAG  .gitignore
objects/<k[:2]>/<k>/{…, manifest.json}   one artefact per key, written once, verified at every read
partial/<k>                              checkpoint of an unfinished step
quarantine/                              damaged artefacts, kept for inspection
claims/<k>                               a lock per key in progress (freed by the kernel when its holder dies);
                                         also short-lived files that test the locks: sweep() leaves them alone
tmp/  lock                               temporary files, and the lock of their users
leases                                   if present: claims are leases, and no locks are used
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from prunecheck.errors import StoreError
from prunecheck.store import durable, leases, manifest
from prunecheck.store.claims import Holder, holder, sign
from prunecheck.store.leases import Lease
from prunecheck.store.manifest import Entry, check_key, check_name
from prunecheck.text import unknown

_FOLDERS = ("objects", "partial", "quarantine", "claims", "tmp")
_OURS = {*_FOLDERS, "format.json", "CACHEDIR.TAG", ".gitignore", "lock", "leases", "timings.jsonl"}
_CACHEDIR_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache made by prunecheck.\n"
_PARTIAL_LIMIT = 1 << 40
_POLL_SECONDS = 0.5
_STALE_SECONDS = 24 * 3600.0


class Damaged(StoreError):
    """An artefact does not hold what was committed. It was moved to quarantine/; compute it again and commit it."""


class Missing(Damaged):
    """There is no such artefact (any more); compute it again and commit it."""


@dataclass(frozen=True)
class Claim:
    """The right to work on one key. Freed by ``release``, by leaving ``with``, or by the death of the process."""

    path: Path
    handle: int | Lease

    def release(self) -> None:
        if isinstance(self.handle, int):
            durable.unlock(self.handle, remove_too=self.path)
        else:
            self.handle.release()

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


@dataclass(frozen=True)
class Store:
    """Artefacts by key (64 hex digits). Every method raises StoreError when the disk fails or a key is malformed.

    Safe to use from many processes at once, and to send to another process.
    """

    root: Path
    _durable_folders: set[Path] = field(default_factory=set, repr=False, compare=False)
    """folders that this process has made durable"""

    @classmethod
    def open(cls, root: Path) -> Store:
        """The store at *root*; nothing is written before the first commit.

        Raises StoreError for a folder with other things in it, for a store of a newer format, and on a system without
        file locks.
        """
        if durable.fcntl is None:
            raise StoreError(
                "this system has no POSIX file locks (fcntl), which a store needs. Use Linux, macOS or WSL."
            )
        root = durable.real_path(root)
        if root.exists() and not root.is_dir():
            raise StoreError(f"{durable.shown(root)} is a file. Give a folder for the store, new or empty.")
        names = durable.folder_names(root)
        if "format.json" in names:
            _check_format(root / "format.json")
        elif foreign := set(names) - _OURS:
            raise StoreError(
                f"{durable.shown(root)} is not a store and not empty (it has {min(foreign)!r}). "
                "Give a new or empty folder."
            )
        return cls(root)

    def has(self, key: str) -> bool:
        """True if *key* was committed. One file system access; damage is detected on reading."""
        return durable.is_folder(self.folder(key))

    def missing(self, keys: Iterable[str]) -> set[str]:
        """Those of *keys* that were not committed. One listing per two-digit prefix instead of one access per key."""
        wanted: dict[str, set[str]] = {}
        for key in keys:
            wanted.setdefault(check_key(key)[:2], set()).add(key)
        absent: set[str] = set()
        for prefix, group in wanted.items():
            absent |= group.difference(durable.folder_names(self.root / "objects" / prefix))
        return absent

    def keys(self) -> Iterator[str]:
        """All committed keys, sorted."""
        objects = self.root / "objects"
        for prefix in durable.folder_names(objects):
            for key in durable.folder_names(objects / prefix):
                # Other files may lie in these folders.
                if manifest.is_key(key) and key.startswith(prefix):
                    yield key

    def commit(self, key: str, files: Mapping[str, bytes]) -> None:
        """Store *files* (name -> content) under *key*, all or nothing; on return they survive a power cut.

        The first writer wins: an existing artefact is not replaced. Clears the key's partial state.
        """
        folder = self.folder(key)
        entries = {check_name(name): Entry.of(data) for name, data in files.items()}
        content = [*files.items(), (manifest.NAME, manifest.render(key, entries))]
        with self.writing():
            # A folder whose manifest is unreadable would block the key for ever: the first writer wins.
            if self.has(key) and self._read_manifest(key) is None:
                self._set_aside(key)
            self._make_durable(folder.parent)
            if self.has(key):
                durable.sync_folder(folder.parent)  # its writer may have been killed just before this
            else:
                durable.commit_folder(self.scratch(), folder, content)
        # After the artefact is durable: until then the checkpoint is all there is.
        self.clear_partial(key)

    def names(self, key: str) -> tuple[str, ...]:
        """The file names of artefact *key*, sorted. Raises Missing or Damaged."""
        return tuple(self.entries(key))

    def entries(self, key: str) -> dict[str, Entry]:
        """Size and SHA-256 of each file of *key*, by sorted name. Raises Missing or Damaged."""
        if not self.has(key):
            raise Missing(f"artefact {key[:12]}… is not in the store.")
        entries = self._read_manifest(key)
        if entries is None:
            raise self._damaged(key, "its manifest")
        return entries

    def read(self, key: str, name: str) -> bytes:
        """The file *name* of artefact *key*, verified. Raises Missing or Damaged: then compute the artefact again."""
        entries = self.entries(key)
        if name not in entries:
            raise StoreError(unknown(f"file of artefact {key[:12]}…", name, entries))
        # The manifest states the size: a larger file is damaged, and is not read into memory first.
        data = durable.read_file(self.folder(key) / name, limit=entries[name].size)
        if data is None or Entry.of(data) != entries[name]:
            raise self._damaged(key, name)
        return data

    def fault_of(self, key: str) -> str | None:
        """What is wrong with artefact *key*: the name of the first file that is not as committed. None if intact."""
        entries = self._read_manifest(key)
        if entries is None:
            return manifest.NAME
        for name, entry in entries.items():
            found = durable.hash_file(self.folder(key) / name)
            if found != (entry.size, entry.sha256):
                return name
        return None

    def quarantine(self, key: str) -> bool:
        """Move artefact *key* to quarantine/ if it is damaged at this moment; True if it was."""
        if not self.has(key) or self.fault_of(key) is None:
            return False
        with self.writing():
            self._set_aside(key)
        return True

    def reject(self, key: str, reason: str) -> Damaged:
        """The error to raise for artefact *key*, whose bytes are as committed and whose content is not what the key
        promises. It is moved to quarantine/ if the store can be written."""
        moved = "it cannot be moved to quarantine"
        with suppress(StoreError), self.writing():
            if self.has(key):
                self._set_aside(key)
            moved = f"it was moved to {durable.shown(self.root / 'quarantine')}"
        return Damaged(f"artefact {key[:12]}… is refused, {moved}: {reason}.")

    def drop(self, key: str) -> None:
        """Remove artefact *key* and its partial state, if they exist."""
        if self.has(key):
            with self.writing():
                grave = self.scratch()
                durable.move(self.folder(key), grave)  # atomically, so that no process reads half of it
                durable.remove(grave)
        self.clear_partial(key)

    def claim(self, key: str) -> Claim:
        """The exclusive right to work on *key*; waits until it is free. Use as ``with store.claim(key): …``.

        Not reentrant: a process that claims a key twice waits for itself.
        """
        claim = self._claim(key, wait=True)
        assert claim is not None
        return claim

    def try_claim(self, key: str) -> Claim | None:
        """As ``claim``, but None immediately if another living process holds it."""
        return self._claim(key, wait=False)

    def is_claimed(self, key: str) -> bool:
        """Whether a living process holds the claim of *key*. Writes nothing."""
        return self._holder(check_key(key)) is not None

    def save_partial(self, key: str, data: bytes) -> None:
        """Write a checkpoint of the unfinished step *key*; replaces the one before."""
        path = self.partial_path(key)
        with self.writing():
            self._make_durable(path.parent)
            durable.write_file(path, _partial_head(key, data) + data, temp_in=self.root / "tmp")

    def load_partial(self, key: str) -> bytes | None:
        """The checkpoint that ``save_partial`` wrote for *key*; None if there is none, or it is damaged."""
        stored = durable.read_file(self.partial_path(key), limit=_PARTIAL_LIMIT)
        if stored is None:
            return None
        head, _, data = stored.partition(b"\n")
        # A damaged checkpoint costs time only: the step starts again.
        return data if head + b"\n" == _partial_head(key, data) else None

    def clear_partial(self, key: str) -> None:
        """Remove the partial state of *key*."""
        durable.remove(self.partial_path(key))

    def folder(self, key: str) -> Path:
        """Where artefact *key* is or will be. Read it with ``read``, which verifies."""
        return self.root.joinpath("objects", check_key(key)[:2], key)

    def partial_path(self, key: str) -> Path:
        """Where the partial state of *key* is or will be."""
        return self.root / "partial" / check_key(key)

    def free_bytes(self) -> int:
        """Free space, in bytes, on the disk of the store."""
        return durable.free_bytes(self.root)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Held during every use of tmp/: creates the store if necessary, and prevents others from emptying tmp/."""
        labels = self.root / "format.json"
        if labels not in self._durable_folders:
            self._make_folders()
            # Before the shared lock is taken: sweep() wants it for itself alone.
            self.sweep()
        handle = None if self.has_leases else durable.lock(self.root / "lock", shared=True)
        try:
            if labels not in self._durable_folders:
                self._write_labels()
                self._durable_folders.add(labels)
            yield
        finally:
            if handle is not None:
                durable.unlock(handle)

    def sweep(self) -> None:
        """Remove the files that killed processes left in tmp/, unless a process is writing."""
        if self.has_leases:
            # Without locks only its age tells whether a file may still be in use.
            for name in durable.folder_names(self.root / "tmp"):
                age = leases.age(self.root / "tmp" / name, self.root / "tmp")
                if age is not None and age > _STALE_SECONDS:
                    durable.remove(self.root / "tmp" / name)
            return
        handle = durable.lock(self.root / "lock", wait=False)
        if handle is None:
            return
        try:
            names = durable.folder_names(self.root / "tmp")
            # Where locks do not work, this one excludes no process. A process that has found out about it writes
            # "leases" before anything else, so where one of its files is listed, "leases" is there.
            for name in names if not self.has_leases else ():
                durable.remove(self.root / "tmp" / name)
        finally:
            durable.unlock(handle)

    def scratch(self) -> Path:
        """A unique name in tmp/."""
        return self.root / "tmp" / uuid.uuid4().hex

    def holders(self) -> dict[str, Holder]:
        """The living holders of claims, by key. For display; writes nothing."""
        names = durable.folder_names(self.root / "claims")
        found = {key: self._holder(key) for key in filter(manifest.is_key, names)}
        return {key: one for key, one in found.items() if one is not None}

    @property
    def has_leases(self) -> bool:
        """Whether claims are leases, because locks do not work on the file system."""
        return (self.root / "leases").exists()

    def why_no_locks(self) -> str:
        """Why locks on the file system of the store do not keep other processes out; "" if they do, as far as can be
        seen from this machine."""
        self._make_folders()
        return leases.why_no_locks(self.root / "claims")

    def use_leases(self) -> None:
        """From now on claims are leases, for every process that uses this store."""
        self._make_folders()
        if not self.has_leases:
            durable.write_file(self.root / "leases", b"", temp_in=self.root / "claims")

    @contextmanager
    def probe_file(self, content: str) -> Iterator[Path]:
        """A locked file with *content*, by which another machine can tell whether it sees this store and its locks."""
        self._make_folders()
        path = self.root / "claims" / f".{uuid.uuid4().hex}.tmp"
        durable.write_file(path, content.encode())
        handle = None
        try:
            with suppress(StoreError):
                handle = durable.lock(path)
            yield path
        finally:
            if handle is not None:
                durable.unlock(handle)
            durable.discard(path)

    def _holder(self, key: str) -> Holder | None:
        path = self.root / "claims" / key
        if not self.has_leases:
            return holder(path)
        found = leases.holder_of(path, self.root / "tmp")
        return None if found is None else Holder(*found)

    def _claim(self, key: str, wait: bool) -> Claim | None:
        path = self.root / "claims" / check_key(key)
        self._make_folders()
        if self.has_leases:
            while (lease := leases.take(path, self.root / "tmp")) is None and wait:
                time.sleep(_POLL_SECONDS)
            return None if lease is None else Claim(path, lease)
        handle = durable.lock(path, wait=wait)
        if handle is None:
            return None
        sign(handle)
        return Claim(path, handle)

    def _make_durable(self, folder: Path) -> None:
        if folder not in self._durable_folders:
            durable.ensure_folder(folder)
            self._durable_folders.add(folder)

    def _make_folders(self) -> None:
        self._make_durable(self.root)
        for name in _FOLDERS:
            self._make_durable(self.root / name)

    def _write_labels(self) -> None:
        labels = {".gitignore": b"*\n", "CACHEDIR.TAG": _CACHEDIR_TAG}
        # format.json comes last: where it exists, the other labels exist too.
        labels["format.json"] = json.dumps({"format": manifest.FORMAT}).encode() + b"\n"
        for name, data in labels.items():
            if not (self.root / name).exists():
                durable.write_file(self.root / name, data, temp_in=self.root / "tmp")

    def _read_manifest(self, key: str) -> dict[str, Entry] | None:
        path = self.folder(key) / manifest.NAME
        return manifest.parse(key, durable.read_file(path, limit=manifest.LIMIT))

    def _damaged(self, key: str, what: str) -> Damaged:
        # Verified again before it is moved: another process may have replaced it in the meantime.
        self.quarantine(key)
        aside = durable.shown(self.root / "quarantine")
        return Damaged(f"artefact {key[:12]}… is damaged ({what}); it was moved to {aside}.")

    def _set_aside(self, key: str) -> None:
        # A random ending, because the same key may be damaged more than once.
        durable.move(self.folder(key), self.root / "quarantine" / f"{key}-{uuid.uuid4().hex[:8]}")


def _partial_head(key: str, data: bytes) -> bytes:
    # The key is part of the digest, so that a checkpoint under the wrong name is not used.
    digest = hashlib.sha256(key.encode() + data).hexdigest()
    return f"prunecheck partial {key} {digest}\n".encode()


def _check_format(path: Path) -> None:
    try:
        number = json.loads(durable.read_file(path, limit=4096) or b"")["format"]
    except (ValueError, TypeError, LookupError, RecursionError):
        number = None
    # bool is an int in Python, and true is not a format.
    if type(number) is not int or number < 1:
        remedy = f'If this folder is a store, put {{"format": {manifest.FORMAT}}} in it.'
        raise StoreError(f"{durable.shown(path)} is damaged. {remedy}")
    if number > manifest.FORMAT:
        raise StoreError(
            f"{durable.shown(path.parent)} was written by a newer prunecheck (format {number}, this one reads up to "
            f"{manifest.FORMAT}). Upgrade prunecheck or choose another store."
        )

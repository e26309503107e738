"""The manifest of an artefact: which files it has, how long they are, and their SHA-256. No I/O.

The manifest carries its own artefact's key, so that swapped folders are detected, and a seal (the SHA-256 of the
rest), so that a flipped bit in it is detected at the first read of any file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from prunecheck.errors import StoreError
from prunecheck.text import printable

FORMAT = 1
NAME = "manifest.json"
LIMIT = 16 << 20
"""upper limit in bytes"""

_KEY = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Entry:
    """One file of an artefact: length in bytes, SHA-256 in hex."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Entry:
        return cls(len(data), hashlib.sha256(data).hexdigest())


def is_key(text: str) -> bool:
    """True for 64 lower-case hex digits."""
    return _KEY.fullmatch(text) is not None


def check_key(key: str) -> str:
    """*key* itself. Raises StoreError unless it is 64 lower-case hex digits (a SHA-256)."""
    if not isinstance(key, str) or not is_key(key):
        raise StoreError(f"{printable(repr(key))} is not a key. A key is 64 hex digits, in lower case.")
    return key


def check_name(name: str) -> str:
    """*name* itself. Raises StoreError unless it is a plain file name that cannot leave its folder."""
    if not isinstance(name, str) or _FILE_NAME.fullmatch(name) is None or name.lower() == NAME:
        raise StoreError(
            f"{printable(repr(name))} is not a file name of an artefact. "
            f"Use 1 to 64 of A-Z a-z 0-9 . _ - with a letter or digit first; {NAME} is taken."
        )
    return name


def render(key: str, entries: Mapping[str, Entry]) -> bytes:
    """The manifest as bytes; the same entries give the same bytes, on every machine and in every run."""
    body = _text(key, entries)
    return _text(key, entries, seal=hashlib.sha256(body.encode()).hexdigest()).encode()


def parse(key: str, data: bytes | None) -> dict[str, Entry] | None:
    """The entries by file name; None if *data* is not, byte for byte, a manifest of *key*."""
    if data is None:
        return None
    try:
        files = json.loads(data)["files"]
        entries = {check_name(n): Entry(int(e["size"]), str(e["sha256"])) for n, e in files.items()}
        return entries if render(key, entries) == data else None
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, StoreError):
        return None


def _text(key: str, entries: Mapping[str, Entry], seal: str | None = None) -> str:
    """JSON with sorted names, indented by one. ``json`` is too slow: a report reads tens of thousands of these."""
    files = ",".join(
        f'\n  "{name}": {{\n   "sha256": "{entry.sha256}",\n   "size": {entry.size}\n  }}'
        for name, entry in sorted(entries.items())
    )
    files = f"{{{files}\n }}" if files else "{}"
    end = "" if seal is None else f',\n "seal": "{seal}"'
    return f'{{\n "files": {files},\n "format": {FORMAT},\n "key": "{key}"{end}\n}}\n'

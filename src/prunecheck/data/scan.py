"""The first look at data on the disk: hashes of contents and broken images, remembered for as long as nothing changes.

A folder of images or a shard is one *part*. What was found in it is kept in the user's cache folder together with
names, sizes and modification times, so that a data set of a million files is read once and afterwards only listed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from prunecheck.errors import DataError
from prunecheck.text import counted

VERSION = 1
"""raised when something else is kept or verified"""

RECENT_NS = 2 * 10**9
"""A file changed so lately may change again without another modification time: nothing is remembered of it."""

Found = dict[str, Any]

Watch = Callable[[str, int], AbstractContextManager[Callable[[], None]]]
"""watch(what, parts) gives the function to call after each of the *parts* of a data set"""


@contextmanager
def _unwatched(_what: str, _parts: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


_watch: ContextVar[Watch] = ContextVar("watch", default=_unwatched)


def watch_reading(watch: Watch | None) -> None:
    """From now on *watch* follows every look at data in this thread; None: nothing does."""
    _watch.set(watch or _unwatched)


class BrokenImages(Exception):
    """``reasons``: one for each image that cannot be read."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(*reasons)
        self.reasons = reasons


def remembered(part: Path, state: str, newest_ns: int, look: Callable[[], Found]) -> Found:
    """What *look* found in *part* when its files were in *state*, from the cache or by looking now.

    ``newest_ns``: the latest modification time. Plain JSON values only. Raises what *look* raises.
    """
    entry = cache_folder() / f"{hashlib.sha256(os.fsencode(part.absolute())).hexdigest()[:40]}.json"
    state = f"{VERSION} {state}"
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):  # a damaged entry is as good as none
        kept = json.loads(entry.read_bytes())
        if kept["state"] == state:
            found: Found = kept["found"]
            return found
    began = time.time_ns()
    found = look()
    if newest_ns < began - RECENT_NS:
        with suppress(OSError):  # without a cache everything works, more slowly
            _write(entry, json.dumps({"state": state, "found": found}))
    return found


def cache_folder() -> Path:
    """Where it is remembered: beside the store that is used by default."""
    from platformdirs import user_cache_path  # only where data are streamed

    return user_cache_path("prunecheck") / "data"


def _write(path: Path, text: str) -> None:
    """Whole or not at all, also where other processes write the same entry."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def look_at_all(what: str, looks: Sequence[Callable[[], Found]]) -> list[Found]:
    """What every part holds. Raises DataError that names broken images of all parts together."""
    found, broken = [], []
    with _watch.get()(what, len(looks)) as advance:
        for look in looks:
            try:
                found.append(look())
            except BrokenImages as error:
                broken += error.reasons
            advance()
    if broken:
        more = f"\n… and {len(broken) - 5} more" if len(broken) > 5 else ""
        raise DataError(
            f"{what}: {counted(len(broken), 'image')} cannot be read:\n"
            + "\n".join(broken[:5])
            + f"{more}\nReplace them, or remove them."
        )
    return found

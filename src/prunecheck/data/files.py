"""Where data sets lie, and their files in a folder, a zip or a tar.gz, read by name without unpacking to disk."""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prunecheck.data.catalogue import DataSpec
from prunecheck.errors import DataError, DataMissing
from prunecheck.text import nearest, printable

ENVIRONMENT_VARIABLE = "PRUNECHECK_DATA"
DEFAULT_ROOT = "data"
BLOCK = 2**20
LARGEST_MEMBER = 2**28
"""bytes above which a member of an archive is refused: a small archive can claim to hold anything"""
LARGEST_ARCHIVE = 2**31
"""bytes above which an unpacked tar is refused; CIFAR's are below 2**28"""


@dataclass(frozen=True)
class Tree:
    """``names``: slash-separated paths below the top folder, sorted; ``read(name)``: the bytes of one."""

    names: tuple[str, ...]
    read: Callable[[str], bytes]


@contextmanager
def open_tree(place: Path, top: str) -> Iterator[Tree]:
    """The files of the folder *place*, or of the zip *place* without its folder *top*. Raises DataError if torn."""
    if place.is_dir():
        names = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
        yield Tree(tuple(names), lambda name: (place / name).read_bytes())
        return
    try:
        archive = zipfile.ZipFile(place)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{place} is not a zip archive, or torn: {error}.") from error
    with archive:
        members: dict[str, str] = {}
        for full in archive.namelist():
            name = full.removeprefix(f"{top}/")
            if name in members:
                raise DataError(f"{place} holds {printable(name)!r} twice.")
            if not full.endswith("/"):
                members[name] = full
        yield Tree(tuple(sorted(members)), lambda name: _member(archive, members[name], place))


def read_members(place: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The named files of the folder or tar.gz *place*; in an archive the folders above them do not matter.

    Raises DataError where one is missing, there twice, not a plain file, over 256 MiB, or the archive is torn.
    """
    found = _from_folder(place, names) if place.is_dir() else _from_tar(place, set(names))
    absent = [name for name in names if name not in found]
    if absent:
        raise DataError(f"{place} has no {absent[0]!r}: download it again.")
    return found


def _from_folder(place: Path, names: Sequence[str]) -> dict[str, bytes]:
    try:
        return {name: (place / name).read_bytes() for name in names if (place / name).exists()}
    except OSError as error:
        raise DataError(f"{place} cannot be read: {error}.") from error


def _from_tar(place: Path, names: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with _LimitedGzip(place) as stream, tarfile.open(mode="r:", fileobj=stream) as archive:
            for member in archive:
                name = Path(member.name).name
                if member.size > LARGEST_MEMBER:
                    raise DataError(f"{place}: {printable(member.name)!r} claims {member.size} bytes: refused.")
                content = archive.extractfile(member) if name in names and member.isfile() else None
                if content is not None:
                    if name in found:
                        raise DataError(f"{place} holds {name!r} twice.")
                    found[name] = content.read()
            # the checksum is at the very end, behind what tarfile reads
            while stream.read(BLOCK):
                pass
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{place} is not a tar.gz archive, or torn: {error}.") from error
    return found


class _LimitedGzip(gzip.GzipFile):
    """Refuses what a torn or hostile archive makes tarfile ask for: huge headers, endless content."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= LARGEST_MEMBER or self.tell() + size > LARGEST_ARCHIVE:
            raise DataError(f"{self.name} unpacks to more than {LARGEST_ARCHIVE} bytes, or {size} at once: refused.")
        return super().read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset > LARGEST_ARCHIVE:
            raise DataError(f"{self.name} unpacks to more than {LARGEST_ARCHIVE} bytes: refused.")
        return super().seek(offset, whence)


def _member(archive: zipfile.ZipFile, name: str, place: Path) -> bytes:
    try:
        if archive.getinfo(name).file_size > LARGEST_MEMBER:
            raise DataError(f"{place}: {printable(name)!r} claims over {LARGEST_MEMBER} bytes: refused.")
        return archive.read(name)
    except (KeyError, OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{place}: {printable(name)!r} cannot be read: {error}.") from error


def roots(spec: DataSpec) -> list[Path]:
    """The places to look in: the root of the spec alone, else $PRUNECHECK_DATA and then ``./data``."""
    if spec.root is not None:
        return [Path(spec.root).expanduser()]
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return [*([Path(named).expanduser()] if named else []), Path(DEFAULT_ROOT)]


def missing(spec: DataSpec, expected: Sequence[str]) -> DataMissing:
    """The error for a data set that is in none of its places; *expected* are names below the root, best first."""
    root = roots(spec)[0]
    where = f"{root / expected[0]}" + (f" (or {', '.join(expected[1:])})" if expected[1:] else "")
    return DataMissing(
        f"data {spec.name!r} is not there: expected {where}.\n"
        f"Set root, or the environment variable {ENVIRONMENT_VARIABLE}, to the folder that holds it."
        + _nearest_right_thing(root, expected)
    )


def _nearest_right_thing(root: Path, expected: Sequence[str]) -> str:
    if not root.exists():
        return f"\n{root} does not exist."
    if not root.is_dir():
        return f"\n{root} is a file."
    present = sorted(path.name for path in root.iterdir())
    for name in expected:
        guess = nearest(name.partition("/")[0], present)
        if guess is not None:
            return f"\nThere is {guess!r}: is that it?"
    return f"\n{root} holds {', '.join(present[:5]) or 'nothing'}{' …' if len(present) > 5 else ''}."

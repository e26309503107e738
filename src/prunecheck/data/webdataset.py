"""Images in tar shards as WebDataset lays them out: ``KEY.jpg`` with ``KEY.cls`` (the class number) or ``KEY.json``.

Shards belong to train or test by their names, see ``shards``. Where every image lies in its shard is found out once, so
that images can be read in any order; the webdataset library reads shards from start to end and mixes a buffer.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from prunecheck.data.catalogue import DataShape, DataSpec
from prunecheck.data.encoded import EncodedImages, StreamedSource
from prunecheck.data.images import SUFFIXES, verify_encoded
from prunecheck.data.reduce import held_out
from prunecheck.data.scan import BrokenImages, Found, look_at_all, remembered
from prunecheck.data.shards import layout
from prunecheck.errors import DataError
from prunecheck.text import printable, printable_path

SUFFIX = ".tar"
LARGEST_LABEL = 10**5
LARGEST_TEXT = 10**6
"""bytes of a label or JSON file"""


def files(spec: DataSpec) -> dict[str, Path]:
    """Every shard. Raises DataError where the layout is not the one described above."""
    found = layout(spec, SUFFIX)
    return {name: found.root / name for name in (*found.train, *found.test, *found.whole)}


def shape(spec: DataSpec) -> DataShape:
    """Numbers from the shards, the size from the spec. Raises DataError."""
    if spec.size is None:
        raise DataError(f"data {spec.name!r} takes a size: the side in pixels that images are brought to.")
    source = stream(spec)
    return DataShape(
        num_classes=int(source.train.targets.max()) + 1,
        channels=3,
        size=spec.size,
        n_train=len(source.train.targets),
        n_test=len(source.test.targets),
    )


def contents(spec: DataSpec) -> list[tuple[str, str]]:
    """(name, hash of the content) of every shard. Raises DataError that names images that are broken."""
    found = files(spec)
    return [(name, one["content"]) for name, one in zip(found, _look_at(spec, list(found.values())), strict=True)]


def stream(spec: DataSpec) -> StreamedSource:
    """Images in the order of the shards. Raises DataError for shards of another layout."""
    found = layout(spec, SUFFIX)
    if found.whole:
        every = _encoded(spec, [found.root / name for name in found.whole])
        train, test = held_out(every.targets, f"data {spec.name!r}")
        return StreamedSource(every.part(train), every.part(test), (), found.notes)
    parts = [_encoded(spec, [found.root / name for name in names]) for names in (found.train, found.test)]
    return StreamedSource(parts[0], parts[1], (), found.notes)


def _encoded(spec: DataSpec, shards: Sequence[Path]) -> EncodedImages:
    members = [one["members"] for one in _look_at(spec, shards)]
    flat = [member for of_shard in members for member in of_shard]
    shard = np.repeat(np.arange(len(shards)), [len(of_shard) for of_shard in members])
    names = [name for name, _, _, _ in flat]
    targets, offsets, sizes = (np.array([member[i] for member in flat], dtype=np.int64) for i in (1, 2, 3))

    def read(position: int) -> tuple[str, bytes]:
        path = shards[shard[position]]
        name = f"{names[position]} in {path}"
        try:
            with path.open("rb") as file:
                return name, os.pread(file.fileno(), int(sizes[position]), int(offsets[position]))
        except OSError as error:
            raise DataError(f"image {printable_path(name)} cannot be read: {error}.") from error

    return EncodedImages(targets, read)


def _look_at(spec: DataSpec, shards: Sequence[Path]) -> list[Found]:
    return look_at_all(f"data {spec.name!r}", [partial(_look, path) for path in shards])


def _look(path: Path) -> Found:
    state = path.stat()
    return remembered(path, f"{state.st_size} {state.st_mtime_ns}", state.st_mtime_ns, lambda: _found_in(path))


def _found_in(path: Path) -> Found:
    """``content``: the hash of the shard; ``members``: name, class, offset and size of every image."""
    try:
        with tarfile.open(path, "r:") as archive:
            members, broken = _members(path, archive)
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(f"{path} is no uncompressed tar archive, or torn: {error}.") from error
    if broken:
        raise BrokenImages(broken)
    return {"content": content, "members": members}


def _members(path: Path, archive: tarfile.TarFile) -> tuple[list[tuple[str, int, int, int]], list[str]]:
    images: dict[str, tarfile.TarInfo] = {}
    labels: dict[str, int] = {}
    broken: list[str] = []
    for member in archive:
        key, suffix = _key_of(member.name)
        if not member.isfile() or PurePosixPath(member.name).name.startswith("."):
            continue
        if f".{suffix}" in SUFFIXES:
            if key in images:
                raise DataError(f"{path} holds two images {printable(key)!r}.")
            images[key] = member
            try:
                verify_encoded(f"{member.name} in {path}", _read(archive, member))
            except DataError as error:
                broken.append(str(error))
        elif suffix in ("cls", "json"):
            if member.size > LARGEST_TEXT:
                raise DataError(f"{path}: {printable(member.name)} claims {member.size} bytes: no label.")
            label = _label_of(path, member.name, suffix, _read(archive, member))
            if label is not None:
                labels[key] = label
    for key in images:
        if key not in labels:
            raise DataError(
                f"{path}: {printable(images[key].name)} has no label: no {printable(key)}.cls with a class number, and "
                'no "label" in a JSON file.'
            )
    if not images:
        raise DataError(f"{path} holds no image of a kind that is read.")
    return [(m.name, labels[key], m.offset_data, m.size) for key, m in images.items()], broken


def _key_of(name: str) -> tuple[str, str]:
    """Of ``a/b.seg.jpg``: ``a/b`` and ``seg.jpg``, the key that the files of a sample share and the rest."""
    folder, _, last = name.rpartition("/")
    key, _, suffix = last.partition(".")
    return f"{folder}/{key}" if folder else key, suffix.lower()


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def _label_of(path: Path, name: str, suffix: str, content: bytes) -> int | None:
    """None for a JSON file without a label."""
    try:
        if suffix == "cls":
            label = int(content.decode("ascii").strip())
        else:
            described = json.loads(content)
            if not isinstance(described, dict) or "label" not in described:
                return None
            label = described["label"]
            if type(label) is not int:
                return None
    except (ValueError, RecursionError):
        label = -1
    if not 0 <= label <= LARGEST_LABEL:
        raise DataError(f"{path}: {printable(name)} holds no class number of 0..{LARGEST_LABEL}.")
    return label

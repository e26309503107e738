"""The files of a data set that consists of shards, and which of them are for training and for test.

Files belong to train, test or validation by a word in their name (``data/train-00000-of-00002.parquet``) or, where that
has none, in the name of a folder above them (``train/0000.tar``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from prunecheck.data.catalogue import DataSpec
from prunecheck.errors import DataError
from prunecheck.text import printable

WORDS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
}
"""word in a file or folder name -> split, as the ``datasets`` library reads them"""


@dataclass(frozen=True)
class Layout:
    """The files of each split, relative to *root*, sorted. *whole*: files without a split, where no file has one."""

    root: Path
    train: tuple[str, ...]
    test: tuple[str, ...]
    whole: tuple[str, ...]
    notes: tuple[str, ...]


def layout(spec: DataSpec, suffix: str) -> Layout:
    """The files that end with *suffix*. Raises DataError where they are not laid out as described above."""
    root = root_of(spec, suffix)
    if root.is_file():
        return Layout(root.parent, (), (), (root.name,), ())
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob(f"*{suffix}") if path.is_file())
    names = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    if not names:
        raise DataError(f"data {spec.name!r}: there is no {suffix} file below {root}.")
    places: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}, "validation": {}, "": {}}
    for name in names:
        split, base = _split_of(spec, name, suffix)
        places[split].setdefault(base, []).append(name)
    if not places["train"] and not places["test"] and not places["validation"]:
        return Layout(root, (), (), tuple(names), ())
    for split in ("train", "test", "validation"):
        if len(places[split]) > 1:
            listed = ", ".join(printable(base or ".") for base in sorted(places[split]))
            raise DataError(f"data {spec.name!r}: {split} files lie in several folders of {root}: {listed}. Name one.")
    chosen = {split: tuple(name for group in places[split].values() for name in group) for split in places}
    test = chosen["test"] or chosen["validation"]
    for split, found in (("train", chosen["train"]), ("test or validation", test)):
        if not found:
            raise DataError(f"data {spec.name!r}: no file below {root} is named for {split}; the first is {names[0]}.")
    left = [*chosen[""], *(chosen["validation"] if chosen["test"] else ())]
    notes = (f"{len(left)} {suffix.removeprefix('.')} files are not used, e.g. {printable(left[0])}.",) if left else ()
    return Layout(root, chosen["train"], test, (), notes)


def root_of(spec: DataSpec, suffix: str) -> Path:
    if spec.root is None:
        raise DataError(
            f"data {spec.name!r} takes a root: the folder with train*{suffix} and test*{suffix}, or one file."
        )
    root = Path(spec.root).expanduser()
    if not root.exists():
        raise DataError(f"data {spec.name!r}: root {root} does not exist.")
    return root


def _split_of(spec: DataSpec, name: str, suffix: str) -> tuple[str, str]:
    """The split a file belongs to ("" for none), and the folder above what names it. Raises DataError for two."""
    parts = name.removesuffix(suffix).split("/")
    for depth in range(len(parts) - 1, -1, -1):
        words = [WORDS[word] for word in re.split(r"[^a-z]+", parts[depth].lower()) if word in WORDS]
        if len(set(words)) > 1:
            raise DataError(f"data {spec.name!r}: {printable(name)} is named for {' and '.join(sorted(set(words)))}.")
        if words:
            return words[0], "/".join(parts[:depth])
    return "", ""

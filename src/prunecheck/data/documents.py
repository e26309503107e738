"""Text documents: a folder of .txt files, or a .jsonl file with one document a line.

A language model is calibrated on some documents and evaluated on others. What both hold is found by name and refused:
a perplexity on text that a method has seen says nothing about other text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from prunecheck.errors import DataError, DataMissing
from prunecheck.paths import neighbour
from prunecheck.text import counted, printable, printable_path

WORDS = 13
"""words of the sequences by which copied text is recognised, as in Brown et al. 2020 (GPT-3), appendix C"""
LARGEST_SHARE = 0.2
"""of a document's sequences of words that another text may hold; more than quotations and set phrases"""
LARGEST_FILE = 2**30
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Document:
    """``name``: the file's name below its folder, or ``file.jsonl:LINE``."""

    name: str
    text: str

    @property
    def digest(self) -> str:
        """sha256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_documents(place: Path, field: str = "text") -> tuple[Document, ...]:
    """The documents of a folder (every .txt and .jsonl file below it, by name), of a .jsonl or of a .txt file.

    *field*: the key of a .jsonl line that holds the text. Empty documents are left out. Raises DataMissing where there
    is nothing at *place*, DataError naming file and line for what is no UTF-8 text or has no such field.
    """
    return _read(place, field, _stamp(place))


@lru_cache(maxsize=8)
def _read(place: Path, field: str, _stamp: object) -> tuple[Document, ...]:
    files = [path for path in _files(place) if path.suffix.lower() in (".txt", ".jsonl")]
    if not files:
        raise DataError(f"{printable_path(place)} holds no .txt and no .jsonl file.")
    found: list[Document] = []
    for path in files:
        name = path.relative_to(place).as_posix() if place.is_dir() else path.name
        text = _text(path)
        found += _lines(path, name, text, field) if path.suffix.lower() == ".jsonl" else [Document(name, text)]
    documents = tuple(one for one in found if one.text.strip())
    if not documents:
        raise DataError(f"{printable_path(place)} holds only empty documents.")
    return documents


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))
    if place.is_file():
        return [place]
    raise DataMissing(f"there is no file or folder {printable_path(place)}.{neighbour(place)}")


def _stamp(place: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes whenever a file of *place* does."""
    stats = [(path, path.stat()) for path in _files(place)]
    return tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DataError(f"{printable_path(path)} has more than {LARGEST_FILE} bytes. Split it.")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{printable_path(path)} is not UTF-8 text (byte {error.start}).") from None
    except OSError as error:
        raise DataError(f"{printable_path(path)} cannot be read: {error.strerror}.") from None


def _lines(path: Path, name: str, text: str, field: str) -> Iterator[Document]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{printable_path(path)}, line {number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} is not JSON: {printable(str(error), 120)}.") from None
        value = entry.get(field) if isinstance(entry, dict) else None
        if not isinstance(value, str):
            keys = ", ".join(printable(str(key), 30) for key in entry) if isinstance(entry, dict) else "no object"
            raise DataError(f"{where} has no text under {field!r}. It has: {keys}. Set data.field.")
        yield Document(f"{name}:{number}", value)


def fingerprint(documents: Iterable[Document]) -> str:
    """sha256 of the names and texts, in order."""
    return hashlib.sha256("\n".join(f"{one.name}\0{one.digest}" for one in documents).encode()).hexdigest()


def sample(documents: Sequence[Document], n: int | None) -> tuple[Document, ...]:
    """*n* documents (all, for None) in the order of their digests: a fixed random choice that neither names nor other
    choices of a study move. Texts that are there twice are taken once."""
    once = {one.digest: one for one in reversed(documents)}
    return tuple(once[digest] for digest in sorted(once))[:n]


def refuse_overlap(
    seen: Sequence[Document], evaluated: Sequence[Document], seen_as: str = "data.calibration", hint: str = ""
) -> None:
    """Raises DataError where a document of *evaluated* is in *seen* too, or shares more than ``LARGEST_SHARE`` of its
    sequences of 13 words with it, naming both. *seen_as*: the field that names *seen*."""
    texts = {_plain(one.text): one for one in seen}
    for document in evaluated:
        if (same := texts.get(_plain(document.text))) is not None:
            raise DataError(_overlap(document, f"is also in {seen_as} ({printable(same.name, 60)})", hint))
    sequences = {document.name: set(_sequences(document.text)) for document in evaluated}
    every = set().union(*sequences.values()) if sequences else set()
    if not every:
        return
    found: dict[int, str] = {}
    for one in seen:
        for sequence in every.intersection(_sequences(one.text)):
            found.setdefault(sequence, one.name)
    for document in evaluated:
        own = sequences[document.name]
        shared = [found[sequence] for sequence in own if sequence in found]
        if own and len(shared) > LARGEST_SHARE * len(own):
            share, source = len(shared) / len(own), max(sorted(set(shared)), key=shared.count)
            what = f"shares {share:.0%} of its sequences of {WORDS} words with {seen_as} ({printable(source, 60)})"
            raise DataError(_overlap(document, what, hint))


def _overlap(document: Document, what: str, hint: str) -> str:
    remedy = hint or "Take it out of one of the two."
    return f"data.evaluation: document {printable(document.name, 60)!r} {what}. {remedy}"


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _sequences(text: str) -> Iterator[int]:
    words = _WORD.findall(text.casefold())
    for start in range(len(words) - WORDS + 1):
        # 64 bits of a hash: a collision in a million sequences has a chance of 1e-7, and one is no overlap of 20 %
        joined = " ".join(words[start : start + WORDS]).encode()
        yield int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest(), "big")


def size_in_words(documents: Sequence[Document]) -> str:
    """``24 documents, 210,000 characters``."""
    return f"{counted(len(documents), 'document')}, {sum(len(one.text) for one in documents):,} characters"
